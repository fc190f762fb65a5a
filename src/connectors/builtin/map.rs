//! `map`: makes a new item by a mapping file. Pure: nothing is stored, everything is made again
//! when it is needed.

use std::sync::Arc;

use serde_json::Value;

use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::fault::Fault;
use crate::core::scope::Scope;
use crate::core::survey::Survey;
use crate::mapping::Mapping;
use crate::ports::{Prepare, Worker};

/// What `map` declares.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "map",
    summary: "makes a new item by a mapping file",
    role: Role::Pure,
    place: Place::Item,
    connections: &[],
    fields: &[Field { name: "mapping", kind: Kind::File, required: true }],
    facts: &[],
    batch_default: 1,
    batch_max: 1,
    concurrency: 1,
    harmless: always,
};

/// Makes the worker.
///
/// # Errors
/// Every mistake in the mapping file and in the files it names.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    Ok(Worker::Pure(Arc::new(Step { mapping: settings::mapping(site)? })))
}

struct Step {
    mapping: Mapping,
}

impl Prepare for Step {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.mapping.apply(scope)
    }

    fn survey(&self, scope: &Scope) -> Survey {
        self.mapping.survey(scope)
    }
}
