//! Workflow files: text to a checked [`Workflow`]. No IO; every mistake at once, with its place.
//!
//! ```text
//! bytes ─► tree (every value knows its place) ─► raw (the sections)
//!       ─► drafts (each step on its own) ─► shape (steps together) ─► Workflow
//! ```
//!
//! Each stage reads what the one before could make sense of and adds its mistakes to the same
//! notes, so that a typing mistake in line 3 does not hide a wrong name in line 40.

mod alerts;
mod codes;
mod connections;
mod effects;
mod expressions;
mod fields;
mod files;
mod graph;
mod hooks;
mod mend;
mod node;
mod place;
mod policy;
mod portable;
mod reading;
mod render;
mod report;
mod steps;
mod terms;
mod top;
mod tree;
mod triggers;
mod units;
mod with;
mod words;

use std::collections::BTreeMap;

use crate::core::catalog::Catalog;
use crate::core::workflow::{Connection, Workflow};

pub use codes::{CODES, Code};
pub use files::Files;
pub use graph::item_sources;
pub use place::{ConnectionPlaces, Places, Span, StepPlaces};
pub use report::{Finding, Related, Report, Severity};
pub use units::duration;

use place::Source;
use report::{Mistake, Notes};
use steps::{Draft, Ground};

/// A workflow file as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// Its name, for reports.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A workflow without mistakes, and what was read on the way.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The workflow, with the profile applied.
    pub workflow: Workflow,
    /// The bytes of every file that it names, directly or through another, by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Where steps and connections stand.
    pub places: Places,
    /// What is odd but no mistake.
    pub warnings: Report,
    source: Source,
    next: String,
}

/// What only a connector can see, in a step or in a file that the step names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// The field of `with`, or of the connection, that is wrong.
    pub field: Option<String>,
    /// The named file, and the line and column in it (from 1), when the mistake is in there.
    pub place: Option<(String, u32, u32)>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Reads and checks a workflow file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(
    text: Text<'_>,
    profile: Option<&str>,
    catalog: &Catalog,
    files: &dyn Files,
) -> Result<Checked, Report> {
    let next = next(text.name, profile);
    let (source, undecodable) = reading::decode(text);
    let mut notes = Notes::new(&source, next.clone());
    if let Some(mistake) = undecodable {
        notes.push(mistake);
        return Err(notes.report());
    }
    let made = reading::tree(&mut notes).and_then(|root| {
        effects::secrets(&root, &mut notes);
        build(&root, profile, catalog, files, &mut notes)
    });
    let report = notes.report();
    match made {
        Some((workflow, files, places)) if report.errors() == 0 => {
            Ok(Checked { workflow, files, places, warnings: report, source, next })
        }
        _ => Err(report),
    }
}

type Made = (Workflow, BTreeMap<String, Vec<u8>>, Places);

fn build(
    root: &node::Node,
    profile: Option<&str>,
    catalog: &Catalog,
    files: &dyn Files,
    notes: &mut Notes<'_>,
) -> Option<Made> {
    let raw = top::raw(root, notes)?;
    let connections = connections::connections(raw.connections, raw.profiles, profile, catalog, notes);
    let ground = Ground { catalog, connections: &connections, defaults: raw.defaults };
    let key_store = raw.key_store.and_then(|node| connections::key_store(node, &connections, catalog, notes));
    let steps = steps::steps(raw.steps, &ground, notes);
    let closing = steps::closing(raw.on_failure, &ground, notes);
    let (inputs, input_places) = (&raw.input, &raw.input_places);
    let beneath = triggers::Ground { catalog, connections: &connections, inputs, input_places };
    let triggers = triggers::triggers(raw.triggers, &beneath, notes);
    let hooks = hooks::hooks(raw.hooks, &connections, catalog, notes);
    let alerts = alerts::alerts(raw.alerts, &connections, catalog, notes);
    let shape = graph::shape(&steps, notes);
    graph::closing(&closing, notes);
    let view = expressions::View { inputs: &raw.input_places, steps: &steps, shape: &shape };
    expressions::check(&view, &closing, notes);
    effects::check(&steps, &closing, &shape, notes);
    let every: Vec<&Draft<'_>> = steps.iter().chain(&closing).collect();
    let read = files::read(&every, files, notes);
    if notes.is_empty() {
        // After a mistake in a name everything looks unused.
        let of_steps = every.iter().filter_map(|draft| draft.step.connection.as_deref());
        let of_triggers = triggers.iter().filter_map(|written| written.trigger.connection.as_deref());
        let of_hooks = hooks.iter().flat_map(|written| written.hook.connections());
        let of_alerts = alerts.iter().map(|told| told.to.as_str());
        let named = of_steps.chain(of_triggers).chain(of_hooks).chain(of_alerts).chain(key_store.as_deref());
        let named = named.collect();
        effects::unused(&connections, &named, catalog, notes);
        expressions::unused_inputs(&view, &closing, notes);
    }
    let mut places = Places::default();
    let mut applied: BTreeMap<String, Connection> = BTreeMap::new();
    for (name, written) in connections.applied(profile) {
        places.connections.insert(name.clone(), written.places);
        applied.insert(name, written.connection);
    }
    places.steps = every.iter().map(|draft| (draft.step.name.clone(), draft.places.clone())).collect();
    let place = |written: &triggers::Written| (written.trigger.name.clone(), written.places.clone());
    places.triggers = triggers.iter().map(place).collect();
    places.hooks = hooks.iter().map(|written| (written.hook.name.clone(), written.name)).collect();
    let workflow = Workflow {
        name: raw.name,
        description: raw.description,
        input: raw.input,
        connections: applied,
        key_store,
        steps: steps.into_iter().map(|draft| draft.step).collect(),
        tolerate: raw.tolerate,
        timeout: raw.timeout,
        alert: raw.alert,
        alerts,
        resumable_for: raw.resumable_for,
        on_failure: closing.into_iter().map(|draft| draft.step).collect(),
        files: read.keys().cloned().collect(),
        triggers: triggers.into_iter().map(|written| written.trigger).collect(),
        hooks: hooks.into_iter().map(|written| written.hook).collect(),
    };
    Some((workflow, read, places))
}

