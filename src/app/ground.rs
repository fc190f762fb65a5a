//! What a resume stands on: the definition, stored or current, and the outside systems, and what
//! follows from each of them not being what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::connectors;
use crate::core::catalog::{Catalog, Kind};
use crate::core::digest::hex;
use crate::core::event::{Event, RunEvent};
use crate::core::execution::DrivenBy;
use crate::core::identity::identity;
use crate::core::plan::Plan;
use crate::core::redefine::{self, Changes, ConnectionChange, Ruling, Side, Verdict};
use crate::core::run::{Cause, Run};
use crate::core::workflow::Connection;
use crate::engine::recover;
use crate::ports::Pins;
use crate::view::{Acceptance, DefinitionChoice, Problem, ResumeTerms, code};

use super::Engine;
use super::definition::Definition;
use super::doing::doings;
use super::environment::{self, Environment};
use super::error::ResumeError;
use super::resume::refused;

/// What identifies each outside system, by the name of its connection.
pub(super) type Identities = BTreeMap<String, Map<String, Value>>;

/// What a resume stands on.
pub(super) struct Ground {
    /// The run as it will be.
    pub(super) run: Run,
    /// What makes it so; nothing of it is recorded yet.
    pub(super) events: Vec<Event>,
    /// The definition that it goes on under.
    pub(super) definition: Definition,
    /// What a person is told about it.
    pub(super) changes: Changes,
}

impl Engine {
    /// What a resume of this run on these terms stands on. Changes nothing.
    ///
    /// # Errors
    /// [`ResumeError`]: mistakes in the current definition, or whatever makes it incompatible.
    pub(super) fn ground(&self, run: Run, terms: &ResumeTerms) -> Result<Ground, ResumeError> {
        let catalog = connectors::catalog();
        let stored = self.memory.pinned(&run, &self.store, &catalog)?;
        let current = match terms.definition {
            DefinitionChoice::Stored => None,
            DefinitionChoice::Current => Some(current(&run, &catalog)?),
        };
        let driven_by = terms.executor.unwrap_or(run.driven_by);
        let now = identities(current.as_ref().unwrap_or(&stored), &catalog, driven_by);
        let connections = moved(&run, &now, current.as_ref().unwrap_or(&stored));
        let verdicts = if current.is_none() && connections.is_empty() {
            Vec::new()
        } else {
            let replaced = match terms.accept {
                Some(Acceptance::Moved) => BTreeSet::new(),
                Some(Acceptance::Replaced) | None => {
                    connections.iter().map(|change| change.connection.clone()).collect()
                }
            };
            self.verdicts(&run, &stored, current.as_ref().unwrap_or(&stored), &replaced, &catalog)?
        };
        if verdicts.iter().any(|verdict| matches!(verdict.ruling, Ruling::Incompatible(_))) {
            return Err(incompatible(&run, terms, &verdicts).into());
        }
        let raised = redefine::raised(&verdicts);
        if run.is_open_run() && !raised.is_empty() {
            return Err(let_go(&run, &raised).into());
        }
        let events = events(&run, current.as_ref(), now, &connections, &raised);
        self.grounded(run, current.unwrap_or(stored), events, Changes { verdicts, connections, driven_by })
    }

    fn verdicts(
        &self,
        run: &Run,
        stored: &Definition,
        next: &Definition,
        replaced: &BTreeSet<String>,
        catalog: &Catalog,
    ) -> Result<Vec<Verdict>, ResumeError> {
        let (old_plan, new_plan) = (plan_of(stored, catalog), plan_of(next, catalog));
        let (old_doings, new_doings) = (doings(stored, catalog), doings(next, catalog));
        let records = recover::records(&self.store, &old_plan, run)
            .map_err(|error| ResumeError::Broken(error.to_string()))?;
        let old = Side { workflow: &stored.checked.workflow, plan: &old_plan, doings: &old_doings };
        let new = Side { workflow: &next.checked.workflow, plan: &new_plan, doings: &new_doings };
        Ok(redefine::verdicts(old, new, &records, replaced))
    }

