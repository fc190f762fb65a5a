//! Receiving, as far as it decides anything: whether the queue of a step answers, when it is tried
//! after it was held, and how long an item waits for its message meanwhile.
//!
//! A message that nobody could ask for is not lost: no wait ends while its queue gives no answer,
//! nor within the step's timeout after it answers again.

use std::collections::BTreeMap;

use super::breaker::{Failed, Gate};
use super::decide::{Decision, Dispatch};
use super::desk::Desk;
use super::fault::Fault;
use super::id::Unit;
use super::time::Timestamp;

/// What is known of the queues that items get messages from, by step.
#[derive(Debug, Default)]
pub(super) struct Receiving(BTreeMap<usize, Answering>);

/// Whether a queue answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    /// The last receive brought no answer.
    Not,
    /// It does again, since this instant.
    Since(Timestamp),
    /// Nobody asks any more: what earlier receives came to means nothing.
    Over,
}

/// Any item: the outlets of steps are found by a unit that flows through them.
const ANY: Unit = Unit::Item(0);

impl Desk {
    /// A receive for this step was answered.
    pub fn queue_answered(&mut self, step: usize, now: Timestamp) {
        match self.receiving.0.get_mut(&step) {
            Some(Answering::Over) => return,
            Some(answering @ Answering::Not) => *answering = Answering::Since(now),
            Some(Answering::Since(_)) | None => {}
        }
        self.connection_answered(self.outlets.index(ANY, step));
    }

    /// A receive for this step got no answer.
    pub fn queue_failed(&mut self, step: usize, fault: &Fault, now: Timestamp) {
        if self.receiving.0.get(&step) == Some(&Answering::Over) {
            return;
        }
        let index = self.outlets.index(ANY, step);
        let outlet = &mut self.outlets.all[index];
        if outlet.breaker.is_patient() {
            self.receiving.0.insert(step, Answering::Not);
        }
        let turn = outlet.breaker.failed(&Failed { units: &[], step, is_last: false }, now);
        let notice = outlet.notice(turn, fault);
        self.notices.extend(notice);
    }

    /// Nothing more is received for this step: its queue is neither held nor tried any more.
    pub(super) fn queue_is_left(&mut self, step: usize) {
        self.receiving.0.insert(step, Answering::Over);
        self.connection_answered(self.outlets.index(ANY, step));
    }

    /// Whether this step receives nothing now but a trial.
    pub fn is_queue_held(&self, step: usize) -> bool {
        self.is_held(ANY, step)
    }

    /// Lets the trials leave that are due.
    pub(super) fn try_queues(&mut self, now: Timestamp, decision: &mut Decision) {
        if self.stopping {
            return;
        }
        let asked = self.receiving.0.iter().filter(|(_, answering)| **answering != Answering::Over);
        for step in asked.map(|(step, _)| *step).collect::<Vec<_>>() {
            let index = self.outlets.index(ANY, step);
            let breaker = &mut self.outlets.all[index].breaker;
            match breaker.gate(now) {
                Gate::Trial => {
                    breaker.leave(None, step);
                    decision.dispatch.push(Dispatch::Receive { step });
                }
                Gate::Shut(until) => decision.wake_sooner(until),
                Gate::Open | Gate::Trying => {}
            }
        }
    }

    /// When a wait is over that would be over now; `None`: now.
    pub(super) fn waits_on(&self, unit: Unit, step: usize, now: Timestamp) -> Option<Timestamp> {
        let known = &self.plan.track(unit).steps[step];
        let answering = self.receiving.0.get(&step).filter(|_| known.gets_messages())?;
        match answering {
            Answering::Not => Some(now.after(known.timeout)),
            Answering::Over => None,
            Answering::Since(since) => Some(since.after(known.timeout)).filter(|until| *until > now),
        }
    }
}
