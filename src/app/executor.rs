//! Who drives the graph of a run, when it is not the engine: made from the workflow, its connection to an
//! executor, and the run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::asl;
use crate::connectors::{self, BuildFault, Commission};
use crate::core::catalog::Catalog;
use crate::core::event::RunEvent;
use crate::core::execution::DrivenBy;
use crate::core::fault::{Fault, name};
use crate::core::run::Run;
use crate::core::workflow::Workflow;
use crate::engine::assembly::Conducted;
use crate::ports::{Marks, StoreError};
use crate::view::{Problem, ProblemKind, code};

use super::Engine;
use super::compile::placeless;
use super::definition::Definition;
use super::environment::{self, Environment};

/// Where the name of this state directory is kept: among what triggers remember, under a name that no
/// trigger has.
const KEPT_UNDER: &str = "engine";
const SUBJECT: &str = "name";
/// Letters in that name: enough that two state directories over one account never share it.
const NAME_LETTERS: usize = 8;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Longest wait for the end of an execution that nobody listens to: a person waits, and its orders are refused in
/// any case.
const STOP_MAX: Duration = Duration::from_secs(5);

impl Engine {
    /// The executor of a run; `None` when the engine drives its graph itself.
    ///
    /// # Errors
    /// A [`Problem`]: there is not exactly one connection to an executor, its settings are wrong, or the
    /// executor cannot drive this workflow.
    pub(super) async fn executor(
        &self,
        definition: &Definition,
        run: &Run,
        by: DrivenBy,
    ) -> Result<Option<Conducted>, Problem> {
        if by.is_embedded() {
            return Ok(None);
        }
        let (workflow, catalog) = (&definition.checked.workflow, connectors::catalog());
        let connection = connection(workflow, &catalog)?;
        let known = &workflow.connections[&connection];
        let wrong = |faults: Vec<BuildFault>| unfit(&connection, &faults);
        let settings = environment::resolve(&known.fields, &Environment::Process).map_err(wrong)?;
        let heartbeat = connectors::heartbeat(&settings).map_err(wrong)?;
        let naming = placeless(&self.own_name().await?);
        let machine = asl::compile(workflow, &catalog, &naming, heartbeat)
            .map_err(|refusal| refused(refusal.message).candidates([refusal.hint]))?;
        let input = machine.input(run.id, run.epoch, &Value::Object(run.input.clone()));
        let commission = Commission {
            kind: &known.kind,
            settings: &settings,
            run: run.id,
            machine: machine.name.clone(),
            definition: machine.definition.clone(),
            input: input.as_object().cloned().unwrap_or_default(),
        };
        let executor = self.executors.of(commission).map_err(wrong)?;
        let facts = Arc::new(move |step: &str, facts: &_| machine.facts(step, facts));
        Ok(Some(Conducted { connection, executor, facts }))
    }

    /// Ends the execution of a run that nobody drives; returns what the run is told. An executor that is
    /// out of reach keeps nothing from going on: its orders are refused.
    pub(super) async fn halt(&self, run: &Run, why: Fault) -> Option<RunEvent> {
        // One whose run was closed over it has ended with the run.
        let was_lost = run.fault.as_ref().is_some_and(|fault| fault.name == name::EXECUTOR);
        let execution = run.execution.clone().filter(|_| !run.status.is_ended() || was_lost)?;
        let unheard = |why: &dyn std::fmt::Display| Some(Fault::new(name::EXECUTOR, why.to_string()));
        let definition = self.memory.pinned(run, &self.store, &connectors::catalog());
        let fault = match definition {
            Ok(definition) => match self.executor(&definition, run, DrivenBy::StepFunctions).await {
                Ok(Some(conducted)) => {
                    let stopped = tokio::time::timeout(STOP_MAX, conducted.executor.stop(&execution, &why));
                    match stopped.await {
                        Ok(stopped) => stopped.err(),
                        Err(_) => unheard(&format!("no answer within {} s", STOP_MAX.as_secs())),
                    }
                }
                Ok(None) => None,
                Err(problem) => unheard(&problem),
            },
            Err(error) => unheard(&error),
        };
        Some(RunEvent::Halted { execution: execution.name, why, fault })
    }

    /// A short name of this state directory, made when it is first asked for. A copy has the same.
    async fn own_name(&self) -> Result<String, StoreError> {
        let _alone = self.starting_name.lock().await;
        if let Some(name) = self.store.marks(KEPT_UNDER)?.remove(SUBJECT) {
            return Ok(name);
        }
        let letter = |_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]);
        let name: String = (0..NAME_LETTERS).map(letter).collect();
        let mark = BTreeMap::from([(SUBJECT.to_owned(), Some(name.clone()))]);
        self.store.mark(KEPT_UNDER, mark).await?;
        Ok(name)
    }
}

/// The only connection through which an executor is reached.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn connection(workflow: &Workflow, catalog: &Catalog) -> Result<String, Problem> {
    let drives = |kind: &str| catalog.executors.contains(&kind);
    let names: Vec<&String> =
        workflow.connections.iter().filter(|(_, known)| drives(&known.kind)).map(|(name, _)| name).collect();
    match names.as_slice() {
        [only] => Ok((*only).clone()),
        [] => {
            let lines = [
                "connections:",
                "  states:",
                "    use: step_functions",
                "    role: arn:aws:iam::ACCOUNT:role/NAME",
            ];
            let detail = "no connection to an executor: add these lines, to the file or to the profile";
            Err(refused(detail.to_owned()).candidates(lines.map(str::to_owned)))
        }
        several => {
            let detail =
                "several connections lead to an executor; a profile may leave one of them".to_owned();
            Err(refused(detail).candidates(several.iter().map(|name| (*name).clone())))
        }
    }
}

fn unfit(connection: &str, faults: &[BuildFault]) -> Problem {
    let line = |fault: &BuildFault| {
        let field = fault.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
        let hint = fault.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{field}{}{hint}", fault.message)
    };
    refused(format!("the connection '{connection}' leads to no executor")).candidates(faults.iter().map(line))
}

fn refused(detail: String) -> Problem {
    Problem::new(ProblemKind::Invalid, code::EXECUTOR, detail).next("milepost run --help")
}
