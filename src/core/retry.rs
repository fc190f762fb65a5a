//! What follows from an attempt: done, again later, in doubt, or given up. The one place where
//! the retry policy is read.

use std::time::Duration;

use super::cell::Facts;
use super::cell::{Cell, Kind, SettleBy, SkipReason};
use super::fault::Fault;
use super::time::Timestamp;

/// The policy of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Calls in one budget, at least 1.
    pub attempts: u32,
    /// The pause after the first failed attempt.
    pub initial: Duration,
    /// What the pause is multiplied by after each further failed attempt.
    pub factor: f64,
    /// The longest pause.
    pub max: Duration,
    /// Whether chance spreads the pauses.
    pub jitter: Jitter,
}

/// How chance spreads the pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Pauses are exactly what the policy says.
    None,
    /// A pause is anything between zero and what the policy says ("full jitter"), so that
    /// many items that failed together do not come back together.
    Full,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: Jitter::Full,
        }
    }
}

impl Retry {
    /// The pause after `failed` failed attempts (from 1); `chance` is in `0.0..1.0`.
    pub fn pause(&self, failed: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let full = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let capped = full.min(self.max.as_secs_f64());
        Duration::from_secs_f64(match self.jitter {
            Jitter::None => capped,
            Jitter::Full => capped * chance,
        })
    }
}

/// What one unit of a call came to, as the connector knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Surely done.
    Done(Facts),
    /// Surely not needed.
    Skipped(SkipReason),
    /// Surely not done.
    Refused {
        /// Why.
        fault: Fault,
        /// Whether another attempt makes sense.
        again: Again,
    },
    /// Perhaps done: a timeout, a reset, an error of the other side after something was sent.
    Unclear(Fault),
}

impl Outcome {
    /// What went wrong, when that says nothing about the unit and perhaps much about the connection.
    pub fn outage(&self) -> Option<&Fault> {
        match self {
            Self::Refused { fault, again: Again::Later | Again::After(_) } | Self::Unclear(fault) => {
                Some(fault)
            }
            Self::Refused { again: Again::Never, .. } | Self::Done(_) | Self::Skipped(_) => None,
        }
    }

    /// The same end of an attempt of which the other side took a part before.
    ///
    /// The ledger knows three things of an effect: done, surely not done, perhaps; and the effect is the
    /// whole of it. So:
    ///
    /// - What is to be tried again is a doubt. "Surely not done" would be said of a product that has a new
    ///   title already, for as long as the pause lasts, or for good if nobody comes back.
    /// - What is refused for good stays refused: that the product is not what it should be is certain, and
    ///   a look could only say the same. A doubt would cost that look and an attempt, whose refusal then
    ///   no longer knows of the part that is there; so its words say it.
    #[must_use]
    pub fn in_part(self) -> Self {
        let told = |fault: Fault| Fault::new(fault.name, format!("done in part: {}", fault.message));
        match self {
            Self::Refused { fault, again: Again::Never } => {
                Self::Refused { fault: told(fault), again: Again::Never }
            }
            Self::Refused { fault, again: Again::Later | Again::After(_) } | Self::Unclear(fault) => {
                Self::Unclear(told(fault))
            }
            Self::Done(_) | Self::Skipped(_) => self,
        }
    }

    /// The other side holds what it should.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Skipped(_))
    }
}

/// Whether another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// No: the content is at fault.
    Never,
    /// Yes, after the policy's pause.
    Later,
    /// Yes, after this pause, which the other side asked for; at most a quarter of an hour.
    After(Duration),
}

/// What a look at the other side came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Probed {
    /// The effect is there.
    Done(Facts),
    /// The effect is surely not there.
    Absent,
    /// The look itself failed.
    Unknown(Fault),
}

/// The longest pause that the other side can ask for. What asks for more is better left to a
/// person who resumes the run.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// What of a step counts for what follows from an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Its policy.
    pub retry: &'a Retry,
    /// How a doubt is settled.
    pub settle: SettleBy,
}

/// Turns the outcome of an attempt that is running into the event to record.
pub fn judge(outcome: Outcome, cell: &Cell, terms: Terms<'_>, now: Timestamp, chance: f64) -> Kind {
    let Terms { retry, settle } = terms;
    let spent = cell.spent + 1;
    match outcome {
        Outcome::Done(facts) => Kind::Done { facts },
        Outcome::Skipped(reason) => Kind::Skipped { reason, facts: Facts::new() },
        Outcome::Refused { fault, again } => {
            let pause = match again {
                Again::Never => None,
                Again::Later => Some(retry.pause(spent, chance)),
                Again::After(pause) => Some(pause.min(RETRY_AFTER_MAX)),
            };
            let until = pause.filter(|_| spent < retry.attempts).map(|pause| now.after(pause));
            Kind::Refused { fault, until }
        }
        Outcome::Unclear(fault) => Kind::Unclear { fault, until: doubt(settle, retry, spent, now, chance) },
    }
}

/// The same while the connection is held: what fails for its sake costs nothing of the budget.
pub fn judge_held(outcome: Outcome, cell: &Cell, terms: Terms<'_>, now: Timestamp, chance: f64) -> Kind {
    let Terms { retry, settle } = terms;
    match outcome {
        Outcome::Refused { fault, again: Again::Later | Again::After(_) } => {
            postponed(fault, cell.spent, retry, now, chance)
        }
        Outcome::Unclear(fault) => {
            let until = doubt(settle, retry, cell.spent.max(1), now, chance);
            Kind::Unheard { fault, until }
        }
        other => judge(other, cell, terms, now, chance),
    }
}