impl Checked {
    /// Turns what a connector complains about into a finding with its place. What is wrong with a
    /// connection is said of the connection, so that every step which sees it says the same.
    pub fn fault(&self, step: &str, complaint: &Complaint) -> Finding {
        if let Some(connection) = self.connection_meant(step, complaint) {
            return self.connection_fault(connection, complaint);
        }
        let message = format!("step '{step}': {}", complaint.message);
        if let Some((file, line, column)) = &complaint.place {
            let source = self.named(file);
            let mistake = Mistake::new(codes::CONNECTOR, source.at(*line, *column), message)
                .maybe_hint(complaint.hint.clone());
            let mut finding = report::finding(&mistake, &source, &self.next);
            (finding.line, finding.column) = (*line, *column);
            return finding;
        }
        let mistake = Mistake::new(codes::CONNECTOR, self.place_of(step, complaint), message)
            .maybe_hint(complaint.hint.clone());
        report::finding(&mistake, &self.source, &self.next)
    }

    /// Turns what is wrong with a trigger into a finding with its place.
    pub fn trigger_fault(&self, trigger: &str, complaint: &Complaint) -> Finding {
        let message = format!("trigger '{trigger}': {}", complaint.message);
        let places = self.places.triggers.get(trigger);
        let connection = self.workflow.triggers.iter().find(|known| known.name == trigger);
        let connection = connection
            .and_then(|known| known.connection.as_ref())
            .and_then(|name| self.places.connections.get(name));
        let named = complaint.field.as_ref().and_then(|field| {
            let of_connection = || connection.and_then(|connection| connection.fields.get(field));
            places.and_then(|places| places.with.get(field)).or_else(of_connection).copied()
        });
        let span = named.or_else(|| places.map(|places| places.name)).unwrap_or_default();
        let mistake = Mistake::new(codes::CONNECTOR, span, message).maybe_hint(complaint.hint.clone());
        report::finding(&mistake, &self.source, &self.next)
    }

    /// Turns what is wrong with a hook into a finding with its place.
    pub fn hook_fault(&self, hook: &str, fault: &str) -> Finding {
        let span = self.places.hooks.get(hook).copied().unwrap_or_default();
        let mistake = Mistake::new(codes::CONNECTOR, span, format!("hook '{hook}': {fault}"));
        report::finding(&mistake, &self.source, &self.next)
    }

    /// Turns what is wrong with a connection of its own into a finding with its place.
    pub fn connection_fault(&self, connection: &str, complaint: &Complaint) -> Finding {
        let message = format!("connection '{connection}': {}", complaint.message);
        let places = self.places.connections.get(connection);
        let named = complaint.field.as_ref().and_then(|field| places?.fields.get(field));
        let span = named.copied().or_else(|| places.map(|places| places.name)).unwrap_or_default();
        let mistake = Mistake::new(codes::CONNECTOR, span, message).maybe_hint(complaint.hint.clone());
        report::finding(&mistake, &self.source, &self.next)
    }

    /// A report of findings of connectors, sorted, with the excerpts it needs to be rendered.
    pub fn report(&self, findings: Vec<Finding>) -> Report {
        let mut sources = BTreeMap::from([(self.source.name.clone(), self.source.clone())]);
        for finding in &findings {
            if self.files.contains_key(&finding.file) {
                sources.insert(finding.file.clone(), self.named(&finding.file));
            }
        }
        Report { findings, sources }.sorted()
    }

    fn named(&self, file: &str) -> Source {
        let bytes = self.files.get(file).map_or(&[][..], Vec::as_slice);
        Source::new(file, &String::from_utf8_lossy(bytes))
    }

    fn place_of(&self, step: &str, complaint: &Complaint) -> Span {
        let Some(places) = self.places.steps.get(step) else { return Span::default() };
        let named = complaint
            .field
            .as_ref()
            .and_then(|field| places.with.get(field).or_else(|| places.keys.get(field)));
        named.or_else(|| places.keys.get("uses")).copied().unwrap_or(places.name)
    }

    /// The connection that a complaint of a step is about: the step has no such field itself.
    fn connection_meant(&self, step: &str, complaint: &Complaint) -> Option<&str> {
        let field = complaint.field.as_ref().filter(|_| complaint.place.is_none())?;
        let own = self.places.steps.get(step)?;
        let mut steps = self.workflow.steps.iter().chain(&self.workflow.on_failure);
        let name = steps.find(|known| known.name == step)?.connection.as_deref()?;
        let is_own = own.with.contains_key(field) || own.keys.contains_key(field);
        let has_it = |places: &ConnectionPlaces| places.fields.contains_key(field) && !is_own;
        self.places.connections.get(name).filter(|places| has_it(places)).map(|_| name)
    }
}

fn next(name: &str, profile: Option<&str>) -> String {
    let profile = profile.map_or(String::new(), |profile| format!(" --profile {profile}"));
    format!("milepost check {name}{profile}")
}
