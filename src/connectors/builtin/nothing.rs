//! `nothing`: an effect that changes nothing outside, for tests, demonstrations and benches. For
//! the engine it is an effect like any other: its intent and its outcome are durable.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::connectors::{BuildFault, Site};
use crate::core::catalog::{Descriptor, Place, Role, always};
use crate::core::cell::Facts;
use crate::core::fault::Fault;
use crate::core::retry::{Outcome, Probed};
use crate::core::scope::Scope;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};

/// What `nothing` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "nothing",
    summary: "an effect that changes nothing and returns an ID, for tests and benches",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[],
    fields: &[],
    facts: &["id"],
    batch_default: 1,
    batch_max: 100,
    concurrency: 64,
    harmless: always,
};

/// Makes the worker of a `nothing` step.
///
/// # Errors
/// None: the step has no fields.
pub fn build(_site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    Ok(Worker::Effect(Arc::new(Nothing)))
}

struct Nothing;

impl Prepare for Nothing {
    fn prepare(&self, _scope: &Scope) -> Result<Value, Fault> {
        Ok(Value::Null)
    }
}

#[async_trait]
impl Effect for Nothing {
    /// The ID is the effect's own, so that a repeat returns the same one.
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let outcome = |call: &Call| {
            let id = uuid::Uuid::from_u128(call.effect_id).hyphenated().to_string();
            Outcome::Done(Facts::from([("id".to_owned(), Value::from(id))]))
        };
        Verdicts { outcomes: calls.iter().map(outcome).collect(), calls: 0 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Absent
    }
}
