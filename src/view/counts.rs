//! Counts that sum to their total.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Regard;
use super::status::UnitStatus;
use crate::core::tally::Counts;

/// How many items stand in each state; the states sum to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemCounts {
    /// All items of the run; 0 before the source is pinned.
    pub total: u64,
    /// Not begun.
    pub pending: u64,
    /// A call is out.
    pub running: u64,
    /// The next attempt comes later.
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

impl ItemCounts {
    /// The counts of `total` items of which only those in `counts` have a record: whatever has
    /// none is pending. Each state counts as what it is regarded as.
    pub(super) fn of(total: u64, counts: &Counts, regard: Regard) -> Self {
        let unrecorded = total.saturating_sub(counts.total());
        let mut seen = Self { total: total.max(counts.total()), ..Self::default() };
        for (status, count) in [
            (UnitStatus::Pending, counts.pending + unrecorded),
            (UnitStatus::Running, counts.running),
            (UnitStatus::Backoff, counts.backoff),
            (UnitStatus::Waiting, counts.waiting),
            (UnitStatus::InDoubt, counts.in_doubt),
            (UnitStatus::Succeeded, counts.succeeded),
            (UnitStatus::Skipped, counts.skipped),
            (UnitStatus::DeadLettered, counts.dead_lettered),
            (UnitStatus::Cancelled, counts.cancelled),
        ] {
            *seen.state(status.regarded(regard)) += count;
        }
        seen
    }

    fn state(&mut self, status: UnitStatus) -> &mut u64 {
        match status {
            UnitStatus::Pending => &mut self.pending,
            UnitStatus::Running => &mut self.running,
            UnitStatus::Backoff => &mut self.backoff,
            UnitStatus::Waiting => &mut self.waiting,
            UnitStatus::InDoubt => &mut self.in_doubt,
            UnitStatus::Succeeded => &mut self.succeeded,
            UnitStatus::Skipped => &mut self.skipped,
            UnitStatus::DeadLettered | UnitStatus::Failed => &mut self.dead_lettered,
            UnitStatus::Cancelled => &mut self.cancelled,
        }
    }

    /// Each state with its count, in the order in which items go through them.
    pub fn states(&self) -> [(UnitStatus, u64); 9] {
        [
            (UnitStatus::Pending, self.pending),
            (UnitStatus::Running, self.running),
            (UnitStatus::Backoff, self.backoff),
            (UnitStatus::Waiting, self.waiting),
            (UnitStatus::InDoubt, self.in_doubt),
            (UnitStatus::Succeeded, self.succeeded),
            (UnitStatus::Skipped, self.skipped),
            (UnitStatus::DeadLettered, self.dead_lettered),
            (UnitStatus::Cancelled, self.cancelled),
        ]
    }

    /// Items that were passed on: done, or not needed.
    pub fn passed(&self) -> u64 {
        self.succeeded + self.skipped
    }

    /// Items that end here for good.
    pub fn stopped(&self) -> u64 {
        self.dead_lettered + self.cancelled
    }

    /// Items with which nothing more happens here by itself.
    pub fn ended(&self) -> u64 {
        self.passed() + self.stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_sum_to_the_total_however_the_run_is_regarded() {
        let counts = Counts {
            running: 2,
            succeeded: 5,
            dead_lettered: 1,
            pending: 1,
            backoff: 1,
            ..Counts::default()
        };
        let seen = |regard| {
            let items = ItemCounts::of(20, &counts, regard);
            assert_eq!(items.states().iter().map(|(_, count)| count).sum::<u64>(), 20);
            [
                items.pending,
                items.running,
                items.backoff,
                items.in_doubt,
                items.dead_lettered,
                items.cancelled,
            ]
        };
        assert_eq!(seen(Regard::AsRecorded), [11, 2, 1, 0, 1, 0]);
        assert_eq!(seen(Regard::Lost), [11, 0, 1, 2, 1, 0]);
        assert_eq!(seen(Regard::GivenUp), [0, 0, 0, 2, 1, 12]);
    }
}
