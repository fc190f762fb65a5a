//! From a checked definition to workers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::connectors::{self, BuildFault, Counterpart, Post, Site};
use crate::core::catalog::Catalog;
use crate::core::id::Unit;
use crate::core::plan::Track;
use crate::core::trigger::name_of;
use crate::core::workflow::{self, Connection, Step};
use crate::engine::assembly::{Assembly, Keyed, Station};
use crate::expr::Expression;
use crate::ports::{Clock, Marks, OwnQueue, Signals, Source, Trigger, Worker};
use crate::spec::{self, Complaint, Finding, Report};

use super::definition::Definition;
use super::discreet;
use super::environment::{self, Environment};
use super::hush::Hush;
use super::keys;

/// What steps are made with beside their definition.
pub(super) struct Surroundings<'a> {
    /// Where `${env:NAME}` is looked up.
    pub(super) environment: &'a Environment,
    /// The embedded queue.
    pub(super) queue: Arc<dyn OwnQueue>,
    /// The signals.
    pub(super) signals: Arc<dyn Signals>,
    /// What triggers remember.
    pub(super) marks: Arc<dyn Marks>,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// Where the stand-ins of this process listen, by the prefix of the steps that speak to them.
    pub(super) stand_ins: BTreeMap<&'static str, String>,
}

impl<'a> Surroundings<'a> {
    /// The same store for everything that one keeps.
    pub(super) fn of<S: OwnQueue + Signals + Marks + 'static>(
        environment: &'a Environment,
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        stand_ins: BTreeMap<&'static str, String>,
    ) -> Self {
        let queue = Arc::clone(&store) as Arc<dyn OwnQueue>;
        let signals = Arc::clone(&store) as Arc<dyn Signals>;
        Self { environment, queue, signals, marks: store, clock, stand_ins }
    }
}

/// Makes every step of a definition.
///
/// # Errors
/// Every mistake that only connectors can see, each with its place.
pub(super) fn assemble(
    definition: &Definition,
    catalog: &Catalog,
    surroundings: &Surroundings<'_>,
) -> Result<Assembly, Box<Report>> {
    let workflow = &definition.checked.workflow;
    let plan = definition.plan(catalog);
    let mut mistakes = Mistakes::default();
    let mut workers = BTreeMap::new();
    for step in workflow.steps.iter().chain(&workflow.on_failure) {
        match worker(definition, step, surroundings) {
            Ok(worker) => drop(workers.insert(step.name.clone(), worker)),
            Err(faults) => mistakes.add(faults.iter().map(|fault| finding(definition, step, fault))),
        }
    }
    let key_store = keys::store(definition, surroundings).unwrap_or_else(|wrong| {
        let place = |fault| definition.checked.connection_fault(&wrong.connection, &complaint(fault));
        mistakes.add(wrong.faults.iter().map(place));
        None
    });
    mistakes.none(definition)?;
    let all = workflow.steps.iter().chain(&workflow.on_failure);
    // Of two with one name the first counts.
    let steps: HashMap<&str, &Step> = all.rev().map(|step| (step.name.as_str(), step)).collect();
    let item_sources = spec::item_sources(workflow, catalog);
    let stations = |unit: Unit| -> Vec<Station> {
        let track = plan.track(unit);
        track
            .steps
            .iter()
            .filter_map(|known| {
                let step = *steps.get(known.name.as_str())?;
                let from = item_sources.get(step.name.as_str()).copied();
                let key = keys::keyed(definition, step, catalog, surroundings, key_store.as_ref());
                station(step, workers.get(&step.name)?.clone(), track, from, key)
            })
            .collect()
    };
    let (run, items, closing) = (stations(Unit::Run), stations(Unit::Item(0)), stations(Unit::Closing(1)));
    Ok(Assembly { run, items, closing, plan: Arc::new(plan), executor: None })
}

/// A trigger with what listens for it; `None` where its connection is of a kind, in this profile, that
/// it cannot listen over.
pub(super) type Listening<'d> = (&'d workflow::Trigger, Option<Arc<dyn Trigger>>);

