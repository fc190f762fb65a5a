//! `http.upsert`: look up, then create or update, over any REST API. The file says every request and
//! what its answers mean; this says in which order they are sent, and what is known afterwards.

mod answers;
mod compare;
mod late;
mod lookup;
mod operation;
mod plan;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::BuildFault;
use super::connection::Link;
use crate::connectors::examine::Diagnosis;
use crate::connectors::{Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, never};
use crate::core::fault::Fault;
use crate::core::retry::Probed;
use crate::core::scope::Scope;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};
use plan::Plan;
use write::Upsert;

const LOOKUP: &[Field] = &[
    Field { name: "url", kind: Kind::Text, required: true },
    Field { name: "method", kind: Kind::OneOf(&["GET", "POST"]), required: false },
    Field { name: "headers", kind: Kind::Any, required: false },
    Field { name: "body", kind: Kind::Any, required: false },
    Field { name: "absent", kind: Kind::Any, required: false },
    Field { name: "at", kind: Kind::Plain, required: false },
    Field { name: "key", kind: Kind::Plain, required: false },
    Field { name: "equals", kind: Kind::Text, required: false },
];

const CREATE: &[Field] = &[
    Field { name: "url", kind: Kind::Text, required: true },
    Field { name: "method", kind: Kind::OneOf(&["POST", "PUT", "PATCH"]), required: false },
    Field { name: "headers", kind: Kind::Any, required: false },
    Field { name: "body", kind: Kind::Any, required: false },
];

const UPDATE: &[Field] = &[
    Field { name: "url", kind: Kind::Late, required: true },
    Field { name: "method", kind: Kind::OneOf(&["PATCH", "PUT", "POST"]), required: false },
    Field { name: "headers", kind: Kind::Late, required: false },
    Field { name: "body", kind: Kind::Late, required: false },
];

const ANSWERS: &[Field] = &[
    Field { name: "done", kind: Kind::Any, required: false },
    Field { name: "conflict", kind: Kind::Any, required: false },
    Field { name: "refused", kind: Kind::Any, required: false },
    Field { name: "retry", kind: Kind::Any, required: false },
    Field { name: "gone", kind: Kind::Any, required: false },
    Field { name: "message", kind: Kind::Any, required: false },
];

/// What `http.upsert` is. With `lookup` it can find out what became of an attempt; without, its one
/// request must be an upsert by itself.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "http.upsert",
    summary: "looks the item up over HTTP, then creates or updates it",
    role: Role::Effect { probes: false },
    place: Place::Item,
    connections: &["http"],
    fields: &[
        Field { name: "mapping", kind: Kind::File, required: false },
        Field { name: "body", kind: Kind::Any, required: false },
        Field { name: "lookup", kind: Kind::Lookup(LOOKUP), required: false },
        Field { name: "create", kind: Kind::Section(CREATE), required: true },
        Field { name: "update", kind: Kind::Section(UPDATE), required: false },
        Field { name: "compare", kind: Kind::Any, required: false },
        Field { name: "answers", kind: Kind::Section(ANSWERS), required: false },
        Field { name: "id", kind: Kind::Plain, required: false },
    ],
    facts: &["id", "action", "status"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 8,
    harmless: never,
};

/// Makes the worker of an `http.upsert` step.
///
/// # Errors
/// A field of the step or of the connection is wrong, or the mapping file is.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let link = Link::of(site).map_err(|fault| vec![fault]);
    let (plan, link) = settings::both(Plan::read(site), link)?;
    Ok(Worker::Effect(Arc::new(Upsert { plan, link })))
}

/// Asks for the head of what the connection names; whatever answers and lets us in is there.
pub(crate) async fn examine(site: &Site<'_>) -> Diagnosis {
    let correct = "correct the fields of the connection";
    let link = match Link::of(site) {
        Ok(link) => link,
        Err(fault) => return Diagnosis::wrong(format!("HTTP API: {}", fault.message), correct),
    };
    let what = format!("HTTP API at {}", link.url);
    match link.send(&json!({ "method": "HEAD", "path": "/" })).await {
        Ok(answer) if matches!(answer.status, 401 | 403) => {
            Diagnosis::wrong(format!("{what}: it does not let us in (HTTP {})", answer.status), correct)
        }
        Ok(answer) => Diagnosis::good(format!("{what}: it answers (HTTP {})", answer.status)),
        Err(broken) => Diagnosis::wrong(
            format!("{what}: {}", broken.fault().message),
            "see that it runs, and check its url",
        ),
    }
}

impl Prepare for Upsert {
    /// Everything that is known of the requests before anything is looked up.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.plan.prepare(scope)
    }
}

#[async_trait]
impl Effect for Upsert {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut verdicts = Verdicts { outcomes: Vec::with_capacity(calls.len()), calls: 0 };
        for call in calls {
            let (outcome, sent) = self.one(&call.request).await;
            verdicts.outcomes.push(outcome);
            verdicts.calls += sent;
        }
        verdicts
    }

    /// Looks the item up and compares. What is there with other content is "absent": a repeat then is
    /// an update.
    async fn probe(&self, call: &Call) -> Probed {
        self.look(&call.request).await
    }
}
