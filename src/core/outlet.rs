//! What calls leave through: one outlet per connection, over all steps that name it; a step
//! without a connection has one of its own, and so has one that gets messages, be they about items or
//! the items themselves: its queue may be out of reach while the bus of the same connection works, and
//! the other way round. Bounds calls in flight, their rate, and holds them back while the connection
//! is down.

use std::collections::{BTreeMap, VecDeque};

use super::breaker::{Breaker, Failed, Gate, Patience, Turn};
use super::cell::State;
use super::decide::{Decision, Dispatch};
use super::desk::{Desk, Stage, TrackName};
use super::fault::Fault;
use super::id::Unit;
use super::limits::{Pace, Rate};
use super::plan::Plan;
use super::retry::{Outcome, Probed};
use super::time::Timestamp;

/// What a connection bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Calls in flight at once, over all steps that name it.
    pub concurrency: Option<u32>,
    /// How fast calls may leave.
    pub rate: Option<Rate>,
    /// When it is held.
    pub patience: Patience,
}

/// What happened to an outlet that people have to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is held: no call leaves through it but a trial.
    Held {
        /// The connection, or the step that has none or gets messages.
        connection: String,
        /// The last thing that went wrong.
        fault: Fault,
        /// When it is tried.
        next: Timestamp,
    },
    /// A trial failed.
    Tried {
        /// The connection.
        connection: String,
        /// Why.
        fault: Fault,
        /// When it is tried again.
        next: Timestamp,
    },
    /// It is let go.
    Freed {
        /// The connection.
        connection: String,
    },
}

/// One outlet.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) name: String,
    concurrency: usize,
    calling: usize,
    /// Looks in flight, by themselves.
    looking: usize,
    pace: Option<Pace>,
    pub(super) breaker: Breaker,
    /// Looks that are due, in the order in which they became so.
    pub(super) looks: VecDeque<(Unit, usize)>,
}

/// All outlets of a run, and which of them each step uses.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    pub(super) all: Vec<Outlet>,
    of: BTreeMap<(TrackName, usize), usize>,
}

/// Whether a call may leave.
enum Leave {
    Now,
    At(Timestamp),
    /// Something that is under way has to end first.
    Blocked,
}

impl Outlet {
    fn new(name: &str, terms: Terms) -> Self {
        Self {
            name: name.to_owned(),
            concurrency: terms.concurrency.map_or(usize::MAX, |most| most.max(1) as usize),
            calling: 0,
            looking: 0,
            pace: terms.rate.map(Pace::new),
            breaker: Breaker::new(terms.patience),
            looks: VecDeque::new(),
        }
    }

    fn may_leave(&self, now: Timestamp) -> Leave {
        if self.calling >= self.concurrency {
            return Leave::Blocked;
        }
        match self.breaker.gate(now) {
            Gate::Open | Gate::Trial => {}
            Gate::Shut(until) => return Leave::At(until),
            Gate::Trying => return Leave::Blocked,
        }
        match &self.pace {
            Some(pace) if pace.ready_at() > now => Leave::At(pace.ready_at()),
            Some(_) | None => Leave::Now,
        }
    }

    fn leave(&mut self, unit: Unit, step: usize, now: Timestamp) {
        self.calling += 1;
        self.breaker.leave(Some(unit), step);
        if let Some(pace) = &mut self.pace {
            pace.leave(now);
        }
    }

    pub(super) fn notice(&self, turn: Turn, fault: &Fault) -> Option<Notice> {
        let (connection, fault) = (self.name.clone(), fault.clone());
        match turn {
            Turn::Nothing => None,
            Turn::Held(next) => Some(Notice::Held { connection, fault, next }),
            Turn::Tried(next) => Some(Notice::Tried { connection, fault, next }),
            Turn::Freed => Some(Notice::Freed { connection }),
        }
    }
}

impl Outlets {
    /// The outlets of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut outlets = Self::default();
        // A step may be called like a connection.
        let mut known: BTreeMap<(bool, &str), usize> = BTreeMap::new();
        let tracks = [
            (TrackName::Run, &plan.run),
            (TrackName::Closing, &plan.closing),
            (TrackName::Item, &plan.items),
        ];
        for (track, steps) in tracks {
            for (at, step) in steps.steps.iter().enumerate() {
                let shared = step.connection.as_deref().filter(|_| !step.gets_messages());
                let name = shared.unwrap_or(&step.name);
                let terms = step.connection.as_ref().and_then(|name| plan.bounds.connections.get(name));
                let outlet = *known.entry((shared.is_some(), name)).or_insert_with(|| {
                    outlets.all.push(Outlet::new(name, terms.copied().unwrap_or_default()));
                    outlets.all.len() - 1
                });
                outlets.of.insert((track, at), outlet);
            }
        }
        outlets
    }

    pub(super) fn index(&self, unit: Unit, step: usize) -> usize {
        self.of.get(&(TrackName::of(unit), step)).copied().unwrap_or_default()
    }
}

