//! A workflow as a state machine of AWS Step Functions: the graph, and nothing of what the steps do.
//!
//! ```text
//! Workflow ─► shape (series and parallel parts) ─► states (Task, Choice, Parallel, …) ─► definition
//!        └──► conditions (which of them a Choice can look at, and at what) ─┘
//! ```
//!
//! Step Functions says which step begins; the engine does it, as it always does, and answers. What is said
//! between the two is by reference: `{run, epoch, do, step}`. The definition is in the Amazon States
//! Language with JSONata: <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html>.

mod conditions;
mod forecast;
mod naming;
mod notes;
mod patience;
mod shape;
mod states;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::core::catalog::Catalog;
use crate::core::cell::Facts;
use crate::core::digest;
use crate::core::id::RunId;
use crate::core::workflow::Workflow;

pub use forecast::{Forecast, Sizes};
pub use naming::{Activity, Naming, Serves};
pub use notes::{Note, Subject, Word};

use conditions::Conditions;
use shape::Shape;

/// The longest definition that AWS takes, in bytes.
const DEFINITION_BYTES_MAX: usize = 1024 * 1024;

/// A state machine that drives one workflow.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the state machine is called: it says the workflow and the definition.
    pub name: String,
    /// The definition, its keys in an order that does not change.
    pub definition: Value,
    /// Its digest, in hexadecimal: the same exactly when the definition is.
    pub digest: String,
    /// What it orders, each over an activity of its own.
    pub activities: Vec<Activity>,
    /// What stays with the engine, what was added, what is different.
    pub notes: Vec<Note>,
    /// How much of AWS's limits an execution takes.
    pub forecast: Forecast,
    conditions: Conditions,
}

/// Why a workflow cannot be driven by Step Functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub subject: Subject,
    /// Why.
    pub message: String,
    /// What can be done about it.
    pub hint: String,
}

/// Makes the state machine of a checked workflow. The same workflow, names and heartbeat give the same
/// definition, byte by byte.
///
/// # Errors
/// The first reason why Step Functions cannot drive it.
pub fn compile(
    workflow: &Workflow,
    catalog: &Catalog,
    naming: &Naming,
    heartbeat: Duration,
) -> Result<Machine, Refusal> {
    if let Some((step, queue)) = workflow.queue_source() {
        let message = format!(
            "step '{step}' takes its items from the queue '{queue}' as they come, and Step Functions says \
             which step begins for a set of items that is known"
        );
        let hint = "let the engine drive this workflow: run it without --executor".to_owned();
        return Err(Refusal { subject: Subject::field(step, "source", queue), message, hint });
    }
    let shape = Shape::of(workflow, catalog);
    let conditions = Conditions::of(workflow, catalog, &shape);
    let made = states::definition(&states::Parts {
        workflow,
        catalog,
        naming,
        heartbeat,
        shape: &shape,
        conditions: &conditions,
    });
    let definition = made.definition;
    let bytes = definition.to_string().len();
    if bytes > DEFINITION_BYTES_MAX {
        let message = format!("the definition has {bytes} bytes, and AWS takes {DEFINITION_BYTES_MAX}");
        let hint = "split the workflow in two, or shorten its conditions".to_owned();
        return Err(Refusal { subject: Subject::Workflow, message, hint });
    }
    let digest = digest::hex(&sha2::Digest::finalize(digest::of(&definition)));
    Ok(Machine {
        name: naming.machine(&workflow.name, &digest),
        notes: notes::of(workflow, catalog, &shape, &conditions),
        forecast: forecast::of(workflow, &shape, &conditions, bytes),
        definition,
        digest,
        activities: made.activities,
        conditions,
    })
}

impl Machine {
    /// The input of an execution: who it is, and of the run's input what conditions look at.
    pub fn input(&self, run: RunId, epoch: u32, input: &Value) -> Value {
        json!({ "run": run.to_string(), "epoch": epoch, "input": self.conditions.input(input), "steps": {} })
    }

    /// Of the facts of a step what later conditions look at: what the answer to its order carries.
    pub fn facts(&self, step: &str, facts: &Facts) -> Map<String, Value> {
        self.conditions.facts(step, facts)
    }
}
