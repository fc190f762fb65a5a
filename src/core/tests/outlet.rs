//! When calls leave over a connection: over all steps, at its rate, and not while it is held. Time
//! is a number here.

use std::sync::Arc;
use std::time::Duration;

use crate::core::arrival::{Arrival, Ready, Request};
use crate::core::breaker::Patience;
use crate::core::cell::{Facts, SettleBy, State as S};
use crate::core::decide::{Decision, Dispatch, decide};
use crate::core::desk::{Desk, Limits};
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::limits::Rate;
use crate::core::outlet::{Notice, Terms};
use crate::core::plan::{Plan, PlanStep, Track};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::time::Timestamp;
use crate::core::version::Version;
use crate::core::workflow::Bounds;

use super::{effect, plan};

/// Items at one step over the connection `shop`.
fn desk(terms: Terms, items: u64) -> Desk {
    let step = PlanStep {
        connection: Some("shop".to_owned()),
        concurrency: 9,
        ..effect("write", &[], SettleBy::Probe)
    };
    let bounds = Bounds { connections: [("shop".to_owned(), terms)].into(), ..Bounds::default() };
    let plan = Plan { bounds, ..plan(Track::default(), Track::new(vec![step])) };
    let limits = Limits { window: 100, patience: Duration::from_secs(1) };
    let mut desk = Desk::new(Arc::new(plan), limits, Some(items), 0);
    at(&mut desk, 0);
    for item in 0..items {
        let (body, version) = (serde_json::Value::Null, Version(String::new()));
        let request = Request { key: "k".to_owned(), body, version, fingerprint: None };
        let ready = vec![(0, Ready::Request(Arc::new(request)))];
        hear(&mut desk, Arrival::Fetched { unit: Unit::Item(item), progress: None, ready }, 0);
    }
    desk
}

fn at(desk: &mut Desk, now: u64) -> Decision {
    decide(desk, Timestamp(now)).unwrap()
}

fn hear(desk: &mut Desk, arrival: Arrival, now: u64) {
    desk.hear(arrival, Timestamp(now), 0.0).unwrap();
}

/// Items whose calls, and whose looks, leave now.
fn leaving(decision: &Decision) -> (Vec<Unit>, Vec<Unit>) {
    let (mut calls, mut looks) = (Vec::new(), Vec::new());
    for dispatch in &decision.dispatch {
        match dispatch {
            Dispatch::Call { units, .. } => calls.extend(units.iter().map(|(unit, _)| *unit)),
            Dispatch::Look { unit, .. } => looks.push(*unit),
            Dispatch::Fetch(_)
            | Dispatch::Receive { .. }
            | Dispatch::Claim { .. }
            | Dispatch::Release { .. } => {}
        }
    }
    (calls, looks)
}

fn end(desk: &mut Desk, unit: Unit, outcome: Outcome, now: u64) {
    hear(desk, Arrival::Ended { step: 0, outcomes: vec![(unit, outcome)] }, now);
}

fn down() -> Outcome {
    Outcome::Refused { fault: Fault::new("HttpStatus", "503"), again: Again::Later }
}

fn mute() -> Outcome {
    Outcome::Unclear(Fault::new("Timeout", "no answer"))
}

fn held_after(calls: u32) -> Terms {
    let patience = Patience { pause_after: calls, probe_every: Duration::from_secs(10) };
    Terms { patience, ..Terms::default() }
}

/// A desk whose connection is held since 1,000, after three calls that came to this; six are out.
fn held(outcome: &Outcome) -> (Desk, Vec<Unit>) {
    let mut desk = desk(held_after(3), 20);
    let (calls, _) = leaving(&at(&mut desk, 0));
    assert_eq!(calls.len(), 9);
    for unit in &calls[..3] {
        end(&mut desk, *unit, outcome.clone(), 1_000);
    }
    (desk, calls[3..].to_vec())
}

