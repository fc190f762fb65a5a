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
    /// Units whose effect was refused or came into doubt.
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
