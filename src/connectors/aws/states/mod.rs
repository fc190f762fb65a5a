//! Step Functions as the executor of a run: it says which step begins, and keeps the history; the engine does the
//! work of each step as the worker of an activity.
//!
//! - `terms` is what a connection says; `machine` what is driven, `order` what is said about it: pure.
//! - `line` calls Step Functions; `history` reads what it keeps.
//! - `switchboard` polls activities for all runs of this process; `route` is the way to one of them.
//! - `driver` is the executor of one run.

mod driver;
mod history;
mod line;
mod machine;
mod order;
mod route;
mod switchboard;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::connectors::{BuildFault, Commission};
use crate::core::catalog::{ConnectionKind, Field, Kind};
use crate::ports::Executor;
use driver::{Driver, Task};
use line::Line;
use machine::Machine;
use route::Pace;
use switchboard::Switchboard;
pub(in crate::connectors) use terms::Terms;

/// What a connection to Step Functions takes. `role`: the ARN of the role that executions have. `heartbeat`: after
/// how long without a sign of life of the engine an order is given again. `patience`: how long a call is tried while
/// nobody answers. Region, endpoint and credentials are the SDK's to find, as everywhere.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "step_functions",
    summary: "state machines that drive runs",
    fields: &[
        Field { name: "role", kind: Kind::Plain, required: true },
        Field { name: "heartbeat", kind: Kind::Duration, required: false },
        Field { name: "patience", kind: Kind::Duration, required: false },
    ],
};

/// The switchboards of a process. All connections lead to the same place, which is the SDK's to know: they differ in
/// their patience only.
#[derive(Default)]
pub(crate) struct Switchboards(Mutex<HashMap<Duration, Arc<Switchboard>>>);

impl Switchboards {
    /// Makes the executor of one run.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub(crate) fn executor(&self, commission: Commission<'_>) -> Result<Arc<dyn Executor>, Vec<BuildFault>> {
        let Terms { role, patience, .. } = Terms::read(commission.settings)?;
        let mut boards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let board = boards.entry(patience).or_insert_with(|| Arc::new(Switchboard::new(Line::new(patience))));
        let machine = Machine { name: commission.machine, definition: commission.definition };
        let task = Task { run: commission.run, machine, role, input: commission.input };
        Ok(Arc::new(Driver::new(Arc::clone(board), task, Pace::default())))
    }
}
