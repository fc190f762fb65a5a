//! What is decided when: batches, lines, the window, sleep. Time is a number here.

use std::sync::Arc;
use std::time::Duration;

use crate::core::arrival::{Arrival, Ready, Request};
use crate::core::catalog::Role;
use crate::core::cell::{Facts, SettleBy, State as S};
use crate::core::decide::{Decision, Dispatch, Preparation, decide};
use crate::core::desk::{Desk, Limits};
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::plan::{PlanStep, Track};
use crate::core::progress::Progress;
use crate::core::retry::{Again, Outcome};
use crate::core::time::Timestamp;
use crate::core::version::Version;

use super::{effect, plan, standing_at, step};

const LINGER: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_millis(400);

fn desk(steps: Vec<PlanStep>, window: usize, items: u64) -> Desk {
    let plan = Arc::new(plan(Track::default(), Track::new(steps)));
    Desk::new(plan, Limits { window, patience: PATIENCE }, Some(items), 0)
}

fn batching(max: usize, concurrency: usize) -> PlanStep {
    PlanStep { batch_max: max, linger: LINGER, concurrency, ..effect("write", &[], SettleBy::Probe) }
}

fn at(desk: &mut Desk, now: u64) -> Decision {
    decide(desk, Timestamp(now)).unwrap()
}

fn hear(desk: &mut Desk, arrival: Arrival, now: u64) {
    desk.hear(arrival, Timestamp(now), 0.5).unwrap();
}

fn request() -> Ready {
    let (body, version) = (serde_json::Value::Null, Version(String::new()));
    Ready::Request(Arc::new(Request { key: "k".to_owned(), body, version, fingerprint: None }))
}

/// Items arrive without a record, ready for a call of their first step.
fn arrive(desk: &mut Desk, items: std::ops::Range<u64>, now: u64) {
    for item in items {
        let ready = vec![(0, request())];
        hear(desk, Arrival::Fetched { unit: Unit::Item(item), progress: None, ready }, now);
    }
}

fn end(desk: &mut Desk, step: usize, items: &[u64], outcome: &Outcome, now: u64) {
    let outcomes = items.iter().map(|item| (Unit::Item(*item), outcome.clone())).collect();
    hear(desk, Arrival::Ended { step, outcomes }, now);
}

fn done() -> Outcome {
    Outcome::Done(Facts::new())
}

/// The calls of a decision: the step and its items.
fn calls(decision: &Decision) -> Vec<(usize, Vec<u64>)> {
    let item = |(unit, _): &(Unit, u32)| match unit {
        Unit::Item(item) => *item,
        other => panic!("{other}"),
    };
    let call = |dispatch: &Dispatch| match dispatch {
        Dispatch::Call { step, units } => Some((*step, units.iter().map(item).collect())),
        _ => None,
    };
    decision.dispatch.iter().filter_map(call).collect()
}

fn fetched(decision: &Decision) -> Vec<Unit> {
    let fetch = |dispatch: &Dispatch| match dispatch {
        Dispatch::Fetch(units) => Some(units.clone()),
        _ => None,
    };
    decision.dispatch.iter().find_map(fetch).unwrap_or_default()
}

#[test]
fn a_full_batch_leaves_at_once_and_the_rest_lingers() {
    let mut desk = desk(vec![batching(2, 9)], 10, 5);
    assert_eq!(fetched(&at(&mut desk, 0)).len(), 5);
    arrive(&mut desk, 0..5, 10);
    let decision = at(&mut desk, 10);
    assert_eq!(calls(&decision), [(0, vec![0, 1]), (0, vec![2, 3])]);
    assert_eq!(decision.wake_at, Some(Timestamp(60)), "others are on their way and may join");
    assert_eq!(calls(&at(&mut desk, 59)), []);
    assert_eq!(calls(&at(&mut desk, 60)), [(0, vec![4])]);
}

