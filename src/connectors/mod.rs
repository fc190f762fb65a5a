//! Outside systems: one folder each. A connector says what it is (a [`Descriptor`]), and how to
//! make a worker from a checked step; the engine does the rest: retries, batches, checkpoints.

pub mod builtin;
pub mod bus;
pub mod http;
pub mod medusa;
pub mod pimcore;
pub mod redis;
pub mod sandbox;
mod settings;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::core::catalog::{Catalog, ConnectionKind, Descriptor};
use crate::core::workflow::{Connection, Step};
use crate::ports::{Keys, Queue, Worker};

/// What a connector is made from.
pub struct Site<'a> {
    /// The checked step.
    pub step: &'a Step,
    /// Its connection as written, if it names one: expressions in it are still text.
    pub connection: Option<&'a Connection>,
    /// The connection's fields with `${env:NAME}` replaced; empty without a connection.
    pub settings: Map<String, Value>,
    /// The bytes of every file that the workflow names, by the name as written.
    pub files: &'a BTreeMap<String, Vec<u8>>,
    /// The folder of the workflow file: relative defaults of sources begin there.
    pub base: &'a Path,
    /// The embedded queue.
    pub queue: Arc<dyn Queue>,
}

/// Why a step cannot be made: a mistake in the workflow file, or in a file that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BuildFault {
    /// The field of `with` (or of the connection) that is wrong.
    pub field: Option<String>,
    /// The named file and the line and column in it (from 1), when the mistake is in there.
    pub place: Option<(String, u32, u32)>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// One connector: what it declares, and how a worker is made.
type Entry = (Descriptor, fn(&Site<'_>) -> Result<Worker, Vec<BuildFault>>);

/// Every connector of this binary.
const CONNECTORS: &[Entry] = &[
    (builtin::source::DESCRIPTOR, builtin::source::build),
    (builtin::map::DESCRIPTOR, builtin::map::build),
    (bus::PUBLISH, bus::build_publish),
    (bus::CONSUME, bus::build_consume),
    (pimcore::DESCRIPTOR, pimcore::build),
    (medusa::DESCRIPTOR, medusa::build),
    (http::DESCRIPTOR, http::build),
    (builtin::delay::DESCRIPTOR, builtin::delay::build),
    (builtin::fail::DESCRIPTOR, builtin::fail::build),
    (builtin::alert::DESCRIPTOR, builtin::alert::build),
    (builtin::nothing::DESCRIPTOR, builtin::nothing::build),
];

/// Every kind of connection of this binary.
const CONNECTIONS: &[ConnectionKind] = &[
    builtin::source::LOCAL,
    bus::CONNECTION,
    pimcore::CONNECTION,
    medusa::CONNECTION,
    sandbox::CONNECTION,
    redis::CONNECTION,
];

/// What a workflow file may name.
pub fn catalog() -> Catalog {
    Catalog {
        steps: CONNECTORS.iter().map(|(descriptor, _)| *descriptor).collect(),
        connections: CONNECTIONS.to_vec(),
        key_stores: vec![bus::CONNECTION.name, redis::CONNECTION.name],
    }
}

/// Makes the store of idempotency keys that a connection stands for; `None`: the engine's own. The
/// fields have their variables replaced.
///
/// # Errors
/// What is wrong with the fields.
pub fn key_store(kind: &str, fields: &Map<String, Value>) -> Result<Option<Arc<dyn Keys>>, BuildFault> {
    if kind == redis::CONNECTION.name { redis::keys(fields).map(Some) } else { Ok(None) }
}

/// Makes the worker of a step.
///
/// # Errors
/// Every mistake that only the connector can see, for example in a mapping file.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let entry = CONNECTORS.iter().find(|(descriptor, _)| descriptor.uses == site.step.uses);
    match entry {
        Some((_, make)) => make(site),
        None => Err(vec![BuildFault {
            field: None,
            place: None,
            message: format!("no connector is called '{}'", site.step.uses),
            hint: None,
        }]),
    }
}
