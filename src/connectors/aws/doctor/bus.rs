//! An event bus: whether it is there, whether a rule chooses what is published, and whether that comes
//! to the queue.

use aws_sdk_eventbridge::types::{Rule, RuleState};
use serde_json::{Value, json};

use super::super::session::Session;
use super::answer::{No, no};
use super::policy::{EVENTBRIDGE, admission};
use super::queue;
use crate::connectors::examine::Diagnosis;

/// The parts of a pattern that can be judged before an event is there.
const KNOWN: &[&str] = &["source", "detail-type"];

/// What a step publishes; `None` where it depends on the item.
pub(super) struct Published {
    pub(super) step: String,
    pub(super) source: Option<String>,
    pub(super) detail_type: Option<String>,
}

/// A rule of the bus, with what it sends to.
struct Wire {
    name: String,
    arn: String,
    targets: Vec<String>,
}

/// Looks at a bus, and for every event type at its way to the queue.
pub(super) async fn examine(
    session: &Session,
    bus: &str,
    published: &[Published],
    queue: Option<&str>,
    found: &mut Vec<Diagnosis>,
) {
    let what = format!("event bus {bus}");
    let asked = session.eventbridge().await.describe_event_bus().name(bus).send().await;
    match asked.map_err(|error| no("events:DescribeEventBus", &what, error)) {
        Ok(_) => found.push(Diagnosis::good(format!("{what}: it is there"))),
        Err(No::Absent) => {
            let next = format!(
                "aws events create-event-bus --name {bus}; or everything at once: {}",
                super::TEMPLATE
            );
            return found.push(Diagnosis::wrong(format!("{what}: there is none"), next));
        }
        Err(No::Other(diagnosis)) => return found.push(diagnosis),
    }
    for event in published {
        let way = Way { session, bus, event, queue };
        match way.examine().await {
            Ok(diagnoses) => found.extend(diagnoses),
            Err(diagnosis) => found.push(diagnosis),
        }
    }
}

/// The way of one event from its step to the queue.
struct Way<'a> {
    session: &'a Session,
    bus: &'a str,
    event: &'a Published,
    queue: Option<&'a str>,
}

