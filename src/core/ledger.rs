//! What is known about an effect: done for sure, not done for sure, or perhaps.
//!
//! A word per cell, derived from what is durable and from nothing else. It never claims more than
//! the record holds: an effect that was repeated because a repeat is harmless, and whose earlier
//! attempt nobody looked up, is not called refused.

use serde::{Deserialize, Serialize};

use super::catalog::Role;
use super::cell::{Cell, SettleBy, SkipReason, State};
use super::plan::PlanStep;

/// What is known about an effect.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A call is out; its outcome is not known yet.
    Intended,
    /// Done for sure.
    Done,
    /// Not done for sure.
    Refused,
    /// Perhaps done.
    InDoubt,
    /// Never sent: the other side already held what it should.
    NotNeeded,
}

/// An effect as the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is known.
    pub verdict: Verdict,
    /// The attempt it is about, from 1; 0 when none was made.
    pub attempt: u32,
    /// How many attempts beside that one perhaps happened as well.
    pub doubts: u32,
    /// How often it was done before, for sure: it was done again because it was out of date, or
    /// because what it sent was lost.
    pub before: u32,
    /// How it is settled; only for an effect in doubt.
    pub settle_by: Option<SettleBy>,
}

impl Entry {
    /// Whether something about it is perhaps: the effect itself, or that it happened more than
    /// once.
    pub fn is_doubtful(&self) -> bool {
        self.verdict == Verdict::InDoubt || self.doubts > 0
    }
}

impl Verdict {
    /// Every verdict, in the order in which a heading counts them.
    pub const ALL: [Self; 5] = [Self::Done, Self::Refused, Self::InDoubt, Self::Intended, Self::NotNeeded];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
            Self::NotNeeded => "not_needed",
        }
    }
}

/// What the record of a step says about its effect; `None` for a step without effects, and for
/// one that was never tried. `live`: an engine works on the run, so an open intent has a call
/// under way; else that call is lost, and what became of it is not known.
pub fn entry(step: &PlanStep, cell: &Cell, live: bool) -> Option<Entry> {
    if !matches!(step.role, Role::Effect { .. }) {
        return None;
    }
    let (doubts, before) = (cell.doubts, cell.redone);
    let ended = |verdict| Entry { verdict, attempt: cell.attempts, doubts, before, settle_by: None };
    let begun = |verdict, settle_by| Entry { verdict, attempt: cell.attempts + 1, doubts, before, settle_by };
    // Given up, or between attempts, with an attempt behind it that nobody looked up.
    let perhaps = || Entry {
        verdict: Verdict::InDoubt,
        attempt: cell.attempts,
        doubts: doubts.saturating_sub(1),
        before,
        settle_by: Some(if cell.state.is_final() { SettleBy::Person } else { step.settle }),
    };
    match cell.state {
        State::Running if live => Some(begun(Verdict::Intended, None)),
        State::Running => Some(begun(Verdict::InDoubt, Some(step.settle))),
        State::InDoubt(_) => Some(Entry { settle_by: Some(step.settle), ..ended(Verdict::InDoubt) }),
        State::Succeeded => Some(ended(Verdict::Done)),
        State::Skipped(SkipReason::AlreadyApplied | SkipReason::Stale) => Some(ended(Verdict::NotNeeded)),
        State::Skipped(SkipReason::Condition) => None,
        State::Pending | State::Backoff(_) | State::Waiting(_) | State::DeadLettered | State::Cancelled => {
            match (cell.doubts, cell.attempts) {
                // What was done once is never called not done, whatever became of doing it again.
                _ if before > 0 => Some(Entry { before: before - 1, ..ended(Verdict::Done) }),
                (0, 0) => None,
                (0, _) => Some(ended(Verdict::Refused)),
                _ => Some(perhaps()),
            }
        }
    }
}

/// Whether nobody but a person will ever say what became of this effect: it can neither be looked up
/// nor repeated without harm, or attempts were left behind that perhaps happened.
pub fn is_left_to_a_person(step: &PlanStep, cell: &Cell, live: bool) -> bool {
    let settled_by = entry(step, cell, live).and_then(|entry| entry.settle_by);
    cell.doubts > 0 || settled_by == Some(SettleBy::Person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tests::{AT, effect};

    fn told(state: State, attempts: u32, doubts: u32) -> Option<(Verdict, u32)> {
        let cell = Cell { state, attempts, doubts, ..Cell::default() };
        entry(&effect("pim", &[], SettleBy::Repeat), &cell, false).map(|entry| (entry.verdict, entry.doubts))
    }

    #[test]
    fn the_ledger_never_claims_more_than_the_record_holds() {
        use State as S;
        assert_eq!(told(S::Pending, 0, 0), None, "never tried");
        assert_eq!(told(S::DeadLettered, 0, 0), None, "its content was at fault before any call");
        assert_eq!(told(S::DeadLettered, 3, 0), Some((Verdict::Refused, 0)));
        assert_eq!(
            told(S::DeadLettered, 3, 1),
            Some((Verdict::InDoubt, 0)),
            "perhaps, in an earlier attempt"
        );
        assert_eq!(told(S::Backoff(AT), 1, 0), Some((Verdict::Refused, 0)));
        assert_eq!(told(S::Backoff(AT), 2, 2), Some((Verdict::InDoubt, 1)));
        assert_eq!(told(S::Succeeded, 2, 1), Some((Verdict::Done, 1)), "done, and perhaps done before");
        assert_eq!(told(S::Running, 0, 0), Some((Verdict::InDoubt, 0)), "its engine is gone");
        assert_eq!(told(S::Skipped(SkipReason::Condition), 0, 0), None);
        assert_eq!(told(S::Skipped(SkipReason::Stale), 0, 0), Some((Verdict::NotNeeded, 0)));
    }

    #[test]
    fn a_call_that_is_under_way_is_no_doubt_while_its_engine_lives() {
        let step = effect("pim", &[], SettleBy::Probe);
        let cell = Cell { state: State::Running, attempts: 1, ..Cell::default() };
        let entry_now = |live| entry(&step, &cell, live).unwrap();
        assert_eq!((entry_now(true).verdict, entry_now(true).attempt), (Verdict::Intended, 2));
        assert_eq!(entry_now(false).settle_by, Some(SettleBy::Probe));
    }

    #[test]
    fn a_person_is_asked_only_where_nothing_else_will_tell() {
        let left = |settle, state, doubts| {
            let cell = Cell { state, doubts, attempts: 1, ..Cell::default() };
            is_left_to_a_person(&effect("pim", &[], settle), &cell, false)
        };
        assert!(!left(SettleBy::Probe, State::Running, 0), "a resume looks it up");
        assert!(!left(SettleBy::Repeat, State::InDoubt(Some(AT)), 0), "a resume repeats it");
        assert!(left(SettleBy::Person, State::Running, 0));
        assert!(!left(SettleBy::Probe, State::InDoubt(None), 0), "a resume looks again");
        assert!(left(SettleBy::Repeat, State::Succeeded, 1), "done, and perhaps done before");
        assert!(left(SettleBy::Repeat, State::DeadLettered, 1));
        assert!(!left(SettleBy::Person, State::DeadLettered, 0), "surely not done");
    }
}
