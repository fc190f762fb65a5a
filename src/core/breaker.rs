//! Whether a connection works: when call after call fails for its sake, it is held, and only a
//! trial now and then goes over it, until one gets a proper answer.
//!
//! A receive is a call too, of a system of its own: the queue.
//!
//! A call fails *for the connection's sake* when no unit of it got a proper answer: done, not
//! needed, or refused for what it is. A row of such failures means the connection only when it is
//! spread over enough units: one product that always makes the other side stumble must not hold
//! all others up. A receive that fails is about no unit at all; each counts as one more.

use std::collections::BTreeSet;
use std::time::Duration;

use super::id::Unit;
use super::time::Timestamp;

/// When a connection is held, and how it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Calls in a row that fail before it is held; 0: it never is.
    pub pause_after: u32,
    /// The pause before the first trial; it doubles with each that fails, up to a minute.
    pub probe_every: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pause_after: 10, probe_every: Duration::from_secs(10) }
    }
}

/// The longest pause between two trials, unless the first is longer.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// What a connection lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Every call.
    Open,
    /// One call, the trial.
    Trial,
    /// Nothing before this instant.
    Shut(Timestamp),
    /// Nothing: a trial is under way.
    Trying,
}

/// What follows from the end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing that anybody has to be told.
    Nothing,
    /// The connection is held from now on; the first trial comes then.
    Held(Timestamp),
    /// The trial failed; the next comes then.
    Tried(Timestamp),
    /// The connection is let go.
    Freed,
}

/// A call that failed for the connection's sake.
pub(super) struct Failed<'a> {
    /// Its units, none for a receive; the first, with the step, tells the trial from others.
    pub(super) units: &'a [Unit],
    pub(super) step: usize,
    /// It was the last attempt of one of them.
    pub(super) is_last: bool,
}

/// Watches one connection.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    patience: Patience,
    /// Calls that failed in a row.
    calls: u32,
    /// Their units, as far as they count.
    units: BTreeSet<Unit>,
    /// Those of them that were about no unit.
    receives: usize,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    trial_at: Timestamp,
    pause: Duration,
    trial: Option<(Option<Unit>, usize)>,
}

