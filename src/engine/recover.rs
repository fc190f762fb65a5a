//! What a resume will do, read from the store; and doing the first part of it: giving new budgets.

use crate::core::cell::IllegalTransition;
use crate::core::change::Change;
use crate::core::id::Unit;
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::resume::{self, Planner, ResumePlan};
use crate::core::run::Run;
use crate::core::time::Timestamp;
use crate::ports::{Journal, StoreError};

/// Items read from the store in one go: a few blocks, so that memory stays flat.
const SCAN: usize = 1_000;

/// A resume cannot be prepared.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The records contradict each other.
    #[error("the records contradict each other: {0}")]
    Transition(#[from] IllegalTransition),
}

/// What a resume of `run` will do. Changes nothing.
///
/// # Errors
/// [`StoreError`] when the records cannot be read.
pub fn plan(journal: &dyn Journal, plan: &Plan, run: &Run) -> Result<ResumePlan, StoreError> {
    let mut of_run = Planner::new(&plan.run, run.id, run.epoch);
    if let Some(progress) = journal.progress(run.id, Unit::Run)? {
        of_run.add(Unit::Run, &progress);
    }
    let mut of_items = Planner::new(&plan.items, run.id, run.epoch);
    each_item(journal, run, |position, progress| {
        of_items.add(Unit::Item(position), progress);
    })?;
    let total = run.source.as_ref().map_or(0, |source| source.count);
    let run_units = u64::from(!plan.run.steps.is_empty());
    Ok(resume::join(run.id, vec![of_run.finish(run_units), of_items.finish(total)]))
}

/// Gives new budgets to what was given up, as the plan said. When it returns, the run's records
/// say so durably; a crash in the middle is harmless, the rest is done by the next resume.
///
/// # Errors
/// [`Error`]; what was committed before stays.
pub async fn revive(journal: &dyn Journal, plan: &Plan, run: &Run, now: Timestamp) -> Result<(), Error> {
    let mut pending: Vec<Change> = Vec::new();
    if let Some(mut progress) = journal.progress(run.id, Unit::Run)? {
        let events = resume::revival(&plan.run, &progress);
        if !events.is_empty() {
            for (step, kind) in events {
                progress.apply(&plan.run, step, kind, now)?;
            }
            pending.push(Change::Progress(run.id, Unit::Run, progress));
        }
    }
    let standing = journal.tally(run.id, Unit::Item(0))?.units;
    // Without any of these no record changes, and a million items need not be read.
    let given_up = standing.dead_lettered + standing.in_doubt + standing.cancelled > 0;
    let mut revived: Vec<(u64, Progress)> = Vec::new();
    let mut first: Option<u64> = None;
    let mut from = given_up.then_some(0);
    while let Some(begin) = from.take() {
        let items = journal.items(run.id, begin, SCAN)?;
        let Some((last, _)) = items.last() else { break };
        from = Some(last + 1);
        for (position, mut progress) in items {
            let events = resume::revival(&plan.items, &progress);
            if events.is_empty() {
                continue;
            }
            for (step, kind) in events {
                progress.apply(&plan.items, step, kind, now)?;
            }
            revived.push((position, progress));
        }
        if first.is_none() && !revived.is_empty() {
            first = revived.first().map(|(position, _)| *position);
            let watermark = journal.watermark(run.id)?.min(first.unwrap_or(u64::MAX));
            pending.push(Change::Watermark(run.id, watermark));
        }
        pending.extend(
            revived
                .drain(..)
                .map(|(position, progress)| Change::Progress(run.id, Unit::Item(position), progress)),
        );
        if !pending.is_empty() {
            journal.commit(std::mem::take(&mut pending)).await?;
        }
    }
    if !pending.is_empty() {
        journal.commit(pending).await?;
    }
    Ok(())
}

/// The position of an item in the source; none for a unit of another track.
pub fn position(unit: Unit) -> Option<u64> {
    match unit {
        Unit::Item(position) => Some(position),
        Unit::Run | Unit::Closing(_) => None,
    }
}

fn each_item(
    journal: &dyn Journal,
    run: &Run,
    mut visit: impl FnMut(u64, &Progress),
) -> Result<(), StoreError> {
    let mut from = 0;
    loop {
        let items = journal.items(run.id, from, SCAN)?;
        let Some((last, _)) = items.last() else { return Ok(()) };
        from = last + 1;
        for (position, progress) in &items {
            visit(*position, progress);
        }
    }
}
