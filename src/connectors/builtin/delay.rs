//! `delay`: the unit goes on after a while. It waits out of memory, and through a restart.

use std::sync::Arc;

use serde_json::Value;

use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::fault::Fault;
use crate::core::scope::Scope;
use crate::ports::{Prepare, Worker};

/// What `delay` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "delay",
    summary: "waits for a duration",
    role: Role::Timer,
    place: Place::Anywhere,
    connections: &[],
    fields: &[Field { name: "for", kind: Kind::Duration, required: true }],
    facts: &[],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: always,
};

/// Makes the worker of a `delay` step.
///
/// # Errors
/// `for` is missing or is not a duration.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let read = settings::duration(&site.step.with, "for").map_err(|fault| vec![fault])?;
    let Some(duration) = read else {
        return Err(vec![BuildFault::field("for", "'for' is missing")]);
    };
    Ok(Worker::Pure(Arc::new(Delay { millis: settings::millis(duration) })))
}

struct Delay {
    millis: u64,
}

impl Prepare for Delay {
    /// How long to wait, in milliseconds. Not an instant: a pure step knows no time, so the engine
    /// adds it to the moment at which the unit arrives.
    fn prepare(&self, _scope: &Scope) -> Result<Value, Fault> {
        Ok(Value::from(self.millis))
    }
}
