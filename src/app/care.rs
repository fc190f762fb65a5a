//! Care for the state: what store and definitions say together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::config::Options;
use crate::connectors;
use crate::connectors::listening::aside;
use crate::core::care::{Backup, Collection, KeptDeadLetter, Size, Verified, may_go};
use crate::core::cell::State;
use crate::core::deed::Done;
use crate::core::id::RunId;
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::time::Timestamp;
use crate::ports::{Clock, Journal, StoreError};
use crate::store::{self, Inspection};
use crate::view::Names;

use super::clock::SystemClock;
use super::definition::Definition;
use super::error::{BackupError, OpenError};
use super::{Engine, opened};

/// How long a file stays that nobody names: longer than anything takes from a file to the row that names it.
const FILES_STAY: Duration = Duration::from_hours(24);
/// Items read from the store in one go.
const SCAN: usize = 400;

/// Why a run stays.
const WORKED_ON: &str = "it is being worked on";

/// Who else works in the state directory while it is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Nobody: nothing is begun meanwhile.
    Nobody,
    /// This engine, on other runs. Files that nobody names stay until they are a day old.
    Others,
}

/// The state is looked at; nothing works on it meanwhile.
pub struct Care(Inspection);

impl Care {
    /// Takes hold of a state directory that exists.
    ///
    /// # Errors
    /// [`OpenError`] says who holds it or what is wrong with it.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let dir = options.state.clone();
        opened(options, move || Inspection::open(&dir, &SystemClock)).await.map(Self)
    }

    /// Checks everything.
    pub fn verify(&self) -> Verified {
        let (pins, catalog) = (self.0.pins(), connectors::catalog());
        self.0.verify(&|run| {
            let definition =
                Definition::from_pins(run, &pins, &catalog).map_err(|error| error.to_string())?;
            Ok(Arc::new(Plan::of(&definition.checked.workflow, &catalog)))
        })
    }

    /// What takes the room.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn size(&self) -> Result<Size, StoreError> {
        self.0.size()
    }
}

/// Makes a state directory from a backup, and opens it once.
///
/// # Errors
/// [`store::RestoreError`]; the state directory is then as it was.
pub async fn restore(file: &Path, options: &Options) -> Result<Backup, store::RestoreError> {
    let (file, dir) = (file.to_owned(), options.state.clone());
    let restored = tokio::task::spawn_blocking(move || store::restore(&file, &dir, &SystemClock)).await;
    restored
        .unwrap_or_else(|error| Err(store::RestoreError::Failed(format!("a defect of Milepost: {error}"))))
}

impl Engine {
    /// What a collection would remove now, and why each run goes or stays (rule R9).
    ///
    /// # Errors
    /// When the state is damaged.
    pub fn collection(&self) -> Result<Collection, StoreError> {
        let now = SystemClock.now();
        self.store.collection(&|run: &Run, _| self.fate(run, now), now)
    }

    /// Why a run goes; `Err`: why it stays.
    fn fate(&self, run: &Run, now: Timestamp) -> Result<String, String> {
        if self.live.handle(run.id).is_some() {
            Err(WORKED_ON.to_owned())
        } else {
            self.fate_at_rest(run, now)
        }
    }

    fn fate_at_rest(&self, run: &Run, now: Timestamp) -> Result<String, String> {
        let known = self.memory.pinned(run, &self.store, &connectors::catalog());
        if run.released.is_none()
            && run.status.is_ended()
            && let Err(error) = &known
        {
            let close = format!("`milepost close {}` lets it go", run.id);
            return Err(format!("how long it is kept cannot be read ({error}): {close}"));
        }
        let kept =
            known.map_or(crate::core::care::RESUMABLE_FOR, |known| known.checked.workflow.resumable_for);
        may_go(run.status, run.ended_at, run.released, kept, now)
    }

    /// Removes what nobody needs beside the runs that are at work, as [`Engine::collect`] does.
    ///
    /// # Errors
    /// When the state is damaged, or the store failed.
    pub async fn collect_beside(self: &Arc<Self>, by: String) -> Result<Collection, StoreError> {
        let collection = self.look_over().await?;
        self.collect(collection, Company::Others, by).await
    }

    /// [`Engine::collection`], away from the threads that wait.
    ///
    /// # Errors
    /// When the state is damaged.
    pub async fn look_over(self: &Arc<Self>) -> Result<Collection, StoreError> {
        let looks = Arc::clone(self);
        aside(move || looks.collection()).await.map_err(|fault| StoreError(fault.to_string()))?
    }

