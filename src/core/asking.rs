//! Steps that begin when they are asked for: somebody else drives the graph, and says what is next.
//!
//! A unit whose next step is closed is at rest for now and leaves memory. When a step is asked for, every
//! unit is looked at again, on the same path as after a resume.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cell::State;
use super::desk::{Desk, Stage, TrackName};
use super::id::Unit;
use super::plan::Plan;

/// Whether a step may begin: who drives the graph says so. The engine itself lets every step begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// As soon as what it needs is passed.
    #[default]
    Open,
    /// Not yet: nothing happens at it, whatever its record says.
    Closed,
    /// As soon as what it needs is passed; whoever asks says that its condition is not met.
    Skip,
}

/// At which steps those stand that gave up their place in memory, so that a step is not held up by items
/// that wait at another one.
#[derive(Debug, Default)]
pub(super) struct Standings {
    of: BTreeMap<Unit, Vec<usize>>,
    at: BTreeMap<usize, u64>,
}

impl Standings {
    fn put(&mut self, unit: Unit, steps: Vec<usize>) {
        self.forget(unit);
        for step in &steps {
            *self.at.entry(*step).or_default() += 1;
        }
        self.of.insert(unit, steps);
    }

    fn forget(&mut self, unit: Unit) {
        for step in self.of.remove(&unit).into_iter().flatten() {
            self.at.entry(step).and_modify(|units| *units -= 1);
        }
    }

    fn is_empty_at(&self, step: usize) -> bool {
        self.at.get(&step).is_none_or(|units| *units == 0)
    }

    /// Whether it is known that a unit stands elsewhere.
    fn is_elsewhere(&self, unit: Unit, step: usize) -> bool {
        self.of.get(&unit).is_some_and(|steps| !steps.contains(&step))
    }
}

impl Desk {
    /// A step of the track that `of` flows through may begin; one that may already goes on as it does.
    pub fn allow(&mut self, of: Unit, step: usize, asked: Asked) {
        let mut plan = Plan::clone(&self.plan);
        if !plan.track_mut(of).ask_for(step, asked) {
            return;
        }
        self.plan = Arc::new(plan);
        let track = TrackName::of(of);
        let there: Vec<(Unit, State)> = (self.units.iter())
            .filter(|(unit, _)| TrackName::of(**unit) == track)
            .map(|(unit, active)| (*unit, active.progress.cells[step].state))
            .collect();
        for (unit, state) in there {
            self.set_timer(unit, step, state);
            self.review(unit);
        }
        match of {
            Unit::Item(_) => self.look_at_all_again(),
            Unit::Run | Unit::Closing(_) => self.want(of),
        }
    }

    /// A step begins no more until it is asked for again. What is under way ends.
    pub fn withdraw(&mut self, of: Unit, step: usize) {
        let mut plan = Plan::clone(&self.plan);
        if let Some(known) = plan.track_mut(of).steps.get_mut(step) {
            known.asked = Asked::Closed;
        }
        self.plan = Arc::new(plan);
        self.release(of);
    }

    /// Whether nothing more happens at a step by itself, for all units of the track that `of` flows
    /// through; of the run, or of a closing, for that unit.
    pub fn is_settled(&self, of: Unit, step: usize) -> bool {
        match of {
            Unit::Item(_) => self.is_settled_for_all(step),
            Unit::Run | Unit::Closing(_) => {
                let on_its_way = self.fetching.contains(&of) || self.wanted.contains(&of);
                !on_its_way && (self.units.get(&of)).is_none_or(|_| self.is_settled_here(of, step))
            }
        }
    }

    fn is_settled_for_all(&self, step: usize) -> bool {
        if self.total.is_none() || self.left_to_feed() > 0 {
            return false;
        }
        let is_item = |unit: &&Unit| matches!(unit, Unit::Item(_));
        let elsewhere =
            |unit: &Unit| self.standings.as_ref().is_some_and(|known| known.is_elsewhere(*unit, step));
        self.standings.as_ref().is_none_or(|known| known.is_empty_at(step))
            && self.fetching.iter().chain(&self.wanted).filter(is_item).all(elsewhere)
            && self.units.keys().filter(is_item).all(|unit| self.is_settled_here(*unit, step))
    }

    fn is_settled_here(&self, unit: Unit, step: usize) -> bool {
        let idle = self.stage(unit, step).is_none_or(|stage| stage == Stage::Idle);
        idle && self.progress(unit).is_none_or(|progress| progress.is_settled(self.plan.track(unit), step))
    }

    /// These were read in under a plan that is not the present one any more.
    pub fn fetch_again(&mut self, units: impl IntoIterator<Item = Unit>) {
        for unit in units {
            self.fetching.remove(&unit);
            self.wanted.insert(unit);
        }
    }

    /// A unit gives up its place.
    pub(super) fn note_standing(&mut self, unit: Unit) {
        let Some(standings) = &mut self.standings else { return };
        let Some(active) = self.units.get(&unit) else { return };
        let track = self.plan.track(unit);
        let steps = (0..track.steps.len()).filter(|step| !active.progress.is_settled(track, *step));
        standings.put(unit, steps.collect());
    }

    /// A unit is back in memory.
    pub(super) fn forget_standing(&mut self, unit: Unit) {
        if let Some(standings) = &mut self.standings {
            standings.forget(unit);
        }
    }

    /// Begins anew to ask for items: those that sleep are among them.
    fn look_at_all_again(&mut self) {
        self.wakes.clear();
        for unit in std::mem::take(&mut self.asleep).into_keys() {
            // One that a message had brought in from below where it began.
            if !matches!(unit, Unit::Item(position) if position >= self.begun) {
                self.want(unit);
            }
        }
        self.standings = self.standings.take().map(|_| Standings::default());
        self.fed = self.begun;
        self.skip_unchosen();
    }
}
