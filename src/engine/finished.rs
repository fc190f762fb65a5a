//! How far a run is finished, told by counts: a resume of a million items looks at those that are not.

use crate::core::id::Unit;
use crate::core::plan::Track;
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::tally::Counts;
use crate::ports::{Journal, StoreError};

/// Items read from the store in one go: a few blocks, so that memory stays flat.
pub(super) const SCAN: usize = 400;

/// A position before which every item has a record, and is passed at every step of the track under the
/// revision that the step has now. It is the watermark, or 0 where that cannot be said without
/// reading the items before it.
///
/// The watermark says that those before it are at rest, which dead letters are as well. But the counts
/// move with every record, in the same commit: when the items behind the watermark are read, and what is
/// left of the counts is as many passed items as there are positions before it, then these are those.
///
/// # Errors
/// [`StoreError`] when the records cannot be read.
pub(super) fn finished_before(journal: &dyn Journal, track: &Track, run: &Run) -> Result<u64, StoreError> {
    // What was done under an earlier revision may be out of date: its record says so.
    if track.steps.is_empty() || track.steps.iter().any(|step| step.revision > 0) {
        return Ok(0);
    }
    let watermark = journal.watermark(run.id)?;
    let tally = journal.tally(run.id, Unit::Item(0))?;
    let records = tally.units.total();
    // A record may be older than the last steps of its track.
    let reaches_all = tally.steps.len() >= track.steps.len()
        && tally.steps.iter().take(track.steps.len()).all(|step| step.units.total() == records);
    // Where most items are behind the watermark, it is as well to read them all.
    let mostly_before = watermark > 0 && records >= watermark && records - watermark <= watermark;
    if !reaches_all || !mostly_before {
        return Ok(0);
    }
    let (mut behind, mut passed_behind) = (0, 0);
    each_item_from(journal, run, watermark, |_, progress| {
        behind += 1;
        passed_behind += u64::from(is_passed(&progress));
    })?;
    let all_there = watermark.checked_add(behind) == Some(records);
    let all_passed = watermark.checked_add(passed_behind) == Some(passed(&tally.units));
    Ok(if all_there && all_passed { watermark } else { 0 })
}

fn is_passed(progress: &Progress) -> bool {
    progress.cells.iter().all(|cell| cell.state.is_passed())
}

/// Units are counted by where they stand as a whole, and that is passed only when every step is.
fn passed(units: &Counts) -> u64 {
    units.succeeded + units.skipped
}

/// The items from a position on that have a record, in order, without the facts.
///
/// # Errors
/// [`StoreError`] when the records cannot be read.
pub(super) fn each_item_from(
    journal: &dyn Journal,
    run: &Run,
    mut from: u64,
    mut visit: impl FnMut(u64, Progress),
) -> Result<(), StoreError> {
    loop {
        let items = journal.outlines(run.id, from, SCAN)?;
        let Some((last, _)) = items.last() else { return Ok(()) };
        from = last + 1;
        for (position, progress) in items {
            visit(position, progress);
        }
    }
}