/// Makes what listens for the triggers of a definition.
///
/// # Errors
/// Every mistake that only connectors can see, each with its place.
pub(super) fn triggers<'d>(
    definition: &'d Definition,
    profile: Option<&str>,
    catalog: &Catalog,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<Listening<'d>>, Box<Report>> {
    let workflow = &definition.checked.workflow;
    let mut mistakes = Mistakes::default();
    let mut made = Vec::new();
    for trigger in &workflow.triggers {
        let kind = catalog.trigger(&trigger.uses);
        let fits = |connection: &&Connection| {
            kind.is_some_and(|kind| kind.connections.contains(&connection.kind.as_str()))
        };
        let connection = trigger.connection.as_ref();
        let found = connection.and_then(|name| workflow.connections.get(name).filter(fits));
        if connection.is_some() && found.is_none() {
            made.push((trigger, None));
            continue;
        }
        let resolve = |known: &Connection| environment::resolve(&known.fields, surroundings.environment);
        let settings = found.map_or_else(|| Ok(Map::new()), resolve);
        let post = |settings| Post {
            trigger,
            settings,
            of: name_of(&workflow.name, profile, &trigger.name),
            base: &definition.base,
            marks: Arc::clone(&surroundings.marks),
            clock: Arc::clone(&surroundings.clock),
        };
        match settings.and_then(|settings| connectors::trigger(&post(settings))) {
            Ok(listens) => made.push((trigger, Some(listens))),
            Err(faults) => mistakes.add(
                faults.iter().map(|fault| definition.checked.trigger_fault(&trigger.name, &complaint(fault))),
            ),
        }
    }
    mistakes.none(definition)?;
    Ok(made)
}

/// What connectors complain about. Several may see one mistake: it is said once.
#[derive(Default)]
pub(super) struct Mistakes(Vec<Finding>);

impl Mistakes {
    pub(super) fn add(&mut self, findings: impl Iterator<Item = Finding>) {
        for finding in findings {
            if !self.0.contains(&finding) {
                self.0.push(finding);
            }
        }
    }

    pub(super) fn none(self, definition: &Definition) -> Result<(), Box<Report>> {
        if self.0.is_empty() { Ok(()) } else { Err(Box::new(definition.checked.report(self.0))) }
    }
}

/// Makes only the source of a definition, for reading its records.
pub(super) fn source(definition: &Definition, surroundings: &Surroundings<'_>) -> Option<Arc<dyn Source>> {
    definition.checked.workflow.steps.iter().find_map(|step| match worker(definition, step, surroundings) {
        Ok(Worker::Source(source)) => Some(source),
        Ok(Worker::Stream(_) | Worker::Pure(_) | Worker::Receiver(_) | Worker::Effect(_)) | Err(_) => None,
    })
}

fn station(
    step: &Step,
    worker: Worker,
    track: &Track,
    item_from: Option<&str>,
    key: Option<Keyed>,
) -> Option<Station> {
    // `check` has parsed it; what cannot be parsed never gets here.
    let when = step.when.as_deref().map(Expression::parse).transpose().ok()?;
    let item_from = item_from.and_then(|name| track.position(name));
    Some(Station { worker, when, key, item_from })
}

fn worker(
    definition: &Definition,
    step: &Step,
    surroundings: &Surroundings<'_>,
) -> Result<Worker, Vec<BuildFault>> {
    let connection =
        step.connection.as_ref().and_then(|name| definition.checked.workflow.connections.get(name));
    let settings = match connection {
        Some(connection) => settings(step, connection, surroundings)?,
        None => Map::new(),
    };
    let hush = connection.map(|connection| Hush::of(connection, &settings, &connectors::catalog()));
    let made = connectors::build(&Site {
        step,
        connection,
        settings,
        files: &definition.checked.files,
        base: &definition.base,
        queue: Arc::clone(&surroundings.queue),
        signals: Arc::clone(&surroundings.signals),
        clock: Arc::clone(&surroundings.clock),
    })?;
    Ok(match hush {
        Some(hush) => discreet::worker(made, hush),
        None => made,
    })
}

fn settings(
    step: &Step,
    connection: &Connection,
    surroundings: &Surroundings<'_>,
) -> Result<Map<String, Value>, Vec<BuildFault>> {
    let mut settings = environment::resolve(&connection.fields, surroundings.environment)?;
    if is_stand_in(connection) && !settings.contains_key("url") {
        let (system, _) = step.uses.split_once('.').unwrap_or((step.uses.as_str(), ""));
        if let Some(url) = surroundings.stand_ins.get(system) {
            settings.insert("url".to_owned(), Value::String(url.clone()));
        }
    }
    Ok(settings)
}

/// Whether a connection wants a stand-in of this process.
pub(super) fn wants_stand_in(connection: &Connection) -> bool {
    is_stand_in(connection) && !connection.fields.contains_key("url")
}

pub(in crate::app) fn is_stand_in(connection: &Connection) -> bool {
    Counterpart::of(&connection.kind) == Counterpart::StandIn
}

fn finding(definition: &Definition, step: &Step, fault: &BuildFault) -> Finding {
    definition.checked.fault(&step.name, &complaint(fault))
}

pub(super) fn complaint(fault: &BuildFault) -> Complaint {
    Complaint {
        field: fault.field.clone(),
        place: fault.place.clone(),
        message: fault.message.clone(),
        hint: fault.hint.clone(),
    }
}