    /// Removes what [`Engine::collection`] says, and keeps that it was done, and by whom. When it returns, that
    /// is durable.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn collect(
        &self,
        mut collection: Collection,
        company: Company,
        by: String,
    ) -> Result<Collection, StoreError> {
        let now = SystemClock.now();
        let mut taken = Vec::new();
        for fate in collection.runs.iter_mut().filter(|fate| fate.goes) {
            let alone = self.live.take(fate.run).ok_or_else(|| WORKED_ON.to_owned());
            // It may have gone on since it was looked at.
            let recorded = self.store.run(fate.run)?;
            let still = recorded.map_or(Ok(String::new()), |run| self.fate_at_rest(&run, now));
            match alone.and_then(|alone| still.and(Ok(alone))) {
                Ok(alone) => taken.push(alone),
                Err(why) => (fate.goes, fate.why) = (false, why),
            }
        }
        let letters = |run: &Run, from, limit| self.dead_letters_of(run, from, limit);
        let files_before = match company {
            Company::Nobody => None,
            Company::Others => (UNIX_EPOCH + Duration::from_millis(now.0)).checked_sub(FILES_STAY),
        };
        let done = self.store.collect(collection, &letters, now, files_before).await?;
        let runs = done.runs.iter().filter(|fate| fate.goes).count() as u64;
        tracing::info!(by, runs, rows = done.rows, files = done.files, "removed what nobody needs");
        self.did(by, Done::Collected { runs, rows: done.rows }).await?;
        Ok(done)
    }

    /// Writes a backup, also while runs are worked on, and keeps that it was written, and by whom.
    ///
    /// # Errors
    /// When the file would lie inside the state directory or cannot be written, or the state is damaged.
    pub async fn backup(&self, file: PathBuf, by: String) -> Result<Backup, BackupError> {
        let dir: &Path = &self.options.state;
        if is_inside(&file, dir) {
            return Err(BackupError::Inside { file, dir: dir.to_owned() });
        }
        let written = Done::BackedUp { file: file.display().to_string() };
        let backup = self.store.backup(file).await?;
        self.did(by, written).await?;
        Ok(backup)
    }

    /// Dead letters whose runs are gone, by run and position, up to `limit` of those behind `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_dead_letters(
        &self,
        after: Option<(RunId, u64)>,
        limit: usize,
    ) -> Result<Vec<KeptDeadLetter>, StoreError> {
        self.store.kept_dead_letters(after, limit)
    }

    /// Removes a dead letter whose run is gone, for good.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn forget_dead_letter(&self, run: RunId, position: u64) -> Result<(), StoreError> {
        self.store.forget_dead_letter(run, position).await
    }

    /// The dead letters of a run from a position on, with all that is known of each.
    fn dead_letters_of(&self, run: &Run, from: u64, limit: usize) -> Result<Vec<KeptDeadLetter>, StoreError> {
        // Without its definition a step has only a number, and the record is lost with its source.
        let plan = self.names.plan(run).ok();
        let mut letters = Vec::new();
        let mut next = from;
        while letters.len() < limit {
            let items = self.store.items(run.id, next, SCAN)?;
            let Some((last, _)) = items.last() else { break };
            next = last + 1;
            let dead = items.iter().filter(|(_, progress)| progress.standing().state == State::DeadLettered);
            letters.extend(dead.map(|(at, progress)| self.dead_letter(run, plan.as_deref(), *at, progress)));
        }
        letters.truncate(limit);
        Ok(letters)
    }

    fn dead_letter(
        &self,
        run: &Run,
        plan: Option<&Plan>,
        position: u64,
        progress: &Progress,
    ) -> KeptDeadLetter {
        let step = progress.standing().step;
        let cell = progress.cells.get(step).cloned().unwrap_or_default();
        let name = plan.and_then(|plan| plan.items.steps.get(step)).map(|known| known.name.clone());
        KeptDeadLetter {
            run: run.id,
            workflow: run.workflow.clone(),
            item: self.names.key(run, position),
            position,
            step: name.unwrap_or_else(|| format!("#{step}")),
            fault: cell.fault.clone(),
            attempts: cell.attempts,
            at: cell.at,
            record: self.names.content(run, position).map_or(Value::Null, |bytes| record_of(&bytes)),
        }
    }
}

/// Whether a file to be written would lie below `dir`, or in its place, whatever links lead there.
fn is_inside(file: &Path, dir: &Path) -> bool {
    let parent = match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return false,
    };
    // Where there is no folder nothing can be written.
    let (Ok(parent), Ok(dir)) = (parent.canonicalize(), dir.canonicalize()) else { return false };
    parent.join(file.file_name().unwrap_or_default()).starts_with(dir)
}

/// A record as it is kept: its value, or its text when it is not JSON.
fn record_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes)))
}