impl Breaker {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// Whether it is ever held.
    pub(super) fn is_patient(&self) -> bool {
        self.patience.pause_after > 0
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn gate(&self, now: Timestamp) -> Gate {
        match &self.held {
            None => Gate::Open,
            Some(Held { trial: Some(_), .. }) => Gate::Trying,
            Some(held) if held.trial_at <= now => Gate::Trial,
            Some(held) => Gate::Shut(held.trial_at),
        }
    }

    /// A call leaves, without a unit a receive; when the connection is held, that is the trial.
    pub(super) fn leave(&mut self, unit: Option<Unit>, step: usize) {
        if let Some(held) = &mut self.held {
            held.trial = Some((unit, step));
        }
    }

    /// A call that was to leave did not; if it was the trial, another one is.
    pub(super) fn withdrawn(&mut self, unit: Unit, step: usize) {
        if let Some(held) = &mut self.held
            && held.trial == Some((Some(unit), step))
        {
            held.trial = None;
        }
    }

    /// The next trial need not wait.
    pub(super) fn try_now(&mut self, now: Timestamp) {
        if let Some(held) = &mut self.held {
            held.trial_at = held.trial_at.min(now);
        }
    }

    /// Somebody got a proper answer, in a trial or before it; or nobody will ask again.
    pub(super) fn answered(&mut self) -> Turn {
        self.calls = 0;
        self.units.clear();
        self.receives = 0;
        if self.held.take().is_some() { Turn::Freed } else { Turn::Nothing }
    }

    /// A call failed for the connection's sake.
    pub(super) fn failed(&mut self, failed: &Failed<'_>, now: Timestamp) -> Turn {
        let Some(held) = &mut self.held else { return self.failed_freely(failed, now) };
        let first = Some((failed.units.first().copied(), failed.step));
        // What left before the connection was held says nothing new.
        if held.trial.is_none() || held.trial != first {
            return Turn::Nothing;
        }
        held.trial = None;
        held.pause = (held.pause * 2).min(PAUSE_MAX.max(self.patience.probe_every));
        held.trial_at = now.after(held.pause);
        Turn::Tried(held.trial_at)
    }

    fn failed_freely(&mut self, failed: &Failed<'_>, now: Timestamp) -> Turn {
        let limit = self.patience.pause_after;
        self.calls = self.calls.saturating_add(1);
        self.receives = self.receives.saturating_add(usize::from(failed.units.is_empty()));
        for unit in failed.units {
            if self.units.len() < limit as usize {
                self.units.insert(*unit);
            }
        }
        // Rather held too soon than a unit given up for a connection that is down.
        let enough = self.calls >= limit || failed.is_last;
        if limit == 0 || !enough || self.units.len().saturating_add(self.receives) < limit as usize {
            return Turn::Nothing;
        }
        let pause = self.patience.probe_every;
        let trial_at = now.after(pause);
        self.held = Some(Held { trial_at, pause, trial: None });
        Turn::Held(trial_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(pause_after: u32) -> Breaker {
        Breaker::new(Patience { pause_after, ..Patience::default() })
    }

    /// A call for these items fails at this second.
    fn fail(breaker: &mut Breaker, items: std::ops::Range<u64>, is_last: bool, second: u64) -> Turn {
        let units: Vec<Unit> = items.map(Unit::Item).collect();
        breaker.failed(&Failed { units: &units, step: 0, is_last }, at(second))
    }

    fn at(second: u64) -> Timestamp {
        Timestamp(second * 1_000)
    }

    #[test]
    fn a_row_of_failures_over_enough_units_holds_and_an_answer_between_begins_it_anew() {
        let mut watched = breaker(3);
        assert_eq!(fail(&mut watched, 0..1, false, 1), Turn::Nothing);
        assert_eq!(fail(&mut watched, 1..2, false, 1), Turn::Nothing);
        assert_eq!(watched.answered(), Turn::Nothing);
        assert_eq!(fail(&mut watched, 2..3, false, 1), Turn::Nothing);
        assert_eq!(fail(&mut watched, 3..4, false, 1), Turn::Nothing);
        assert_eq!(fail(&mut watched, 4..5, false, 1), Turn::Held(at(11)));
        assert_eq!(watched.gate(at(1)), Gate::Shut(at(11)));
    }

    #[test]
    fn one_unit_that_always_fails_never_holds_the_others_up() {
        let mut watched = breaker(3);
        for second in 0..100 {
            assert_eq!(
                fail(&mut watched, second % 2..second % 2 + 1, second % 3 == 2, second),
                Turn::Nothing
            );
        }
        assert_eq!(watched.gate(at(100)), Gate::Open);
    }

    #[test]
    fn a_whole_batch_is_not_given_up_before_the_connection_is_suspected() {
        let mut watched = breaker(10);
        assert_eq!(fail(&mut watched, 0..50, false, 1), Turn::Nothing, "one call may fail");
        assert_eq!(fail(&mut watched, 0..50, false, 2), Turn::Nothing);
        assert_eq!(fail(&mut watched, 0..50, true, 3), Turn::Held(at(13)), "the last attempt of fifty");
    }

    #[test]
    fn a_held_connection_is_tried_ever_more_seldom_until_it_answers() {
        let mut watched = breaker(1);
        assert_eq!(fail(&mut watched, 0..1, false, 0), Turn::Held(at(10)));
        assert_eq!(fail(&mut watched, 7..8, true, 5), Turn::Nothing, "it left before");
        let mut tried = Vec::new();
        let mut now = 10;
        for item in 0..5 {
            assert_eq!(watched.gate(at(now)), Gate::Trial);
            watched.leave(Some(Unit::Item(item)), 0);
            assert_eq!(watched.gate(at(now)), Gate::Trying, "one at a time");
            assert_eq!(fail(&mut watched, 99..100, true, now), Turn::Nothing, "not the trial");
            let Turn::Tried(next) = fail(&mut watched, item..item + 1, true, now) else { panic!("no trial") };
            tried.push(next.0 / 1_000 - now);
            now = next.0 / 1_000;
        }
        assert_eq!(tried, [20, 40, 60, 60, 60]);
        watched.try_now(at(now - 30));
        assert_eq!(watched.gate(at(now - 30)), Gate::Trial, "somebody does not want to wait");
        watched.leave(Some(Unit::Item(9)), 0);
        assert_eq!(watched.answered(), Turn::Freed);
        assert_eq!(watched.gate(at(now)), Gate::Open);
        assert_eq!(watched.answered(), Turn::Nothing);
    }

    #[test]
    fn zero_means_never() {
        let mut watched = breaker(0);
        for second in 0..1_000 {
            assert_eq!(fail(&mut watched, second..second + 50, true, second), Turn::Nothing);
        }
    }
}