impl Desk {
    /// What happened to connections since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(super) fn try_now(&mut self, now: Timestamp) {
        for outlet in &mut self.outlets.all {
            outlet.breaker.try_now(now);
        }
    }

    /// Takes leave for a call, if one may leave now. Returns how many units may be in it: a trial is
    /// of one.
    pub(super) fn takes_leave(
        &mut self,
        unit: Unit,
        step: usize,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<usize> {
        let index = self.outlets.index(unit, step);
        let outlet = &mut self.outlets.all[index];
        let most = if outlet.breaker.is_held() { 1 } else { usize::MAX };
        match outlet.may_leave(now) {
            Leave::Now => {
                outlet.leave(unit, step, now);
                Some(most)
            }
            Leave::At(at) => {
                decision.wake_sooner(at);
                None
            }
            Leave::Blocked => None,
        }
    }

    /// A look at the other side is due.
    pub(super) fn queue_look(&mut self, unit: Unit, step: usize) {
        let index = self.outlets.index(unit, step);
        self.set_stage(unit, step, Stage::Queued);
        self.outlets.all[index].looks.push_back((unit, step));
    }

    /// Starts the looks that may leave, before any call: they change nothing outside.
    pub(super) fn start_looks(&mut self, now: Timestamp, decision: &mut Decision) {
        for at in 0..self.outlets.all.len() {
            while let Some((unit, step)) = self.outlets.all[at].looks.front().copied() {
                let wanted = self
                    .progress(unit)
                    .is_some_and(|progress| matches!(progress.cells[step].state, State::InDoubt(Some(_))));
                if !wanted {
                    // Its message came first, and told.
                    self.outlets.all[at].looks.pop_front();
                    self.set_stage(unit, step, Stage::Idle);
                    self.touched.insert(unit);
                    continue;
                }
                // As many as calls in flight may leave in doubt: looks change nothing, and some of
                // them wait for what the other side is still doing.
                let looked_at = &self.plan.track(unit).steps[step];
                let most = looked_at.concurrency * looked_at.batch_max;
                if self.outlets.all[at].looking >= most
                    || self.takes_leave(unit, step, now, decision).is_none()
                {
                    break;
                }
                self.outlets.all[at].looks.pop_front();
                self.outlets.all[at].looking += 1;
                self.set_stage(unit, step, Stage::Looking);
                decision.dispatch.push(Dispatch::Look { step, unit });
            }
        }
    }

    /// A call ended: whatever its units came to, this is what it says about the connection.
    pub(super) fn call_ended(&mut self, step: usize, outcomes: &[(Unit, Outcome)], now: Timestamp) {
        let Some((first, _)) = outcomes.first() else { return };
        self.call_left(*first, step);
        let index = self.outlets.index(*first, step);
        self.outlets.all[index].calling -= 1;
        let faults: Vec<&Fault> = outcomes.iter().filter_map(|(_, outcome)| outcome.outage()).collect();
        let units: Vec<Unit> = outcomes.iter().map(|(unit, _)| *unit).collect();
        if faults.len() == outcomes.len()
            && let Some(fault) = faults.last()
        {
            self.connection_failed(index, step, &units, fault, now);
        } else {
            self.connection_answered(index);
        }
    }

    /// A call that had leave does not leave after all. It says nothing about the connection.
    pub(super) fn call_withdrawn(&mut self, unit: Unit, step: usize) {
        let index = self.outlets.index(unit, step);
        let outlet = &mut self.outlets.all[index];
        outlet.calling -= 1;
        outlet.breaker.withdrawn(unit, step);
    }

    /// A look ended.
    pub(super) fn look_ended(&mut self, unit: Unit, step: usize, probed: &Probed, now: Timestamp) {
        let index = self.outlets.index(unit, step);
        self.outlets.all[index].calling -= 1;
        self.outlets.all[index].looking -= 1;
        match probed {
            Probed::Done(_) | Probed::Absent => self.connection_answered(index),
            Probed::Unknown(fault) => self.connection_failed(index, step, &[unit], fault, now),
        }
    }

    /// Whether what goes wrong at this step now is the connection's fault, not the unit's.
    pub(super) fn is_held(&self, unit: Unit, step: usize) -> bool {
        self.outlets.all.get(self.outlets.index(unit, step)).is_some_and(|outlet| outlet.breaker.is_held())
    }

    /// Somebody got a proper answer over it, or nobody will ask again: it is held no more.
    pub(super) fn connection_answered(&mut self, index: usize) {
        let outlet = &mut self.outlets.all[index];
        if outlet.breaker.answered() == Turn::Freed {
            self.notices.push(Notice::Freed { connection: outlet.name.clone() });
        }
    }

    fn connection_failed(
        &mut self,
        index: usize,
        step: usize,
        units: &[Unit],
        fault: &Fault,
        now: Timestamp,
    ) {
        let is_last = units.iter().any(|unit| {
            let attempts = self.plan.track(*unit).steps[step].retry.attempts;
            self.progress(*unit).is_some_and(|progress| {
                let cell = &progress.cells[step];
                let spent = if cell.state == State::Running { cell.spent } else { cell.looks };
                spent + 1 >= attempts
            })
        });
        let outlet = &mut self.outlets.all[index];
        let turn = outlet.breaker.failed(&Failed { units, step, is_last }, now);
        let notice = outlet.notice(turn, fault);
        self.notices.extend(notice);
    }

    /// No look leaves any more: those that are due stay as they are recorded.
    pub(super) fn clear_looks(&mut self) {
        let due: Vec<(Unit, usize)> =
            self.outlets.all.iter_mut().flat_map(|outlet| outlet.looks.drain(..)).collect();
        for (unit, step) in due {
            self.set_stage(unit, step, Stage::Idle);
        }
    }
}
