//! What is watched: a workflow file with what listens for its triggers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::assemble::{self, Surroundings};
use crate::app::clock::SystemClock;
use crate::app::environment::Environment;
use crate::app::{Engine, definition_of};
use crate::connectors;
use crate::ports::{Clock, Journal, Marks, OwnQueue, Signals, Trigger};
use crate::spec::Report;
use crate::store::MemoryStore;

use super::declared::Declared;
use super::stuck::Stuck;
use super::succession::Succession;

/// A workflow file with what listens for its triggers.
pub struct Watched {
    /// The workflow's name.
    pub workflow: String,
    /// The workflow file.
    pub file: PathBuf,
    /// The profile.
    pub profile: Option<String>,
    /// What is listened to.
    pub listeners: Vec<Listener>,
    /// Triggers that cannot listen over their connection in this profile, each with its kind there.
    pub silent: Vec<(String, String)>,
    /// What the file says of triggers and hooks.
    pub declared: Declared,
}

/// One trigger that is listened to.
#[derive(Clone)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// The input that says what a run is about, where it wants to know.
    pub input: Option<String>,
    /// What it is, and what it listens to, in words.
    pub about: String,
    /// What listens.
    pub trigger: Arc<dyn Trigger>,
}

impl Watched {
    /// Reads and checks a workflow file, and says what would be listened to.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn foreseen(file: &Path, profile: Option<&str>) -> Result<Self, Report> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        Self::made(file, profile, store, clock, Stuck::default())
    }

    /// Reads and checks a workflow file, and makes its triggers.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(engine: &Engine, file: &Path, profile: Option<&str>) -> Result<Self, Report> {
        let (store, clock) = (Arc::new(engine.store.clone()), Arc::clone(&engine.ports.clock));
        Self::made(file, profile, store, clock, engine.stuck.clone())
    }

    fn made<S: Journal + OwnQueue + Signals + Marks + 'static>(
        file: &Path,
        profile: Option<&str>,
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        stuck: Stuck,
    ) -> Result<Self, Report> {
        let catalog = connectors::catalog();
        let definition = definition_of(file, profile, &catalog)?;
        Engine::try_out(&definition, &catalog)?;
        let journal = Arc::clone(&store) as Arc<dyn Journal>;
        let surroundings =
            Surroundings::of(&Environment::Process, store, Arc::clone(&clock), BTreeMap::new());
        let made = assemble::triggers(&definition, profile, &catalog, &surroundings);
        let workflow = &definition.checked.workflow;
        let kind_of = |name: &String| workflow.connections.get(name).map(|known| known.kind.clone());
        let (mut listeners, mut silent) = (Vec::new(), Vec::new());
        for (known, trigger) in made.map_err(|report| *report)? {
            let Some(trigger) = trigger else {
                let kind = known.connection.as_ref().and_then(kind_of);
                silent.push((known.name.clone(), kind.unwrap_or_default()));
                continue;
            };
            let with = known.with.iter().map(|(name, value)| {
                format!(", {name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            });
            let about = format!("{}{}", known.uses, with.collect::<String>());
            let (name, input) = (known.name.clone(), known.input.clone());
            listeners.push(Listener { name, input, about, trigger });
        }
        listeners.extend(Succession::of(workflow, profile, journal, clock, stuck));
        let declared = Declared::of(workflow);
        let (workflow, profile) = (workflow.name.clone(), profile.map(str::to_owned));
        Ok(Self { workflow, file: file.to_owned(), profile, listeners, silent, declared })
    }
}
