//! Changes become rows. What a batch touches is gathered here, so that a block or a tally that
//! many changes touch is written once; what was touched lately stays in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::cell::{Cell, State};
use crate::core::change::Change;
use crate::core::event::Event;
use crate::core::id::{RunId, Unit};
use crate::core::progress::Progress;
use crate::core::tally::{Calls, Tally};

use super::block::{Block, CELLS, Found, ITEMS, Record, Shape};
use super::cache::Cache;
use super::cells::{self, Count, Paged};
use super::claims;
use super::codec::{self, frame};
use super::error::Error;
use super::keys;
use super::racks::{RackKey, Racks};
use super::rows::{self, Rows};
use super::wire::put_number;

/// Blocks kept in memory, a few kilobytes each: enough for a thousand items in flight that lie far
/// apart. Up to twice as many are held.
const BLOCKS_KEPT: usize = 1024;
/// Units kept in memory, about a kilobyte each.
const UNITS_KEPT: usize = 2048;
/// Runs whose counts are kept in memory.
const RUNS_KEPT: usize = 1024;

/// The rows of the next batch, and what is known of the rows there are.
pub(super) struct Stage {
    pub(super) rows: Rows,
    blocks: Cache<Vec<u8>, Open>,
    touched_blocks: Vec<Vec<u8>>,
    units: Cache<(RunId, Unit), Progress>,
    runs: Cache<RunId, Counted>,
    touched_runs: Vec<RunId>,
    pub(super) plain: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub(super) racks: Racks,
    /// Queues in which something may have become visible.
    pub(super) stirred: Vec<RackKey>,
}

/// Rows that go and come as a whole, apart from the records that the engine changes.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    pub(super) remove: Vec<Vec<u8>>,
    /// Keys that go if their rows still are these.
    pub(super) unchanged: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys and payloads.
    pub(super) put: Vec<(Vec<u8>, Vec<u8>)>,
    /// A run that is no more: nothing of it is remembered.
    pub(super) gone: Option<RunId>,
}

#[derive(Default)]
struct Open {
    block: Block,
    touched: bool,
}

struct Counted {
    tally: Tally,
    /// The pages as they are stored.
    pages: Vec<Vec<u8>>,
    touched: bool,
    events: u64,
}

impl Stage {
    pub(super) fn new(rows: Rows) -> Self {
        Self {
            rows,
            blocks: Cache::new(BLOCKS_KEPT),
            touched_blocks: Vec::new(),
            units: Cache::new(UNITS_KEPT),
            runs: Cache::new(RUNS_KEPT),
            touched_runs: Vec::new(),
            plain: BTreeMap::new(),
            racks: Racks::default(),
            stirred: Vec::new(),
        }
    }

    /// How many rows the batch has by now.
    pub(super) fn size(&self) -> usize {
        self.touched_blocks.len() + self.touched_runs.len() + self.plain.len()
    }

    /// Adds one change to the batch.
    pub(super) fn apply(&mut self, change: Change) -> Result<(), Error> {
        match change {
            Change::Run(run) => self.put(keys::run(run.id), &cells::put_run(&run)),
            Change::StartKey(key) => self.put(keys::start_key(&key.key), &cells::put_start_key(&key)),
            Change::ForgetStartKey(key) => {
                self.remove(keys::start_key(&key));
                Ok(())
            }
            Change::Mark(mark) => {
                let key = keys::mark(&mark.of, &mark.subject);
                if mark.seen.is_none() {
                    self.remove(key);
                    return Ok(());
                }
                self.put(key, &cells::put_json(serde_json::to_value(&mark)))
            }
            Change::Event(run, event) => self.event(run, &event),
            Change::Progress(run, Unit::Item(position), progress) => self.item(run, position, progress),
            Change::Progress(run, unit, progress) => self.unit(run, unit, progress),
            Change::Calls(run, unit, step, calls) => self.calls(run, unit, step, calls),
            Change::Watermark(run, position) => {
                let mut payload = Vec::new();
                put_number(&mut payload, position);
                self.put(keys::watermark(run), &payload)
            }
            Change::Entrant(run, position, entrant) => self.entrant(run, position, &entrant),
            Change::Body(run, position, body) => self.body(run, position, body.as_deref()),
            Change::Key(id, Some(row)) => self.put(keys::key(id), &claims::put_row(&row)),
            Change::Key(id, None) => {
                self.remove(keys::key(id));
                Ok(())
            }
            Change::Enqueue(messages) => {
                messages.into_iter().try_for_each(|message| self.enqueue(message, None))
            }
            Change::Share(messages) => {
                messages.into_iter().try_for_each(|(message, carried)| self.enqueue(message, Some(carried)))
            }
            Change::Received { receipt, until } => self.received(&receipt, until),
            Change::Hide { receipt, until } => self.hide(&receipt, until),
            Change::Delete(receipt) => self.delete(&receipt).map(drop),
            Change::Bury(receipt) => self.bury(&receipt),
            Change::Alert { run, number, alert: Some(alert) } => {
                self.put(keys::alert(run, number), &cells::put_json(serde_json::to_value(&alert)))
            }
            Change::Alert { run, number, alert: None } => {
                self.remove(keys::alert(run, number));
                Ok(())
            }
            Change::Await(awaiting) => self.listen(&awaiting),
            Change::Deed(deed) => self.deed(&deed),
        }
    }

