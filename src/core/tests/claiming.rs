//! Keys at the desk: who leaves, who waits, what it costs.

use std::sync::Arc;
use std::time::Duration;

use crate::core::arrival::{Arrival, Ready, Request};
use crate::core::cell::{Cell, Facts, SettleBy, SkipReason, State as S};
use crate::core::claims::{Claimed, Fingerprint};
use crate::core::decide::{Decision, Dispatch, decide};
use crate::core::desk::{Desk, Limits};
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::plan::{PlanStep, Track};
use crate::core::retry::Outcome;
use crate::core::time::Timestamp;
use crate::core::version::Version;

use super::{effect, plan};

/// A desk at which `items` items are in line for the keys of their first step, one call at a time.
fn desk(items: u64, batch_max: usize) -> Desk {
    let keyed = PlanStep { keyed: true, batch_max, ..effect("write", &[], SettleBy::Repeat) };
    let plan = Arc::new(plan(Track::default(), Track::new(vec![keyed])));
    let limits = Limits { window: 10, patience: Duration::from_secs(1) };
    let mut desk = Desk::new(plan, limits, Some(items), 0);
    at(&mut desk, 0);
    for item in 0..items {
        let (unit, ready) = (Unit::Item(item), vec![(0, request())]);
        hear(&mut desk, Arrival::Fetched { unit, progress: None, ready }, 0);
    }
    desk
}

fn request() -> Ready {
    let (version, fingerprint) = (Version("1".to_owned()), Some(Fingerprint(10)));
    let (key, body) = ("K-1".to_owned(), serde_json::Value::Null);
    Ready::Request(Arc::new(Request { key, body, version, fingerprint }))
}

fn at(desk: &mut Desk, now: u64) -> Decision {
    decide(desk, Timestamp(now)).unwrap()
}

fn hear(desk: &mut Desk, arrival: Arrival, now: u64) {
    desk.hear(arrival, Timestamp(now), 0.5).unwrap();
}

fn answer(desk: &mut Desk, answers: Vec<(u64, Claimed)>, now: u64) {
    let answers = answers.into_iter().map(|(item, claimed)| (Unit::Item(item), claimed)).collect();
    hear(desk, Arrival::Claimed { step: 0, answers }, now);
}

/// What leaves, in words.
fn leaving(decision: &Decision) -> Vec<String> {
    let item = |(unit, attempt): &(Unit, u32)| format!("{unit} #{attempt}");
    let word = |dispatch: &Dispatch| match dispatch {
        Dispatch::Claim { units, .. } => {
            Some(format!("claim {}", units.iter().map(item).collect::<Vec<_>>().join(", ")))
        }
        Dispatch::Call { units, .. } => {
            Some(format!("call {}", units.iter().map(item).collect::<Vec<_>>().join(", ")))
        }
        Dispatch::Release { units, .. } => Some(format!("release {}", units[0])),
        _ => None,
    };
    decision.dispatch.iter().filter_map(word).collect()
}

fn cell(desk: &Desk, item: u64) -> Cell {
    desk.progress(Unit::Item(item)).unwrap().cells[0].as_ref().clone()
}

fn applied() -> Claimed {
    Claimed::AlreadyApplied { facts: Facts::from([("id".to_owned(), 7.into())]), own: false }
}

#[test]
fn only_those_leave_that_were_granted_their_key() {
    let mut desk = desk(4, 4);
    assert_eq!(leaving(&at(&mut desk, 0)), ["claim item 0 #1, item 1 #1, item 2 #1, item 3 #1"]);
    assert_eq!(cell(&desk, 0).state, S::Pending, "to ask is no intent");
    let stale = Claimed::Stale { facts: Facts::new() };
    let conflict = Claimed::Conflict { other: Fingerprint(11) };
    answer(&mut desk, vec![(0, Claimed::Granted), (1, applied()), (2, stale), (3, conflict)], 5);
    assert_eq!(cell(&desk, 1).facts["id"], 7, "later steps see what is known of the other effect");
    assert_eq!(cell(&desk, 1).state, S::Skipped(SkipReason::AlreadyApplied));
    assert_eq!(cell(&desk, 2).state, S::Skipped(SkipReason::Stale));
    let refused = cell(&desk, 3);
    assert_eq!((refused.state, refused.attempts), (S::DeadLettered, 0));
    let fault = refused.fault.unwrap();
    assert_eq!(fault.name, name::KEY_CONFLICT);
    for said in ["K-1", &Fingerprint(10).to_string(), &Fingerprint(11).to_string()] {
        assert!(fault.message.contains(said), "{fault}");
    }
    assert_eq!(leaving(&at(&mut desk, 5)), ["call item 0 #1"]);
    assert_eq!(cell(&desk, 0).state, S::Running);
}