#[test]
fn whoever_nobody_can_join_does_not_linger() {
    let mut desk = desk(vec![batching(50, 1)], 10, 3);
    at(&mut desk, 0);
    arrive(&mut desk, 0..2, 0);
    assert_eq!(calls(&at(&mut desk, 0)), [], "the third is on its way");
    arrive(&mut desk, 2..3, 0);
    assert_eq!(calls(&at(&mut desk, 0)), [(0, vec![0, 1, 2])]);
}

#[test]
fn no_more_calls_are_out_than_the_step_allows() {
    let mut desk = desk(vec![batching(1, 2)], 10, 4);
    at(&mut desk, 0);
    arrive(&mut desk, 0..4, 0);
    assert_eq!(calls(&at(&mut desk, 0)), [(0, vec![0]), (0, vec![1])]);
    end(&mut desk, 0, &[1], &done(), 5);
    assert_eq!(calls(&at(&mut desk, 5)), [(0, vec![2])]);
    end(&mut desk, 0, &[0], &done(), 6);
    end(&mut desk, 0, &[2], &done(), 6);
    assert_eq!(calls(&at(&mut desk, 6)), [(0, vec![3])]);
}

#[test]
fn every_intent_is_recorded_with_the_decision_that_calls() {
    let mut desk = desk(vec![batching(3, 1)], 10, 3);
    at(&mut desk, 0);
    arrive(&mut desk, 0..3, 0);
    let decision = at(&mut desk, 0);
    let (recorded, _) = desk.take_changes();
    let running: Vec<Unit> = recorded
        .into_iter()
        .filter(|(_, progress)| progress.cells[0].state == S::Running)
        .map(|(unit, _)| unit)
        .collect();
    assert_eq!(running, [Unit::Item(0), Unit::Item(1), Unit::Item(2)]);
    let attempts = vec![(Unit::Item(0), 1), (Unit::Item(1), 1), (Unit::Item(2), 1)];
    assert_eq!(decision.dispatch, [Dispatch::Call { step: 0, units: attempts }]);
}

#[test]
fn a_later_step_goes_first() {
    let steps = vec![batching(1, 1), effect("second", &[0], SettleBy::Probe)];
    let mut desk = desk(steps, 10, 2);
    at(&mut desk, 0);
    arrive(&mut desk, 0..2, 0);
    assert_eq!(calls(&at(&mut desk, 0)), [(0, vec![0])]);
    end(&mut desk, 0, &[0], &done(), 1);
    let prepare = Preparation {
        unit: Unit::Item(0),
        progress: desk.progress(Unit::Item(0)).unwrap().clone(),
        steps: vec![1],
    };
    let decision = at(&mut desk, 1);
    assert!(decision.prepare.contains(&prepare), "{decision:?}");
    assert_eq!(calls(&decision), [(0, vec![1])]);
    let ready = vec![(1, request())];
    hear(&mut desk, Arrival::Prepared { unit: Unit::Item(0), steps: vec![1], ready }, 2);
    end(&mut desk, 0, &[1], &done(), 2);
    assert_eq!(calls(&at(&mut desk, 2)), [(1, vec![0])]);
}

