//! Local processes that speak JSON lines (`docs/command.md`): `command.map` lets one make a new item,
//! `command` lets one change something outside. A Python handler is served by a runner of ours.
//!
//! - `program` is what a step starts; `runner.py` is what serves a Python handler.
//! - `protocol` is what is said; `process` are the pipes; `serving` is what a process has at hand.
//! - `keeper` keeps one process at work, `pool` all those of a step.

mod keeper;
mod pool;
mod process;
mod program;
mod protocol;
mod serving;
mod transform;

use std::sync::Arc;

use super::{BuildFault, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, always};
use crate::expr::Template;
use crate::ports::Worker;
use pool::Pool;
use program::Program;
use transform::Transform;

/// Items that may wait in the pipe of a process that makes items, so that it never waits for us.
const AHEAD: usize = 4;

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// What a connection to local processes takes. `env`: what they see of the environment beside PATH, HOME and
/// LANG. `processes`: how many serve one step side by side. `python`: the interpreter of handlers.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "process",
    summary: "local processes, in any language",
    fields: &[
        optional("env", Kind::Any),
        optional("processes", Kind::Count),
        optional("python", Kind::Plain),
    ],
};

/// What `command.map` declares.
pub const MAP: Descriptor = Descriptor {
    uses: "command.map",
    summary: "makes a new item by a local process",
    role: Role::Pure,
    place: Place::Item,
    connections: &[CONNECTION.name],
    fields: &[
        optional("handler", Kind::File),
        optional("function", Kind::Plain),
        optional("run", Kind::Texts),
        optional("files", Kind::Files),
        optional("body", Kind::Any),
    ],
    facts: &[],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: always,
};

/// Makes the worker of a `command.map` step. Starts nothing yet.
///
/// # Errors
/// Every mistake in the fields of the step and of its connection.
pub fn build_map(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let (program, body) = settings::both(Program::read(site), body(site))?;
    let attempts = site.step.retry.attempts;
    Ok(Worker::Pure(Arc::new(Transform { pool: Pool::new(program, AHEAD), body, attempts })))
}

/// What is handed over in place of the item.
fn body(site: &Site<'_>) -> Result<Option<Template>, Vec<BuildFault>> {
    let parse = |value| Template::parse(value);
    let body = site.step.with.get("body").map(parse).transpose();
    body.map_err(|fault| vec![BuildFault::field("body", fault.message)])
}
