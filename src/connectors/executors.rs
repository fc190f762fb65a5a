//! Who drives the graph of a run in the engine's place: what an executor is made from, and what those of one
//! process share.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::aws::states::Terms;
use super::{BuildFault, aws};
use crate::core::catalog::ConnectionKind;
use crate::core::id::RunId;
use crate::ports::Executor;

/// The kinds of connection through which an executor is reached.
pub(super) const KINDS: &[&ConnectionKind] = &[&aws::states::CONNECTION];

/// What the executor of one run is made from.
pub struct Commission<'a> {
    /// The kind of the connection.
    pub kind: &'a str,
    /// The connection's fields with `${env:NAME}` replaced.
    pub settings: &'a Map<String, Value>,
    /// The run that is driven.
    pub run: RunId,
    /// What is driven is called this. The name says the state directory, the workflow and the definition: the same
    /// name, the same definition.
    pub machine: String,
    /// What is driven, in the Amazon States Language. The `Resource` of each Task is an ARN of which only the
    /// activity's name counts, behind the last colon: where it lies, the connection says.
    pub definition: Value,
    /// The input of executions. Its `epoch` is that of the execution that is begun.
    pub input: Map<String, Value>,
}

/// The executors of one process. What listens to an outside system is there once for each connection, however many
/// runs are driven over it: keep one of these, as long as the engine lives.
#[derive(Default)]
pub struct Executors {
    states: aws::states::Switchboards,
}

impl Executors {
    /// Makes the executor of one run. Reaches nobody yet; dropped, it listens no longer.
    ///
    /// # Errors
    /// Every mistake that only the connector can see.
    pub fn of(&self, commission: Commission<'_>) -> Result<Arc<dyn Executor>, Vec<BuildFault>> {
        if commission.kind == aws::states::CONNECTION.name {
            return self.states.executor(commission);
        }
        Err(vec![BuildFault {
            field: None,
            place: None,
            message: format!("a connection of kind '{}' reaches no executor", commission.kind),
            hint: Some(format!("kinds that do: {}", KINDS.iter().map(|kind| kind.name).collect::<String>())),
        }])
    }
}

/// How long an order of an executor lives without a sign of life of the engine, by the fields of its connection: whole
/// seconds. What is driven has to say it.
///
/// # Errors
/// All that is wrong with the fields.
pub fn heartbeat(settings: &Map<String, Value>) -> Result<Duration, Vec<BuildFault>> {
    Terms::read(settings).map(|terms| terms.heartbeat)
}
