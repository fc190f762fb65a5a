//! The alarm on a dead-letter queue: without one nobody hears of what was given up.

use aws_sdk_cloudwatch::types::{AlarmType, MetricAlarm};

use super::super::session::Session;
use super::answer::no;
use crate::connectors::examine::Diagnosis;

/// What CloudWatch calls the depth of a queue.
const DEPTH: &str = "ApproximateNumberOfMessagesVisible";
/// Where CloudWatch keeps it.
const NAMESPACE: &str = "AWS/SQS";

/// Looks for an alarm on the depth of this queue that tells somebody.
pub(super) async fn examine(session: &Session, queue: &str, found: &mut Vec<Diagnosis>) {
    let what = format!("alarm on {queue}");
    let alarms = match on(session, queue, &what).await {
        Ok(alarms) => alarms,
        Err(diagnosis) => return found.push(diagnosis),
    };
    let name = |alarm: &MetricAlarm| alarm.alarm_name().unwrap_or_default().to_owned();
    let tells =
        |alarm: &&MetricAlarm| alarm.actions_enabled() == Some(true) && !alarm.alarm_actions().is_empty();
    found.push(match (alarms.iter().find(tells), alarms.first()) {
        (Some(alarm), _) => Diagnosis::good(format!("{what}: {} tells {}", name(alarm), alarm.alarm_actions()[0])),
        (None, Some(alarm)) => Diagnosis::wrong(
            format!("{what}: {} tells nobody", name(alarm)),
            format!("give it an action, an SNS topic, and enable it: aws cloudwatch enable-alarm-actions --alarm-names {}", name(alarm)),
        ),
        (None, None) => Diagnosis::wrong(
            format!("{what}: there is none, so nobody hears of dead letters"),
            format!("make one on {NAMESPACE} {} of {queue}; see Alarm in {}", DEPTH, super::TEMPLATE),
        ),
    });
}

async fn on(session: &Session, queue: &str, what: &str) -> Result<Vec<MetricAlarm>, Diagnosis> {
    let cloudwatch = session.cloudwatch().await;
    let (mut alarms, mut next) = (Vec::new(), None);
    loop {
        let asked = cloudwatch.describe_alarms().alarm_types(AlarmType::MetricAlarm).set_next_token(next);
        let told = asked
            .send()
            .await
            .map_err(|error| no("cloudwatch:DescribeAlarms", what, error).diagnosis(what))?;
        alarms.extend(told.metric_alarms.unwrap_or_default().into_iter().filter(|alarm| is_on(alarm, queue)));
        next = told.next_token;
        if next.is_none() {
            return Ok(alarms);
        }
    }
}

fn is_on(alarm: &MetricAlarm, queue: &str) -> bool {
    let names = |name: &str, value: &str| {
        alarm.dimensions().iter().any(|known| known.name() == Some(name) && known.value() == Some(value))
    };
    alarm.namespace() == Some(NAMESPACE) && alarm.metric_name() == Some(DEPTH) && names("QueueName", queue)
}