    /// Adds rows that go and come as a whole, to a batch that touches none of their records.
    pub(super) fn sweep(&mut self, sweep: Sweep) -> Result<(), Error> {
        if let Some(run) = sweep.gone {
            let parts = keys::parts(run);
            self.blocks.retain(|key| !parts.iter().any(|part| key.starts_with(part)));
            self.units.retain(|(of, _)| *of != run);
            self.runs.retain(|of| *of != run);
            self.racks.forget(run);
        }
        self.plain.extend(sweep.remove.into_iter().map(|key| (key, None)));
        for (key, row) in sweep.unchanged {
            let is_touched = self.plain.contains_key(&key);
            if !is_touched && self.rows.db.get(&key)?.is_some_and(|found| *found == *row) {
                self.plain.insert(key, None);
            }
        }
        sweep.put.into_iter().try_for_each(|(key, payload)| self.put(key, &payload))
    }

    /// Ends the batch; `None` when there is nothing to write.
    pub(super) fn finish(&mut self) -> Result<Option<sled::Batch>, Error> {
        if self.size() == 0 {
            return Ok(None);
        }
        let mut batch = sled::Batch::default();
        for key in std::mem::take(&mut self.touched_blocks) {
            let open = self.blocks.get(&key).expect("what a batch touched is kept until here");
            open.touched = false;
            if open.block.is_empty() {
                self.blocks.remove(&key);
                batch.remove(key);
            } else {
                let row = frame(&key, &open.block.encode(), &self.rows.files)?;
                batch.insert(key, row);
            }
        }
        for run in std::mem::take(&mut self.touched_runs) {
            let counted = self.runs.get(&run).expect("what a batch touched is kept until here");
            counted.touched = false;
            let pages = cells::put_tally(&counted.tally);
            for (number, page) in pages.iter().enumerate() {
                if counted.pages.get(number) != Some(page) {
                    let key = keys::tally(run, number as u64);
                    let row = frame(&key, page, &self.rows.files)?;
                    batch.insert(key, row);
                }
            }
            counted.pages = pages;
        }
        for (key, row) in std::mem::take(&mut self.plain) {
            match row {
                Some(row) => batch.insert(key, row),
                None => batch.remove(key),
            }
        }
        self.blocks.settle();
        self.units.settle();
        self.runs.settle();
        Ok(Some(batch))
    }

    /// The record in a slot, as the batch leaves it.
    pub(super) fn record<T: Record>(&mut self, key: &[u8], slot: usize) -> Result<Option<T>, Error> {
        match self.open(key)?.block.get(slot).map_err(codec::at(key))? {
            Found::Nothing => return Ok(None),
            Found::Here(record) => return Ok(Some(record)),
            Found::Spilled => {}
        }
        let spill = keys::spill(key, slot);
        let payload = match self.plain.get(&spill) {
            Some(Some(row)) => Some(codec::unframe(&spill, row, &self.rows.files)?),
            Some(None) => None,
            None => self.rows.get(&spill)?,
        };
        let missing = || Error::Damaged { key: keys::display(&spill), what: "it is missing" };
        rows::alone(&spill, &payload.ok_or_else(missing)?).map(Some)
    }

    /// Puts a record into a slot.
    pub(super) fn put_record<T: Record>(
        &mut self,
        key: &[u8],
        shape: Shape,
        slot: usize,
        record: &T,
    ) -> Result<(), Error> {
        let put = self.open(key)?.block.put(shape, slot, record);
        if put.changed {
            self.touch(key)?;
        }
        match put.spill {
            Some(payload) => self.put(keys::spill(key, slot), &payload)?,
            None if put.was_spilled => {
                self.plain.insert(keys::spill(key, slot), None);
            }
            None => {}
        }
        Ok(())
    }

    /// Empties a slot.
    pub(super) fn clear(&mut self, key: &[u8], slot: usize) -> Result<(), Error> {
        let was_spilled = self.open(key)?.block.clear(slot);
        if was_spilled {
            self.plain.insert(keys::spill(key, slot), None);
        }
        self.touch(key)
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.plain.insert(key, None);
    }

    pub(super) fn put(&mut self, key: Vec<u8>, payload: &[u8]) -> Result<(), Error> {
        let row = frame(&key, payload, &self.rows.files)?;
        self.plain.insert(key, Some(row));
        Ok(())
    }

    /// The rows as they were before the batch.
    pub(super) fn stored(&self) -> &Rows {
        &self.rows
    }

    /// The number of the last row that the batch puts below `prefix`.
    pub(super) fn newest_below(&self, prefix: &[u8]) -> Option<u64> {
        let staged = self.plain.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        staged.filter(|(_, row)| row.is_some()).last().and_then(|(key, _)| keys::last_number(key))
    }

