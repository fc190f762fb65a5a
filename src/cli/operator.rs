//! The engine as the API asks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use super::failure::{resume_problem, start_problem};
use super::state::{backup_problem, collect_problem};
use crate::app::{Asked, Desk, Engine, HookError, Hooks, NoRoom, Start, StartError, examine};
use crate::core::care::{Backup, Collection};
use crate::core::deed::Done;
use crate::core::id::RunId;
use crate::core::measures::Measures;
use crate::core::resume::ResumePlan;
use crate::core::token::Token;
use crate::core::workflow::InputKind;
use crate::server::{Anonymous, HookPlace, Operator, Service, Way, ending, no_hook, no_server};
use crate::view::{
    Acted, Action, Admitted, CollectOrder, Delivered, Examination, NewToken, Order, Problem, ProblemKind,
    QueueView, ResumeOrder, ResumeTerms, Sent, ServedView, SignalView, Signalled, StartOrder, TokenOrder,
    TokenView, Unhold, code,
};
use crate::webhook::Headers;

/// What the API answers from. It does not keep the engine from ending.
pub(super) fn service(engine: &Arc<Engine>, server: Option<Server>, anonymous: Anonymous) -> Service {
    let (desk, hooks) = server.map(|server| (server.desk, server.hooks)).unzip();
    let hooks = hooks.unwrap_or_default();
    let operator = EngineOperator { engine: Arc::downgrade(engine), desk, hooks, examined: Mutex::default() };
    Service { archive: engine.archive(), operator: Arc::new(operator), anonymous }
}

/// What an engine has that stays up.
pub(super) struct Server {
    /// Where runs are asked for.
    pub(super) desk: Desk,
    /// The hooks.
    pub(super) hooks: Arc<Hooks>,
}

struct EngineOperator {
    engine: Weak<Engine>,
    /// Where runs are asked for; `None`: the engine works on one run.
    desk: Option<Desk>,
    /// What was found last, by workflow.
    examined: Mutex<BTreeMap<String, Examination>>,
    hooks: Arc<Hooks>,
}

impl EngineOperator {
    fn engine(&self) -> Result<Arc<Engine>, Problem> {
        self.engine.upgrade().ok_or_else(ending)
    }

    fn examined(&self) -> MutexGuard<'_, BTreeMap<String, Examination>> {
        self.examined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn desk(&self) -> Result<&Desk, Problem> {
        self.desk.as_ref().ok_or_else(no_server)
    }
}

#[async_trait]
impl Operator for EngineOperator {
    async fn plan(&self, run: RunId, terms: ResumeTerms) -> Result<ResumePlan, Problem> {
        let engine = self.engine()?;
        engine.let_go(run).await;
        engine.plan(run, &terms).await.map_err(|error| resume_problem(&error))
    }

    async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem> {
        let engine = self.engine()?;
        // A run that nobody works on is unpaused by going on with it.
        if let (Action::Unpause, Some(desk)) = (&order.action, &self.desk)
            && desk.unhold(&Unhold::Run(run), &order.by).await?
        {
            let run = engine.archive().find(&run.to_string())?;
            let message = format!("{} goes on when there is room for it", run.id);
            let next = vec![format!("milepost events {} --follow", run.id)];
            return Ok(Acted { run: run.id, status: engine.archive().status(&run), message, next });
        }
        let acted = engine.act(run, order).await?;
        if let Some(desk) = &self.desk
            && acted.status.is_ended()
        {
            desk.forget(run);
        }
        Ok(acted)
    }

    async fn signal(&self, sent: Sent) -> Result<Signalled, Problem> {
        self.engine()?.signal(sent).await
    }

    fn signals(&self) -> Result<Vec<SignalView>, Problem> {
        self.engine()?.signals()
    }

    fn hook(&self, hook: &str) -> Result<HookPlace, Problem> {
        let busy = |code, detail: &str| Problem::new(ProblemKind::Unready, code, detail);
        let room = self.hooks.room(hook).map_err(|why| match why {
            NoRoom::Unknown => no_hook(hook),
            NoRoom::OfHook => {
                busy(code::HOOK_BUSY, "too much is being sent to this hook at once: send it again later")
            }
            NoRoom::OfAll => busy(code::HOOK_LATER, "too much is being sent at once: send it again later"),
        })?;
        Ok(HookPlace { hook: hook.to_owned(), body_max: room.body_max, permits: room.permits })
    }

    async fn deliver(&self, place: HookPlace, headers: Headers, body: Bytes) -> Result<Delivered, Problem> {
        let delivered = self.engine()?.deliver(&self.hooks, &place.hook, headers, body).await;
        delivered.map_err(|error| {
            let (kind, code) = match &error {
                HookError::Unknown(_) => (ProblemKind::NotFound, code::HOOK_UNKNOWN),
                HookError::Unproven => (ProblemKind::Forbidden, code::UNPROVEN),
                HookError::Content(_) => (ProblemKind::Invalid, code::HOOK_CONTENT),
                HookError::Later(_) => (ProblemKind::Unready, code::HOOK_LATER),
            };
            Problem::new(kind, code, error.to_string())
        })
    }

    async fn backup(&self, file: PathBuf, by: String) -> Result<Backup, Problem> {
        self.engine()?.backup(file, by).await.map_err(|error| backup_problem(&error))
    }

    async fn collect(&self, order: CollectOrder) -> Result<Collection, Problem> {
        let engine = self.engine()?;
        let done =
            if order.dry_run { engine.look_over().await } else { engine.collect_beside(order.by).await };
        done.map_err(|error| collect_problem(&error))
    }

