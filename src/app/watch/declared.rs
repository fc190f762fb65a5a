//! What a file says of triggers and hooks. They are made when the server starts, and listen until it ends; what
//! steps do is read anew at each start of a run.

use crate::core::workflow::{Hook, Workflow};

/// What a workflow says of triggers and hooks, and of the connections that they name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared(String);

impl Declared {
    pub(in crate::app) fn of(workflow: &Workflow) -> Self {
        let of_triggers = workflow.triggers.iter().filter_map(|trigger| trigger.connection.as_deref());
        let of_hooks = workflow.hooks.iter().flat_map(Hook::connections);
        let connections: Vec<_> =
            of_triggers.chain(of_hooks).map(|name| (name, workflow.connections.get(name))).collect();
        Self(format!("{:?}", (&workflow.triggers, &workflow.hooks, connections)))
    }
}
