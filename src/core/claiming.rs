//! Claims on keys at the desk (rule R6): a batch of a step with a declared key asks first, and only
//! those that were granted leave. Who has to wait holds no slot, and it costs no attempt.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cell::{IllegalTransition, Kind, SkipReason, State};
use super::claims::Claimed;
use super::decide::{Decision, Dispatch};
use super::desk::{Desk, Stage};
use super::fault::{Fault, name};
use super::id::Unit;
use super::time::Timestamp;

/// When a key that somebody else is at is asked for again: most effects take less.
const BUSY_PAUSE: Duration = Duration::from_millis(250);
/// When a store of keys that did not answer is asked again.
const OUTAGE_PAUSE: Duration = Duration::from_secs(2);

/// What the desk knows of claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Batches that may leave, by step.
    granted: Vec<(usize, Vec<Unit>)>,
    /// Who asks again, and when.
    held: BTreeSet<(Timestamp, Unit, usize)>,
    /// Claims that were granted and are not wanted any more, by step.
    unwanted: Vec<(usize, Unit)>,
}

impl Desk {
    /// Asks for the keys of a batch that may leave.
    pub(super) fn ask(&mut self, step: usize, units: Vec<Unit>, decision: &mut Decision) {
        let asking: Vec<(Unit, u32)> = units.into_iter().map(|unit| (unit, self.next(unit, step))).collect();
        for (unit, _) in &asking {
            self.set_stage(*unit, step, Stage::Claiming);
        }
        decision.dispatch.push(Dispatch::Claim { step, units: asking });
    }

    /// Lets leave what was granted; puts back into the lines who asks again now.
    pub(super) fn go_on_with_claims(
        &mut self,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), IllegalTransition> {
        for (step, units) in std::mem::take(&mut self.claims.granted) {
            if self.stopping {
                self.give_up(step, &units);
            } else if self.paused {
                self.put_back(step, &units, now);
            } else {
                self.leave(step, units, now, decision)?;
            }
        }
        for (step, unit) in std::mem::take(&mut self.claims.unwanted) {
            decision.dispatch.push(Dispatch::Release { step, units: vec![unit] });
        }
        while let Some((at, unit, step)) = self.claims.held.first().copied() {
            if self.stopping {
                self.set_stage(unit, step, Stage::Idle);
            } else if at <= now {
                self.queue(unit, step, now);
            } else {
                decision.wake_sooner(at);
                break;
            }
            self.claims.held.pop_first();
        }
        Ok(())
    }

    fn give_up(&mut self, step: usize, units: &[Unit]) {
        for unit in units {
            self.set_stage(*unit, step, Stage::Idle);
            self.claims.unwanted.push((step, *unit));
        }
        self.free(step, units.first());
    }

    /// Nothing leaves during a pause, and a claim would not outlast it: who was granted one stands in
    /// line again.
    fn put_back(&mut self, step: usize, units: &[Unit], now: Timestamp) {
        for unit in units {
            self.claims.unwanted.push((step, *unit));
            self.queue(*unit, step, now);
        }
        self.free(step, units.first());
    }

    /// The store of keys answered.
    pub(super) fn claimed(
        &mut self,
        step: usize,
        answers: Vec<(Unit, Claimed)>,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        let first = answers.first().map(|(unit, _)| *unit);
        let mut granted = Vec::new();
        for (unit, answer) in answers {
            let Some(cell) = self.progress(unit).map(|progress| &progress.cells[step]) else { continue };
            let doubtful = cell.is_doubtful();
            let waits = matches!(cell.state, State::Pending | State::Backoff(_));
            let kind = match answer {
                Claimed::Granted if waits => {
                    granted.push(unit);
                    continue;
                }
                Claimed::Granted => {
                    self.claims.unwanted.push((step, unit));
                    self.set_stage(unit, step, Stage::Idle);
                    continue;
                }
                Claimed::Busy { until } => {
                    self.hold(unit, step, until.min(now.after(BUSY_PAUSE)));
                    continue;
                }
                // A message may have settled it meanwhile.
                _ if !waits => None,
                Claimed::AlreadyApplied { facts, own: true } if doubtful => {
                    Some(Kind::Settled { done: Some(facts) })
                }
                Claimed::AlreadyApplied { facts, .. } => {
                    Some(Kind::Skipped { reason: SkipReason::AlreadyApplied, facts })
                }
                Claimed::Stale { facts } => Some(Kind::Skipped { reason: SkipReason::Stale, facts }),
                Claimed::Conflict { other } => {
                    Some(Kind::Faulted { fault: self.conflict(unit, step, &other) })
                }
            };
            self.set_stage(unit, step, Stage::Idle);
            if let Some(kind) = kind {
                self.record(unit, step, kind, now)?;
            }
        }
        if granted.is_empty() {
            self.free(step, first.as_ref());
        } else {
            self.claims.granted.push((step, granted));
        }
        Ok(())
    }

    /// The store of keys cannot be asked: nothing leaves without a claim.
    pub(super) fn unanswered(&mut self, step: usize, units: &[Unit], now: Timestamp) {
        for unit in units {
            self.hold(*unit, step, now.after(OUTAGE_PAUSE));
        }
        self.free(step, units.first());
    }

    fn hold(&mut self, unit: Unit, step: usize, until: Timestamp) {
        self.set_stage(unit, step, Stage::Held);
        self.claims.held.insert((until, unit, step));
    }

    /// Gives a call's place in the line back.
    fn free(&mut self, step: usize, unit: Option<&Unit>) {
        if let Some(unit) = unit {
            self.call_left(*unit, step);
            self.call_withdrawn(*unit, step);
        }
    }

    fn conflict(&self, unit: Unit, step: usize, other: &impl std::fmt::Display) -> Fault {
        let (key, own) = match self.request(unit, step) {
            Some(request) => {
                let own = request.fingerprint.map(|own| own.to_string());
                (request.key.clone(), own.unwrap_or_default())
            }
            None => (String::new(), String::new()),
        };
        let message = format!(
            "the key '{key}' stands for other content already (mode: once): \
             this item's is {own}, the one under the key is {other}"
        );
        Fault::new(name::KEY_CONFLICT, message)
    }
}