    pub(super) fn event(&mut self, run: RunId, event: &Event) -> Result<(), Error> {
        let counted = self.counted(run)?;
        let number = counted.events;
        counted.events += 1;
        self.put(keys::event(run, number), &cells::put_event(event))
    }

    fn item(&mut self, run: RunId, position: u64, progress: Progress) -> Result<(), Error> {
        let unit = Unit::Item(position);
        let (block, slot) = ITEMS.place(position);
        let key = keys::item_block(run, block);
        let old = match self.units.remove(&(run, unit)) {
            Some(old) => Some(old),
            None => self.record(&key, slot)?,
        };
        self.counted_to_change(run)?.tally.shift(old.as_ref(), &progress);
        self.put_record(&key, ITEMS, slot, &progress)?;
        self.keep(run, unit, progress);
        Ok(())
    }

    /// A unit that is not an item: only the cells that changed are written, so that a run of a
    /// thousand steps writes one page per commit.
    fn unit(&mut self, run: RunId, unit: Unit, progress: Progress) -> Result<(), Error> {
        let old = self.unit_before(run, unit)?;
        for (step, cell) in progress.cells.iter().enumerate() {
            let before = old.as_ref().and_then(|old| old.cells.get(step));
            // Most are the very same: a change of one step leaves the others shared.
            if before.is_some_and(|before| Arc::ptr_eq(before, cell) || before == cell) {
                continue;
            }
            let (page, slot) = CELLS.place(step as u64);
            let key = keys::unit_page(run, unit, page);
            let calls = self.record::<Paged>(&key, slot)?.unwrap_or_default().calls;
            self.put_record(&key, CELLS, slot, &Paged { cell: Cell::clone(cell), calls })?;
        }
        let count = progress.cells.len();
        if old.is_none_or(|old| old.cells.len() != count) {
            let key = keys::unit_page(run, unit, 0);
            self.put_record(&key, CELLS, CELLS.extra(), &Count(count as u64))?;
        }
        self.keep(run, unit, progress);
        Ok(())
    }

    fn unit_before(&mut self, run: RunId, unit: Unit) -> Result<Option<Progress>, Error> {
        if let Some(old) = self.units.remove(&(run, unit)) {
            return Ok(Some(old));
        }
        let first = keys::unit_page(run, unit, 0);
        let Some(Count(count)) = self.record(&first, CELLS.extra())? else { return Ok(None) };
        let mut cells = Vec::new();
        for step in 0..count {
            let (page, slot) = CELLS.place(step);
            let paged: Option<Paged> = self.record(&keys::unit_page(run, unit, page), slot)?;
            cells.push(paged.unwrap_or_default().cell);
        }
        Ok(Some(Progress::of(cells)))
    }

    fn calls(&mut self, run: RunId, unit: Unit, step: usize, calls: Calls) -> Result<(), Error> {
        if matches!(unit, Unit::Item(_)) {
            self.counted_to_change(run)?.tally.add(step, calls);
            return Ok(());
        }
        let (page, slot) = CELLS.place(step as u64);
        let key = keys::unit_page(run, unit, page);
        let mut paged: Paged = self.record(&key, slot)?.unwrap_or_default();
        let mut sum = Tally::default();
        sum.add(0, paged.calls);
        sum.add(0, calls);
        paged.calls = sum.steps[0].calls;
        self.put_record(&key, CELLS, slot, &paged)
    }

    /// Remembers a unit that will probably change again.
    fn keep(&mut self, run: RunId, unit: Unit, progress: Progress) {
        let over = |state: State| state.is_final() || matches!(state, State::Waiting(_));
        if !progress.cells.iter().all(|cell| over(cell.state)) {
            self.units.insert((run, unit), progress);
        }
    }

    fn counted_to_change(&mut self, run: RunId) -> Result<&mut Counted, Error> {
        if !self.counted(run)?.touched {
            self.touched_runs.push(run);
        }
        let counted = self.counted(run)?;
        counted.touched = true;
        Ok(counted)
    }

    fn counted(&mut self, run: RunId) -> Result<&mut Counted, Error> {
        if self.runs.get(&run).is_none() {
            let tally = self.rows.tally(run, Unit::Item(0))?;
            let events = self.rows.events_end(run)?;
            self.runs.insert(run, Counted { tally, pages: Vec::new(), touched: false, events });
        }
        Ok(self.runs.get(&run).expect("it was put there above"))
    }

    fn open(&mut self, key: &[u8]) -> Result<&mut Open, Error> {
        if self.blocks.get(key).is_none() {
            let block = self.rows.block(key)?.unwrap_or_default();
            self.blocks.insert(key.to_vec(), Open { block, touched: false });
        }
        Ok(self.blocks.get(key).expect("it was put there above"))
    }

    fn touch(&mut self, key: &[u8]) -> Result<(), Error> {
        let open = self.open(key)?;
        if !open.touched {
            open.touched = true;
            self.touched_blocks.push(key.to_vec());
        }
        Ok(())
    }
}
