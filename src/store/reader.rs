//! Reads, on the caller's thread, straight from the tree.
//!
//! Each record is read whole, as one commit left it. Several records may be of several commits, and
//! a commit may be seen up to one sync (about a millisecond) before it is durable; if that sync
//! fails, the store stops and reads fail too.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::claims::{KeyId, KeyRow};
use crate::core::event::Event;
use crate::core::id::{RunId, Unit};
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::start::StartKey;
use crate::core::tally::{Calls, Tally};

use super::block::{Block, CELLS, ITEMS, Record};
use super::cells::{self, Count, Paged};
use super::claims;
use super::codec;
use super::error::Error;
use super::keys;
use super::rows::Rows;
use super::wire::Input;

impl Rows {
    pub(super) fn run(&self, run: RunId) -> Result<Option<Run>, Error> {
        let key = keys::run(run);
        let Some(payload) = self.get(&key)? else { return Ok(None) };
        cells::from_json(&payload).map(Some).map_err(codec::at(&key))
    }

    pub(super) fn started_under(&self, key: &str) -> Result<Option<StartKey>, Error> {
        let row = keys::start_key(key);
        let Some(payload) = self.get(&row)? else { return Ok(None) };
        cells::from_json(&payload).map(Some).map_err(codec::at(&row))
    }

    /// Every run, newest first.
    pub(super) fn runs(&self) -> Result<Vec<Run>, Error> {
        self.runs_before(None, usize::MAX)
    }

    /// The keys are in the order of age, so no other rows are read.
    pub(super) fn runs_before(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, Error> {
        let Some(last) = before.map_or(Some(u128::MAX), |before| before.0.checked_sub(1)) else {
            return Ok(Vec::new());
        };
        let newest_first = self.range(keys::run(RunId(0)), keys::run(RunId(last))).rev();
        newest_first
            .take(limit)
            .map(|row| {
                let (key, payload) = row?;
                cells::from_json(&payload).map_err(codec::at(&key))
            })
            .collect()
    }

    /// The runs that have not ended, newest first. Of the others, which may be very many, only the status is
    /// read: an engine asks for this before it does anything.
    pub(super) fn unended(&self) -> Result<Vec<Run>, Error> {
        let mut unended = Vec::new();
        for row in self.all(keys::RUNS).rev() {
            let (key, payload) = row?;
            if !cells::status(&payload).map_err(codec::at(&key))?.is_ended() {
                unended.push(cells::from_json(&payload).map_err(codec::at(&key))?);
            }
        }
        Ok(unended)
    }

    /// How many runs there are; none of them is read.
    pub(super) fn run_count(&self) -> Result<usize, Error> {
        let mut keys = self.db.scan_prefix(keys::RUNS).keys();
        keys.try_fold(0, |count, key| key.map(|_| count + 1)).map_err(Error::from)
    }

    pub(super) fn progress(&self, run: RunId, unit: Unit) -> Result<Option<Progress>, Error> {
        let Unit::Item(position) = unit else {
            let units = self.pages(&keys::unit(run, unit))?;
            return Ok(units.into_values().next().and_then(Pages::into_progress));
        };
        let (block, slot) = ITEMS.place(position);
        let key = keys::item_block(run, block);
        let Some(block) = self.block(&key)? else { return Ok(None) };
        self.record(&key, &block, slot)
    }

    pub(super) fn items<T: Record>(
        &self,
        run: RunId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, T)>, Error> {
        self.records(keys::item_block, run, from, limit)
    }

    /// What is kept of a run by item, in the blocks under these keys.
    pub(super) fn records<T: Record>(
        &self,
        block: fn(RunId, u64) -> Vec<u8>,
        run: RunId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, T)>, Error> {
        let (first, _) = ITEMS.place(from);
        let mut records = Vec::new();
        for row in self.range(block(run, first), block(run, u64::MAX)) {
            let (key, payload) = row?;
            let block = Block::decode(&payload).map_err(codec::at(&key))?;
            let number = number_of(&key)?;
            for slot in block.filled() {
                let position = ITEMS.position(number, slot);
                if position < from {
                    continue;
                }
                if records.len() == limit {
                    return Ok(records);
                }
                if let Some(record) = self.record(&key, &block, slot)? {
                    records.push((position, record));
                }
            }
        }
        Ok(records)
    }

    pub(super) fn tally(&self, run: RunId, unit: Unit) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        if matches!(unit, Unit::Item(_)) {
            for row in self.range(keys::tally(run, 0), keys::tally(run, u64::MAX)) {
                let (key, payload) = row?;
                cells::add_tally_page(&mut tally, &payload).map_err(codec::at(&key))?;
            }
            return Ok(tally);
        }
        // Runs and closings are few, so their counts are taken rather than kept.
        for pages in self.pages(&keys::units(run, unit))?.into_values() {
            for (step, calls) in pages.calls() {
                tally.add(step, calls);
            }
            if let Some(progress) = pages.into_progress() {
                tally.shift(None, &progress);
            }
        }
        Ok(tally)
    }