#[test]
fn a_held_connection_lets_nothing_out_and_nobody_looks_before_the_trial() {
    let (mut desk, out) = held(&down());
    let told = desk.take_notices();
    assert!(
        matches!(&told[..], [Notice::Held { connection, next: Timestamp(11_000), .. }] if connection == "shop")
    );
    for unit in &out {
        end(&mut desk, *unit, down(), 1_500);
    }
    assert_eq!(desk.take_notices(), [], "those that were out say nothing new");
    for now in [5_000, 10_999] {
        let decision = at(&mut desk, now);
        assert_eq!(leaving(&decision), (vec![], vec![]), "at {now}");
        assert_eq!(decision.wake_at, Some(Timestamp(11_000)), "nothing to do before the trial");
    }
    let decision = at(&mut desk, 11_000);
    let (trial, _) = leaving(&decision);
    assert_eq!((trial.len(), decision.wake_at), (1, None), "one unit; its end is what we wait for");
    assert_eq!(leaving(&at(&mut desk, 12_000)), (vec![], vec![]));
    end(&mut desk, trial[0], down(), 12_000);
    at(&mut desk, 12_000);
    let decision = at(&mut desk, 13_000);
    assert_eq!((leaving(&decision).0.len(), decision.wake_at), (0, Some(Timestamp(32_000))), "back in line");
    assert!(matches!(&desk.take_notices()[..], [Notice::Tried { next: Timestamp(32_000), .. }]));
    let cell = &desk.progress(trial[0]).unwrap().cells[0];
    assert_eq!((cell.attempts, cell.spent), (1, 0), "it is an attempt, and cost nothing");
    let (second, _) = leaving(&at(&mut desk, 32_000));
    assert_ne!(second, trial, "another one's turn");
    end(&mut desk, second[0], Outcome::Done(Facts::new()), 32_010);
    assert!(matches!(&desk.take_notices()[..], [Notice::Freed { .. }]));
    assert_eq!(leaving(&at(&mut desk, 32_010)).0.len(), 9, "as many as the step may have out");
}

#[test]
fn a_doubt_over_a_held_connection_is_looked_at_in_the_trial_and_costs_no_look() {
    let (mut desk, out) = held(&mute());
    for unit in &out {
        end(&mut desk, *unit, mute(), 1_000);
    }
    at(&mut desk, 5_000);
    let doubtful = out[0];
    let spent = |desk: &Desk| desk.progress(doubtful).map(|progress| progress.cells[0].spent);
    assert_eq!(spent(&desk), Some(0), "it ended when the connection was held");
    for (now, looks) in [(11_000, 0), (31_000, 0), (71_000, 0)] {
        let (calls, trial) = leaving(&at(&mut desk, now));
        assert_eq!((calls.len(), trial.len()), (0, 1), "a look changes nothing outside, so it is first");
        let probed = Probed::Unknown(Fault::new("Unreachable", "no"));
        hear(&mut desk, Arrival::Looked { step: 0, unit: trial[0], probed }, now);
        assert_eq!(desk.progress(trial[0]).unwrap().cells[0].looks, looks);
        assert!(matches!(desk.progress(trial[0]).unwrap().cells[0].state, S::InDoubt(Some(_))));
    }
}

#[test]
fn calls_leave_at_the_rate_and_the_decision_says_when() {
    let rate = Rate { calls: 4, per: Duration::from_secs(1) };
    let mut desk = desk(Terms { rate: Some(rate), ..Terms::default() }, 5);
    for now in [0, 250, 500] {
        let decision = at(&mut desk, now);
        assert_eq!((leaving(&decision).0.len(), decision.wake_at), (1, Some(Timestamp(now + 250))));
        assert_eq!(leaving(&at(&mut desk, now + 249)).0.len(), 0);
    }
}

#[test]
fn a_pause_keeps_all_in_and_a_stop_lets_go_of_what_stands_in_line() {
    let mut desk = desk(held_after(3), 20);
    desk.pause();
    let decision = at(&mut desk, 0);
    assert_eq!((leaving(&decision), decision.wake_at), ((vec![], vec![]), None));
    assert!(!desk.is_finished());
    desk.unpause(Timestamp(5));
    assert_eq!(leaving(&at(&mut desk, 5)).0.len(), 9);
    let (mut held, out) = held(&mute());
    for unit in &out {
        end(&mut held, *unit, mute(), 1_000);
    }
    at(&mut held, 5_000);
    held.stop();
    at(&mut held, 5_001);
    assert!(held.is_finished(), "looks that are due do not keep it");
}

#[test]
fn what_the_engine_breaks_off_costs_nothing_and_says_nothing_about_the_connection() {
    let break_off = |desk: &mut Desk, unit: Unit, now: u64| {
        let fault = Fault::new(name::BROKEN_OFF, "nobody waits for it");
        hear(desk, Arrival::BrokenOff { step: 0, unit, fault }, now);
    };
    let (mut desk, _) = held(&down());
    desk.take_notices();
    let (trial, _) = leaving(&at(&mut desk, 11_000));
    desk.stop();
    break_off(&mut desk, trial[0], 11_500);
    assert_eq!(desk.take_notices(), [], "it is neither held longer nor let go");
    let cell = &desk.progress(trial[0]).unwrap().cells[0];
    assert_eq!((cell.state, cell.attempts, cell.spent), (S::Backoff(Timestamp(11_500)), 1, 0));
    assert_eq!(leaving(&at(&mut desk, 12_000)), (vec![], vec![]), "it is to end");
    let mut desk = self::desk(held_after(1), 1);
    let (calls, _) = leaving(&at(&mut desk, 0));
    desk.stop();
    break_off(&mut desk, calls[0], 1);
    assert!(desk.is_finished(), "nothing is waited for");
    assert_eq!(desk.take_notices(), []);
}
