//! Idempotency keys of a definition: who keeps them, and which outside system each is about.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::connectors::{self, BuildFault};
use crate::core::catalog::Catalog;
use crate::core::identity::identity;
use crate::core::workflow::Step;
use crate::engine::assembly::Keyed;
use crate::expr::Template;
use crate::ports::Keys;

use super::assemble::Surroundings;
use super::definition::Definition;
use super::discreet;
use super::environment::{self, Environment};
use super::hush::Hush;

/// What is wrong with a connection that keeps keys.
pub(super) struct KeyStoreFaults {
    /// Its name.
    pub(super) connection: String,
    /// Everything that is wrong with its fields.
    pub(super) faults: Vec<BuildFault>,
}

/// The store of keys that a definition names; `None`: the engine's own.
///
/// # Errors
/// [`KeyStoreFaults`].
pub(super) fn store(
    definition: &Definition,
    surroundings: &Surroundings<'_>,
) -> Result<Option<Arc<dyn Keys>>, KeyStoreFaults> {
    let workflow = &definition.checked.workflow;
    let named = workflow.key_store.as_ref().and_then(|name| Some((name, workflow.connections.get(name)?)));
    let Some((name, connection)) = named else { return Ok(None) };
    let failed = |faults| KeyStoreFaults { connection: name.clone(), faults };
    // What stands in for a secret that is not there looks like no address of a store.
    let unknown = matches!(surroundings.environment, Environment::Absent)
        && connection.fields.values().any(|field| field.to_string().contains(environment::OPEN));
    if unknown {
        return Ok(None);
    }
    let fields = environment::resolve(&connection.fields, surroundings.environment).map_err(failed)?;
    let hush = Hush::of(connection, &fields, &connectors::catalog());
    let store = connectors::key_store(&connection.kind, &fields).map_err(|fault| failed(vec![fault]))?;
    Ok(store.map(|store| discreet::keys(store, hush)))
}

/// What a step declares about its key. The same key in another operation, or on another system, is
/// another key; where no connection says which system it is, the key is the step's own.
pub(super) fn keyed(
    definition: &Definition,
    step: &Step,
    catalog: &Catalog,
    surroundings: &Surroundings<'_>,
    store: Option<&Arc<dyn Keys>>,
) -> Option<Keyed> {
    let declared = step.idempotency.as_ref()?;
    let scope = match system(definition, step, catalog, surroundings) {
        Some(system) => json!({ "uses": step.uses, "connection": system }),
        None => json!({ "workflow": definition.checked.workflow.name, "step": step.name }),
    };
    // `check` has parsed both; what cannot be parsed never gets here.
    let template = |text: &String| Template::parse(&Value::String(text.clone())).ok();
    Some(Keyed {
        key: template(&declared.key)?,
        version: declared.version.as_ref().and_then(template),
        mode: declared.mode,
        claim: declared.claim,
        keep: declared.keep,
        scope: scope.to_string(),
        store: store.map(Arc::clone),
    })
}

fn system(
    definition: &Definition,
    step: &Step,
    catalog: &Catalog,
    surroundings: &Surroundings<'_>,
) -> Option<Map<String, Value>> {
    let connection = definition.checked.workflow.connections.get(step.connection.as_ref()?)?;
    let fields = environment::resolve(&connection.fields, surroundings.environment).ok()?;
    Some(identity(catalog.connection(&connection.kind)?, &fields))
}