impl Way<'_> {
    async fn examine(&self) -> Result<Vec<Diagnosis>, Diagnosis> {
        let (bus, step) = (self.bus, &self.event.step);
        let (Some(source), Some(kind)) = (&self.event.source, &self.event.detail_type) else {
            let seen = format!("event bus {bus}: what '{step}' publishes depends on the item");
            return Err(Diagnosis::unknown(seen, "see that a rule chooses each of its events"));
        };
        let mut chosen = Vec::new();
        let mut disabled = None;
        for rule in self.rules().await? {
            if !self.matches(&rule, source, kind).await? {
                continue;
            }
            let name = rule.name.clone().unwrap_or_default();
            if rule.state == Some(RuleState::Disabled) {
                disabled = Some(name);
            } else {
                let targets = self.targets(&name).await?;
                chosen.push(Wire { name, arn: rule.arn.unwrap_or_default(), targets });
            }
        }
        match (chosen.is_empty(), disabled) {
            (false, _) => self.arrival(kind, &chosen).await,
            (true, Some(rule)) => Err(Diagnosis::wrong(
                format!("event bus {bus}: the rule {rule}, which chooses {kind}, is disabled"),
                format!("aws events enable-rule --event-bus-name {bus} --name {rule}"),
            )),
            (true, None) => Err(Diagnosis::wrong(
                format!("event bus {bus}: no rule chooses {kind} of source {source}, so it goes nowhere"),
                format!(
                    "aws events put-rule --event-bus-name {bus} --name {kind} --event-pattern '{}'",
                    json!({ "detail-type": [kind] })
                ),
            )),
        }
    }

    /// What becomes of an event that these rules choose.
    async fn arrival(&self, kind: &str, chosen: &[Wire]) -> Result<Vec<Diagnosis>, Diagnosis> {
        let bus = self.bus;
        let names: Vec<&str> = chosen.iter().map(|wire| wire.name.as_str()).collect();
        let names = names.join(", ");
        let target = |target: &str| {
            let rule = &chosen[0].name;
            format!(
                "aws events put-targets --event-bus-name {bus} --rule {rule} --targets Id=queue,Arn={target}"
            )
        };
        let Some(queue) = self.queue else {
            return Ok(vec![if chosen.iter().all(|wire| wire.targets.is_empty()) {
                let seen = format!("event bus {bus}: the rule {names} has no target, so {kind} goes nowhere");
                Diagnosis::wrong(seen, target("ARN-OF-A-QUEUE"))
            } else {
                Diagnosis::good(format!("event bus {bus}: {kind} is chosen by {names}"))
            }]);
        };
        // That the queue is not there was said where the queue was looked at.
        let Ok(found) = queue::look(self.session, queue).await else { return Ok(Vec::new()) };
        let to_queue: Vec<&Wire> = chosen.iter().filter(|wire| wire.targets.contains(&found.arn)).collect();
        if to_queue.is_empty() {
            let has = if chosen.iter().all(|wire| wire.targets.is_empty()) {
                "has no target"
            } else {
                "has other targets"
            };
            let seen = format!("event bus {bus}: the rule {names} {has}, so {kind} does not come to {queue}");
            return Err(Diagnosis::wrong(seen, target(&found.arn)));
        }
        let good = format!("event bus {bus}: {kind} comes to {queue} by {}", to_queue[0].name);
        let arns: Vec<String> = to_queue.iter().map(|wire| wire.arn.clone()).collect();
        Ok(vec![Diagnosis::good(good), admission(queue, &found, &EVENTBRIDGE, &arns)])
    }

    async fn rules(&self) -> Result<Vec<Rule>, Diagnosis> {
        let (events, what) = (self.session.eventbridge().await, format!("rules of {}", self.bus));
        let (mut rules, mut next) = (Vec::new(), None);
        loop {
            let asked = events.list_rules().event_bus_name(self.bus).set_next_token(next).send().await;
            let told = asked.map_err(|error| no("events:ListRules", &what, error).diagnosis(&what))?;
            rules.extend(told.rules.unwrap_or_default());
            next = told.next_token;
            if next.is_none() {
                return Ok(rules);
            }
        }
    }

    /// Up to a hundred targets are in the first answer; a rule has five at most.
    async fn targets(&self, rule: &str) -> Result<Vec<String>, Diagnosis> {
        let events = self.session.eventbridge().await;
        let asked = events.list_targets_by_rule().event_bus_name(self.bus).rule(rule).send().await;
        let what = format!("targets of {rule}");
        let told = asked.map_err(|error| no("events:ListTargetsByRule", &what, error).diagnosis(&what))?;
        Ok(told.targets.unwrap_or_default().into_iter().map(|target| target.arn).collect())
    }

    /// Asks EventBridge itself whether a rule chooses events of this type, whatever their detail.
    async fn matches(&self, rule: &Rule, source: &str, kind: &str) -> Result<bool, Diagnosis> {
        let pattern = rule.event_pattern().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(Value::Object(mut pattern)) = pattern else { return Ok(false) };
        pattern.retain(|key, _| KNOWN.contains(&key.as_str()));
        if pattern.is_empty() {
            return Ok(true);
        }
        let event = json!({
            "id": "0", "account": "000000000000", "region": "us-east-1", "resources": [],
            "time": "2026-01-01T00:00:00Z", "source": source, "detail-type": kind, "detail": {},
        });
        let events = self.session.eventbridge().await;
        let asked = events.test_event_pattern().event_pattern(Value::Object(pattern).to_string());
        let told = asked.event(event.to_string()).send().await;
        let what = format!("rule {}", rule.name().unwrap_or_default());
        Ok(told.map_err(|error| no("events:TestEventPattern", &what, error).diagnosis(&what))?.result)
    }
}