    fn grounded(
        &self,
        run: Run,
        mut definition: Definition,
        events: Vec<RunEvent>,
        changes: Changes,
    ) -> Result<Ground, ResumeError> {
        let at = self.ports.clock.now();
        let events: Vec<Event> = events.into_iter().map(|what| Event { at, what }).collect();
        let mut after = run;
        for event in &events {
            after.apply(event).map_err(|error| ResumeError::Broken(error.to_string()))?;
        }
        definition.revisions.clone_from(&after.revisions);
        Ok(Ground { run: after, events, definition, changes })
    }

    /// Keeps the bytes of a definition, so that a record may name them.
    pub(super) fn keep(&self, definition: &Definition) -> Result<(), ResumeError> {
        let files = definition.checked.files.values().map(Vec::as_slice);
        for bytes in std::iter::once(&*definition.bytes).chain(files) {
            self.store.put(bytes).map_err(|error| ResumeError::Broken(error.to_string()))?;
        }
        Ok(())
    }
}

/// The definition as its file says now, checked like any other.
fn current(run: &Run, catalog: &Catalog) -> Result<Definition, ResumeError> {
    let definition = Definition::from_disk(Path::new(&run.file), run.profile.as_deref(), catalog)?;
    Engine::try_out(&definition, catalog).map_err(ResumeError::Mistakes)?;
    Ok(definition)
}

fn plan_of(definition: &Definition, catalog: &Catalog) -> Plan {
    Plan::of(&definition.checked.workflow, catalog)
}

/// What identifies each outside system that a step names, and who drives the run. One whose variables are not set is left
/// out: nobody can say which it is.
pub(super) fn identities(definition: &Definition, catalog: &Catalog, driven_by: DrivenBy) -> Identities {
    let workflow = &definition.checked.workflow;
    let drives =
        |known: &Connection| !driven_by.is_embedded() && catalog.executors.contains(&known.kind.as_str());
    let executors = workflow.connections.iter().filter(|(_, known)| drives(known)).map(|(name, _)| name);
    let named: BTreeSet<&String> = workflow
        .steps
        .iter()
        .chain(&workflow.on_failure)
        .filter_map(|step| step.connection.as_ref())
        .chain(executors)
        .collect();
    let of = |name: &String| {
        let connection = workflow.connections.get(name)?;
        let kind = catalog.connection(&connection.kind)?;
        let secret = |name: &str| kind.fields.iter().any(|field| field.name == name && is_secret(field.kind));
        let fields = connection.fields.iter().filter(|(name, _)| !secret(name));
        let fields: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        let fields = environment::resolve(&fields, &Environment::Process).ok()?;
        Some((name.clone(), identity(kind, &fields)))
    };
    named.into_iter().filter_map(of).collect()
}

fn is_secret(kind: Kind) -> bool {
    matches!(kind, Kind::Secret | Kind::Secrets)
}

/// The connections that are not what was pinned, with the steps over them.
fn moved(run: &Run, now: &Identities, definition: &Definition) -> Vec<ConnectionChange> {
    let change = |(name, was): (&String, &Map<String, Value>)| {
        let now = now.get(name).filter(|now| *now != was)?;
        let steps = definition.checked.workflow.steps.iter();
        let over = steps.filter(|step| step.connection.as_ref() == Some(name)).map(|step| step.name.clone());
        Some(ConnectionChange {
            connection: name.clone(),
            was: was.clone(),
            now: now.clone(),
            steps: over.collect(),
        })
    };
    run.connections.iter().filter_map(change).collect()
}

