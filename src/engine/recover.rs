//! What a resume will do, read from the store; and doing the first part of it: giving new budgets.

use crate::core::cell::{IllegalTransition, State};
use crate::core::change::Change;
use crate::core::id::Unit;
use crate::core::plan::{Plan, Track};
use crate::core::progress::Progress;
use crate::core::redefine::Records;
use crate::core::resume::{self, Planner, ResumePlan};
use crate::core::run::Run;
use crate::core::selection::{Positions, Selection};
use crate::core::tally::Counts;
use crate::core::time::Timestamp;
use crate::ports::{Journal, StoreError};

use super::finished::{SCAN, each_item_from, finished_before};

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

/// What a resume of the selected items of `run` will do. Changes nothing.
///
/// # Errors
/// [`StoreError`] when the records cannot be read.
pub fn plan(
    journal: &dyn Journal,
    plan: &Plan,
    run: &Run,
    selection: &Selection,
) -> Result<ResumePlan, StoreError> {
    let mut of_run = Planner::new(&plan.run, run.id, run.epoch).selecting(selection).revised(&run.revisions);
    if let Some(progress) = journal.progress(run.id, Unit::Run)? {
        of_run.add(Unit::Run, &progress.fitted(&plan.run));
    }
    let mut of_items =
        Planner::new(&plan.items, run.id, run.epoch).selecting(selection).revised(&run.revisions);
    let finished = finished_before(journal, &plan.items, run)?;
    of_items.add_finished(finished);
    each_item_from(journal, run, finished, |position, progress| {
        of_items.add(Unit::Item(position), &progress.fitted(&plan.items));
    })?;
    let total = run.source.as_ref().map_or(0, |source| source.count);
    let run_units = u64::from(!plan.run.steps.is_empty());
    let mut tracks = vec![of_run.finish(run_units), of_items.finish(total)];
    if let Some(number) = run.open_closing() {
        let mut of_closing = Planner::new(&plan.closing, run.id, run.epoch);
        if let Some(progress) = journal.progress(run.id, Unit::Closing(number))? {
            of_closing.add(Unit::Closing(number), &progress.fitted(&plan.closing));
        }
        tracks.push(of_closing.finish(1));
    }
    Ok(resume::join(run.id, tracks).sealed(run, selection))
}

/// What was given new budgets.
#[derive(Clone, Debug, Default)]
pub struct Revived {
    /// The positions of the selected items; `None`: all.
    pub chosen: Option<Positions>,
    /// Something begins anew that had ended: where a step was left behind, it has work again.
    pub anew: bool,
}

/// Gives new budgets to what was given up, as the plan said. When it returns, the run's records say so durably; a crash in the middle is
/// harmless, the rest is done by the next resume.
///
/// # Errors
/// [`Error`]; what was committed before stays.
pub async fn revive(
    journal: &dyn Journal,
    plan: &Plan,
    run: &Run,
    now: Timestamp,
    selection: &Selection,
) -> Result<Revived, Error> {
    let mut pending: Vec<Change> = Vec::new();
    let mut anew = Anew { run: run.clone(), found: false };
    let of_run = selection.is_all().then_some(Unit::Run);
    for unit in of_run.into_iter().chain(run.open_closing().map(Unit::Closing)) {
        let Some(progress) = journal.progress(run.id, unit)? else { continue };
        let mut progress = progress.fitted(plan.track(unit));
        let events = resume::revival(plan.track(unit), &progress);
        if !events.is_empty() {
            for (step, kind) in events {
                anew.note(unit, &progress, step, &mut pending);
                progress.apply(plan.track(unit), step, kind, now)?;
            }
            pending.push(Change::Progress(run.id, unit, progress));
        }
    }
    let steps = journal.tally(run.id, Unit::Item(0))?.steps;
    let unfinished = |units: &Counts| {
        units.dead_lettered + units.in_doubt + units.cancelled + units.backoff + units.waiting > 0
    };
    // Without any of these no record changes, and a million items need not be read.
    let mut chosen = Positions::default();
    if steps.iter().any(|step| unfinished(&step.units)) || !selection.is_all() {
        chosen = revive_items(journal, plan, &mut anew, now, selection, &mut pending).await?;
    }
    if !pending.is_empty() {
        journal.commit(pending).await?;
    }
    let chosen = match selection {
        Selection::All => None,
        Selection::Items(positions) => Some(positions.clone()),
        Selection::Failed | Selection::DeadLettered(_) => Some(chosen),
    };
    Ok(Revived { chosen, anew: anew.found })
}

/// Whether something begins anew that had ended.
struct Anew {
    /// The run as it is found.
    run: Run,
    found: bool,
}

