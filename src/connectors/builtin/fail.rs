//! `fail`: an attempt that does not succeed, for tests and demonstrations.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::cell::Facts;
use crate::core::fault::Fault;
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};

/// The error name of such an attempt.
const FAILED: &str = "Failed";

/// What `fail` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "fail",
    summary: "fails, always or for the first attempts",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[],
    fields: &[
        Field { name: "message", kind: Kind::Text, required: false },
        Field { name: "times", kind: Kind::Count, required: false },
    ],
    facts: &[],
    batch_default: 1,
    batch_max: 1,
    concurrency: 8,
    harmless: always,
};

/// Makes the worker of a `fail` step.
///
/// # Errors
/// A field has the wrong type, or its expression is not one.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let times = settings::count(&site.step.with, "times").map_err(|fault| vec![fault]);
    let (times, message) = settings::both(times, settings::template(&site.step.with, &["message"]))?;
    Ok(Worker::Effect(Arc::new(Fail { times, message })))
}

struct Fail {
    times: Option<u64>,
    message: Template,
}

impl Prepare for Fail {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let rendered = self.message.render(scope)?;
        Ok(json!({ "message": rendered["message"].as_str().unwrap_or("the step is made to fail") }))
    }
}

impl Fail {
    fn outcome(&self, call: &Call) -> Outcome {
        let fault = || Fault::new(FAILED, call.request["message"].as_str().unwrap_or_default());
        match self.times {
            None => Outcome::Refused { fault: fault(), again: Again::Never },
            Some(times) if u64::from(call.attempt) <= times => {
                Outcome::Refused { fault: fault(), again: Again::Later }
            }
            Some(_) => Outcome::Done(Facts::new()),
        }
    }
}

#[async_trait]
impl Effect for Fail {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        Verdicts { outcomes: calls.iter().map(|call| self.outcome(call)).collect(), calls: 0 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Absent
    }
}
