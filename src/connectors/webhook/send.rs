//! `webhook.send`: tells somebody outside, signed as Standard Webhooks are. It goes to the one address of
//! its connection, and to nowhere that leads on from there.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::receiver::{RECEIVER, Receiver, elsewhere};
use crate::connectors::alerts::written;
use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::{Call, Clock, Effect, Prepare, Verdicts, Worker};

/// What `webhook.send` is. Its ID is the same in every attempt, and receivers drop what they have: to
/// repeat it is harmless.
pub const SEND: Descriptor = Descriptor {
    uses: "webhook.send",
    summary: "sends a webhook, signed as Standard Webhooks are",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[RECEIVER.name],
    fields: &[
        Field { name: "type", kind: Kind::Text, required: true },
        Field { name: "data", kind: Kind::Any, required: false },
    ],
    facts: &["id"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 4,
    harmless: always,
};

/// Makes the worker of a `webhook.send` step.
///
/// # Errors
/// A field is wrong, or an expression is not one.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let receiver = Receiver::of(&site.settings, site.step.timeout).map_err(|fault| vec![fault]);
    let (content, receiver) =
        settings::both(settings::template(&site.step.with, &["type", "data"]), receiver)?;
    Ok(Worker::Effect(Arc::new(Send { content, receiver, clock: Arc::clone(&site.clock) })))
}

struct Send {
    content: Template,
    receiver: Receiver,
    clock: Arc<dyn Clock>,
}

impl Prepare for Send {
    /// `{type, data}`: without `data` the item, and in `on_failure` how the run failed.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let mut content = self.content.render(scope)?;
        if !content["type"].is_string() {
            return Err(Fault::new(name::MAPPING, "'type' must give a text"));
        }
        if content.get("data").is_none() {
            content["data"] = Value::clone(&scope.item);
        }
        Ok(content)
    }
}

#[async_trait]
impl Effect for Send {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::with_capacity(calls.len());
        for call in calls {
            outcomes.push(self.one(call).await);
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Unknown(Fault::new(name::REFUSED, "who was sent a webhook cannot be asked whether it came"))
    }
}

impl Send {
    async fn one(&self, call: &Call) -> Outcome {
        let (id, now) = (format!("msg_{:032x}", call.effect_id), self.clock.now());
        let content = &call.request;
        let body = json!({ "type": content["type"], "timestamp": written(now), "data": content["data"] });
        match self.receiver.send(&id, &body, now).await {
            Ok(answer) => match answer.status {
                200..300 => Outcome::Done(Facts::from([("id".to_owned(), Value::from(id))])),
                300..400 => refused(elsewhere(), Again::Never),
                // Gone: the receiver wants no more (Standard Webhooks).
                410 => refused(answer.fault(), Again::Never),
                400..500 if answer.status != 408 && answer.retry_after.is_none() => {
                    refused(answer.fault(), Again::Later)
                }
                _ => answer.of_write(),
            },
            Err(broken) => broken.of_write(),
        }
    }
}

fn refused(fault: Fault, again: Again) -> Outcome {
    Outcome::Refused { fault, again }
}
