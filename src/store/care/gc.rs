//! Removing what nobody needs (rule R9), so that a crash at any point leaves a sound state.
//!
//! A run goes in this order, each line one durable batch or several:
//!
//! 1. each of its dead letters is kept in a row of its own; while the run is there these rows are
//!    not shown, so a crash here changes nothing;
//! 2. in one batch the run's own row goes, its start key is told how long it is remembered, and the
//!    mark of its removal comes: from here on there is no such run, and whatever is left of it is known to be a remainder;
//! 3. its other rows go; the mark goes with the last of them.
//!
//! Files go last, when no row names them any more. What is left of a removal that was cut short is
//! read from the store itself, so the next collection goes on where it was.

use std::collections::{BTreeSet, HashSet};
use std::time::SystemTime;

use serde_json::Value;

use crate::core::care::{Collection, KeptDeadLetter, RunFate};
use crate::core::id::{RunId, Unit};
use crate::core::run::Run;
use crate::core::start::{self, StartKey};
use crate::core::time::Timestamp;
use crate::ports::StoreError;

use super::super::Store;
use super::super::cells;
use super::super::codec;
use super::super::error::Error;
use super::super::keys;
use super::super::rows::Rows;
use super::super::stage::Sweep;
use super::walk::{self, Raw};
use super::{expiry, kept, words};

/// Rows removed, or put, in one batch.
const BATCH: usize = 400;

/// Why a run goes; `Err`: why it stays. The count is of its dead letters.
pub type Retention<'a> = dyn Fn(&Run, u64) -> Result<String, String> + Sync + 'a;

/// The dead letters of a run from a position on, at most so many, as they are to be kept.
pub type DeadLettersOf<'a> = dyn Fn(&Run, u64, usize) -> Result<Vec<KeptDeadLetter>, StoreError> + Sync + 'a;

impl Store {
    /// What a collection would remove now. Changes nothing.
    ///
    /// # Errors
    /// When a row is damaged: nothing is removed from a store that is not sound.
    pub fn collection(&self, retention: &Retention<'_>, now: Timestamp) -> Result<Collection, StoreError> {
        Ok(plan(self.rows()?, retention, now)?)
    }

    /// Removes what [`Store::collection`] said. When it returns, that is durable. Nobody may work on one of
    /// its runs meanwhile. Files are put before the rows that name them: unless nobody works on any run,
    /// only those may go that were written before `files_before`.
    ///
    /// # Errors
    /// When the store, or `letters`, failed; the next collection then goes on.
    pub async fn collect(
        &self,
        mut collection: Collection,
        letters: &DeadLettersOf<'_>,
        now: Timestamp,
        files_before: Option<SystemTime>,
    ) -> Result<Collection, StoreError> {
        let _alone = self.0.care.lock().await;
        collection.rows = 0;
        let going = collection.runs.iter().filter(|fate| fate.goes).map(|fate| fate.run);
        for id in collection.completed.clone().into_iter().chain(going) {
            collection.rows += self.remove(id, letters).await?;
        }
        collection.rows += self.remove_expired(now).await?;
        let (store, rows) = (self.clone(), self.rows()?.clone());
        let removed = tokio::task::spawn_blocking(move || {
            // Holds the store until the last file is gone.
            let _store = store;
            remove_files(&rows, files_before)
        });
        let removed = removed.await.map_err(|error| StoreError(error.to_string()))??;
        (collection.files, collection.file_bytes) = removed;
        collection.done = true;
        Ok(collection)
    }

    /// Removes one run; returns how many rows that took.
    async fn remove(&self, id: RunId, letters: &DeadLettersOf<'_>) -> Result<u64, StoreError> {
        if let Some(run) = self.rows()?.run(id)? {
            self.keep_dead_letters(&run, letters).await?;
        }
        let mut removed = 0;
        while let Some(sweep) = removal(self.rows()?, id)? {
            // The mark comes and goes by itself.
            removed += sweep.remove.iter().filter(|key| !key.starts_with(keys::GOING)).count() as u64;
            self.0.writer.sweep(sweep).await?;
        }
        Ok(removed)
    }

    async fn keep_dead_letters(&self, run: &Run, letters: &DeadLettersOf<'_>) -> Result<(), StoreError> {
        if self.rows()?.tally(run.id, Unit::Item(0))?.units.dead_lettered == 0 {
            return Ok(());
        }
        let mut from = 0;
        loop {
            let page = letters(run, from, BATCH)?;
            let Some(last) = page.last() else { return Ok(()) };
            from = last.position + 1;
            let put = page.iter().map(|letter| (keys::kept(run.id, letter.position), kept::encode(letter)));
            self.0.writer.sweep(Sweep { put: put.collect(), ..Sweep::default() }).await?;
        }
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut expired = Vec::new();
        for raw in walk::rows(self.rows()?, b"") {
            let raw = raw?;
            if is_expired(&raw, self.rows()?, now) {
                expired.push((raw.key.to_vec(), raw.row.to_vec()));
            }
        }
        for batch in expired.chunks(BATCH) {
            // One that was written anew meanwhile has another time.
            self.0.writer.sweep(Sweep { unchanged: batch.to_vec(), ..Sweep::default() }).await?;
        }
        Ok(expired.len() as u64)
    }
}

