//! Steps that begin when they are asked for: what is at rest meanwhile, when a step is through, and what no
//! crash may lose.

use std::sync::Arc;
use std::time::Duration;

use crate::core::arrival::{Arrival, Ready, Request};
use crate::core::catalog::Role;
use crate::core::cell::{Facts, SettleBy, SkipReason, State as S};
use crate::core::decide::{Dispatch, decide};
use crate::core::desk::{Desk, Limits};
use crate::core::id::Unit;
use crate::core::plan::{Asked, Plan, Track};
use crate::core::progress::Progress;
use crate::core::retry::Outcome;
use crate::core::time::Timestamp;
use crate::core::version::Version;

use super::{AT, effect, plan, pure, standing_at, step};

const WINDOW: usize = 4;

/// Items flow from `read` over `put` to `tell`, and beside that wait at `pause`.
fn driven() -> Plan {
    let items = vec![
        pure("read", &[]),
        effect("put", &[0], SettleBy::Probe),
        effect("tell", &[1], SettleBy::Probe),
        step("pause", Role::Timer, &[0]),
    ];
    plan(Track::default(), Track::new(items)).driven()
}

fn desk(items: u64) -> Desk {
    let limits = Limits { window: WINDOW, patience: Duration::from_millis(100) };
    let mut desk = Desk::new(Arc::new(driven()), limits, None, 0);
    desk.start_from(0);
    desk.open_gate(items);
    desk
}

const ALL: Unit = Unit::Item(0);

/// Decides, and commits what was recorded; returns what was called, and which units were asked for.
fn turn(desk: &mut Desk, now: u64) -> (Vec<(usize, Vec<Unit>)>, Vec<Unit>) {
    let (mut calls, mut fetched) = (Vec::new(), Vec::new());
    for dispatch in decide(desk, Timestamp(now)).unwrap().dispatch {
        match dispatch {
            Dispatch::Call { step, units } => {
                calls.push((step, units.into_iter().map(|(unit, _)| unit).collect()));
            }
            Dispatch::Fetch(units) => fetched.extend(units),
            _ => {}
        }
    }
    desk.take_changes();
    (calls, fetched)
}

fn request() -> Ready {
    let (body, version) = (serde_json::Value::Null, Version(String::new()));
    Ready::Request(Arc::new(Request { key: "k".to_owned(), body, version, fingerprint: None }))
}

fn arrive(desk: &mut Desk, item: u64, states: Option<&[S]>, ready: Vec<(usize, Ready)>, now: u64) {
    let progress = states.map(standing_at);
    let arrival = Arrival::Fetched { unit: Unit::Item(item), progress, ready };
    desk.hear(arrival, Timestamp(now), 0.5).unwrap();
}

#[test]
fn whatever_a_record_says_a_closed_step_is_at_rest() {
    let mut plan = driven();
    for state in [S::Pending, S::Running, S::Backoff(AT), S::Waiting(AT), S::InDoubt(Some(AT))] {
        let progress = standing_at(&[S::Succeeded, state, S::Pending, S::Pending]);
        assert!(progress.is_at_rest(&plan.items), "{state:?}");
        plan.items.steps[1].asked = Asked::Open;
        assert!(!progress.is_at_rest(&plan.items), "{state:?}");
        plan.items.steps[1].asked = Asked::Closed;
    }
    let fresh = Progress::new(&plan.items);
    assert!(!fresh.is_ready(&plan.items, 0) && fresh.is_at_rest(&plan.items));
    plan.items.steps[2].asked = Asked::Open;
    let passed = standing_at(&[S::Succeeded, S::Skipped(SkipReason::Condition), S::Pending, S::Pending]);
    assert!(passed.is_ready(&plan.items, 2) && !passed.is_settled(&plan.items, 2));
    assert!(!standing_at(&[S::Succeeded, S::Backoff(AT), S::Pending]).is_ready(&plan.items, 2));
}

#[test]
fn nobody_is_looked_at_before_a_step_is_asked_for_and_then_everybody_is() {
    let mut desk = desk(3);
    assert_eq!(turn(&mut desk, 0), (vec![], vec![]));
    assert!(!desk.is_complete());
    desk.allow(ALL, 0, Asked::Open);
    let (_, fetched) = turn(&mut desk, 0);
    assert_eq!(fetched.len(), 3);
    for item in 0..3 {
        assert!(!desk.is_settled(ALL, 0), "item {item} is on its way");
        arrive(&mut desk, item, None, vec![(0, Ready::Computed)], 1);
    }
    turn(&mut desk, 1);
    assert!(desk.is_settled(ALL, 0) && !desk.is_busy(), "they are at rest for now, and on record");
    assert_eq!(desk.watermark(), 0, "a crash now must find every one of them");
    desk.allow(ALL, 1, Asked::Open);
    assert!(!desk.is_settled(ALL, 1));
    assert_eq!(turn(&mut desk, 2).1.len(), 3, "all over again");
}

