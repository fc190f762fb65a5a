//! `map`: makes a new item by a mapping file. Pure: nothing is stored, everything is made again
//! when it is needed.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::connectors::{BuildFault, Site};
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
    Ok(Worker::Pure(Arc::new(Step { mapping: compile(&site.step.with, site)? })))
}

/// Compiles the mapping that a step names in its field `mapping`.
fn compile(with: &Map<String, Value>, site: &Site<'_>) -> Result<Mapping, Vec<BuildFault>> {
    let fault = |message: String, hint: Option<&str>| {
        let hint = hint.map(str::to_owned);
        vec![BuildFault { field: Some("mapping".to_owned()), place: None, message, hint }]
    };
    let name = with.get("mapping").and_then(Value::as_str).unwrap_or_default();
    let bytes = site.files.get(name).ok_or_else(|| {
        fault(format!("the file '{name}' is not there"), Some("names begin at the workflow's folder"))
    })?;
    let text =
        std::str::from_utf8(bytes).map_err(|_| fault(format!("the file '{name}' is not UTF-8"), None))?;
    Mapping::compile(text, name, site.files).map_err(|faults| {
        faults
            .into_iter()
            .map(|fault| BuildFault {
                field: Some("mapping".to_owned()),
                place: Some((fault.file, fault.line, fault.column)),
                message: fault.message,
                hint: fault.hint,
            })
            .collect()
    })
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