    pub(super) fn key(&self, id: KeyId) -> Result<Option<KeyRow>, Error> {
        let key = keys::key(id);
        let Some(payload) = self.get(&key)? else { return Ok(None) };
        claims::row(&payload).map(Some).map_err(codec::at(&key))
    }

    pub(super) fn watermark(&self, run: RunId) -> Result<u64, Error> {
        let key = keys::watermark(run);
        let Some(payload) = self.get(&key)? else { return Ok(0) };
        Input::new(&payload).number().map_err(codec::at(&key))
    }

    /// How many batches were written.
    pub(super) fn batches(&self) -> Result<u64, Error> {
        let Some(payload) = self.get(keys::LAST)? else { return Ok(0) };
        Input::new(&payload).number().map_err(codec::at(keys::LAST))
    }

    pub(super) fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Event)>, Error> {
        self.range(keys::event(run, from), keys::event(run, u64::MAX))
            .take(limit)
            .map(|row| {
                let (key, payload) = row?;
                let event = cells::from_json(&payload).map_err(codec::at(&key))?;
                Ok((number_of(&key)?, event))
            })
            .collect()
    }

    /// The number the next event of a run gets.
    pub(super) fn events_end(&self, run: RunId) -> Result<u64, Error> {
        match self.db.scan_prefix(keys::events(run)).keys().next_back() {
            None => Ok(0),
            Some(key) => Ok(number_of(&key?)? + 1),
        }
    }

    /// The pages below a prefix, by closing (0 for the run).
    fn pages(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Pages>, Error> {
        let mut units: BTreeMap<Vec<u8>, Pages> = BTreeMap::new();
        for row in self.all(prefix) {
            let (key, payload) = row?;
            let block = Block::decode(&payload).map_err(codec::at(&key))?;
            let page = number_of(&key)?;
            let unit = units.entry(key[..key.len() - 8].to_vec()).or_default();
            for slot in block.filled() {
                if slot == CELLS.extra() {
                    unit.count = self.record::<Count>(&key, &block, slot)?.map(|Count(count)| count);
                } else if let Some(paged) = self.record(&key, &block, slot)? {
                    unit.cells.insert(CELLS.position(page, slot), paged);
                }
            }
        }
        Ok(units)
    }
}

/// One unit that has its cells in pages.
#[derive(Default)]
struct Pages {
    count: Option<u64>,
    cells: BTreeMap<u64, Paged>,
}

impl Pages {
    fn calls(&self) -> impl Iterator<Item = (usize, Calls)> + '_ {
        let step = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
        let cells = self.cells.iter().map(move |(position, paged)| (step(*position), paged.calls));
        cells.filter(|(_, calls)| *calls != Calls::default())
    }

    fn into_progress(mut self) -> Option<Progress> {
        let count = self.count?;
        let cell = |position| Arc::new(self.cells.remove(&position).unwrap_or_default().cell);
        Some(Progress { cells: (0..count).map(cell).collect() })
    }
}

pub(super) fn number_of(key: &[u8]) -> Result<u64, Error> {
    let damaged = || Error::Damaged { key: keys::display(key), what: "its key is too short" };
    keys::last_number(key).ok_or_else(damaged)
}
