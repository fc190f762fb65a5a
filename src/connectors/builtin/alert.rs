//! `alert`: a line for people. The engine makes a durable event of what it says, and tells it to whom the
//! file names.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::cell::Facts;
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::retry::{Outcome, Probed};
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};

/// What `alert` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "alert",
    summary: "writes a line to stderr and a durable event",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[],
    fields: &[Field { name: "message", kind: Kind::Text, required: false }],
    facts: &["alert"],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: always,
};

/// Makes the worker of an `alert` step.
///
/// # Errors
/// The message's expression is not one.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let message = settings::template(&site.step.with, &["message"])?;
    Ok(Worker::Effect(Arc::new(Alert { message })))
}

struct Alert {
    message: Template,
}

impl Prepare for Alert {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let rendered = self.message.render(scope)?;
        let message = match &rendered["message"] {
            Value::Null => match scope.unit {
                Unit::Item(position) => format!("{} needs attention at item {position}", scope.run),
                Unit::Run | Unit::Closing(_) => format!("{} needs attention", scope.run),
            },
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(json!({ "message": message }))
    }
}

#[async_trait]
impl Effect for Alert {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let outcomes = calls
            .iter()
            .map(|call| {
                let message = call.request["message"].as_str().unwrap_or_default();
                eprintln!("alert: {message}");
                Outcome::Done(Facts::from([("alert".to_owned(), Value::from(message))]))
            })
            .collect();
        Verdicts { outcomes, calls: 0 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Absent
    }

    fn says(&self, call: &Call) -> Option<String> {
        call.request["message"].as_str().map(str::to_owned)
    }
}
