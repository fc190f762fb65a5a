//! Outside systems: one folder each. A connector says what it is (a [`Descriptor`]), and how to
//! make a worker from a checked step; the engine does the rest: retries, batches, checkpoints.

pub mod alerts;
pub mod aws;
pub mod builtin;
pub mod bus;
pub mod command;
mod counterpart;
mod events;
pub mod examine;
mod executors;
mod handover;
pub mod http;
pub(crate) mod listening;
pub mod medusa;
mod opening;
pub mod pimcore;
pub mod redis;
pub mod sandbox;
mod settings;
pub mod webhook;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use alerts::Errand;
pub use counterpart::Counterpart;
pub(crate) use counterpart::STAND_IN;
pub use examine::{Diagnosis, Health, Patient, Use};
pub use executors::{Commission, Executors, heartbeat};

use crate::core::catalog::{Catalog, ConnectionKind, Descriptor, TriggerKind};
use crate::core::time::Timestamp;
use crate::core::workflow::{self, Connection, Step};
use crate::ports::{Announcer, Clock, Courier, Keys, Marks, OwnQueue, Queue, Signals, Trigger, Worker};

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
    pub queue: Arc<dyn OwnQueue>,
    /// The engine's signals.
    pub signals: Arc<dyn Signals>,
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
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

/// Makes the worker of a step.
type Make = fn(&Site<'_>) -> Result<Worker, Vec<BuildFault>>;

/// One connector: what it declares, and how a worker is made over each kind of connection.
struct Entry {
    descriptor: Descriptor,
    makers: &'static [(Over, Make)],
}

/// The kind of connection that a worker is made over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Each kind that the connector takes, or none.
    Any,
    /// This kind only.
    Kind(&'static str),
}

const fn entry(descriptor: Descriptor, makers: &'static [(Over, Make)]) -> Entry {
    Entry { descriptor, makers }
}

/// Every connector of this binary.
const CONNECTORS: &[Entry] = &[
    entry(
        builtin::source::DESCRIPTOR,
        &[
            (Over::Kind(builtin::source::LOCAL.name), source_of_files),
            (Over::Kind(aws::s3::CONNECTION.name), source_of_objects),
            (Over::Kind(bus::CONNECTION.name), source_over_embedded),
            (Over::Kind(aws::CONNECTION.name), source_over_aws),
        ],
    ),
    entry(builtin::map::DESCRIPTOR, &[(Over::Any, builtin::map::build)]),
    entry(command::MAP, &[(Over::Any, command::build_map)]),
    entry(command::CALL, &[(Over::Any, command::build_call)]),
    entry(aws::lambda::INVOKE, &[(Over::Any, aws::lambda::build_invoke)]),
    entry(
        bus::PUBLISH,
        &[
            (Over::Kind(bus::CONNECTION.name), bus::build_publish),
            (Over::Kind(aws::CONNECTION.name), aws::build_publish),
        ],
    ),
    entry(
        bus::CONSUME,
        &[
            (Over::Kind(bus::CONNECTION.name), bus::build_consume),
            (Over::Kind(aws::CONNECTION.name), aws::sqs::build_consume),
        ],
    ),
    entry(aws::s3::READ, &[(Over::Any, aws::s3::build_read)]),
    entry(aws::s3::WRITE, &[(Over::Any, aws::s3::build_write)]),
    entry(pimcore::DESCRIPTOR, &[(Over::Any, pimcore::build)]),
    entry(medusa::DESCRIPTOR, &[(Over::Any, medusa::build)]),
    entry(http::DESCRIPTOR, &[(Over::Any, http::build)]),
    entry(http::upsert::DESCRIPTOR, &[(Over::Any, http::upsert::build)]),
    entry(builtin::delay::DESCRIPTOR, &[(Over::Any, builtin::delay::build)]),
    entry(builtin::signal::DESCRIPTOR, &[(Over::Any, wait_for_signals)]),
    entry(builtin::fail::DESCRIPTOR, &[(Over::Any, builtin::fail::build)]),
    entry(builtin::alert::DESCRIPTOR, &[(Over::Any, builtin::alert::build)]),
    entry(webhook::send::SEND, &[(Over::Any, webhook::send::build)]),
    entry(builtin::nothing::DESCRIPTOR, &[(Over::Any, builtin::nothing::build)]),
];

/// Over a connection, the other side is asked as well.
fn wait_for_signals(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let asked = site.connection.map(|connection| announcer(connection, &site.settings)).transpose()?;
    builtin::signal::build(site, asked)
}

/// Makes who is asked what the other side announces. The settings have their variables replaced.
///
/// # Errors
/// Every mistake that only the connector can see.
pub fn announcer(
    connection: &Connection,
    settings: &Map<String, Value>,
) -> Result<Arc<dyn Announcer>, Vec<BuildFault>> {
    pimcore::announcer(connection, settings)
}

/// A source over the embedded bus: the queue is the engine's own.
fn source_over_embedded(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    builtin::source::build_stream(site, bus::POLLERS, |_| Arc::clone(&site.queue) as Arc<dyn Queue>)
}

/// A source over AWS: the queue is one of SQS.
fn source_over_aws(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    builtin::source::build_stream(site, aws::sqs::POLLERS, |receive| aws::sqs::queue(site, receive))
}

/// Every kind of connection of this binary.
const CONNECTIONS: &[ConnectionKind] = &[
    builtin::source::LOCAL,
    aws::s3::CONNECTION,
    bus::CONNECTION,
    aws::CONNECTION,
    pimcore::CONNECTION,
    medusa::CONNECTION,
    http::CONNECTION,
    sandbox::CONNECTION,
    redis::CONNECTION,
    command::CONNECTION,
    aws::CONNECTION,
    webhook::CONNECTION,
    webhook::receiver::RECEIVER,
    aws::states::CONNECTION,
];

/// A source that is a file of this machine.
fn source_of_files(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    builtin::source::build(site, Arc::new(builtin::source::Paths::of(site)))
}

/// A source that is an object of S3.
fn source_of_objects(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    builtin::source::build(site, aws::s3::opener(site)?)
}

/// What a trigger is made from.
pub struct Post<'a> {
    /// The checked trigger.
    pub trigger: &'a workflow::Trigger,
    /// The connection's fields with `${env:NAME}` replaced; empty without a connection.
    pub settings: Map<String, Value>,
    /// The name under which it remembers.
    pub of: String,
    /// The folder of the workflow file: relative paths begin there.
    pub base: &'a Path,
    /// What triggers remember.
    pub marks: Arc<dyn Marks>,
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
}

