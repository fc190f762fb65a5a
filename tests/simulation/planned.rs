//! Plan = execution: what a resume will do is fixed before, with its hash; what it then did is read
//! from the outside's own journal.

use std::collections::{BTreeMap, BTreeSet};

use milepost::core::catalog::Role;
use milepost::core::cell::{SettleBy, SkipReason, State};
use milepost::core::event::RunEvent;
use milepost::core::id::Unit;
use milepost::core::plan::Track;
use milepost::core::progress::Progress;
use milepost::core::resume::{Fate, ResumePlan, fates, fates_left_out};
use milepost::core::run::{Run, Status};
use milepost::core::selection::Selection;
use milepost::engine::recover;
use milepost::ports::Journal;

use crate::book::{Effect, Entry};
use crate::case::Case;

/// What a life of the engine is to do.
pub(crate) struct Planned {
    /// The run as the plan found it.
    run: Run,
    /// The plan; none for a run that only begins.
    plan: Option<ResumePlan>,
    /// What it is about.
    selection: Selection,
    /// The units with a record, as the plan found them.
    before: BTreeMap<Unit, Progress>,
    fates: BTreeMap<Effect, Fate>,
    /// The outside's journal, as the plan found it.
    book: BTreeMap<Effect, Entry>,
}

impl Planned {
    /// Plans the next life of a case. Changes nothing.
    pub(crate) fn of(case: &Case, selection: Selection) -> Self {
        let run = case.record();
        let plan = (run.status != Status::Queued)
            .then(|| recover::plan(&case.store, case.plan(), &run, &selection).unwrap());
        let before = case.units();
        let mut known = BTreeMap::new();
        for (unit, progress) in &before {
            let track = case.plan().track(*unit);
            let taken = selection.takes(track, *unit, Some(progress));
            let fates = if taken { fates(track, progress) } else { fates_left_out(track, progress) };
            known.extend(fates.into_iter().enumerate().map(|(step, fate)| ((*unit, step), fate)));
        }
        let book = case.world.book().entries.clone();
        Self { run, plan, selection, before, fates: known, book }
    }

    /// The plan's hash; none for a run that only begins.
    pub(crate) fn hash(&self) -> Option<String> {
        self.plan.as_ref().map(|plan| plan.hash.clone())
    }

    /// Holds what was called and looked up in the life that has just ended against the plan.
    /// `complete`: it came to the end of its work. `kind`: nothing outside went wrong.
    pub(crate) fn check(&self, case: &Case, complete: bool, kind: bool) {
        self.check_shown(case);
        let called = case.world.book().called();
        let looked = case.world.book().looked_up();
        let after = case.units();
        for effect in called.union(&looked) {
            let fate = self.fate(*effect);
            assert!(
                fate.acts() || self.was_let_on(case, *effect, &after),
                "{effect:?} was called, and the plan says {fate:?}"
            );
            self.check_budget(case, *effect, &after, complete);
        }
        for effect in called.difference(&looked) {
            assert!(
                self.fates.get(effect) != Some(&Fate::InDoubt(SettleBy::Probe)),
                "{effect:?} was in doubt, and was repeated without a look"
            );
        }
        if complete {
            self.check_pinned(case);
            self.check_all_was_done(case, &called, &looked, &after);
        }
        if complete && kind {
            self.check_exactly(case, &called, &looked, &after);
        }
    }

    /// The plan that is shown counts what is planned effect by effect, and names the resume.
    fn check_shown(&self, case: &Case) {
        let Some(plan) = &self.plan else { return };
        let total = self.run.source.as_ref().map_or(0, |source| source.count);
        for (step, known) in case.plan().items.steps.iter().enumerate() {
            if !matches!(known.role, Role::Effect { .. }) {
                continue;
            }
            let planned = |wanted: fn(Fate) -> bool| {
                let items = (0..total).filter(|item| wanted(self.fate((Unit::Item(*item), step))));
                items.count() as u64
            };
            let shown = |shares: &[milepost::core::resume::Share]| {
                shares.iter().filter(|share| share.step == known.name).map(|share| share.items).sum::<u64>()
            };
            let told = [shown(&plan.execute), shown(&plan.reuse), shown(&plan.execute) + shown(&plan.stays)];
            let meant = [
                planned(Fate::acts),
                planned(|fate| fate == Fate::Reuse),
                planned(|fate| fate != Fate::Reuse),
            ];
            assert!(told == meant, "step {}: the plan shows {told:?} and means {meant:?}", known.name);
        }
        let events = case.store.events(case.run, 0, usize::MAX).unwrap();
        let mut resumed = events.iter().filter_map(|(_, event)| match &event.what {
            RunEvent::Resumed { plan, .. } => Some(plan),
            _ => None,
        });
        // A crash may come before the event.
        assert!(
            case.record().epoch == self.run.epoch || resumed.next_back() == Some(&plan.hash),
            "the resume does not name the plan that was fixed before it"
        );
    }

    /// What the plan says of an effect.
    fn fate(&self, (unit, step): Effect) -> Fate {
        match unit {
            // The plan is about the closing that was cut short; those before it are told of, and one
            // that follows from this life is not known yet.
            Unit::Closing(number) if number > self.run.closings => Fate::NeverRan,
            Unit::Closing(number) if self.run.open_closing() != Some(number) => Fate::Reuse,
            _ => self.fates.get(&(unit, step)).copied().unwrap_or_else(|| {
                // Without a record: to be begun, unless others were chosen.
                let taken = self.selection.takes(&Track::default(), unit, None);
                if taken { Fate::NeverRan } else { Fate::LeftOut }
            }),
        }
    }

