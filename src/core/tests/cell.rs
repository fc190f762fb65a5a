//! What may happen to a step, and what it counts.

use crate::core::cell::{Cell, Facts, Kind, SettleBy, State};
use crate::core::fault::Fault;
use crate::core::ledger::{Verdict, entry};
use crate::core::tests::{AT, effect};
use crate::core::time::Timestamp;

fn fault() -> Fault {
    Fault::new("X", "no")
}

#[test]
fn an_attempt_whose_engine_died_is_over_but_costs_nothing_of_the_budget() {
    let at = Timestamp(5);
    let running = Cell::default().next(Kind::Intended, at).unwrap();
    assert_eq!(running.attempts, 0);
    let lost = running.clone().next(Kind::Lost { until: Some(at) }, at).unwrap();
    assert_eq!((lost.attempts, lost.spent, lost.state), (1, 0, State::InDoubt(Some(at))));
    let refused = running.next(Kind::Refused { fault: fault(), until: Some(at) }, at).unwrap();
    assert_eq!((refused.attempts, refused.spent), (1, 1));
}

#[test]
fn a_doubt_that_is_left_behind_is_never_forgotten_but_by_somebody_who_looked() {
    let at = Timestamp(5);
    let apply = |cell: Cell, kinds: &[Kind]| {
        kinds.iter().fold(cell, |cell, kind| cell.next(kind.clone(), at).unwrap())
    };
    let again = Kind::Repeated { until: Some(at) };
    let unclear = Kind::Unclear { fault: fault(), until: Some(at) };
    let doubtful = apply(Cell::default(), &[Kind::Intended, unclear.clone(), again, Kind::Intended]);
    let refused = Kind::Refused { fault: fault(), until: None };
    let given_up = apply(doubtful.clone(), &[refused]);
    assert_eq!((given_up.state, given_up.doubts), (State::DeadLettered, 1), "perhaps it happened");
    assert_eq!(apply(given_up.clone(), &[Kind::Revived]).doubts, 1, "a new budget does not settle it");
    let looked = apply(doubtful.clone(), &[unclear.clone(), Kind::Absent { until: Some(at) }]);
    assert_eq!(looked.doubts, 0);
    let not_done = apply(given_up.clone(), &[Kind::Settled { done: None }]);
    assert_eq!((not_done.state, not_done.doubts), (State::DeadLettered, 0));
    let done = apply(given_up, &[Kind::Settled { done: Some(Facts::new()) }]);
    assert_eq!((done.state, done.doubts), (State::Succeeded, 0));
    let open = apply(doubtful, &[unclear]);
    assert_eq!(apply(open.clone(), &[Kind::Settled { done: None }]).state, State::Pending);
    assert_eq!(apply(open, &[Kind::Cancelled]).doubts, 2);
    let clear = apply(Cell::default(), &[Kind::Intended, Kind::Done { facts: Facts::new() }]);
    assert!(clear.next(Kind::Settled { done: None }, at).is_err(), "there is nothing to settle");
}

#[test]
fn a_late_outcome_is_refused() {
    let at = Timestamp(5);
    let done = Cell::default().next(Kind::Done { facts: Facts::new() }, at).unwrap();
    for kind in [Kind::Intended, Kind::Done { facts: Facts::new() }, Kind::Revived, Kind::Cancelled] {
        assert!(done.clone().next(kind, at).is_err());
    }
    let cell = Cell::default();
    assert!(cell.clone().next(Kind::Unclear { fault: fault(), until: None }, at).is_err());
    assert!(cell.next(Kind::Absent { until: Some(at) }, at).is_err());
}

#[test]
fn what_is_done_again_on_purpose_was_done_and_is_no_doubt() {
    let apply = |cell: Cell, kinds: &[Kind]| {
        kinds.iter().fold(cell, |cell, kind| cell.next(kind.clone(), AT).unwrap())
    };
    let done = apply(Cell::default(), &[Kind::Intended, Kind::Done { facts: Facts::new() }]);
    for again in [Kind::Outdated, Kind::Resent] {
        let begun = apply(done.clone(), &[again]);
        assert_eq!((begun.state, begun.redone, begun.doubts), (State::Pending, 1, 0));
        let told =
            |cell: &Cell| entry(&effect("pim", &[], SettleBy::Person), cell, false).map(|it| it.verdict);
        assert_eq!(told(&begun), Some(Verdict::Done), "it was done, whatever becomes of doing it again");
        assert!(begun.clone().next(Kind::Settled { done: None }, AT).is_err(), "nothing to settle");
        let open = apply(begun, &[Kind::Intended, Kind::Lost { until: None }]);
        assert_eq!(told(&open), Some(Verdict::InDoubt));
    }
}
