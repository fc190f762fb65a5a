//! Keeping sled's file small: the blocks of finished items are laid side by side.
//!
//! sled appends every change of a page to its file, and writes the page anew when it has ten of them.
//! A segment of the file is given back once less than half of it is still in use. A block of items
//! is written again with every commit that touches it, so what is finished in the end lies among what is not in use
//! any more, and segments stay half empty for good. Pages that are written anew one right after the
//! other lie densely, and the segments that they come from are given back.
//!
//! Idempotency keys come in no order, so their pages are never finished. What helps there is to move
//! pages out of half-empty segments sooner: sled moves one whenever it writes any page anew, also that of
//! a tree in which nothing is.
//!
//! A page is written anew by changes that change nothing: what is compared with nothing, at a key that is not
//! there, is replaced by nothing. A sled that left such changes out would only leave its file larger.
//! What they move is as dear as ever, and sled uses a segment again when it takes its pages for safe elsewhere,
//! which they are after our own sync only. So no more than a batch of items is moved between two syncs.

use crate::core::id::RunId;

use super::block::ITEMS;
use super::cache::Cache;
use super::error::Error;
use super::keys;
use super::rows::Rows;
use super::stage::Stage;
use super::wire::put_number;
use super::writer::MakeDurable;

/// Rows of one page: sled leaves nine behind when rows come in order.
const PAGE_ROWS: u64 = 8;
/// Changes after which a page was surely written anew.
const CHANGES: usize = 10;
/// Finished rows that are worth it, in bytes: they fill more than half of a segment. No more than
/// twice as many are taken at once, so that nobody waits for long.
const STROKE_BYTES: u64 = 320 << 10;
/// Most bytes of rows that are moved between two syncs: less than the greatest batch writes.
const UNSYNCED_BYTES_MAX: u64 = 128 << 10;
/// A tree in which nothing is.
const NOTHING: &str = "broom";
/// Rows of keys for which one page is moved.
const KEYS_PER_PAGE: u64 = 5;
/// Pages that are moved between two syncs.
const PAGES_AT_ONCE: u64 = 32;
/// Runs whose finished blocks are known.
const RUNS_KEPT: usize = 1024;

/// How far the blocks of each run are laid.
pub(super) struct Broom {
    runs: Cache<RunId, Reach>,
    due: Vec<RunId>,
    /// Rows of keys since pages were moved for them.
    keys: u64,
}

#[derive(Clone, Copy, Debug)]
struct Reach {
    /// Blocks before this one are laid, or were there when the store was opened.
    laid: u64,
    /// Blocks before this one are finished.
    finished: u64,
}

impl Broom {
    pub(super) fn new() -> Self {
        Self { runs: Cache::new(RUNS_KEPT), due: Vec::new(), keys: 0 }
    }

    /// A row of an idempotency key is written.
    pub(super) fn key(&mut self) {
        self.keys += 1;
    }

    /// Forgets a run that is no more.
    pub(super) fn forget(&mut self, run: RunId) {
        self.runs.remove(&run);
        self.due.retain(|due| *due != run);
    }
}

impl Stage {
    /// Every item before a position is at rest.
    pub(super) fn watermark(&mut self, run: RunId, position: u64) -> Result<(), Error> {
        let (finished, _) = ITEMS.place(position);
        let known = self.broom.runs.get(&run).copied();
        let laid = match known {
            Some(reach) => reach.laid,
            None => ITEMS.place(self.rows.watermark(run)?).0,
        };
        // What is done anew is laid anew.
        self.broom.runs.insert(run, Reach { laid: laid.min(finished), finished });
        if !self.broom.due.contains(&run) {
            self.broom.due.push(run);
        }
        let mut payload = Vec::new();
        put_number(&mut payload, position);
        self.put(keys::watermark(run), &payload)
    }

    /// Lays finished blocks side by side where there are enough of them, moves pages for keys, and makes
    /// that durable. To be called between two batches.
    pub(super) fn lay(&mut self, sync: &mut MakeDurable) -> Result<(), Error> {
        for run in std::mem::take(&mut self.broom.due) {
            let Some(reach) = self.broom.runs.get(&run).copied() else { continue };
            let laid = lay(&self.rows, run, reach, sync)?;
            self.broom.runs.insert(run, Reach { laid, ..reach });
            if laid > reach.laid && reach.finished.saturating_sub(laid) >= PAGE_ROWS {
                // More than is taken at once: the rest comes behind the next batch.
                self.broom.due.push(run);
            }
        }
        self.broom.runs.settle();
        while self.broom.keys >= KEYS_PER_PAGE * PAGES_AT_ONCE {
            self.broom.keys -= KEYS_PER_PAGE * PAGES_AT_ONCE;
            let nothing = self.rows.db.open_tree(NOTHING)?;
            for _ in 0..PAGES_AT_ONCE {
                write_anew(&nothing, b"")?;
            }
            sync()?;
        }
        Ok(())
    }
}

/// Has the page written anew in which `absent` would lie.
fn write_anew(tree: &sled::Tree, absent: &[u8]) -> Result<(), Error> {
    for _ in 0..CHANGES {
        // Refused would mean that something is there: then its page is left as it is.
        let _ = tree.compare_and_swap(absent, None::<&[u8]>, None::<&[u8]>)?;
    }
    Ok(())
}

/// Lays the blocks of one run; returns how far that went.
fn lay(rows: &Rows, run: RunId, reach: Reach, sync: &mut MakeDurable) -> Result<u64, Error> {
    let Reach { mut laid, finished } = reach;
    let row = rows.db.get(keys::item_block(run, laid))?;
    let row_bytes = row.map_or(0, |row| row.len() as u64);
    if finished.saturating_sub(laid).saturating_mul(row_bytes) < STROKE_BYTES {
        return Ok(laid);
    }
    let end = finished.min(laid.saturating_add(2 * STROKE_BYTES / row_bytes.max(1)));
    let mut unsynced = 0;
    while end.saturating_sub(laid) >= PAGE_ROWS {
        // A key between two rows of the page, at which nothing ever is.
        let mut absent = keys::item_block(run, laid + PAGE_ROWS / 2);
        absent.push(0);
        write_anew(&rows.db, &absent)?;
        laid += PAGE_ROWS;
        unsynced += PAGE_ROWS * row_bytes;
        if unsynced >= UNSYNCED_BYTES_MAX {
            sync()?;
            unsynced = 0;
        }
    }
    if unsynced > 0 {
        sync()?;
    }
    Ok(laid)
}
