//! Starting a run: pinned with all that it needs, before anything is done. Under a key it is
//! started once.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::Digest;
use tokio::sync::{Mutex, MutexGuard};

use crate::connectors;
use crate::core::change::Change;
use crate::core::digest::{self, hex};
use crate::core::id::RunId;
use crate::core::run::Run;
use crate::core::start::{Fingerprint, StartKey};
use crate::core::version::Version;
use crate::engine::Beginning;
use crate::engine::assembly::Assembly;
use crate::ports::{Journal, Pins, StoreError};
use crate::view::{Problem, code};

use super::error::StartError;
use super::ground;
use super::resume::refused;
use super::{Engine, Running, Start, input};

/// Digits of a fingerprint in a sentence.
const DIGITS_SHOWN: usize = 16;
/// So many starts under keys are recorded at once: commits are shared from some tens on.
const TURNS: usize = 64;

/// What came of a start under a key.
pub enum Started {
    /// It runs.
    Now(Running),
    /// The key had started this run before.
    Before(Box<Run>),
}

/// What a run is recorded for.
#[derive(Default)]
pub(super) struct Cause {
    /// The trigger that started it, if one did.
    pub(super) trigger: Option<String>,
    /// The key of the start, if it has one.
    pub(super) key: Option<String>,
    /// How new its subject is, when that is known.
    pub(super) version: Option<Version>,
}

/// What came of a start that is only recorded.
pub(super) enum Accepted<P> {
    /// It is recorded, and begins when it is resumed: with the place that it was given.
    Now(RunId, P),
    /// The key had started this run before.
    Before(RunId),
}

/// Holds those apart who start something under the same key; others now and then, which costs them only time.
pub(super) struct Starting {
    turns: [Mutex<()>; TURNS],
    hashed: RandomState,
}

impl Default for Starting {
    fn default() -> Self {
        Self { turns: std::array::from_fn(|_| Mutex::default()), hashed: RandomState::new() }
    }
}

impl Starting {
    /// To be kept from the look at a start key to the commit of its run.
    async fn under(&self, key: &str) -> MutexGuard<'_, ()> {
        let at = self.hashed.hash_one(key) % TURNS as u64;
        self.turns[usize::try_from(at).unwrap_or_default()].lock().await
    }
}

impl Engine {
    /// Starts a run. When it returns, the run is on disk with all that it needs to be resumed.
    ///
    /// # Errors
    /// [`StartError`]; nothing was recorded then.
    pub async fn start(&self, request: Start) -> Result<Running, StartError> {
        let (run, assembly) = self.pinned(request).await?;
        self.begin(run, assembly, Vec::new()).await
    }

    /// Starts a run unless this key has started one: then that one is returned, whatever became of
    /// it. Two starts under one key at the same time start one run.
    ///
    /// # Errors
    /// [`StartError`]; also when the key has started something else. Nothing was recorded then.
    pub async fn start_once(&self, request: Start, key: &str) -> Result<Started, StartError> {
        let (mut run, assembly) = self.pinned(request).await?;
        run.key = Some(key.to_owned());
        let asked = fingerprint(&run);
        let _alone = self.starting.under(key).await;
        if let Some(before) = self.started_before(key, &asked)? {
            return Ok(Started::Before(Box::new(before)));
        }
        let named = StartKey { key: key.to_owned(), run: run.id, asked, until: None };
        self.begin(run, assembly, vec![Change::StartKey(named)]).await.map(Started::Now)
    }

    /// Records a run, unless its key has started one, and leaves it to a resume to begin it. A new run is
    /// given a place first. When it returns, run and key are on disk, made in one commit.
    ///
    /// # Errors
    /// [`StartError`]; also when there is no place, or the key has started something else. Nothing was
    /// recorded then.
    pub(super) async fn accept<P>(
        &self,
        request: Start,
        cause: Cause,
        place: impl FnOnce(&Run) -> Result<P, Problem>,
    ) -> Result<Accepted<P>, StartError> {
        let Cause { trigger, key, version } = cause;
        let (run, _) = self.pinned(request).await?;
        let run = Run { trigger, key: key.clone(), version: version.map(|version| version.0), ..run };
        let asked = fingerprint(&run);
        let _alone = match &key {
            Some(key) => Some(self.starting.under(key).await),
            None => None,
        };
        if let Some(key) = &key
            && let Some(before) = self.started_before(key, &asked)?
        {
            return Ok(Accepted::Before(before.id));
        }
        let (id, place) = (run.id, place(&run)?);
        let mut changes = vec![Change::Run(Box::new(run))];
        changes.extend(key.map(|key| Change::StartKey(StartKey { key, run: id, asked, until: None })));
        self.store.commit(changes).await.map_err(broken)?;
        Ok(Accepted::Now(id, place))
    }