impl Anew {
    /// This step of a unit begins anew; what follows from that is in the same commit.
    fn note(&mut self, unit: Unit, progress: &Progress, step: usize, pending: &mut Vec<Change>) {
        let state = progress.cells[step].state;
        // The attempts of a step of the run are counted by its execution, too, and a new budget is not known there.
        let counted = unit == Unit::Run && matches!(state, State::Backoff(_));
        if state.is_final() || state == State::InDoubt(None) || counted {
            self.found = true;
            if self.run.leave_execution() {
                pending.push(Change::Run(Box::new(self.run.clone())));
            }
        }
    }
}

/// What a run has recorded, by the names of `plan`.
///
/// # Errors
/// [`StoreError`] when the records cannot be read.
pub fn records(journal: &dyn Journal, plan: &Plan, run: &Run) -> Result<Records, StoreError> {
    let mut records = Records { gate: run.source.is_some(), ..Records::default() };
    if let Some(progress) = journal.progress(run.id, Unit::Run)? {
        records.run = true;
        note_cells(&plan.run, &progress, &mut records);
    }
    let finished = finished_before(journal, &plan.items, run)?;
    if finished > 0 {
        // Each of them is as the first, as far as is asked here.
        records.items = true;
        records.steps.extend(plan.items.steps.iter().map(|step| step.name.clone()));
    }
    each_item_from(journal, run, finished, |_, progress| {
        records.items = true;
        note_cells(&plan.items, &progress, &mut records);
    })?;
    Ok(records)
}

fn note_cells(track: &Track, progress: &Progress, records: &mut Records) {
    for (step, cell) in track.steps.iter().zip(progress.cells.iter()) {
        let begun = cell.state != State::Pending || cell.attempts > 0;
        let doubtful = cell.state == State::Running || cell.is_doubtful() && !cell.state.is_passed();
        if begun && !records.steps.contains(&step.name) {
            records.steps.insert(step.name.clone());
        }
        if doubtful && !records.doubtful.contains(&step.name) {
            records.doubtful.insert(step.name.clone());
        }
    }
}

/// Whether an item, or a step of the run itself, has something left that a resume would do.
///
/// # Errors
/// [`StoreError`] when the records cannot be read.
pub fn is_unfinished(journal: &dyn Journal, plan: &Plan, run: &Run) -> Result<bool, StoreError> {
    let of_run = journal.progress(run.id, Unit::Run)?;
    if of_run.is_some_and(|progress| !progress.fitted(&plan.run).is_at_rest(&plan.run)) {
        return Ok(true);
    }
    let total = run.source.as_ref().map_or(0, |source| source.count);
    let mut next = journal.watermark(run.id)?;
    while next < total {
        let items = journal.outlines(run.id, next, SCAN)?;
        if items.is_empty() {
            return Ok(true);
        }
        for (position, progress) in items {
            if position != next || !progress.fitted(&plan.items).is_at_rest(&plan.items) {
                return Ok(true);
            }
            next += 1;
        }
    }
    Ok(false)
}

/// The items of a run, in commits of a few hundred. `pending` goes with the first. Returns the
/// positions of those that are worked on, unless that is all of them.
async fn revive_items(
    journal: &dyn Journal,
    plan: &Plan,
    anew: &mut Anew,
    now: Timestamp,
    selection: &Selection,
    pending: &mut Vec<Change>,
) -> Result<Positions, Error> {
    let run = anew.run.id;
    let mut chosen = Positions::default();
    let mut lowered = false;
    // What is finished is not revived, and no selection by how items ended takes it.
    let mut from = finished_before(journal, &plan.items, &anew.run)?;
    loop {
        let items = journal.items(run, from, SCAN)?;
        let Some((last, _)) = items.last() else { return Ok(chosen) };
        from = last + 1;
        for (position, progress) in items {
            let mut progress = progress.fitted(&plan.items);
            if !selection.takes(&plan.items, Unit::Item(position), Some(&progress)) {
                continue;
            }
            if !selection.is_all() {
                chosen.insert(position);
            }
            let events = resume::revival(&plan.items, &progress);
            if events.is_empty() {
                continue;
            }
            if !lowered {
                // Before, or with, the first item that is not at rest any more: never after it.
                let watermark = journal.watermark(run)?.min(position);
                pending.push(Change::Watermark(run, watermark));
                lowered = true;
            }
            for (step, kind) in events {
                anew.note(Unit::Item(position), &progress, step, pending);
                progress.apply(&plan.items, step, kind, now)?;
            }
            pending.push(Change::Progress(run, Unit::Item(position), progress));
        }
        if !pending.is_empty() {
            journal.commit(std::mem::take(pending)).await?;
        }
    }
}

/// The position of an item in the source; none for a unit of another track.
pub fn position(unit: Unit) -> Option<u64> {
    match unit {
        Unit::Item(position) => Some(position),
        Unit::Run | Unit::Closing(_) => None,
    }
}
