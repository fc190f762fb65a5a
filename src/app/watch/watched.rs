//! What is watched: a workflow file with what listens for its triggers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::environment::Environment;
use crate::app::{Engine, assemble, definition_of};
use crate::connectors;
use crate::ports::Trigger;
use crate::spec::Report;

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
}

/// One trigger that is listened to.
#[derive(Clone)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// The input that says what a run is about.
    pub input: String,
    /// What it is, and what it listens to, in words.
    pub about: String,
    /// What listens.
    pub trigger: Arc<dyn Trigger>,
}

impl Watched {
    /// Reads and checks a workflow file, and makes its triggers.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(file: &Path, profile: Option<&str>) -> Result<Self, Report> {
        let catalog = connectors::catalog();
        let definition = definition_of(file, profile, &catalog)?;
        Engine::try_out(&definition, &catalog)?;
        let made = assemble::triggers(&definition, &catalog, &Environment::Process);
        let workflow = &definition.checked.workflow;
        let kind_of = |name: &String| workflow.connections.get(name).map(|known| known.kind.clone());
        let (mut listeners, mut silent) = (Vec::new(), Vec::new());
        for (known, trigger) in made.map_err(|report| *report)? {
            let Some(trigger) = trigger else {
                silent.push((known.name.clone(), kind_of(&known.connection).unwrap_or_default()));
                continue;
            };
            let with = known.with.iter().map(|(name, value)| {
                format!(", {name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            });
            let about = format!("{}{}", known.uses, with.collect::<String>());
            let (name, input) = (known.name.clone(), known.input.clone());
            listeners.push(Listener { name, input, about, trigger });
        }
        let (workflow, profile) = (workflow.name.clone(), profile.map(str::to_owned));
        Ok(Self { workflow, file: file.to_owned(), profile, listeners, silent })
    }
}