#[test]
fn the_watermark_stays_until_the_last_step_is_asked_for() {
    let mut desk = desk(2);
    for step in 0..4 {
        desk.allow(ALL, step, Asked::Open);
        turn(&mut desk, step as u64);
        for item in 0..2 {
            arrive(&mut desk, item, Some(&[S::Succeeded; 4]), vec![], step as u64);
        }
        turn(&mut desk, step as u64);
        assert_eq!(desk.watermark(), if step == 3 { 2 } else { 0 }, "step {step}");
    }
    assert!(desk.is_complete());
}

#[test]
fn those_who_sleep_at_one_step_hold_up_no_other() {
    let mut desk = desk(9);
    for step in [0, 1, 3] {
        desk.allow(ALL, step, Asked::Open);
    }
    let far = S::Waiting(Timestamp(1_000_000));
    let mut now = 0;
    for _ in 0..100 {
        let (_, fetched) = turn(&mut desk, now);
        for unit in fetched {
            let Unit::Item(item) = unit else { panic!("{unit}") };
            arrive(&mut desk, item, Some(&[S::Succeeded, S::Succeeded, S::Pending, far]), vec![], now);
        }
        now += 60;
    }
    assert!(desk.units.len() <= WINDOW && !desk.asleep.is_empty(), "most of them sleep");
    assert!(desk.is_settled(ALL, 1), "all are through with it");
    assert!(!desk.is_settled(ALL, 3), "and all wait here");
    let (_, woken) = turn(&mut desk, 1_000_000);
    assert!(!woken.is_empty() && desk.is_settled(ALL, 1), "one on its way is known to stand elsewhere");
}

#[test]
fn an_item_between_attempts_is_called_once_when_another_step_is_asked_for() {
    let mut desk = desk(1);
    desk.allow(ALL, 1, Asked::Open);
    turn(&mut desk, 0);
    arrive(&mut desk, 0, Some(&[S::Succeeded, S::Backoff(Timestamp(5)), S::Pending, S::Pending]), vec![], 0);
    let ready = vec![(1, request())];
    desk.hear(Arrival::Prepared { unit: ALL, steps: vec![1], ready }, Timestamp(1), 0.5).unwrap();
    desk.pause();
    // It stands in line.
    turn(&mut desk, 10);
    desk.allow(ALL, 3, Asked::Open);
    desk.unpause(Timestamp(11));
    assert_eq!(turn(&mut desk, 11).0, [(1, vec![ALL])]);
    let outcomes = vec![(ALL, Outcome::Done(Facts::new()))];
    desk.hear(Arrival::Ended { step: 1, outcomes }, Timestamp(12), 0.5).unwrap();
    assert_eq!(turn(&mut desk, 13).0, []);
    assert!(desk.is_settled(ALL, 1));
}

#[test]
fn a_step_that_is_withdrawn_is_not_tried_until_it_is_asked_for_again() {
    let run = Track::new(vec![effect("send", &[], SettleBy::Probe)]);
    let limits = Limits { window: WINDOW, patience: Duration::from_secs(1) };
    let mut desk = Desk::new(Arc::new(plan(run, Track::default()).driven()), limits, Some(0), 0);
    let between = || Some(standing_at(&[S::Backoff(Timestamp(50))]));
    let fetched = |progress| Arrival::Fetched { unit: Unit::Run, progress, ready: vec![] };
    desk.allow(Unit::Run, 0, Asked::Open);
    turn(&mut desk, 0);
    desk.hear(fetched(between()), Timestamp(0), 0.5).unwrap();
    let ready = || Arrival::Prepared { unit: Unit::Run, steps: vec![0], ready: vec![(0, request())] };
    desk.hear(ready(), Timestamp(1), 0.5).unwrap();
    desk.withdraw(Unit::Run, 0);
    assert_eq!(turn(&mut desk, 100).0, [], "its time has come, and nobody asks");
    desk.allow(Unit::Run, 0, Asked::Open);
    for now in 101..104 {
        if !turn(&mut desk, now).1.is_empty() {
            desk.hear(fetched(between()), Timestamp(now), 0.5).unwrap();
            turn(&mut desk, now);
            desk.hear(ready(), Timestamp(now), 0.5).unwrap();
        }
    }
    let running = desk.progress(Unit::Run).map(|progress| progress.cells[0].state);
    assert_eq!(running, Some(S::Running));
}
