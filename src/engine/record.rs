//! What one turn of the loop makes durable.

use crate::core::arrival::Setback;
use crate::core::cell::State;
use crate::core::change::Change;
use crate::core::desk::Listening;
use crate::core::event::{Event, RunEvent};
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::retry::Outcome;
use crate::core::signal::{self, Awaiting};
use crate::core::time::Timestamp;

use super::alerts;
use super::drive::{Drive, Error};
use super::recover;

/// Items between two records of the watermark: a resume looks at this many finished items at most
/// in vain, and a commit seldom carries one more row.
const WATERMARK_STEP: u64 = 64;

impl Drive {
    /// Makes durable whatever was recorded since the last commit.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        let (moved, setbacks) = self.desk.take_changes();
        let id = self.run.id;
        let mut changes: Vec<Change> = Vec::with_capacity(moved.len() + 4);
        let now = self.ports.clock.now();
        self.steering.more_dead_letters |=
            setbacks.iter().any(|setback| setback.state == State::DeadLettered);
        let setbacks = setbacks.into_iter().map(|setback| self.setback(setback, now)).collect::<Vec<_>>();
        if !self.events.is_empty() {
            changes.push(Change::Run(Box::new(self.run.clone())));
        }
        changes.append(&mut self.changes);
        changes.extend(alerts::put(self.alerts.drain(..)));
        changes.extend(self.events.drain(..).chain(setbacks).map(|event| Change::Event(id, event)));
        changes.extend(
            std::mem::take(&mut self.calls)
                .into_iter()
                .map(|((unit, step), calls)| Change::Calls(id, unit, step, calls)),
        );
        changes.extend(self.keyring.take_changes());
        changes.extend(self.taken_in());
        let listening = self.listening();
        let mut gone = Vec::new();
        for (unit, progress) in moved {
            changes.extend(self.body_let_go(unit, &progress));
            if self.desk.progress(unit).is_none() {
                gone.extend(self.contexts.remove(&unit));
                self.mail.note_rest(unit, &progress);
            } else {
                self.mail.note_change(unit);
            }
            changes.push(Change::Progress(id, unit, progress));
        }
        // Behind the records that say so: who waits is looked up there.
        changes.extend(listening);
        if !gone.is_empty() {
            // To free a product takes nearly as long as to make it: not on this thread.
            self.ports.compute.submit(Box::new(move || drop(gone)));
        }
        let proven = self.mail.take_proven();
        let watermark = self.desk.watermark();
        // Without this a crash would forget an item that went on from below the mark.
        let is_back = !proven.is_empty() && watermark < self.watermark;
        changes.extend(proven.into_iter().map(|(unit, progress)| Change::Progress(id, unit, progress)));
        if is_back || watermark >= self.watermark + WATERMARK_STEP {
            self.watermark = watermark;
            changes.push(Change::Watermark(id, watermark));
        }
        if !changes.is_empty() {
            self.ports.journal.commit(changes).await?;
        }
        // The first commit has the event with which the run begins.
        self.control.has_begun();
        for answer in self.steering.answers.drain(..) {
            // Whoever asked may have gone.
            let _ = answer.send(Ok(()));
        }
        Ok(())
    }

    /// The items that have begun to wait for signals: in the commit in which they do, or one that comes
    /// at this moment would pass them by.
    fn listening(&mut self) -> Vec<Change> {
        let run = &self.run;
        let of = |listening: Listening| {
            let item = recover::position(listening.unit)?;
            let step = &self.common.assembly.plan.items.steps[listening.step];
            Some(Change::Await(Box::new(Awaiting {
                run: run.id,
                item,
                step: u32::try_from(listening.step).unwrap_or(u32::MAX),
                queue: signal::queue(&step.name),
                workflow: run.workflow.clone(),
                subject: listening.subject,
                // Without an effect of its own, an item begins with its run.
                since: listening.since.unwrap_or(run.started_at),
                at: listening.at,
                until: listening.until,
            })))
        };
        self.desk.take_listening().into_iter().filter_map(of).collect()
    }

    /// A finished item of an open run lets its body go; a dead letter, or a doubt, keeps it.
    fn body_let_go(&self, unit: Unit, progress: &Progress) -> Option<Change> {
        let position = recover::position(unit).filter(|_| self.run.is_open_run())?;
        let is_finished = progress.cells.iter().all(|cell| cell.state.is_passed());
        is_finished.then_some(Change::Body(self.run.id, position, None))
    }

    /// Applies an event to the run; it is durable with the next commit.
    pub(super) fn tell(&mut self, what: RunEvent) -> Result<(), Error> {
        let event = Event { at: self.ports.clock.now(), what };
        self.run.apply(&event)?;
        let Self { ports, run, common, .. } = self;
        self.alerts.extend(alerts::of(ports.journal.as_ref(), run, &common.assembly.plan, &event)?);
        self.events.push(event);
        Ok(())
    }

    fn setback(&self, setback: Setback, at: Timestamp) -> Event {
        let step = &self.desk.plan().track(setback.unit).steps[setback.step];
        Event {
            at,
            what: RunEvent::Setback {
                step: step.name.clone(),
                item: recover::position(setback.unit),
                state: setback.state.word().to_owned(),
                attempt: setback.attempt,
                fault: setback.fault,
            },
        }
    }

    pub(super) fn count(&mut self, step: usize, outcomes: &[(Unit, Outcome)], calls: u64) {
        let Some((unit, _)) = outcomes.first() else { return };
        let accepted = outcomes.iter().filter(|(_, outcome)| outcome.is_accepted()).count() as u64;
        let refused =
            outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Refused { .. })).count() as u64;
        // One row per track is enough: any unit of it names it.
        let track = match unit {
            Unit::Item(_) => Unit::Item(0),
            Unit::Run | Unit::Closing(_) => *unit,
        };
        let sum = self.calls.entry((track, step)).or_default();
        sum.batches += 1;
        sum.calls += calls;
        sum.accepted += accepted;
        sum.refused += refused;
    }
}
