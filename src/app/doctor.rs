//! `milepost doctor`: every connection that a workflow file names, and what its triggers listen to, examined.
//! Needs no state directory.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::connectors::{self, Diagnosis, Health, Patient, Use};
use crate::core::catalog::{Catalog, Role};
use crate::core::graph::Graph;
use crate::core::id::{RunId, Unit};
use crate::core::plan::{DeleteAfter, Plan, Track};
use crate::core::scope::{Scope, Steps};
use crate::core::workflow::{Connection, Hook, Step, Trigger, Workflow};
use crate::expr::Template;
use crate::ports::{OwnQueue, Signals};
use crate::spec::Report;
use crate::store::MemoryStore;
use crate::view::{ExaminedView, FindingView, HealthView};

use super::clock::{SystemClock, now};
use super::definition::Definition;
use super::environment::{self, Environment};
use super::hush::Hush;
use super::{Engine, definition_of, input};

/// Examines every connection of a workflow file, in the order of their names, and what its triggers listen
/// to. Changes nothing outside. The state directory need not be there.
///
/// # Errors
/// Every mistake in the file.
pub async fn doctor(file: &Path, profile: Option<&str>, state: &Path) -> Result<Vec<ExaminedView>, Report> {
    let catalog = connectors::catalog();
    let definition = definition_of(file, profile, &catalog)?;
    Engine::try_out(&definition, &catalog)?;
    let ward = Ward::new(&definition, &catalog);
    let mut examined = Vec::new();
    for (name, connection) in &definition.checked.workflow.connections {
        let found = ward.examine(name, connection).await;
        examined.push(told(name, &connection.kind, found));
    }
    let nowhere = Map::new();
    for step in ward.steps().filter(|step| step.connection.is_none() && step.uses == "http.request") {
        let patient = Patient {
            kind: "http",
            settings: &nowhere,
            triggers: Vec::new(),
            hooks: Vec::new(),
            uses: vec![ward.used(step, None, &nowhere)],
        };
        let found = connectors::examine(&patient).await;
        examined.push(told(&step.name, "http", found));
    }
    for trigger in &definition.checked.workflow.triggers {
        let found = ward.examine_trigger(trigger, state);
        if !found.is_empty() {
            examined.push(told(&trigger.name, &trigger.uses, found));
        }
    }
    Ok(examined)
}

/// Whether a server could listen at this address; nothing when the file needs none: it has neither triggers
/// nor hooks.
///
/// # Errors
/// Every mistake in the file.
pub fn doctor_address(
    file: &Path,
    profile: Option<&str>,
    address: SocketAddr,
) -> Result<Option<ExaminedView>, Report> {
    let definition = definition_of(file, profile, &connectors::catalog())?;
    let workflow = &definition.checked.workflow;
    if workflow.triggers.is_empty() && workflow.hooks.is_empty() {
        return Ok(None);
    }
    let found = match TcpListener::bind(address) {
        Ok(_) => Diagnosis::good(format!("{address}: milepost serve can listen there")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Diagnosis::unknown(
            format!("{address}: somebody listens there, perhaps milepost serve"),
            format!("curl -s http://{address}/healthz; for another address: milepost serve --listen"),
        ),
        Err(error) => {
            Diagnosis::wrong(format!("{address}: {error}"), "milepost serve --listen takes another address")
        }
    };
    Ok(Some(told("serve", "tcp", vec![found])))
}

fn told(connection: &str, kind: &str, found: Vec<Diagnosis>) -> ExaminedView {
    let finding = |Diagnosis { health, what, next }| {
        let health = match health {
            Health::Good => HealthView::Good,
            Health::Wrong => HealthView::Wrong,
            Health::Unknown => HealthView::Unknown,
        };
        FindingView { health, what, next }
    };
    let found = found.into_iter().map(finding).collect();
    ExaminedView { connection: connection.to_owned(), kind: kind.to_owned(), found }
}

/// A definition with what its steps need to be looked at.
struct Ward<'a> {
    definition: &'a Definition,
    catalog: &'a Catalog,
    plan: Plan,
    /// The input that a run gets when the command gives none; none when it must give some.
    input: Option<Arc<Value>>,
    /// Nobody receives from it: connectors only want one to be there.
    store: Arc<MemoryStore>,
}

impl<'a> Ward<'a> {
    fn new(definition: &'a Definition, catalog: &'a Catalog) -> Self {
        let input = input::join(&definition.checked.workflow, &[], &definition.base).ok();
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let plan = Plan::of(&definition.checked.workflow, catalog);
        Self { definition, catalog, plan, input: input.map(|input| Arc::new(Value::Object(input))), store }
    }