/// Something is tried again that cost nothing. How long the connection is left alone is not
/// decided here.
pub fn postponed(fault: Fault, failed: u32, retry: &Retry, now: Timestamp, chance: f64) -> Kind {
    Kind::Postponed { fault, until: now.after(retry.pause(failed.max(1), chance)) }
}

/// Turns a look at the other side into the event to record for an effect in doubt.
pub fn judge_probe(probed: Probed, cell: &Cell, retry: &Retry, now: Timestamp, chance: f64) -> Kind {
    match probed {
        Probed::Done(facts) => Kind::Done { facts },
        Probed::Absent => Kind::Absent { until: next_attempt(cell, retry, now) },
        Probed::Unknown(fault) => {
            let looks = cell.looks + 1;
            let until = (looks < retry.attempts).then(|| now.after(retry.pause(looks, chance)));
            Kind::Unsettled { fault, until }
        }
    }
}

/// When an effect in doubt that is to be carried out after all is tried again; `None`: its budget
/// is used up.
pub fn next_attempt(cell: &Cell, retry: &Retry, now: Timestamp) -> Option<Timestamp> {
    (cell.spent < retry.attempts).then_some(now)
}

/// When an effect that just came into doubt is looked at: after a pause, because the other side
/// may still be at work on it; never, when only a person can decide.
fn doubt(settle: SettleBy, retry: &Retry, spent: u32, now: Timestamp, chance: f64) -> Option<Timestamp> {
    match settle {
        SettleBy::Person => None,
        SettleBy::Probe | SettleBy::Repeat => Some(now.after(retry.pause(spent, chance))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(5_000);

    fn terms(retry: &Retry, settle: SettleBy) -> Terms<'_> {
        Terms { retry, settle }
    }

    fn plainly() -> Retry {
        Retry { jitter: Jitter::None, ..Retry::default() }
    }

    #[test]
    fn pauses_grow_to_the_cap_and_jitter_spreads_them() {
        let retry = plainly();
        let pauses: Vec<u64> = (1..=7).map(|failed| retry.pause(failed, 0.9).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        let full = Retry::default();
        assert_eq!(full.pause(3, 0.0), Duration::ZERO);
        assert_eq!(full.pause(3, 0.5), Duration::from_secs(2));
    }

    #[test]
    fn three_attempts_are_three_calls() {
        let retry = Retry::default();
        let refused = || Outcome::Refused { fault: Fault::new("X", "no"), again: Again::Later };
        let mut cell = Cell::default();
        for spent in 0..3 {
            cell.spent = spent;
            let kind = judge(refused(), &cell, terms(&retry, SettleBy::Person), Timestamp(0), 0.5);
            let Kind::Refused { until, .. } = kind else { panic!("{kind:?}") };
            assert_eq!(until.is_some(), spent < 2);
        }
    }

    #[test]
    fn what_the_other_side_says_about_later_is_done() {
        let judged = |again| {
            let fault = Fault::new("X", "no");
            let cell = Cell::default();
            judge(Outcome::Refused { fault, again }, &cell, terms(&plainly(), SettleBy::Person), NOW, 0.5)
        };
        let until = |kind| match kind {
            Kind::Refused { until, .. } => until,
            other => panic!("{other:?}"),
        };
        assert_eq!(until(judged(Again::Never)), None, "the content is at fault");
        assert_eq!(until(judged(Again::Later)), Some(NOW.after(Duration::from_secs(1))));
        assert_eq!(
            until(judged(Again::After(Duration::from_secs(77)))),
            Some(NOW.after(Duration::from_secs(77)))
        );
    }

    #[test]
    fn a_doubt_is_looked_at_after_a_pause_unless_only_a_person_can() {
        let judged = |settle| {
            let unclear = Outcome::Unclear(Fault::new("Timeout", "?"));
            judge(unclear, &Cell::default(), terms(&plainly(), settle), NOW, 0.5)
        };
        for (settle, until) in [
            (SettleBy::Probe, Some(NOW.after(Duration::from_secs(1)))),
            (SettleBy::Repeat, Some(NOW.after(Duration::from_secs(1)))),
            (SettleBy::Person, None),
        ] {
            assert_eq!(
                judged(settle),
                Kind::Unclear { fault: Fault::new("Timeout", "?"), until },
                "{settle:?}"
            );
        }
    }

    #[test]
    fn what_is_surely_not_there_is_tried_again_only_within_the_budget() {
        let probed = |spent| {
            let cell = Cell { spent, ..Cell::default() };
            judge_probe(Probed::Absent, &cell, &plainly(), NOW, 0.5)
        };
        assert_eq!(probed(2), Kind::Absent { until: Some(NOW) });
        assert_eq!(probed(3), Kind::Absent { until: None }, "three attempts are three calls");
    }

    #[test]
    fn a_look_that_fails_is_repeated_as_often_as_an_attempt() {
        let looked = |looks| {
            let cell = Cell { looks, ..Cell::default() };
            let unknown = Probed::Unknown(Fault::new("Unreachable", "?"));
            match judge_probe(unknown, &cell, &plainly(), NOW, 0.5) {
                Kind::Unsettled { until, .. } => until,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(looked(0), Some(NOW.after(Duration::from_secs(1))));
        assert_eq!(looked(1), Some(NOW.after(Duration::from_secs(2))));
        assert_eq!(looked(2), None, "then a person decides");
    }
}