    /// A step before it was left to a person, and a message settled it meanwhile (rule R3).
    fn was_let_on(&self, case: &Case, (unit, step): Effect, after: &BTreeMap<Unit, Progress>) -> bool {
        let (Some(progress), track) = (after.get(&unit), case.plan().track(unit)) else { return false };
        self.fate((unit, step)) == Fate::Blocked
            && (0..step).any(|before| {
                self.fate((unit, before)) == Fate::InDoubt(SettleBy::Person)
                    && progress.cells[before].facts.contains_key("event_id")
                    && track.steps[before + 1..].iter().any(|known| known.role == Role::Receive)
            })
    }

    /// A budget is as many calls as the policy says, no more; and given up is only what has used it
    /// up, or what the other side never wants.
    fn check_budget(&self, case: &Case, effect: Effect, after: &BTreeMap<Unit, Progress>, complete: bool) {
        let (unit, step) = effect;
        let life = case.world.entry(effect).life;
        let attempts = case.plan().track(unit).steps[step].retry.attempts;
        // A crash spends nothing, and gives nothing back.
        let before = self.before.get(&unit).map(|progress| &progress.cells[step]);
        let spent = before.filter(|cell| cell.state == State::Running).map_or(0, |cell| cell.spent);
        assert!(
            life.asked + spent <= attempts,
            "{effect:?} was called {} times in a budget of {attempts}",
            life.asked + spent
        );
        let given_up =
            after.get(&unit).is_some_and(|progress| progress.cells[step].state == State::DeadLettered);
        assert!(
            !complete || !given_up || life.asked == 0 || life.never || life.asked + spent == attempts,
            "{effect:?} was given up after {} calls: {:?}",
            life.asked + spent,
            after.get(&unit)
        );
    }

    /// The source is pinned once, at the gate.
    fn check_pinned(&self, case: &Case) {
        let pinned = case.world.book().pinned;
        assert!(
            pinned <= u32::from(self.run.source.is_none()),
            "the source was pinned {pinned} times, and was there: {:?}",
            self.run.source
        );
    }

    /// Everything that was planned was done, or its record says why it was not.
    fn check_all_was_done(
        &self,
        case: &Case,
        called: &BTreeSet<Effect>,
        looked: &BTreeSet<Effect>,
        after: &BTreeMap<Unit, Progress>,
    ) {
        for effect in self.planned(case) {
            let done = called.contains(&effect) || looked.contains(&effect);
            assert!(
                !(!done && !self.has_reason(case, effect, after)),
                "{effect:?} was planned ({:?}), and nothing was done: {:?}",
                self.fate(effect),
                after.get(&effect.0)
            );
        }
    }

    /// Every effect that the plan wants done.
    fn planned(&self, case: &Case) -> Vec<Effect> {
        let total = case.record().source.map_or(0, |source| source.count);
        let units =
            (0..total).map(Unit::Item).chain(self.run.open_closing().map(Unit::Closing)).chain([Unit::Run]);
        let effects = units.flat_map(|unit| {
            let steps = case.plan().track(unit).steps.iter().enumerate();
            let effects = steps.filter(|(_, step)| matches!(step.role, Role::Effect { .. }));
            effects.map(move |(step, _)| (unit, step))
        });
        effects.filter(|effect| self.fate(*effect).acts()).collect()
    }

    /// Why an effect that was planned was not asked for, as far as the record says so.
    fn has_reason(&self, case: &Case, effect: Effect, after: &BTreeMap<Unit, Progress>) -> bool {
        let (unit, step) = effect;
        let Some(progress) = after.get(&unit) else { return false };
        let cell = &progress.cells[step];
        match cell.state {
            // A step before it ended without being passed.
            State::Pending => !progress.is_ready(case.plan().track(unit), step),
            State::Skipped(reason) => reason == SkipReason::Condition,
            // Its message came, which proves it.
            State::Succeeded => {
                matches!(self.fate(effect), Fate::InDoubt(_)) && cell.facts.contains_key("event_id")
            }
            _ => false,
        }
    }

    /// In a kind world nothing that was planned fails, so each effect is called exactly once; one in
    /// doubt is looked up, and called only when it is not there.
    fn check_exactly(
        &self,
        case: &Case,
        called: &BTreeSet<Effect>,
        looked: &BTreeSet<Effect>,
        after: &BTreeMap<Unit, Progress>,
    ) {
        for effect in self.planned(case) {
            if self.has_reason(case, effect, after) {
                continue;
            }
            let fate = self.fate(effect);
            let by_look = fate == Fate::InDoubt(SettleBy::Probe);
            let was_there = self.book.get(&effect).is_some_and(|entry| entry.applied > 0);
            let wanted = (u32::from(!by_look || !was_there), by_look);
            let got = (case.world.entry(effect).life.asked, looked.contains(&effect));
            assert!(got == wanted, "{effect:?} ({fate:?}): wanted calls and look {wanted:?}, got {got:?}");
        }
        let refused = called.iter().find(|(unit, step)| {
            after.get(unit).is_some_and(|progress| progress.cells[*step].state == State::DeadLettered)
        });
        if let Some(effect) = refused {
            panic!("{effect:?} was given up in a kind world");
        }
    }
}