    fn workflow(&self) -> &'a Workflow {
        &self.definition.checked.workflow
    }

    fn steps(&self) -> impl Iterator<Item = &'a Step> {
        self.workflow().steps.iter().chain(&self.workflow().on_failure)
    }

    async fn examine(&self, name: &str, connection: &Connection) -> Vec<Diagnosis> {
        let unset = environment::unset(&connection.fields);
        let Ok(settings) = environment::resolve(&connection.fields, &Environment::Process) else {
            let drives = self.catalog.executors.contains(&connection.kind.as_str());
            let exports: Vec<String> = unset.iter().map(|variable| format!("{variable}=…")).collect();
            let hears: Vec<&str> = self.hooks(name).collect();
            let what = match hears.as_slice() {
                [] => format!("environment variables that are not set: {}", unset.join(", ")),
                hooks => format!(
                    "nothing can be sent to {}: environment variables that are not set: {}",
                    hooks.iter().map(|hook| format!("/hooks/{hook}")).collect::<Vec<_>>().join(", "),
                    unset.join(", ")
                ),
            };
            let next = format!("export {}", exports.join(" "));
            // Whoever lets the engine drive by itself needs none of it.
            return vec![if drives { Diagnosis::unknown(what, next) } else { Diagnosis::wrong(what, next) }];
        };
        let over = self.steps().filter(|step| step.connection.as_deref() == Some(name));
        let uses = over.map(|step| self.used(step, Some(connection), &settings)).collect();
        let triggers = self.workflow().triggers.iter();
        let triggers = triggers.filter(|trigger| trigger.connection.as_deref() == Some(name)).collect();
        let hooks = self.hooks(name).collect();
        let patient = Patient { kind: &connection.kind, settings: &settings, uses, triggers, hooks };
        let hush = Hush::of(connection, &settings, self.catalog);
        let told = |found: Diagnosis| Diagnosis { what: hush.text(&found.what).into_owned(), ..found };
        connectors::examine(&patient).await.into_iter().map(told).collect()
    }

    fn examine_trigger(&self, trigger: &Trigger, state: &Path) -> Vec<Diagnosis> {
        let connection = trigger.connection.as_ref().and_then(|name| self.workflow().connections.get(name));
        let kinds = self.catalog.trigger(&trigger.uses).map(|known| known.connections).unwrap_or_default();
        match connection {
            Some(connection) if !kinds.contains(&connection.kind.as_str()) => {
                let what = "not listened to: it cannot listen over a connection of kind";
                vec![Diagnosis::good(format!("{what} '{}'", connection.kind))]
            }
            _ => connectors::examine_trigger(trigger, &self.definition.base, state, now()),
        }
    }

    /// The names of the hooks that hear from a connection.
    fn hooks(&self, connection: &str) -> impl Iterator<Item = &'a str> {
        let hears = move |hook: &&'a Hook| hook.connection == connection;
        self.workflow().hooks.iter().filter(hears).map(|hook| hook.name.as_str())
    }

    fn used<'s>(
        &'s self,
        step: &'s Step,
        connection: Option<&'s Connection>,
        settings: &Map<String, Value>,
    ) -> Use<'s> {
        let site = connectors::Site {
            step,
            connection,
            settings: settings.clone(),
            files: &self.definition.checked.files,
            base: &self.definition.base,
            queue: Arc::clone(&self.store) as Arc<dyn OwnQueue>,
            signals: Arc::clone(&self.store) as Arc<dyn Signals>,
            clock: Arc::new(SystemClock),
        };
        Use { site, held: held(&self.plan.items, &step.name), source: self.source(step) }
    }

    /// Where a step that reads records finds them.
    fn source(&self, step: &Step) -> Option<String> {
        self.catalog.step(&step.uses).filter(|known| known.role == Role::Source)?;
        let template = Template::parse(step.with.get("source")?).ok()?;
        let scope = Scope {
            run: RunId(0),
            started_at: now(),
            version: Arc::from(""),
            unit: Unit::Run,
            input: Arc::clone(self.input.as_ref()?),
            item: Arc::default(),
            digest: Arc::default(),
            steps: Steps::default(),
            sent: None,
        };
        let source = template.render(&scope).ok()?;
        let source = source.as_str()?;
        if source.contains("://") {
            return Some(source.to_owned());
        }
        Some(self.definition.base.join(source).to_string_lossy().into_owned())
    }
}

/// The slowest of the steps that a message is held for: those after the step that gets it, up to the one
/// that it is deleted after.
fn held<'p>(track: &'p Track, step: &str) -> Option<(&'p str, Duration)> {
    let from = track.position(step).filter(|at| track.steps[*at].gets_messages())?;
    let graph = Graph::new(&track.steps.iter().map(|step| step.needs.clone()).collect::<Vec<_>>());
    let mut after = graph.descendants(from);
    match track.steps[from].delete_after {
        DeleteAfter::Taken => return None,
        DeleteAfter::Step(to) => {
            let before = graph.ancestors(to);
            after.retain(|step| *step == to || before.contains(step));
        }
        DeleteAfter::Last => {}
    }
    let slowest = after.into_iter().map(|step| &track.steps[step]).max_by_key(|step| step.timeout)?;
    Some((&slowest.name, slowest.timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_brings_an_item_is_held_for_all_that_is_done_with_it() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/product-deliver.yaml");
        let catalog = connectors::catalog();
        let definition = definition_of(&file, None, &catalog).unwrap();
        let mut plan = Plan::of(&definition.checked.workflow, &catalog);
        plan.items.steps[2].timeout = Duration::from_mins(7);
        assert_eq!(held(&plan.items, "receive"), Some(("medusa", Duration::from_mins(7))));
        plan.items.steps[0].delete_after = DeleteAfter::Step(1);
        assert_eq!(held(&plan.items, "receive"), Some(("pim", Duration::from_secs(30))));
        assert_eq!(held(&plan.items, "pim"), None, "it gets none");
    }
}
