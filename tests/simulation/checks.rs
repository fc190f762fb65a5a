//! What must hold after every life, and at the end.

use milepost::core::catalog::Role;
use milepost::core::cell::{Cell, SettleBy, State};
use milepost::core::fault::{Fault, name};
use milepost::core::id::Unit;
use milepost::core::ledger::{self, Verdict};
use milepost::core::plan::PlanStep;
use milepost::core::tally::Tally;
use milepost::ports::Journal;

use crate::book::{Effect, Entry};
use crate::case::Case;
use crate::effects::returned;

impl Case {
    /// What the ledger says must agree with what happened outside.
    pub(crate) fn check_ledger(&self) {
        if let Some(what) = self.world.book().wrong.first() {
            panic!("{what}");
        }
        for (unit, progress) in self.units() {
            for (step, known) in self.plan().track(unit).steps.iter().enumerate() {
                if matches!(known.role, Role::Effect { .. }) {
                    let entry = self.world.entry((unit, step));
                    check_verdict((unit, step), known, &progress.cells[step], &entry);
                    self.check_attempts((unit, step), &progress.cells[step], &entry);
                }
            }
        }
    }

    /// Attempts are calls: none is forgotten, and only one whose engine died before it left was none.
    fn check_attempts(&self, effect: Effect, cell: &Cell, entry: &Entry) {
        let open = u32::from(cell.state == State::Running);
        assert!(
            entry.asked <= cell.attempts + open,
            "{effect:?} was called {} times, and its record says {}",
            entry.asked,
            cell.attempts
        );
        assert!(
            u64::from(cell.attempts) <= u64::from(entry.asked) + self.score.crashes,
            "{effect:?} has {} attempts, and was called {} times",
            cell.attempts,
            entry.asked
        );
    }

    /// Counts are those of the records.
    pub(crate) fn check_tally(&self) {
        let units = self.units();
        for of in [Unit::Run, Unit::Closing(1), Unit::Item(0)] {
            let mut fresh = Tally::default();
            let track = std::mem::discriminant(&of);
            for (_, progress) in units.iter().filter(|(unit, _)| std::mem::discriminant(*unit) == track) {
                fresh.shift(None, progress);
            }
            let kept = self.store.tally(self.run, of).unwrap();
            let same = kept.units == fresh.units
                && kept
                    .steps
                    .iter()
                    .zip(&fresh.steps)
                    .all(|(a, b)| a.units == b.units && a.attempts == b.attempts);
            assert!(same, "the tally {kept:?}\nis not that of the records {fresh:?}");
        }
    }

    /// What must hold once the run has ended.
    pub(crate) fn check_end(&self) {
        let run = self.record();
        let total = run.source.as_ref().map_or(0, |source| source.count);
        let units = self.units();
        let mut wanted = (0..total).map(Unit::Item).chain((1..=run.closings).map(Unit::Closing));
        if let Some(unit) = wanted.find(|unit| !units.contains_key(unit)) {
            panic!("{unit} of {run:?} has no record at the end");
        }
        for (unit, progress) in units {
            let track = self.plan().track(unit);
            assert!(progress.is_at_rest(track), "{unit} is not at rest: {progress:?}");
            for (step, known) in track.steps.iter().enumerate().filter(|(_, step)| step.role == Role::Receive)
            {
                let cell = &progress.cells[step];
                let given_up = |fault: &Fault| fault.name == name::MESSAGE_LOST;
                for need in &known.needs {
                    let entry = self.world.entry((unit, *need));
                    // Only a message that was really lost may be given up as lost.
                    let fault = cell.fault.as_ref().filter(|_| cell.state == State::DeadLettered);
                    assert!(
                        !fault.is_some_and(given_up) || entry.mail.lost > 0,
                        "{unit} gave up a message that was there: {progress:?}"
                    );
                    let doubt = matches!(progress.cells[*need].state, State::InDoubt(_));
                    assert!(
                        !doubt || entry.applied <= entry.mail.lost + entry.lies,
                        "{unit}: its message did not settle the publish: {entry:?} {progress:?}"
                    );
                }
            }
        }
    }
}

/// Each word of the ledger, and how often the effect may then have happened: the attempt it is
/// about, those it says perhaps happened as well, and what nobody could know because the other
/// side lied.
fn check_verdict(effect: Effect, known: &PlanStep, cell: &Cell, entry: &Entry) {
    let told = ledger::entry(known, cell, false);
    let doubts = told.map_or(0, |told| told.doubts + told.before);
    let (least, most) = match told.map(|told| told.verdict) {
        Some(Verdict::Done) => (1, 1 + doubts),
        Some(Verdict::InDoubt) => (0, 1 + doubts),
        Some(Verdict::NotNeeded) => (0, doubts),
        Some(Verdict::Refused) | None => (0, 0),
        Some(Verdict::Intended) => panic!("{effect:?}: intended, and no engine lives"),
    };
    assert!(
        (least..=most + entry.lies).contains(&entry.applied),
        "the ledger contradicts the outside: {effect:?} is {told:?}, and was done {} times: \
         {entry:?}\n{cell:?}",
        entry.applied
    );
    assert!(
        known.settle == SettleBy::Repeat || entry.applied <= 1 + entry.lies,
        "{effect:?} was done {} times: {entry:?}\n{cell:?}",
        entry.applied
    );
    let facts = &cell.facts;
    let own = facts.get("id").is_some_and(|id| *id == returned(effect.1, effect.0));
    assert!(
        cell.state != State::Succeeded || own || facts.contains_key("event_id"),
        "{effect:?} holds what another effect returned: {facts:?}"
    );
}