#[test]
fn whoever_finds_another_one_at_it_waits_without_a_slot_and_it_costs_no_attempt() {
    let mut desk = desk(2, 1);
    assert_eq!(leaving(&at(&mut desk, 0)), ["claim item 0 #1"], "one call at a time");
    answer(&mut desk, vec![(0, Claimed::Busy { until: Timestamp(300_000) })], 10);
    let decision = at(&mut desk, 10);
    assert_eq!(leaving(&decision), ["claim item 1 #1"]);
    assert_eq!(decision.wake_at, Some(Timestamp(260)));
    answer(&mut desk, vec![(1, applied())], 20);
    assert_eq!(leaving(&at(&mut desk, 259)), [""; 0]);
    assert_eq!(leaving(&at(&mut desk, 260)), ["claim item 0 #1"]);
    assert_eq!((cell(&desk, 0).attempts, cell(&desk, 0).spent), (0, 0));
    answer(&mut desk, vec![(0, Claimed::Busy { until: Timestamp(300) })], 270);
    assert_eq!(at(&mut desk, 270).wake_at, Some(Timestamp(300)), "no longer than the claim holds");
    assert!(!desk.is_finished());
}

#[test]
fn nothing_leaves_while_the_keys_cannot_be_asked() {
    let mut desk = desk(2, 2);
    at(&mut desk, 0);
    let units = vec![Unit::Item(0), Unit::Item(1)];
    hear(&mut desk, Arrival::Unclaimed { step: 0, units: units.clone() }, 100);
    assert_eq!(leaving(&at(&mut desk, 100)), [""; 0]);
    assert_eq!(leaving(&at(&mut desk, 2_099)), [""; 0]);
    assert_eq!(leaving(&at(&mut desk, 2_100)), ["claim item 0 #1, item 1 #1"]);
    hear(&mut desk, Arrival::Unclaimed { step: 0, units }, 2_200);
    desk.stop();
    at(&mut desk, 2_200);
    assert!(desk.is_finished(), "a run that is stopped does not wait for them");
    assert_eq!(cell(&desk, 0).state, S::Pending);
}

#[test]
fn a_key_that_was_granted_to_a_run_that_stops_is_let_go() {
    let mut desk = desk(1, 1);
    at(&mut desk, 0);
    desk.stop();
    at(&mut desk, 1);
    assert!(!desk.is_finished(), "the answer is on its way");
    answer(&mut desk, vec![(0, Claimed::Granted)], 2);
    assert_eq!(leaving(&at(&mut desk, 2)), ["release item 0"]);
    assert_eq!(cell(&desk, 0).state, S::Pending);
    assert!(desk.is_finished());
}

#[test]
fn a_key_settles_a_doubt_about_the_own_attempt() {
    for (own, expected) in [(true, S::Succeeded), (false, S::Skipped(SkipReason::AlreadyApplied))] {
        let mut desk = desk(1, 1);
        at(&mut desk, 0);
        answer(&mut desk, vec![(0, Claimed::Granted)], 1);
        assert_eq!(leaving(&at(&mut desk, 1)), ["call item 0 #1"]);
        let outcomes = vec![(Unit::Item(0), Outcome::Unclear(Fault::new("NoAnswer", "?")))];
        hear(&mut desk, Arrival::Ended { step: 0, outcomes }, 2);
        let mut now = 2;
        let decision = loop {
            let decision = at(&mut desk, now);
            if decision.dispatch.is_empty() { now = decision.wake_at.unwrap().0 } else { break decision }
        };
        assert_eq!(leaving(&decision), ["claim item 0 #2"], "a repeat asks again");
        answer(&mut desk, vec![(0, Claimed::AlreadyApplied { facts: Facts::new(), own })], now);
        let cell = cell(&desk, 0);
        assert_eq!((cell.state, cell.doubts), (expected, u32::from(!own)));
    }
}

#[test]
fn what_a_message_proves_meanwhile_is_not_called() {
    let mut desk = desk(1, 1);
    let unit = Unit::Item(0);
    at(&mut desk, 0);
    hear(&mut desk, Arrival::Proven { step: 0, unit, facts: Facts::new() }, 1);
    answer(&mut desk, vec![(0, Claimed::Granted)], 2);
    assert_eq!(leaving(&at(&mut desk, 2)), ["release item 0"]);
}
