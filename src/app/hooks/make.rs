//! From a checked definition to hooks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Hook, Hooks, OF_ONE_HOOK_MAX};
use crate::app::assemble::{self, Mistakes, complaint, is_stand_in};
use crate::app::definition::Definition;
use crate::app::discreet;
use crate::app::environment::{self, Environment};
use crate::app::error::{AssembleError, StartError};
use crate::app::hush::Hush;
use crate::app::{Engine, definition_of};
use crate::connectors::{self, BuildFault};
use crate::core::workflow::{self, Connection};
use crate::ports::Announcer;
use crate::spec::{Finding, Report};
use crate::webhook::{Reading, Scheme, Source};

/// Says what is wrong with the hooks of a definition as far as that can be said without their secrets.
pub(in crate::app) fn try_out(definition: &Definition) -> Result<(), Box<Report>> {
    let connections = &definition.checked.workflow.connections;
    let mut mistakes = Mistakes::default();
    for hook in &definition.checked.workflow.hooks {
        if let Err(fault) = Reading::of(hook) {
            mistakes.add(std::iter::once(definition.checked.hook_fault(&hook.name, &fault.message)));
        }
        let sender = connections.get(&hook.connection).filter(|connection| !is_stand_in(connection));
        let Some(sender) = sender else { continue };
        if let Err(faults) = connectors::webhook::scheme(&sender.fields) {
            let place = |fault| definition.checked.connection_fault(&hook.connection, &complaint(fault));
            mistakes.add(faults.iter().map(place));
        }
    }
    mistakes.none(definition)
}

impl Engine {
    /// The hooks of these workflow files, each with its profile.
    ///
    /// # Errors
    /// [`StartError`]: a file has mistakes, a secret is missing or is none, or two hooks have one name.
    pub async fn hooks<'f>(
        &self,
        files: impl IntoIterator<Item = (&'f Path, Option<&'f str>)>,
    ) -> Result<Hooks, StartError> {
        let mut hooks = Hooks::default();
        for (file, profile) in files {
            let definition =
                definition_of(file, profile, &connectors::catalog()).map_err(StartError::Mistakes)?;
            let mut mistakes = Mistakes::default();
            for hook in &definition.checked.workflow.hooks {
                if let Some(other) = hooks.by_name.get(&hook.name) {
                    let (name, other) = (&hook.name, other.file.display());
                    let message = format!("there is a hook '{name}' in {other}, too: rename one of them");
                    return Err(StartError::Input(message));
                }
                match self.hook(&definition, hook).await? {
                    Ok(made) => {
                        let made = Hook { file: file.to_owned(), ..made };
                        hooks.by_name.insert(hook.name.clone(), Arc::new(made));
                    }
                    Err(wrong) => mistakes.add(wrong.into_iter()),
                }
            }
            mistakes.none(&definition).map_err(|report| StartError::Mistakes(*report))?;
        }
        Ok(hooks)
    }

    /// One hook, or everything that is wrong with its connections.
    async fn hook(
        &self,
        definition: &Definition,
        hook: &workflow::Hook,
    ) -> Result<Result<Hook, Vec<Finding>>, AssembleError> {
        let connections = &definition.checked.workflow.connections;
        let wrong = |connection: &str, faults: Vec<BuildFault>| {
            let place = |fault| definition.checked.connection_fault(connection, &complaint(fault));
            faults.iter().map(place).collect::<Vec<_>>()
        };
        let mut findings = Vec::new();
        let sender = connections.get(&hook.connection);
        let stands_in = sender.is_some_and(is_stand_in);
        let source = match sender {
            Some(sender) if stands_in => self.stand_in_sender(sender).map_err(|fault| vec![fault]),
            Some(sender) => environment::resolve(&sender.fields, &Environment::Process)
                .and_then(|fields| connectors::webhook::source(&fields)),
            None => Err(Vec::new()),
        };
        let source = source.map_err(|faults| findings.extend(wrong(&hook.connection, faults)));
        let fields = sender.map(|sender| sender.fields.clone()).unwrap_or_default();
        let body_max = connectors::webhook::body_max(&fields)
            .map_err(|fault| findings.extend(wrong(&hook.connection, vec![fault])));
        let announcer = match &hook.ask {
            Some(name) => {
                let made = self.announcer(connections.get(name)).await?;
                made.map_err(|faults| findings.extend(wrong(name, faults)))
            }
            None => Ok(None),
        };
        let reading = Reading::of(hook)
            .map_err(|fault| findings.push(definition.checked.hook_fault(&hook.name, &fault.message)));
        let (Ok(source), Ok(body_max), Ok(announcer), Ok(reading)) = (source, body_max, announcer, reading)
        else {
            return Ok(Err(findings));
        };
        let places = Arc::new(Semaphore::new(OF_ONE_HOOK_MAX));
        Ok(Ok(Hook { file: PathBuf::new(), source, reading, body_max, places, announcer, stands_in }))
    }

    /// The stand-in of this process signs with a secret of this process.
    fn stand_in_sender(&self, sender: &Connection) -> Result<Source, BuildFault> {
        if sender.fields.contains_key("url") {
            let message = "stand-ins of another process send nothing to hooks: use: webhook";
            return Err(BuildFault::field("url", message));
        }
        Ok(Source::new(Scheme::Standard, vec![self.stand_in_secret.clone()], None))
    }

    async fn announcer(
        &self,
        asked: Option<&Connection>,
    ) -> Result<Result<Option<Arc<dyn Announcer>>, Vec<BuildFault>>, AssembleError> {
        let Some(asked) = asked else { return Ok(Ok(None)) };
        let mut fields = match environment::resolve(&asked.fields, &Environment::Process) {
            Ok(fields) => fields,
            Err(faults) => return Ok(Err(faults)),
        };
        if assemble::wants_stand_in(asked) {
            let url = self.sandbox().await?.pim_url.clone();
            fields.insert("url".to_owned(), Value::from(url));
        }
        let hush = Hush::of(asked, &fields, &connectors::catalog());
        Ok(connectors::announcer(asked, &fields).map(|made| Some(discreet::announcer(made, hush))))
    }
}
