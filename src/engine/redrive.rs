//! Messages of dead letters that a resume begins anew: they are put back into their queues, so that
//! the dead-letter queues do not keep what is no dead letter any more. The items themselves go on from
//! their records and need no message (rule R4); what comes for one that is done is removed as late.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::event::RunEvent;
use crate::core::id::Unit;
use crate::core::mail::left_to_queue;
use crate::core::plan::PlanStep;
use crate::core::queue::{Only, Receive};
use crate::core::resume;
use crate::core::run::Run;
use crate::core::selection::{Positions, Selection};
use crate::ports::{Journal, QueueError, StoreError, Worker};

use super::assembly::Assembly;
use super::finished::{each_item_from, finished_before};

/// Puts back the messages of the selected items that begin anew and had left theirs behind: all that is
/// in the dead-letter queue when no dead letter is left out, else theirs only. To be called before
/// the items are given new budgets: a crash between the two is then made good by the next resume.
/// Returns what people are told; a queue that gives no answer keeps nothing from going on.
///
/// # Errors
/// [`StoreError`] when the records cannot be read, or are in the same store as the queue and that
/// failed.
pub async fn redrive(
    journal: &dyn Journal,
    assembly: &Assembly,
    run: &Run,
    selection: &Selection,
) -> Result<Vec<RunEvent>, StoreError> {
    let mut told = Vec::new();
    let left = left_behind(journal, assembly, run, selection)?;
    for (step, items) in left.into_iter().enumerate().filter(|(_, items)| !items.is_empty()) {
        let (queue, receive, left) = match &assembly.items[step].worker {
            Worker::Receiver(receiver) => {
                (receiver.queue(), receiver.receive(run.id), Only::Items(Arc::new(items)))
            }
            Worker::Stream(stream) => {
                (stream.queue(), stream.receive(run.id), Only::Events(brought(journal, run, &items)?))
            }
            Worker::Source(_) | Worker::Pure(_) | Worker::Effect(_) => continue,
        };
        let only = if selection.takes_every_letter() { Only::All } else { left };
        let (messages, fault) = match queue.redrive(&Receive { only, ..receive }).await {
            Ok(messages) => (messages, None),
            Err(QueueError::Away(fault)) => (Some(0), Some(fault)),
            Err(QueueError::Store(error)) => return Err(error),
        };
        let step = assembly.plan.items.steps[step].name.clone();
        told.push(RunEvent::Redriven { step, messages, fault });
    }
    Ok(told)
}

/// The events that brought these items.
fn brought(journal: &dyn Journal, run: &Run, items: &Positions) -> Result<Arc<BTreeSet<u128>>, StoreError> {
    let mut events = BTreeSet::new();
    let mut from = 0;
    while let Some(position) = items.next_from(from) {
        let entrants = journal.entrants(run.id, position, 1)?;
        events.extend(entrants.iter().filter(|(at, _)| *at == position).map(|(_, entrant)| entrant.event_id));
        from = position + 1;
    }
    Ok(Arc::new(events))
}

/// For each step of the items, those of the selected ones that left its message behind and begin anew.
fn left_behind(
    journal: &dyn Journal,
    assembly: &Assembly,
    run: &Run,
    selection: &Selection,
) -> Result<Vec<Positions>, StoreError> {
    let track = &assembly.plan.items;
    let mut left = vec![Positions::default(); track.steps.len()];
    let receives = track.steps.iter().any(PlanStep::gets_messages);
    let tally = journal.tally(run.id, Unit::Item(0))?;
    // Without any of these no message was left, and a million items need not be read.
    if !receives || tally.steps.iter().all(|step| step.units.dead_lettered + step.units.in_doubt == 0) {
        return Ok(left);
    }
    // What is finished left nothing that begins anew.
    let finished = finished_before(journal, track, run)?;
    each_item_from(journal, run, finished, |position, progress| {
        let progress = progress.fitted(track);
        let chosen = selection.takes(track, Unit::Item(position), Some(&progress));
        if chosen
            && let Some(step) = left_to_queue(track, &progress)
            && !resume::revival(track, &progress).is_empty()
        {
            left[step].insert(position);
        }
    })?;
    Ok(left)
}
