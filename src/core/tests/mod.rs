//! What the tests of the core share: small tracks, and units at any place on them.

mod alert;
mod asking;
mod carried_out;
mod cell;
mod claiming;
mod decide;
mod mail;
mod outlet;
mod plan;
mod redefine;
mod resume;
mod version;

use std::time::Duration;

use super::catalog::Role;
use super::cell::{Cell, SettleBy, State};
use super::fault::Fault;
use super::plan::{Plan, PlanStep, Track};
use super::progress::Progress;
use super::retry::{Jitter, Retry};
use super::time::Timestamp;
use super::workflow::{Bounds, Tolerance};

pub(super) const AT: Timestamp = Timestamp(1_000);

pub(super) fn step(name: &str, role: Role, needs: &[usize]) -> PlanStep {
    PlanStep {
        name: name.to_owned(),
        role,
        needs: needs.to_vec(),
        implied: Vec::new(),
        leaves_record: false,
        follows: Vec::new(),
        retry: Retry { jitter: Jitter::None, ..Retry::default() },
        timeout: Duration::from_secs(30),
        batch_max: 1,
        linger: Duration::ZERO,
        concurrency: 1,
        connection: None,
        settle: SettleBy::Repeat,
        keyed: false,
        tolerant: false,
        messages: match role {
            Role::Receive => crate::core::plan::Messages::About,
            Role::Listen => crate::core::plan::Messages::Signals,
            _ => crate::core::plan::Messages::None,
        },
        delete_after: crate::core::plan::DeleteAfter::Taken,
        revision: 0,
        asked: crate::core::plan::Asked::Open,
    }
}

pub(super) fn pure(name: &str, needs: &[usize]) -> PlanStep {
    step(name, Role::Pure, needs)
}

pub(super) fn effect(name: &str, needs: &[usize], settle: SettleBy) -> PlanStep {
    PlanStep { settle, ..step(name, Role::Effect { probes: settle == SettleBy::Probe }, needs) }
}

pub(super) fn plan(run: Track, items: Track) -> Plan {
    let (tolerate, bounds) = (Tolerance::Count(0), Bounds::default());
    let (workflow, closing, alerts) = ("w".to_owned(), Track::default(), Vec::new());
    Plan { workflow, run, items, closing, tolerate, bounds, alerts }
}

pub(super) fn cell(state: State) -> Cell {
    let fault = (state == State::DeadLettered).then(|| Fault::new("Refused", "no"));
    Cell { state, at: AT, fault, ..Cell::default() }
}

/// A unit with one cell per state.
pub(super) fn standing_at(states: &[State]) -> Progress {
    Progress::of(states.iter().copied().map(cell))
}