#[test]
fn a_refused_attempt_comes_again_after_its_pause_until_the_budget_is_spent() {
    let mut desk = desk(vec![batching(1, 1)], 10, 1);
    at(&mut desk, 0);
    arrive(&mut desk, 0..1, 0);
    let refused = Outcome::Refused { fault: Fault::new("X", "no"), again: Again::Later };
    let mut attempts = Vec::new();
    let mut now = 0;
    loop {
        let decision = at(&mut desk, now);
        for dispatch in &decision.dispatch {
            if let Dispatch::Call { units, .. } = dispatch {
                attempts.push((now, units[0].1));
                end(&mut desk, 0, &[0], &refused, now);
            }
        }
        match at(&mut desk, now).wake_at {
            Some(wake) => now = wake.0,
            None => break,
        }
    }
    assert_eq!(attempts, [(0, 1), (1_000, 2), (3_000, 3)]);
    let (changes, setbacks) = desk.take_changes();
    assert_eq!(changes[0].1.cells[0].state, S::DeadLettered);
    assert_eq!(setbacks.iter().map(|setback| setback.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(desk.is_finished());
}

#[test]
fn items_come_in_while_the_window_has_room() {
    let mut desk = desk(vec![batching(1, 9)], 4, 10);
    let items = |range: std::ops::Range<u64>| range.map(Unit::Item).collect::<Vec<_>>();
    assert_eq!(fetched(&at(&mut desk, 0)), items(0..4));
    assert_eq!(fetched(&at(&mut desk, 0)), [], "they are on their way");
    arrive(&mut desk, 0..4, 0);
    at(&mut desk, 0);
    desk.take_changes();
    end(&mut desk, 0, &[0, 1], &done(), 1);
    desk.take_changes();
    assert_eq!(fetched(&at(&mut desk, 1)), [], "not one by one while others work");
    end(&mut desk, 0, &[2], &done(), 2);
    end(&mut desk, 0, &[3], &done(), 2);
    desk.take_changes();
    assert_eq!(fetched(&at(&mut desk, 2)), items(4..8));
    assert!(!desk.is_finished());
}

/// Two items that wait long fill the window; two more want in.
fn crowded() -> Desk {
    let mut desk = desk(vec![step("wait", Role::Timer, &[])], 2, 4);
    at(&mut desk, 0);
    for item in 0..2 {
        let ready = vec![(0, Ready::Wait(Duration::from_secs(60 + item)))];
        hear(&mut desk, Arrival::Fetched { unit: Unit::Item(item), progress: None, ready }, 0);
    }
    at(&mut desk, 0);
    desk.take_changes();
    desk
}

#[test]
fn an_item_that_waits_long_gives_up_its_place_and_is_woken_in_time() {
    let mut desk = crowded();
    assert_eq!(at(&mut desk, 399).asleep, [], "not before its patience ends");
    let decision = at(&mut desk, 500);
    assert_eq!(decision.asleep, [Unit::Item(0), Unit::Item(1)]);
    assert_eq!(fetched(&decision), [Unit::Item(2), Unit::Item(3)]);
    assert_eq!(desk.watermark(), 0, "asleep is not at rest");
    for item in 2..4 {
        let ready = vec![(0, Ready::Wait(Duration::from_millis(1)))];
        hear(&mut desk, Arrival::Fetched { unit: Unit::Item(item), progress: None, ready }, 500);
    }
    assert_eq!(fetched(&at(&mut desk, 501)), []);
    desk.take_changes();
    let decision = at(&mut desk, 502);
    assert_eq!(decision.wake_at, Some(Timestamp(60_000)));
    assert!(!desk.is_finished());
    assert_eq!(fetched(&at(&mut desk, 60_000)), [Unit::Item(0)]);
    let record = Some(standing_at(&[S::Waiting(Timestamp(60_000))]));
    hear(&mut desk, Arrival::Fetched { unit: Unit::Item(0), progress: record, ready: Vec::new() }, 60_001);
    at(&mut desk, 60_001);
    let (changes, _) = desk.take_changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].1.cells[0].state, S::Succeeded);
}

#[test]
fn without_anybody_who_wants_in_nobody_has_to_go() {
    let mut desk = desk(vec![step("wait", Role::Timer, &[])], 1, 1);
    at(&mut desk, 0);
    let ready = vec![(0, Ready::Wait(Duration::from_mins(1)))];
    hear(&mut desk, Arrival::Fetched { unit: Unit::Item(0), progress: None, ready }, 0);
    at(&mut desk, 0);
    desk.take_changes();
    assert_eq!(at(&mut desk, 30_000).asleep, []);
}

