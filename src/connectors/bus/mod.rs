//! The embedded bus: EventBridge and SQS as far as a workflow sees them, over the engine's own
//! durable queue. Rules choose the queues of an event; an event that no rule chooses is accepted
//! and goes nowhere, as on the real bus.

mod courier;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::events::{self, Publish, Receive};
use super::{BuildFault, Site, all_of, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, never};
use crate::core::cell::Facts;
use crate::core::change::Message;
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::queue::{self, Carried, SHARED};
use crate::core::retry::{Outcome, Probed};
use crate::core::scope::Scope;
use crate::ports::{Call, Effect, OwnQueue, Prepare, Queue, Receiver, StoreError, Verdicts, Worker};
use rules::Rules;

pub(super) use courier::courier;

/// Entries of one PutEvents call; EventBridge takes no more.
const ENTRIES_MAX: usize = 10;
/// Receives under way at once, when the step does not say: each is a commit.
pub(super) const POLLERS: u64 = 1;

/// What the embedded bus takes.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "embedded",
    summary: "bus and queues inside the engine's own store",
    fields: &[Field { name: "rules", kind: Kind::Any, required: false }],
};

/// What `eventbridge.publish` is.
pub const PUBLISH: Descriptor = Descriptor {
    uses: events::PUBLISH,
    summary: "publishes an event about the item or the run",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &["embedded", "aws"],
    fields: &[
        Field { name: "source", kind: Kind::Text, required: false },
        Field { name: "detail_type", kind: Kind::Text, required: true },
        Field { name: "detail", kind: Kind::Any, required: false },
    ],
    facts: &["event_id", "digest", "queues"],
    batch_default: 25,
    batch_max: 25,
    concurrency: 4,
    harmless: never,
};

/// What `sqs.consume` is. The engine itself receives; `delete_after` is its business too.
pub const CONSUME: Descriptor = Descriptor {
    uses: events::CONSUME,
    summary: "waits for the item's message on a queue",
    role: Role::Receive,
    place: Place::Item,
    connections: &["embedded", "aws"],
    fields: &[
        Field { name: "queue", kind: Kind::Plain, required: true },
        Field { name: "wait", kind: Kind::Duration, required: false },
        Field { name: "visibility_timeout", kind: Kind::Duration, required: false },
        Field { name: "max_receives", kind: Kind::Count, required: false },
        Field { name: "pollers", kind: Kind::Count, required: false },
        Field { name: "delete_after", kind: Kind::Plain, required: false },
    ],
    facts: &["event_id", "receives"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: never,
};

/// Makes the worker of an `eventbridge.publish` step.
///
/// # Errors
/// A field or a rule of the connection is wrong.
pub fn build_publish(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let rules = Rules::read(site.settings.get("rules"));
    let (rules, publish) = settings::both(rules, Publish::read(&site.step.with))?;
    Ok(Worker::Effect(Arc::new(Publisher { rules, publish, queue: Arc::clone(&site.queue) })))
}

/// Makes the worker of an `sqs.consume` step.
///
/// # Errors
/// A field is wrong.
pub fn build_consume(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let receive = Receive::read(&site.step.with, POLLERS)?;
    Ok(Worker::Receiver(Arc::new(Consumer { receive, queue: Arc::clone(&site.queue) })))
}

struct Consumer {
    receive: Receive,
    queue: Arc<dyn OwnQueue>,
}

impl Prepare for Consumer {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.receive.prepare(scope)
    }
}

impl Receiver for Consumer {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue) as Arc<dyn Queue>
    }

    fn receive(&self, run: RunId) -> queue::Receive {
        self.receive.of(run)
    }
}

struct Publisher {
    rules: Rules,
    publish: Publish,
    queue: Arc<dyn OwnQueue>,
}

impl Prepare for Publisher {
    /// What every publish step makes; with `data` and `version` for those who read a shared queue.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let mut request = self.publish.prepare(scope)?;
        if self.rules.share() {
            request["data"] = (*scope.item).clone();
            request["version"] = Value::from(&*scope.version);
        }
        Ok(request)
    }
}

#[async_trait]
impl Effect for Publisher {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::with_capacity(calls.len());
        // All are under way at once, so that the store makes them durable together.
        let sent = calls.chunks(ENTRIES_MAX).map(|entries| {
            let (shared, own) = self.messages(entries);
            let queue = Arc::clone(&self.queue);
            (entries, tokio::spawn(put(queue, own, shared)))
        });
        let sent: Vec<_> = sent.collect();
        let requests = sent.len() as u64;
        for (entries, sending) in sent {
            let ended = sending.await.unwrap_or_else(|defect| Err(StoreError(defect.to_string())));
            match ended {
                Ok(()) => outcomes.extend(entries.iter().map(|call| Outcome::Done(self.facts(call)))),
                Err(error) => {
                    let fault = Fault::new(name::NO_ANSWER, format!("failed to put events: {error}"));
                    outcomes.extend(entries.iter().map(|_| Outcome::Unclear(fault.clone())));
                }
            }
        }
        Verdicts { outcomes, calls: requests }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Unknown(Fault::new(name::REFUSED, "a bus cannot be asked for an event"))
    }
}

/// Both are durable when it returns. What is put twice, because the second failed, is dropped.
async fn put(
    queue: Arc<dyn OwnQueue>,
    own: Vec<Message>,
    shared: Vec<(Message, Carried)>,
) -> Result<(), StoreError> {
    if shared.is_empty() {
        return queue.send(own).await;
    }
    if !own.is_empty() {
        queue.send(own).await?;
    }
    queue.share(shared).await
}

impl Publisher {
    /// Messages with their content for shared queues, and references for those of the run.
    fn messages(&self, calls: &[Call]) -> (Vec<(Message, Carried)>, Vec<Message>) {
        let (mut shared, mut own) = (Vec::new(), Vec::new());
        for call in calls {
            let text = |name: &str| call.request[name].as_str().unwrap_or_default().to_owned();
            for target in self.rules.targets(&text("detail_type")) {
                let message = Message {
                    queue: target.queue.to_owned(),
                    run: if target.shared { SHARED } else { call.run },
                    item: match call.unit {
                        Unit::Item(position) if !target.shared => Some(position),
                        Unit::Item(_) | Unit::Run | Unit::Closing(_) => None,
                    },
                    event_id: call.effect_id,
                    detail_type: text("detail_type"),
                    digest: text("digest"),
                };
                if target.shared {
                    let content = Arc::new(call.request["data"].clone());
                    let version = call.request["version"].as_str().map(str::to_owned);
                    shared.push((message, Carried { key: None, version, content }));
                } else {
                    own.push(message);
                }
            }
        }
        (shared, own)
    }

    fn facts(&self, call: &Call) -> Facts {
        let detail_type = call.request["detail_type"].as_str().unwrap_or_default();
        let facts = json!({
            "event_id": uuid::Uuid::from_u128(call.effect_id).hyphenated().to_string(),
            "digest": call.request["digest"],
            "queues": self.rules.targets(detail_type).count(),
        });
        match facts {
            Value::Object(facts) => facts.into_iter().collect(),
            _ => Facts::new(),
        }
    }
}
