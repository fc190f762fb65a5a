//! Step Functions as the executor of a run: it says which step begins, and keeps the history; the engine does the
//! work of each step as the worker of an activity.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::connectors::{BuildFault, Commission, Diagnosis};
use crate::core::catalog::{ConnectionKind, Field, Kind};
use crate::ports::Executor;

/// What a connection to Step Functions takes. `role`: the ARN of the role that executions have. `heartbeat`: after
/// how long without a sign of life of the engine an order is given again. `patience`: how long a call is tried while
/// nobody answers.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "step_functions",
    summary: "state machines that drive runs",
    fields: &[
        Field { name: "role", kind: Kind::Plain, required: true },
        Field { name: "heartbeat", kind: Kind::Duration, required: false },
        Field { name: "patience", kind: Kind::Duration, required: false },
    ],
};

/// The switchboards of a process: one for each connection over which runs are driven.
#[derive(Default)]
pub(crate) struct Switchboards {}

impl Switchboards {
    /// Makes the executor of one run.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn executor(&self, _: Commission<'_>) -> Result<Arc<dyn Executor>, Vec<BuildFault>> {
        Err(vec![BuildFault::field("role", "not there yet")])
    }
}

/// What is found about a connection.
pub(crate) async fn examine(_: &Map<String, Value>) -> Vec<Diagnosis> {
    Vec::new()
}
