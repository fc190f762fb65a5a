//! `lambda.invoke`: hands an item, or a batch of them, to a function of AWS Lambda and waits for its
//! answer.
//!
//! - `verdict` says what an answer, or the lack of one, means.

#[cfg(test)]
mod tests;
mod verdict;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;
use tokio::task::JoinSet;

use super::CONNECTION;
use super::session::Session;
use crate::connectors::handover::{self, EVENT, Event};
use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, never};
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};

/// Longest event of an invocation that is waited for, in bytes; from the quotas that AWS documents.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

const fn field(name: &'static str, kind: Kind, required: bool) -> Field {
    Field { name, kind, required }
}

/// What `lambda.invoke` declares. `function`: its name or ARN; `qualifier`: a version or an alias; `payload`:
/// what is handed over in place of the item.
pub const INVOKE: Descriptor = Descriptor {
    uses: "lambda.invoke",
    summary: "hands items to a function of AWS Lambda",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[CONNECTION.name],
    fields: &[
        field("function", Kind::Plain, true),
        field("qualifier", Kind::Plain, false),
        field("payload", Kind::Any, false),
        field("event", EVENT, false),
    ],
    facts: &["result"],
    batch_default: 1,
    batch_max: 1000,
    concurrency: 8,
    harmless: never,
};

/// Makes the worker of a `lambda.invoke` step. Reads no configuration of AWS, and speaks to nobody yet.
///
/// # Errors
/// A field of the step is wrong.
pub fn build_invoke(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    Invoker::read(site, Session::new(site.step.timeout)).map(|invoker| Worker::Effect(Arc::new(invoker)))
}

struct Invoker {
    function: String,
    qualifier: Option<String>,
    payload: Option<Template>,
    event: Event,
    session: Session,
}

impl Invoker {
    fn read(site: &Site<'_>, session: Session) -> Result<Self, Vec<BuildFault>> {
        let with = &site.step.with;
        let one = |fault| vec![fault];
        let function = settings::required(with, "function").map_err(one);
        let qualifier = settings::text(with, "qualifier").map_err(one);
        let payload = with.get("payload").map(Template::parse).transpose();
        let payload = payload.map_err(|fault| one(BuildFault::field("payload", fault.message)));
        let named = settings::both(function, qualifier);
        let ((function, qualifier), (payload, event)) =
            settings::both(named, settings::both(payload, Event::read(with).map_err(one)))?;
        let (function, qualifier) = (function.to_owned(), qualifier.map(str::to_owned));
        Ok(Self { function, qualifier, payload, event, session })
    }
}

impl Prepare for Invoker {
    /// What is handed over for the unit.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        handover::body(self.payload.as_ref(), scope)
    }
}

#[async_trait]
impl Effect for Invoker {
    /// One invocation for each event, all of them under way at once.
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let client = self.session.lambda().await;
        let (mut outcomes, mut sent) = (Vec::new(), 0);
        let mut invocations = JoinSet::new();
        for (at, (of, event)) in self.event.split(calls).into_iter().enumerate() {
            let bytes = event.to_string().into_bytes();
            if bytes.len() > EVENT_BYTES_MAX {
                outcomes.push((at, of.iter().map(|_| too_large(bytes.len())).collect()));
                continue;
            }
            sent += 1;
            let request = client.invoke().function_name(&self.function).payload(Blob::new(bytes));
            let request = request.set_qualifier(self.qualifier.clone());
            let (kind, of) = (self.event, of.to_vec());
            invocations.spawn(async move { (at, verdict::of(kind, &of, request.send().await)) });
        }
        while let Some(ended) = invocations.join_next().await {
            // One that panicked shows by the outcomes that are missing, and they by their place.
            outcomes.extend(ended);
        }
        outcomes.sort_unstable_by_key(|(at, _)| *at);
        let whole: Vec<Outcome> =
            outcomes.into_iter().flat_map(|(_, told): (usize, Vec<Outcome>)| told).collect();
        if whole.len() == calls.len() {
            return Verdicts { outcomes: whole, calls: sent };
        }
        let defect = Fault::new(name::DEFECT, "a defect of this connector: an invocation broke off");
        Verdicts { outcomes: vec![Outcome::Unclear(defect); calls.len()], calls: sent }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Unknown(Fault::new(name::REFUSED, "a function cannot be asked what it did"))
    }
}

fn too_large(bytes: usize) -> Outcome {
    let message = format!(
        "the event has {bytes} bytes, and Lambda takes at most {EVENT_BYTES_MAX}: hand over less with 'payload', or fewer items with 'batch'"
    );
    Outcome::Refused { fault: Fault::new(name::REFUSED, message), again: Again::Never }
}
