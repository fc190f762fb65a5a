//! A queue: whether it is there, gives up on messages when the workflow says so, and hides them for as
//! long as the work on them takes.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName::{self, All, QueueArn, RedrivePolicy, VisibilityTimeout};
use serde_json::Value;

use super::super::session::Session;
use super::answer::{No, no};
use super::{Expected, Receives, alarm};
use crate::connectors::examine::Diagnosis;

/// What is proposed where the workflow says nothing; as in the template.
const RECEIVES_MAX: u64 = 10;

type Attributes = HashMap<QueueAttributeName, String>;

/// A queue that is there.
pub(super) struct Found {
    pub(super) url: String,
    pub(super) arn: String,
    pub(super) attributes: Attributes,
}

/// Looks at a queue and all that hangs on it.
pub(super) async fn examine(session: &Session, expected: &Expected<'_>, found: &mut Vec<Diagnosis>) {
    let name = &expected.name;
    let queue = match look(session, name).await {
        Ok(queue) => queue,
        Err(No::Absent) => return found.push(absent(name)),
        Err(No::Other(diagnosis)) => return found.push(diagnosis),
    };
    found.push(Diagnosis::good(format!("queue {name}: it is there")));
    if let Some(receives) = &expected.receives {
        found.extend(visibility(name, &queue, receives));
        examine_redrive(session, name, &queue, Some(receives), found).await;
    }
}

/// A queue that is not there.
pub(super) fn absent(name: &str) -> Diagnosis {
    let next =
        format!("aws sqs create-queue --queue-name {name}; or everything at once: {}", super::TEMPLATE);
    Diagnosis::wrong(format!("queue {name}: there is none"), next)
}

/// Asks for a queue by its name, or its URL.
pub(super) async fn look(session: &Session, name: &str) -> Result<Found, No> {
    let (sqs, what) = (session.sqs().await, format!("queue {name}"));
    let url = if name.contains("://") {
        name.to_owned()
    } else {
        let asked = sqs.get_queue_url().queue_name(name).send().await;
        asked.map_err(|error| no("sqs:GetQueueUrl", &what, error))?.queue_url.unwrap_or_default()
    };
    let asked = sqs.get_queue_attributes().queue_url(&url).attribute_names(All).send().await;
    let told = asked.map_err(|error| no("sqs:GetQueueAttributes", &what, error))?;
    let attributes = told.attributes.unwrap_or_default();
    let arn = attributes.get(&QueueArn).cloned().unwrap_or_default();
    Ok(Found { url, arn, attributes })
}

/// A message that comes back while it is worked on is worked on twice. The engine hides messages for
/// what its step says; the queue's own setting is what any other reader gets.
fn visibility(name: &str, queue: &Found, receives: &Receives<'_>) -> Vec<Diagnosis> {
    let Some((slowest, timeout)) = receives.held else { return Vec::new() };
    let step = receives.step;
    let mut found = Vec::new();
    if receives.visibility < timeout {
        found.push(Diagnosis::wrong(
            format!(
                "queue {name}: '{step}' hides a message for {:?}, and '{slowest}' may take {timeout:?}",
                receives.visibility
            ),
            format!("write visibility_timeout: {}s into '{step}', or shorten the timeout", timeout.as_secs()),
        ));
    }
    let own = queue.attributes.get(&VisibilityTimeout).and_then(|seconds| seconds.parse().ok());
    if let (false, Some(own)) = (receives.says_visibility, own.map(Duration::from_secs))
        && own < timeout
    {
        found.push(Diagnosis::wrong(
            format!("queue {name}: it hides a message for {own:?}, and '{slowest}' may take {timeout:?}"),
            format!(
                "aws sqs set-queue-attributes --queue-url {} --attributes VisibilityTimeout={}",
                queue.url,
                timeout.as_secs()
            ),
        ));
    }
    if found.is_empty() {
        let shortest = own
            .filter(|_| !receives.says_visibility)
            .map_or(receives.visibility, |own: u64| receives.visibility.min(Duration::from_secs(own)));
        let seen =
            format!("queue {name}: messages are hidden for {shortest:?}, '{slowest}' may take {timeout:?}");
        found.push(Diagnosis::good(seen));
    }
    found
}

/// Looks at what becomes of messages that are received too often. `receives` is the step that says
/// after how many; a trigger says nothing of it.
pub(super) async fn examine_redrive(
    session: &Session,
    name: &str,
    queue: &Found,
    receives: Option<&Receives<'_>>,
    found: &mut Vec<Diagnosis>,
) {
    let max = receives.map_or(RECEIVES_MAX, |receives| receives.at_most);
    let set = |target: &str| {
        let policy =
            format!("{{\\\"deadLetterTargetArn\\\":\\\"{target}\\\",\\\"maxReceiveCount\\\":{max}}}");
        let url = &queue.url;
        format!(
            "aws sqs set-queue-attributes --queue-url {url} --attributes '{{\"RedrivePolicy\":\"{policy}\"}}'"
        )
    };
    let policy =
        queue.attributes.get(&RedrivePolicy).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let target = policy.as_ref().and_then(|policy| policy["deadLetterTargetArn"].as_str());
    let (Some(policy), Some(target)) = (&policy, target) else {
        let seen = format!(
            "queue {name}: no redrive policy: a message that cannot be worked on comes back for ever"
        );
        return found.push(Diagnosis::wrong(seen, set("ARN-OF-A-DEAD-LETTER-QUEUE")));
    };
    // SQS gives the number back as it was written: as a number or as a text.
    let count = &policy["maxReceiveCount"];
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or_default();
    let dead_letters = target.rsplit(':').next().unwrap_or_default();
    found.push(match receives.map(|receives| receives.step) {
        Some(step) if count != max => Diagnosis::wrong(
            format!("queue {name}: the redrive policy gives up after {count} receives, '{step}' after {max}"),
            format!("{}, or write max_receives: {count} into '{step}'", set(target)),
        ),
        _ => {
            Diagnosis::good(format!("queue {name}: after {count} receives a message goes to {dead_letters}"))
        }
    });
    match look(session, dead_letters).await {
        Ok(_) => {
            found.push(Diagnosis::good(format!("dead-letter queue {dead_letters}: it is there")));
            alarm::examine(session, dead_letters, found).await;
        }
        Err(No::Absent) => found.push(Diagnosis::wrong(
            format!("dead-letter queue {dead_letters}: there is none"),
            format!("aws sqs create-queue --queue-name {dead_letters}"),
        )),
        Err(No::Other(diagnosis)) => found.push(diagnosis),
    }
}
