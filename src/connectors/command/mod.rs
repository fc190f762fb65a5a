//! Local processes that speak JSON lines (`docs/command.md`): `command.map` lets one make a new item,
//! `command` lets one change something outside. A Python handler is served by a runner of ours.
//!
//! - `program` is what a step starts; `runner.py` is what serves a Python handler.
//! - `protocol` is what is said; `process` are the pipes; `serving` is what a process has at hand.
//! - `keeper` keeps one process at work, `pool` all those of a step; `transform` and `effect` ask them.

mod effect;
mod keeper;
mod pool;
mod process;
mod program;
mod protocol;
mod serving;
mod transform;

use std::sync::Arc;

use super::examine::Diagnosis;
use super::handover::{EVENT, Event};
use super::{BuildFault, Site, settings};
use crate::core::catalog::{ConnectionKind, Descriptor, Field, Kind, Place, Role, always, never};
use crate::expr::Template;
use crate::ports::Worker;
use effect::Doer;
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

/// What `command` declares.
pub const CALL: Descriptor = Descriptor {
    uses: "command",
    summary: "hands each item to a local process that changes something outside",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[CONNECTION.name],
    fields: &[
        optional("handler", Kind::File),
        optional("function", Kind::Plain),
        optional("run", Kind::Texts),
        optional("files", Kind::Files),
        optional("body", Kind::Any),
        optional("event", EVENT),
        optional("lookup", Kind::Lookup(&[optional("function", Kind::Plain)])),
    ],
    facts: &["result"],
    batch_default: 1,
    batch_max: 1000,
    concurrency: 8,
    harmless: never,
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

/// Makes the worker of a `command` step. Starts nothing yet.
///
/// # Errors
/// Every mistake in the fields of the step and of its connection.
pub fn build_call(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let event = Event::read(&site.step.with).map_err(|fault| vec![fault]);
    let (program, (body, event)) = settings::both(Program::read(site), settings::both(body(site), event))?;
    // What waits in a pipe would be in doubt when the process breaks.
    Ok(Worker::Effect(Arc::new(Doer { pool: Pool::new(program, 0), body, event })))
}

/// Starts the step's process, and lets it go when it has said hello.
pub(crate) async fn examine(site: &Site<'_>) -> Diagnosis {
    let step = site.step.name.clone();
    let program = match Program::read(site) {
        Ok(program) => program,
        Err(faults) => {
            let why: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            return Diagnosis::wrong(format!("'{step}': {}", why.join("; ")), "correct the step");
        }
    };
    let looks_up = site.step.with.contains_key("lookup");
    let told = tokio::task::spawn_blocking(move || keeper::greet(program));
    match told.await {
        Ok(Ok(hello)) if looks_up && !hello.probes => Diagnosis::wrong(
            format!("'{step}': its process says hello, and does not say that it can look up"),
            "let it say \"probes\": true, or remove 'lookup'",
        ),
        Ok(Ok(hello)) => {
            Diagnosis::good(format!("'{step}': its process says hello, and takes {} at once", hello.at_once))
        }
        Ok(Err(fault)) => Diagnosis::wrong(
            format!("'{step}': {}", fault.message),
            "see that the program is there and can be executed, and that it says hello",
        ),
        Err(error) => Diagnosis::unknown(format!("'{step}': {error}"), "try again"),
    }
}

/// What is handed over in place of the item.
fn body(site: &Site<'_>) -> Result<Option<Template>, Vec<BuildFault>> {
    let parse = |value| Template::parse(value);
    let body = site.step.with.get("body").map(parse).transpose();
    body.map_err(|fault| vec![BuildFault::field("body", fault.message)])
}