/// The next batch that removes a run; `None` when nothing is left of it.
pub(super) fn removal(rows: &Rows, run: RunId) -> Result<Option<Sweep>, Error> {
    let (own, mark) = (keys::run(run), keys::going(run));
    if let Some(record) = rows.run(run)? {
        let mut put = vec![(mark, Vec::new())];
        put.extend(outliving(rows, &record)?);
        return Ok(Some(Sweep { remove: vec![own], put, gone: Some(run), ..Sweep::default() }));
    }
    let mut remove = Vec::new();
    for prefix in keys::parts(run) {
        for key in rows.db.scan_prefix(prefix).keys() {
            remove.push(key?.to_vec());
            if remove.len() == BATCH {
                return Ok(Some(Sweep { remove, ..Sweep::default() }));
            }
        }
    }
    if rows.db.contains_key(&mark)? {
        remove.push(mark);
    }
    Ok((!remove.is_empty()).then(|| Sweep { remove, ..Sweep::default() }))
}

/// A key and a payload.
type Row = (Vec<u8>, Vec<u8>);

/// The start key of a run, to be remembered when the run is gone.
fn outliving(rows: &Rows, run: &Run) -> Result<Option<Row>, Error> {
    let Some(key) = &run.key else { return Ok(None) };
    let ours = rows.started_under(key)?.filter(|started| started.run == run.id);
    Ok(ours.map(|started| {
        let until = Some(run.ended_at.max(run.released).unwrap_or(run.started_at).after(start::KEEP));
        (keys::start_key(key), cells::put_start_key(&StartKey { until, ..started }))
    }))
}

/// Removes the files that no row names and that were written before then; returns how many, and their bytes.
pub(super) fn remove_files(rows: &Rows, before: Option<SystemTime>) -> Result<(u64, u64), Error> {
    let (mut files, mut bytes) = (0, 0);
    for (address, length) in unnamed(rows, &HashSet::new())? {
        if rows.files.remove(&address, before)? {
            files += 1;
            bytes += length;
        }
    }
    Ok((files, bytes))
}

fn plan(rows: &Rows, retention: &Retention<'_>, now: Timestamp) -> Result<Collection, Error> {
    let mut collection = Collection::default();
    let mut going = HashSet::new();
    for run in rows.runs()?.into_iter().rev() {
        let dead_letters = rows.tally(run.id, Unit::Item(0))?.units.dead_lettered;
        let fate = retention(&run, dead_letters);
        let goes = fate.is_ok();
        if goes {
            going.insert(run.id);
        }
        let why = fate.unwrap_or_else(|why| why);
        let Run { id, workflow, status, .. } = run;
        collection.runs.push(RunFate { run: id, workflow, status, goes, why, dead_letters });
    }
    for key in rows.db.scan_prefix(keys::GOING).keys() {
        collection.completed.extend(words::run_in(&key?).filter(|run| going.insert(*run)));
    }
    for raw in walk::rows(rows, b"") {
        let raw = raw?;
        let damaged = |what| Error::Damaged { key: words::place(&raw.key), what };
        codec::check(&raw.key, &raw.row).map_err(damaged)?;
        if is_expired(&raw, rows, now) {
            collection.expired_keys += 1;
            collection.rows += 1;
        } else if !raw.key.starts_with(keys::GOING) && is_of(&raw, &going) {
            collection.rows += 1;
        }
    }
    for (_, bytes) in unnamed(rows, &going)? {
        collection.files += 1;
        collection.file_bytes += bytes;
    }
    Ok(collection)
}

fn is_of(raw: &Raw, runs: &HashSet<RunId>) -> bool {
    words::run_of(&raw.key).is_some_and(|run| runs.contains(&run))
}

fn is_expired(raw: &Raw, rows: &Rows, now: Timestamp) -> bool {
    // Rows of runs go with their runs, and only those.
    words::run_of(&raw.key).is_none()
        && raw.payload(rows).is_ok_and(|payload| expiry::is_expired(&raw.key, &payload, now))
}

/// The files that nobody would name any more without these runs.
fn unnamed(rows: &Rows, without: &HashSet<RunId>) -> Result<Vec<(String, u64)>, Error> {
    let mut named = BTreeSet::new();
    for raw in walk::rows(rows, b"") {
        let raw = raw?;
        if is_of(&raw, without) {
            continue;
        }
        named.extend(raw.address());
        // Runs and their events name files in several places, and later versions in more: every
        // text that looks like an address counts as one.
        if matches!(raw.key.first(), Some(b'R' | b'V')) {
            let value: Value = cells::from_json(&raw.payload(rows)?).map_err(codec::at(&raw.key))?;
            addresses_in(&value, &mut named);
        }
    }
    let all = rows.files.all()?.addresses;
    Ok(all.into_iter().filter(|(address, _)| !named.contains(address)).collect())
}

fn addresses_in(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.len() == 64 => drop(found.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| addresses_in(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| addresses_in(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