    async fn start(&self, order: StartOrder, key: Option<String>, way: Way) -> Result<Admitted, Problem> {
        let desk = self.desk()?;
        let StartOrder { workflow, file, input, profile, executor: driven_by, by } = order;
        let (file, profile) = match (workflow, file) {
            (Some(workflow), None) => desk.file_of(&workflow, profile)?,
            (None, Some(file)) if file.is_absolute() => (file, profile),
            (None, Some(_)) => {
                return Err(invalid("the path of a workflow file has to be absolute".to_owned()));
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(invalid("name a workflow, or a file, and not both".to_owned()));
            }
        };
        let mut given = Vec::with_capacity(input.len());
        for (name, value) in input {
            given.push((name.clone(), words(&name, value)?));
        }
        if way == Way::Network {
            confine(&file, profile.as_deref(), &mut given)?;
        }
        let start = Start { file, input: given, profile, by: Some(by), driven_by };
        let (run, started) = desk.start(start, key).await.map_err(|error| start_problem(&error))?;
        let status = self.engine()?.archive().status(&run);
        let next = vec![format!("milepost events {} --follow", run.id)];
        Ok(Admitted { run: run.id, status, started, next })
    }

    async fn resume(&self, run: RunId, order: ResumeOrder) -> Result<Admitted, Problem> {
        let ResumeOrder { terms, expect, by } = order;
        let asked = Asked { expected: expect.as_deref(), by: Some(&by) };
        self.desk()?.resume(run, &terms, asked).await.map_err(|error| resume_problem(&error))?;
        let archive = self.engine()?.archive();
        let status = archive.status(&archive.find(&run.to_string())?);
        Ok(Admitted { run, status, started: false, next: vec![format!("milepost events {run} --follow")] })
    }

    async fn unhold(&self, what: Unhold, by: String) -> Result<QueueView, Problem> {
        let desk = self.desk()?;
        desk.unhold(&what, &by).await?;
        Ok(desk.queue())
    }

    fn queue(&self) -> Result<QueueView, Problem> {
        Ok(self.desk()?.queue())
    }

    fn workflows(&self) -> Result<Vec<ServedView>, Problem> {
        let mut served = self.desk()?.look();
        let examined = self.examined();
        for known in &mut served {
            known.examined = examined.get(&known.workflow).cloned();
        }
        Ok(served)
    }

    async fn examine(&self, workflow: String, by: String) -> Result<Examination, Problem> {
        let (file, profile) = self.desk()?.file_of(&workflow, None)?;
        self.engine()?.did(by, Done::Examined { workflow: workflow.clone() }).await?;
        let state = self.engine()?.state().to_owned();
        // It reads files, and what it makes of them need not go from thread to thread.
        let examining = tokio::task::spawn_blocking(move || {
            Handle::current().block_on(examine(&file, profile.as_deref(), &state))
        });
        let examined = examining.await.map_err(Problem::defect)?;
        let examined = examined.map_err(|report| start_problem(&StartError::Mistakes(report)))?;
        self.examined().insert(workflow, examined.clone());
        Ok(examined)
    }

    fn is_outdated(&self) -> bool {
        self.desk.as_ref().is_some_and(Desk::is_outdated)
    }

    async fn ready(&self) -> Result<(), Problem> {
        let unready = |detail: String| Problem::new(ProblemKind::Unready, code::ENGINE_GONE, detail);
        if self.desk.as_ref().is_some_and(|desk| !desk.is_ready()) {
            return Err(unready("it is not working yet, or not any more".to_owned()));
        }
        self.engine()?.is_writing().await.map_err(|error| unready(error.to_string()))
    }

    fn token(&self, text: &str) -> Option<Token> {
        self.engine.upgrade()?.token(text)
    }

    fn is_good(&self, token: &Token) -> bool {
        self.engine.upgrade().is_some_and(|engine| engine.is_good(token))
    }

    fn tokens(&self) -> Result<Vec<TokenView>, Problem> {
        Ok(self.engine()?.tokens())
    }

    async fn create_token(&self, order: TokenOrder) -> Result<NewToken, Problem> {
        self.engine()?.create_token(order).await
    }

    async fn revoke_token(&self, name: String, by: String) -> Result<TokenView, Problem> {
        self.engine()?.revoke_token(&name, by).await
    }

    fn listen(&self) -> Option<broadcast::Receiver<RunId>> {
        Some(self.engine.upgrade()?.listen())
    }

    fn measures(&self) -> Measures {
        let measures = self.engine.upgrade().map(|engine| engine.measures()).unwrap_or_default();
        Measures { received: self.hooks.received(), ..measures }
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new(ProblemKind::Invalid, code::START_REFUSED, detail)
}

/// A value of the input as it would be typed.
fn words(name: &str, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(invalid(format!("the input '{name}' must be text, a number, true or false")))
        }
    }
}

/// Whoever comes in over the network names files below the folder of the workflow file and no others: a
/// token that is good for starting runs is not good for reading this machine.
fn confine(file: &Path, profile: Option<&str>, given: &mut [(String, String)]) -> Result<(), Problem> {
    let checked =
        Engine::check(file, profile).map_err(|report| start_problem(&StartError::Mistakes(report)))?;
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for (name, text) in given {
        let is_path = checked.workflow.input.get(name).is_some_and(|input| input.kind == InputKind::Uri);
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !is_path || scheme.as_deref().is_some_and(|scheme| scheme != "file") {
            continue;
        }
        let outside = || {
            let detail = format!("the input '{name}' is no file below the folder of the workflow");
            Problem::new(ProblemKind::Forbidden, code::SCOPE, detail)
        };
        let folder = folder.canonicalize().map_err(|_| outside())?;
        // Links are followed before it is compared.
        let path = folder.join(&*text).canonicalize().map_err(|_| outside())?;
        if !path.starts_with(&folder) {
            return Err(outside());
        }
        *text = path.to_string_lossy().into_owned();
    }
    Ok(())
}
