//! Counts that sum to their total.

use serde::{Deserialize, Serialize};

use super::status::UnitStatus;
use crate::core::tally::Counts;

/// How many items stand in each state; the states sum to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// none is pending. Without an engine an intent without an outcome is in doubt.
    pub(super) fn of(total: u64, counts: &Counts, has_engine: bool) -> Self {
        let unrecorded = total.saturating_sub(counts.total());
        let (running, doubt) = if has_engine { (counts.running, 0) } else { (0, counts.running) };
        Self {
            total: total.max(counts.total()),
            pending: counts.pending + unrecorded,
            running,
            backoff: counts.backoff,
            waiting: counts.waiting,
            in_doubt: counts.in_doubt + doubt,
            succeeded: counts.succeeded,
            skipped: counts.skipped,
            dead_lettered: counts.dead_lettered,
            cancelled: counts.cancelled,
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
    fn the_states_sum_to_the_total_with_and_without_an_engine() {
        let counts = Counts { running: 2, succeeded: 5, dead_lettered: 1, pending: 1, ..Counts::default() };
        for has_engine in [true, false] {
            let items = ItemCounts::of(20, &counts, has_engine);
            assert_eq!(items.states().iter().map(|(_, count)| count).sum::<u64>(), 20);
            assert_eq!(items.pending, 12);
            assert_eq!((items.running, items.in_doubt), if has_engine { (2, 0) } else { (0, 2) });
        }
    }
}