fn events(
    run: &Run,
    current: Option<&Definition>,
    now: Identities,
    connections: &[ConnectionChange],
    raised: &BTreeMap<String, Cause>,
) -> Vec<RunEvent> {
    let mut raised = raised.clone();
    let mut events = Vec::new();
    if let Some(definition) = current {
        let address = |bytes: &[u8]| hex(&Sha256::digest(bytes));
        let files: BTreeMap<String, String> =
            definition.checked.files.iter().map(|(name, bytes)| (name.clone(), address(bytes))).collect();
        let bytes = address(&definition.bytes);
        if bytes != run.definition || files != run.files {
            let of_connection: BTreeMap<String, Cause> = raised
                .iter()
                .filter(|(_, cause)| **cause == Cause::Connection)
                .map(|(step, cause)| (step.clone(), *cause))
                .collect();
            raised.retain(|_, cause| *cause != Cause::Connection);
            let fresh = now.into_iter().filter(|(name, _)| !run.connections.contains_key(name)).collect();
            events.push(RunEvent::Redefined { definition: bytes, files, connections: fresh, raised });
            raised = of_connection;
        }
    }
    if !connections.is_empty() {
        let now = connections.iter().map(|change| (change.connection.clone(), change.now.clone())).collect();
        events.push(RunEvent::Reconnected { connections: now, raised });
    }
    events
}

/// What is done cannot be done anew where its content is not kept.
fn let_go(run: &Run, raised: &BTreeMap<String, Cause>) -> Problem {
    let detail = format!(
        "{} takes its items from a queue and keeps no body of those that are finished, so its steps \
         cannot be done anew; nothing was changed",
        run.id
    );
    let step = |(step, cause): (&String, &Cause)| format!("{step}  {}", cause.words());
    refused(code::INCOMPATIBLE, detail)
        .candidates(raised.iter().map(step))
        .next(format!("milepost resume {} --plan", run.id))
        .next(format!("milepost run {}", run.file))
}

fn incompatible(run: &Run, terms: &ResumeTerms, verdicts: &[Verdict]) -> Problem {
    let of_definition = terms.definition == DefinitionChoice::Current;
    let what = if of_definition {
        format!("{} as it is now", run.file)
    } else {
        "its changed connections".to_owned()
    };
    let detail = format!("{} cannot go on under {what}; nothing was changed", run.id);
    let lines = verdicts.iter().map(|verdict| {
        let line = verdict.line.map_or_else(|| "  -".to_owned(), |line| format!("{line:>3}"));
        format!("line {line}  {}  {}", verdict.step, verdict.ruling)
    });
    let doubtful = verdicts
        .iter()
        .any(|verdict| matches!(&verdict.ruling, Ruling::Incompatible(why) if why.contains("in doubt")));
    let mut problem = refused(code::INCOMPATIBLE, detail).candidates(lines);
    if doubtful {
        problem = problem.next(format!("milepost effects {} --in-doubt", run.id));
    }
    if !of_definition {
        problem = problem.next(format!("milepost resume {} --accept-connection=moved --plan", run.id));
    }
    problem.next(format!("milepost resume {} --plan", run.id)).next(format!("milepost run {}", run.file))
}

/// Why a resume is refused over connections that are not what they were.
pub(super) fn not_accepted(run: &Run, terms: &ResumeTerms, connections: &[ConnectionChange]) -> Problem {
    let detail = format!("{}: the outside is not what it was when the run was started", run.id);
    let line = |change: &ConnectionChange| {
        let (was, now) = change.difference();
        format!(
            "connection '{}' was {was}, and is {now}; steps: {}",
            change.connection,
            change.steps.join(", ")
        )
    };
    let with = |accept| ResumeTerms { accept: Some(accept), ..terms.clone() }.options();
    let command = |options: String| format!("milepost resume {}{options}", run.id);
    refused(code::CONNECTION_CHANGED, detail)
        .candidates(connections.iter().map(line))
        .candidates([
            "another system, where nothing is done yet: --accept-connection".to_owned(),
            "the same system at another address: --accept-connection=moved".to_owned(),
        ])
        .next(command(format!("{} --plan", with(Acceptance::Replaced))))
        .next(command(format!("{} --plan", with(Acceptance::Moved))))
}
