//! How fast calls may leave over a connection: evenly spaced, never more than the rate says.

use std::time::Duration;

use super::time::Timestamp;

/// At most so many calls in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The calls, at least 1.
    pub calls: u32,
    /// The time, longer than nothing.
    pub per: Duration,
}

/// When the next call may leave. A call that left late is not made up for, so that no stretch of
/// time ever sees more calls than the rate allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Microseconds between two calls.
    gap: u64,
    /// No call before this instant, in microseconds.
    next: u64,
}

const MICROS: u64 = 1_000;

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        let per = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX);
        Self { gap: per.div_ceil(u64::from(rate.calls.max(1))), next: 0 }
    }

    /// When a call may leave; an instant that is past means now. Instants are whole milliseconds:
    /// what falls into one of them leaves together.
    pub(super) fn ready_at(&self) -> Timestamp {
        Timestamp(self.next / MICROS)
    }

    /// A call leaves.
    pub(super) fn leave(&mut self, now: Timestamp) {
        self.next = self.next.max(now.0.saturating_mul(MICROS)).saturating_add(self.gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instants at which calls leave when there are always some, and somebody looks every
    /// `step` milliseconds.
    fn departures(rate: Rate, step: u64, until: u64) -> Vec<u64> {
        let mut pace = Pace::new(rate);
        let mut left = Vec::new();
        for now in (0..until).step_by(usize::try_from(step).unwrap()) {
            while pace.ready_at().0 <= now {
                pace.leave(Timestamp(now));
                left.push(now);
            }
        }
        left
    }

    #[test]
    fn no_second_sees_more_calls_than_the_rate_says_and_none_is_wasted() {
        for calls in [1, 3, 10, 250, 1_000, 4_000] {
            let rate = Rate { calls, per: Duration::from_secs(1) };
            for step in [1, 7] {
                let left = departures(rate, step, 5_000);
                for (at, first) in left.iter().enumerate() {
                    let within = left[at..].iter().take_while(|later| **later < first + 1_000).count();
                    assert!(within <= calls as usize, "{within} calls from {first} on at {calls}/s");
                }
                if step == 1 {
                    let all = left.len();
                    assert!(all + 1 >= 5 * calls as usize, "only {all} calls left at {calls}/s");
                }
            }
        }
    }

    #[test]
    fn slow_rates_and_a_pause_bring_no_burst() {
        let rate = Rate { calls: 2, per: Duration::from_mins(1) };
        assert_eq!(departures(rate, 1_000, 100_000), [0, 30_000, 60_000, 90_000]);
        let mut pace = Pace::new(rate);
        pace.leave(Timestamp(0));
        pace.leave(Timestamp(500_000));
        assert_eq!(pace.ready_at(), Timestamp(530_000), "what was not used is gone");
    }
}
