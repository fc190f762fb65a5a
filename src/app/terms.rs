//! The connections through which an executor is reached, before a run is driven over one of them.

use serde_json::{Map, Value};

use crate::connectors;
use crate::core::catalog::{Catalog, ConnectionKind, Kind};
use crate::spec::Report;

use super::assemble::{Mistakes, complaint};
use super::definition::Definition;
use super::environment::{self, Environment, OPEN};

/// Says what is wrong with their fields, as far as they are written out.
pub(super) fn try_out(definition: &Definition, catalog: &Catalog) -> Result<(), Box<Report>> {
    let mut mistakes = Mistakes::default();
    for (name, connection) in &definition.checked.workflow.connections {
        let drives = catalog.executors.contains(&connection.kind.as_str());
        let Some(kind) = catalog.connection(&connection.kind).filter(|_| drives) else { continue };
        let written = written_out(&connection.fields, kind);
        let read = environment::resolve(&written, &Environment::Absent);
        if let Err(faults) = read.and_then(|fields| connectors::heartbeat(&fields)) {
            let placed = |fault| definition.checked.connection_fault(name, &complaint(fault));
            mistakes.add(faults.iter().map(placed));
        }
    }
    mistakes.none(definition)
}

/// The fields without those whose form is in a variable.
fn written_out(fields: &Map<String, Value>, kind: &ConnectionKind) -> Map<String, Value> {
    let has_form =
        |name: &str| kind.fields.iter().any(|field| field.name == name && field.kind != Kind::Plain);
    let kept = fields.iter().filter(|(name, value)| !has_form(name) || !value.to_string().contains(OPEN));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