/// Makes what listens for a trigger.
type MakeTrigger = fn(&Post<'_>) -> Result<Arc<dyn Trigger>, Vec<BuildFault>>;

/// Every kind of trigger of this binary.
const TRIGGERS: &[(TriggerKind, MakeTrigger)] = &[
    (aws::S3_CREATED, aws::build_s3_created),
    (builtin::folder::FILE_CREATED, builtin::folder::build),
    (builtin::schedule::SCHEDULE, builtin::schedule::build),
];

/// What a workflow file may name.
pub fn catalog() -> Catalog {
    Catalog {
        steps: CONNECTORS.iter().map(|entry| entry.descriptor).collect(),
        connections: CONNECTIONS.to_vec(),
        key_stores: vec![bus::CONNECTION.name, redis::CONNECTION.name],
        triggers: TRIGGERS.iter().map(|(kind, _)| *kind).collect(),
        senders: vec![webhook::CONNECTION.name, sandbox::CONNECTION.name],
        announcers: vec![pimcore::CONNECTION.name, sandbox::CONNECTION.name],
        couriers: vec![webhook::receiver::RECEIVER.name, aws::CONNECTION.name, bus::CONNECTION.name],
        buses: vec![aws::CONNECTION.name, bus::CONNECTION.name],
        executors: executors::KINDS.iter().map(|kind| kind.name).collect(),
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

/// Makes who carries alerts over a connection.
///
/// # Errors
/// Every mistake that only the connector can see.
pub fn courier(errand: &Errand<'_>) -> Result<Arc<dyn Courier>, Vec<BuildFault>> {
    match errand.kind {
        "receiver" => webhook::receiver::courier(errand),
        "aws" => aws::courier(errand),
        "embedded" => bus::courier(errand),
        other => Err(vec![BuildFault {
            field: None,
            place: None,
            message: format!("a connection of kind '{other}' carries no alerts"),
            hint: None,
        }]),
    }
}

/// Makes what listens for a trigger.
///
/// # Errors
/// Every mistake that only the connector can see.
pub fn trigger(post: &Post<'_>) -> Result<Arc<dyn Trigger>, Vec<BuildFault>> {
    match TRIGGERS.iter().find(|(kind, _)| kind.uses == post.trigger.uses) {
        Some((_, make)) => make(post),
        None => Err(vec![BuildFault {
            field: None,
            place: None,
            message: format!("no trigger is called '{}'", post.trigger.uses),
            hint: None,
        }]),
    }
}

/// Makes the worker of a step.
///
/// # Errors
/// Every mistake that only the connector can see, for example in a mapping file.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let kind = site.connection.map(|connection| connection.kind.as_str());
    let of_step = CONNECTORS.iter().filter(|entry| entry.descriptor.uses == site.step.uses);
    let fits = |over: Over| match over {
        Over::Any => true,
        Over::Kind(name) => kind.is_none_or(|kind| kind == name),
    };
    match of_step.flat_map(|entry| entry.makers).find(|(over, _)| fits(*over)) {
        Some((_, make)) => make(site),
        None => Err(vec![BuildFault {
            field: None,
            place: None,
            message: format!(
                "no connector is called '{}' over a connection of kind '{}'",
                site.step.uses,
                kind.unwrap_or("none")
            ),
            hint: None,
        }]),
    }
}

/// Examines what a workflow does over one connection. Changes nothing outside; what it finds is in the
/// order in which it should be mended.
pub async fn examine(patient: &Patient<'_>) -> Vec<Diagnosis> {
    let has_stand_ins =
        Counterpart::of(patient.kind) == Counterpart::StandIn && !patient.settings.contains_key("url");
    match patient.kind {
        _ if has_stand_ins => vec![Diagnosis::good("stand-ins of the engine's own process")],
        "aws" | "s3" => aws::examine(patient).await,
        "step_functions" => aws::examine_states(patient.settings).await,
        "redis" => vec![redis::examine(patient.settings).await],
        "webhook" => webhook::examine(patient.settings, &patient.hooks),
        "receiver" => vec![webhook::receiver::examine(patient.settings)],
        _ => {
            let mut found = Vec::new();
            for used in &patient.uses {
                let diagnosis = match (used.site.step.uses.as_str(), &used.source) {
                    ("pimcore.upsert", _) => pimcore::examine(&used.site).await,
                    ("medusa.upsert", _) => medusa::examine(&used.site).await,
                    ("http.request", _) => http::examine(&used.site).await,
                    ("http.upsert", _) => http::upsert::examine(&used.site).await,
                    ("command.map" | "command", _) => command::examine(&used.site).await,
                    (_, Some(source)) => examine::file(source),
                    (_, None) => continue,
                };
                // Several steps may see the same.
                if !found.contains(&diagnosis) {
                    found.push(diagnosis);
                }
            }
            if found.is_empty() {
                found.push(Diagnosis::good("nothing outside of the engine"));
            }
            found
        }
    }
}

/// Examines what a trigger of this machine listens to; nothing for those that listen over a connection,
/// which is examined with it.
pub fn examine_trigger(
    trigger: &workflow::Trigger,
    base: &Path,
    state: &Path,
    now: Timestamp,
) -> Vec<Diagnosis> {
    match trigger.uses.as_str() {
        "file.created" => builtin::folder::examine(&trigger.with, base, state),
        "schedule" => vec![builtin::schedule::examine(&trigger.with, now)],
        _ => Vec::new(),
    }
}

/// The values that are there; all that is wrong otherwise.
fn all_of<T>(results: Vec<Result<T, BuildFault>>) -> Result<Vec<T>, Vec<BuildFault>> {
    let mut good = Vec::new();
    let mut faults = Vec::new();
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(good) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_connection_that_a_connector_takes_has_one_maker() {
        for entry in CONNECTORS {
            let over = |kind: &str| {
                let fits =
                    |over: &Over| *over == Over::Any || matches!(over, Over::Kind(name) if *name == kind);
                entry.makers.iter().filter(|(over, _)| fits(over)).count()
            };
            for kind in entry.descriptor.connections {
                assert_eq!(over(kind), 1, "{} over {kind}", entry.descriptor.uses);
            }
        }
    }
}