    /// The run that this key has started, if the key is still remembered.
    fn started_before(&self, key: &str, asked: &Fingerprint) -> Result<Option<Run>, StartError> {
        let Some(started) = self.store.started_under(key).map_err(broken)? else { return Ok(None) };
        let run = self.store.run(started.run).map_err(broken)?;
        if started.is_expired(run.as_ref(), self.ports.clock.now()) {
            return Ok(None);
        }
        let Some(run) = run else { return Err(gone(&started).into()) };
        // A run that goes on under a mended definition is what that definition asks for, too.
        if started.asked == *asked || fingerprint(&run) == *asked {
            return Ok(Some(run));
        }
        Err(another(&started, asked).into())
    }

    /// A run that is not recorded yet, with its definition kept.
    async fn pinned(&self, request: Start) -> Result<(Run, Arc<Assembly>), StartError> {
        let catalog = connectors::catalog();
        let definition = self.memory.definition(&request.file, request.profile.as_deref(), &catalog)?;
        let input = input::join(&definition.checked.workflow, &request.input, &definition.base)
            .map_err(StartError::Input)?;
        let mut assembly = self.assemble(&definition).await?;
        let file = definition.base.join(request.file.file_name().unwrap_or_default());
        let mut files = BTreeMap::new();
        for (name, bytes) in &definition.checked.files {
            files.insert(name.clone(), self.store.put(bytes).map_err(broken)?);
        }
        let (id, now) = (RunId(uuid::Uuid::now_v7().as_u128()), self.ports.clock.now());
        let workflow = &definition.checked.workflow.name;
        let address = self.store.put(&definition.bytes).map_err(broken)?;
        let run = Run {
            files,
            input,
            profile: request.profile,
            started_by: request.by,
            connections: ground::identities(&definition, &catalog, request.driven_by),
            driven_by: request.driven_by,
            ..Run::queued(id, workflow, &file.to_string_lossy(), &address, now)
        };
        assembly.executor = self.executor(&definition, &run, run.driven_by).await?;
        Ok((run, Arc::new(assembly)))
    }

    /// Drives a run. When it returns, the run and what belongs to its record are on disk.
    async fn begin(
        &self,
        run: Run,
        assembly: Arc<Assembly>,
        more: Vec<Change>,
    ) -> Result<Running, StartError> {
        let busy = || StartError::Broken(format!("{} is taken", run.id));
        let taken = self.live.take(run.id).ok_or_else(busy)?;
        let mut running = self.drive(run, Beginning::Anew(more), assembly, taken);
        if running.handle.begun().await.is_ok() {
            return Ok(running);
        }
        let why = running.finished().await.err().map_or_else(String::new, |error| error.to_string());
        Err(StartError::Broken(why))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
fn broken(error: StoreError) -> StartError {
    StartError::Broken(error.to_string())
}

/// What a start asks for.
fn fingerprint(run: &Run) -> Fingerprint {
    let digest = |value: Value| hex(&digest::of(&value).finalize());
    Fingerprint {
        definition: digest(json!([run.definition, run.files, run.profile])),
        input: digest(Value::Object(run.input.clone())),
    }
}

fn another(started: &StartKey, asked: &Fingerprint) -> Problem {
    let (was, StartKey { key, run, .. }) = (&started.asked, started);
    let mut differs = Vec::new();
    if was.definition != asked.definition {
        differs.push(("definition", &was.definition, &asked.definition));
    }
    if was.input != asked.input {
        differs.push(("input", &was.input, &asked.input));
    }
    let names: Vec<&str> = differs.iter().map(|(name, ..)| *name).collect();
    let detail = format!("the key '{key}' has started {run} with another {}", names.join(" and another "));
    let short = |digest: &str| digest.get(..DIGITS_SHOWN).unwrap_or(digest).to_owned();
    let lines =
        differs.iter().map(|(name, was, now)| format!("{name}  then {}  now {}", short(was), short(now)));
    refused(code::START_KEY_USED, detail).candidates(lines).next(format!("milepost show {run}"))
}

fn gone(started: &StartKey) -> Problem {
    let detail = format!(
        "the key '{}' has started {}, whose records were removed; the key is remembered longer",
        started.key, started.run
    );
    refused(code::START_KEY_USED, detail).next("milepost run --help")
}