#[test]
fn the_watermark_stays_below_whatever_is_not_at_rest() {
    let mut desk = desk(vec![batching(1, 9)], 4, 9);
    at(&mut desk, 0);
    assert_eq!(desk.watermark(), 0, "on their way");
    arrive(&mut desk, 0..4, 0);
    at(&mut desk, 0);
    desk.take_changes();
    for (ended, watermark) in [(1, 0), (0, 2), (3, 2), (2, 4)] {
        end(&mut desk, 0, &[ended], &done(), 1);
        desk.take_changes();
        assert_eq!(desk.watermark(), watermark, "after item {ended}");
    }
    desk.want(Unit::Item(1));
    assert_eq!(desk.watermark(), 1, "a revived item is not at rest");
}

#[test]
fn an_item_that_a_message_brings_in_ahead_of_its_turn_moves_no_watermark() {
    let mut desk = desk(vec![batching(1, 9)], 2, 100);
    at(&mut desk, 0);
    arrive(&mut desk, 0..2, 0);
    at(&mut desk, 0);
    desk.want(Unit::Item(70));
    assert_eq!(fetched(&at(&mut desk, 0)), [Unit::Item(70)]);
    arrive(&mut desk, 70..71, 0);
    end(&mut desk, 0, &[0], &done(), 1);
    end(&mut desk, 0, &[1], &done(), 1);
    desk.take_changes();
    assert_eq!(desk.watermark(), 2, "the items from 2 to 69 have not begun");
}

#[test]
fn a_lost_intent_is_looked_at_before_anything_is_repeated() {
    let mut desk = desk(vec![batching(1, 1)], 4, 1);
    at(&mut desk, 0);
    let record = Some(standing_at(&[S::Running]));
    hear(&mut desk, Arrival::Fetched { unit: Unit::Item(0), progress: record, ready: Vec::new() }, 0);
    assert_eq!(calls(&at(&mut desk, 0)), []);
    let (changes, _) = desk.take_changes();
    assert_eq!(changes[0].1.cells[0].state, S::InDoubt(Some(Timestamp(0))));
    let ready = vec![(0, request())];
    hear(&mut desk, Arrival::Prepared { unit: Unit::Item(0), steps: vec![0], ready }, 1);
    let look = Dispatch::Look { step: 0, unit: Unit::Item(0) };
    assert_eq!(at(&mut desk, 1).dispatch, [look]);
}

#[test]
fn after_a_stop_nothing_starts_and_what_is_out_may_end() {
    let mut desk = desk(vec![batching(1, 1)], 4, 9);
    at(&mut desk, 0);
    arrive(&mut desk, 0..4, 0);
    assert_eq!(calls(&at(&mut desk, 0)), [(0, vec![0])]);
    desk.stop();
    let decision = at(&mut desk, 1);
    assert_eq!((decision.dispatch.len(), decision.wake_at), (0, None));
    assert!(!desk.is_finished(), "one call is out");
    end(&mut desk, 0, &[0], &done(), 2);
    assert_eq!(at(&mut desk, 2).dispatch, []);
    assert!(desk.is_finished());
    let states: Vec<S> = desk.take_changes().0.iter().map(|(_, one)| one.cells[0].state).collect();
    assert_eq!(states, [S::Succeeded], "the others have no intent");
}

#[test]
fn an_item_at_rest_leaves_memory_with_its_record() {
    let mut desk = desk(vec![batching(1, 1)], 4, 1);
    at(&mut desk, 0);
    arrive(&mut desk, 0..1, 0);
    at(&mut desk, 0);
    end(&mut desk, 0, &[0], &done(), 1);
    assert!(desk.progress(Unit::Item(0)).is_some());
    let (changes, _) = desk.take_changes();
    assert_eq!(changes, [(Unit::Item(0), Progress { cells: changes[0].1.cells.clone() })]);
    assert!(desk.progress(Unit::Item(0)).is_none() && desk.is_finished());
}
