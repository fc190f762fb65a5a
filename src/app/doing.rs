//! What each step of a definition does, as one digest: what is written, the files it names, and
//! those that they name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::core::catalog::{Catalog, Field, Kind, Role};
use crate::core::digest::{self, hex};
use crate::core::redefine::Doing;
use crate::core::workflow::Step;
use crate::spec;

use super::definition::{Definition, named_in};

/// What each step does, by name.
pub(super) fn doings(definition: &Definition, catalog: &Catalog) -> BTreeMap<String, Doing> {
    let workflow = &definition.checked.workflow;
    let sources = spec::item_sources(workflow, catalog);
    let doing = |step: &Step| {
        let item_from = sources.get(step.name.as_str()).map(|name| (*name).to_owned());
        doing(definition, step, item_from, catalog)
    };
    workflow.steps.iter().map(|step| (step.name.clone(), doing(step))).collect()
}

fn doing(definition: &Definition, step: &Step, item_from: Option<String>, catalog: &Catalog) -> Doing {
    let descriptor = catalog.step(&step.uses);
    let role = descriptor.map_or(Role::Pure, |known| known.role);
    let fields = descriptor.map_or(&[][..], |known| known.fields);
    let mut with = step.with.clone();
    if let Some(Value::Object(queue)) = with.get_mut("source") {
        // When a run has enough, and how it waits, changes nothing of what comes.
        queue.retain(|name, _| name == "queue");
    }
    let mut files = BTreeSet::new();
    for field in fields {
        if matches!(role, Role::Receive | Role::Listen) && is_patience(field) {
            with.shift_remove(field.name);
        }
        if let (Kind::File, Some(Value::String(name))) = (field.kind, with.get(field.name)) {
            let name = name.clone();
            name_files(definition, &name, &mut files);
            // What it is called makes no difference.
            with.insert(field.name.to_owned(), digest_of(definition, &name).into());
        }
        if let (Kind::Files, Some(Value::Array(names))) = (field.kind, with.get(field.name)) {
            // Here it does: programs find these by their names.
            files.extend(names.iter().filter_map(Value::as_str).map(ToOwned::to_owned));
        }
    }
    let inner: Vec<String> = files.iter().map(|name| digest_of(definition, name)).collect();
    let key = step.idempotency.as_ref().map(|declared| json!([declared.key, format!("{:?}", declared.mode)]));
    let written = json!({
        "uses": step.uses, "with": with, "when": step.when, "connection": step.connection,
        "routes": routes(definition, step, catalog), "key": key, "files": inner,
    });
    let text = written.to_string();
    let mentions = |word: &str| {
        let named = files.iter().filter_map(|name| definition.checked.files.get(name));
        text.contains(word) || named.into_iter().any(|bytes| String::from_utf8_lossy(bytes).contains(word))
    };
    Doing {
        digest: hex(&digest::of(&written).finalize()),
        item_from,
        sees_item: role != Role::Timer || mentions("item"),
        sees_facts: mentions("steps"),
    }
}

/// How long and how often a receiver waits changes nothing of what it receives.
fn is_patience(field: &Field) -> bool {
    matches!(field.kind, Kind::Duration | Kind::Size | Kind::Count) || field.name == "delete_after"
}

/// What a connection says beside which system it is: where a bus carries what.
fn routes(definition: &Definition, step: &Step, catalog: &Catalog) -> Map<String, Value> {
    let named = step.connection.as_ref().and_then(|name| definition.checked.workflow.connections.get(name));
    let Some(connection) = named else { return Map::new() };
    let fields = catalog.connection(&connection.kind).map_or(&[][..], |kind| kind.fields);
    let any = fields.iter().filter(|field| matches!(field.kind, Kind::Any));
    any.filter_map(|field| Some((field.name.to_owned(), connection.fields.get(field.name)?.clone())))
        .collect()
}

fn name_files(definition: &Definition, name: &str, files: &mut BTreeSet<String>) {
    if !files.insert(name.to_owned()) {
        return;
    }
    let bytes = definition.checked.files.get(name);
    for inner in bytes.map(|bytes| named_in(bytes)).unwrap_or_default() {
        name_files(definition, &inner, files);
    }
}

fn digest_of(definition: &Definition, name: &str) -> String {
    hex(&Sha256::digest(definition.checked.files.get(name).map_or(&[][..], Vec::as_slice)))
}
