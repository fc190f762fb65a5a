//! Counts that always add up: they move with every durable change of a unit, in the same commit.

use serde::{Deserialize, Serialize};

use super::cell::State;
use super::progress::Progress;

/// How many units stand in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not begun, as far as there is a record; units without any record are not counted here.
    pub pending: u64,
    /// A call is out.
    pub running: u64,
    /// Next attempt later.
    pub backoff: u64,
    /// Waiting for a message or for time.
    pub waiting: u64,
    /// Perhaps done.
    pub in_doubt: u64,
    /// Done.
    pub succeeded: u64,
    /// Not needed.
    pub skipped: u64,
    /// Given up.
    pub dead_lettered: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// All units with a record.
    pub fn total(&self) -> u64 {
        self.pending
            + self.running
            + self.backoff
            + self.waiting
            + self.in_doubt
            + self.succeeded
            + self.skipped
            + self.dead_lettered
            + self.cancelled
    }

    /// These counts over `total` units: those without a record are pending.
    #[must_use]
    pub fn over(mut self, total: u64) -> Self {
        self.pending += total.saturating_sub(self.total());
        self
    }

    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Pending => &mut self.pending,
            State::Running => &mut self.running,
            State::Backoff(_) => &mut self.backoff,
            State::Waiting(_) => &mut self.waiting,
            State::InDoubt(_) => &mut self.in_doubt,
            State::Succeeded => &mut self.succeeded,
            State::Skipped(_) => &mut self.skipped,
            State::DeadLettered => &mut self.dead_lettered,
            State::Cancelled => &mut self.cancelled,
        }
    }

    fn shift(&mut self, old: Option<State>, new: State) {
        if let Some(old) = old {
            let count = self.of(old);
            *count = count.saturating_sub(1);
        }
        *self.of(new) += 1;
    }
}

/// Calls of one step, over the life of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Batches handed to the connector.
    pub batches: u64,
    /// Requests that it sent for them.
    pub calls: u64,
    /// Units whose effect was accepted.
    pub accepted: u64,
    /// Units whose effect was refused.
    pub refused: u64,
}

/// Counts of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTally {
    /// Units by state.
    pub units: Counts,
    /// Attempts that ended.
    pub attempts: u64,
    /// Calls.
    pub calls: Calls,
}

/// Counts of one track of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Units by where they stand as a whole.
    pub units: Counts,
    /// One entry per step of the track.
    pub steps: Vec<StepTally>,
}

impl Tally {
    /// Moves a unit from its old progress (`None`: it had no record) to its new one.
    pub fn shift(&mut self, old: Option<&Progress>, new: &Progress) {
        self.units.shift(old.map(|progress| progress.standing().state), new.standing().state);
        self.steps.resize(self.steps.len().max(new.cells.len()), StepTally::default());
        for (step, cell) in new.cells.iter().enumerate() {
            let before = old.and_then(|progress| progress.cells.get(step));
            let tally = &mut self.steps[step];
            tally.units.shift(before.map(|cell| cell.state), cell.state);
            // A record that was put by hand may count fewer; the sum then stays.
            let before = before.map_or(0, |cell| cell.attempts);
            tally.attempts += u64::from(cell.attempts.saturating_sub(before));
        }
    }

    /// Adds calls of one step.
    pub fn add(&mut self, step: usize, calls: Calls) {
        self.steps.resize(self.steps.len().max(step + 1), StepTally::default());
        let sum = &mut self.steps[step].calls;
        sum.batches += calls.batches;
        sum.calls += calls.calls;
        sum.accepted += calls.accepted;
        sum.refused += calls.refused;
    }
}

#[cfg(test)]
mod tests {
    use State as S;

    use super::*;
    use crate::core::tests::{AT, standing_at};

    fn tried(state: State, attempts: u32) -> Progress {
        let mut progress = standing_at(&[S::Succeeded, state]);
        progress.cell_mut(1).attempts = attempts;
        progress
    }

    #[test]
    fn a_unit_is_counted_once_wherever_it_moves() {
        let mut tally = Tally::default();
        let path =
            [tried(S::Running, 0), tried(S::Backoff(AT), 1), tried(S::Running, 1), tried(S::Succeeded, 2)];
        tally.shift(None, &path[0]);
        for (old, new) in path.iter().zip(&path[1..]) {
            tally.shift(Some(old), new);
            assert_eq!((tally.units.total(), tally.steps[1].units.total()), (1, 1));
        }
        assert_eq!((tally.units.succeeded, tally.steps[1].units.succeeded), (1, 1));
        assert_eq!((tally.steps[0].attempts, tally.steps[1].attempts), (0, 2));
    }

    #[test]
    fn every_state_has_a_count_of_its_own() {
        let states = [
            S::Pending,
            S::Running,
            S::Backoff(AT),
            S::Waiting(AT),
            S::InDoubt(None),
            S::Succeeded,
            S::Skipped(crate::core::cell::SkipReason::Stale),
            S::DeadLettered,
            S::Cancelled,
        ];
        let mut tally = Tally::default();
        for state in states {
            tally.shift(None, &standing_at(&[state]));
        }
        let Counts {
            pending,
            running,
            backoff,
            waiting,
            in_doubt,
            succeeded,
            skipped,
            dead_lettered,
            cancelled,
        } = tally.units;
        let counts =
            [pending, running, backoff, waiting, in_doubt, succeeded, skipped, dead_lettered, cancelled];
        assert_eq!(counts, [1; 9]);
        assert_eq!((tally.units.total(), tally.steps[0].units), (9, tally.units));
    }

    #[test]
    fn units_without_a_record_are_pending() {
        let counts = Counts { pending: 1, dead_lettered: 2, ..Counts::default() };
        let expected = Counts { pending: 8, dead_lettered: 2, ..Counts::default() };
        assert_eq!((counts.over(10), counts.over(10).total()), (expected, 10));
        assert_eq!(counts.over(0), counts, "no source is pinned yet");
    }

    #[test]
    fn a_record_with_fewer_attempts_than_before_is_no_overflow() {
        let mut tally = Tally::default();
        tally.shift(None, &tried(S::Running, 3));
        tally.shift(Some(&tried(S::Running, 3)), &tried(S::Running, 1));
        assert_eq!(tally.steps[1].attempts, 3, "what was tried was tried");
    }

    #[test]
    fn calls_add_up_for_steps_nobody_has_reached_yet() {
        let mut tally = Tally::default();
        let calls = Calls { batches: 1, calls: 2, accepted: 3, refused: 4 };
        tally.add(2, calls);
        tally.add(2, calls);
        assert_eq!(tally.steps.len(), 3);
        assert_eq!(tally.steps[2].calls, Calls { batches: 2, calls: 4, accepted: 6, refused: 8 });
        assert_eq!(tally.units.total(), 0);
    }
}
