//! What follows from an arrival: recorded events, and steps that are now ready.

use std::sync::Arc;

use super::arrival::{Arrival, Ready, Request, Setback};
use super::cell::{Facts, IllegalTransition, Kind, State};
use super::desk::{Active, Desk, Listening, Slot, Stage};
use super::fault::Fault;
use super::id::Unit;
use super::plan::PlanStep;
use super::progress::Progress;
use super::resume;
use super::retry::{Outcome, Probed, Terms, judge, judge_held, judge_probe, postponed};
use super::signal::{self, Subject};
use super::time::Timestamp;

impl Desk {
    /// Takes in what arrived. `chance` is in `0.0..1.0` and spreads pauses.
    ///
    /// # Errors
    /// [`IllegalTransition`] when an arrival contradicts the record: a defect of the engine.
    pub fn hear(&mut self, arrival: Arrival, now: Timestamp, chance: f64) -> Result<(), IllegalTransition> {
        match arrival {
            Arrival::Fetched { unit, progress, ready } => self.admit(unit, progress, ready, now),
            Arrival::Prepared { unit, steps, ready } => {
                self.unprepare(unit, &steps);
                self.take_ready(unit, ready, now)
            }
            Arrival::Ended { step, outcomes } => {
                self.call_ended(step, &outcomes, now);
                outcomes
                    .into_iter()
                    .try_for_each(|(unit, outcome)| self.ended(unit, step, outcome, now, chance))
            }
            Arrival::BrokenOff { step, unit, fault } => self.broken_off(unit, step, fault, now),
            Arrival::Claimed { step, answers } => self.claimed(step, answers, now),
            Arrival::Unclaimed { step, units } => {
                self.unanswered(step, &units, now);
                Ok(())
            }
            Arrival::Looked { step, unit, probed } => self.looked(unit, step, probed, now, chance),
            Arrival::Delivered { step, unit, content } => {
                let kind = match content {
                    Ok(facts) => Kind::Done { facts },
                    Err(fault) => Kind::Faulted { fault },
                };
                self.record(unit, step, kind, now)
            }
            Arrival::Proven { step, unit, facts } => self.record(unit, step, Kind::Done { facts }, now),
        }
    }

    fn admit(
        &mut self,
        unit: Unit,
        progress: Option<Progress>,
        ready: Vec<(usize, Ready)>,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        self.fetching.remove(&unit);
        self.forget_standing(unit);
        let plan = Arc::clone(&self.plan);
        let track = plan.track(unit);
        let known = progress.is_some();
        let progress = progress.unwrap_or_else(|| Progress::new(track));
        let slots = track.steps.iter().map(|_| Slot::default()).collect();
        let events = resume::at_admission(track, &progress, now);
        self.units.insert(unit, Active { progress, slots, unsaved: false });
        for (step, kind) in events {
            self.record(unit, step, kind, now)?;
        }
        if known {
            self.set_timers(unit);
            self.review(unit);
            self.release(unit);
            return Ok(());
        }
        self.take_ready(unit, ready, now)
    }

    fn unprepare(&mut self, unit: Unit, steps: &[usize]) {
        for step in steps {
            if self.stage(unit, *step) == Some(Stage::Preparing) {
                self.set_stage(unit, *step, Stage::Idle);
            }
        }
    }

    fn take_ready(
        &mut self,
        unit: Unit,
        ready: Vec<(usize, Ready)>,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        for (step, ready) in ready {
            match ready {
                Ready::Computed => self.computed(unit, step, now)?,
                Ready::Skip(reason) => {
                    self.note(unit, step, Kind::Skipped { reason, facts: Facts::new() }, now)?;
                }
                Ready::Fault(fault) => {
                    let kind = match self.progress(unit).map(|progress| progress.cells[step].state) {
                        Some(State::InDoubt(_)) => Kind::Unsettled { fault, until: None },
                        _ => Kind::Faulted { fault },
                    };
                    self.note(unit, step, kind, now)?;
                }
                Ready::Wait(pause) => {
                    let until = now.after(pause);
                    self.note(unit, step, Kind::Parked { until, facts: Facts::new() }, now)?;
                }
                Ready::Listen(pause, subject) => self.listen(unit, step, now.after(pause), subject, now)?,
                Ready::Request(request) => self.requested(unit, step, request, now),
            }
        }
        self.review(unit);
        self.release(unit);
        Ok(())
    }

    /// A unit begins to wait for a signal; whoever holds the signals is told in the same commit.
    fn listen(
        &mut self,
        unit: Unit,
        step: usize,
        until: Timestamp,
        subject: Subject,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        let plan = Arc::clone(&self.plan);
        let Some(active) = self.units.get(&unit) else { return Ok(()) };
        let since = signal::since(plan.track(unit), &active.progress, step);
        self.note(unit, step, Kind::Parked { until, facts: subject.facts() }, now)?;
        self.listening.push(Listening { unit, step, subject, since, at: now, until });
        Ok(())
    }

    /// A pure step is done. It leaves a record of its own only where [`PlanStep::leaves_record`] says so, or where
    /// somebody else asked for it, who is told that it is done.
    fn computed(&mut self, unit: Unit, step: usize, now: Timestamp) -> Result<(), IllegalTransition> {
        let plan = Arc::clone(&self.plan);
        let track = plan.track(unit);
        let Some(active) = self.units.get_mut(&unit) else { return Ok(()) };
        if active.progress.cells[step].state != State::Pending {
            return Ok(());
        }
        active.progress.apply(track, step, Kind::Done { facts: Facts::new() }, now)?;
        active.unsaved = true;
        if track.steps[step].leaves_record || self.standings.is_some() {
            self.touched.insert(unit);
        }
        Ok(())
    }

    fn requested(&mut self, unit: Unit, step: usize, request: Arc<Request>, now: Timestamp) {
        let Some(active) = self.units.get_mut(&unit) else { return };
        active.slots[step].request = Some(request);
        match active.progress.cells[step].state {
            State::Pending => self.queue(unit, step, now),
            state => self.set_timer(unit, step, state),
        }
    }

    fn ended(
        &mut self,
        unit: Unit,
        step: usize,
        outcome: Outcome,
        now: Timestamp,
        chance: f64,
    ) -> Result<(), IllegalTransition> {
        self.set_stage(unit, step, Stage::Idle);
        let plan = Arc::clone(&self.plan);
        let known = &plan.track(unit).steps[step];
        let Some(active) = self.units.get(&unit) else { return Ok(()) };
        let cell = &active.progress.cells[step];
        let terms = Terms { retry: &known.retry, settle: known.settle };
        let kind = if self.is_held(unit, step) {
            judge_held(outcome, cell, terms, now, chance)
        } else {
            judge(outcome, cell, terms, now, chance)
        };
        self.record(unit, step, kind, now)
    }

    /// What was broken off costs nothing, and says nothing about the connection.
    fn broken_off(
        &mut self,
        unit: Unit,
        step: usize,
        fault: Fault,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        self.call_left(unit, step);
        self.call_withdrawn(unit, step);
        self.set_stage(unit, step, Stage::Idle);
        self.record(unit, step, Kind::Postponed { fault, until: now }, now)
    }

    fn looked(
        &mut self,
        unit: Unit,
        step: usize,
        probed: Probed,
        now: Timestamp,
        chance: f64,
    ) -> Result<(), IllegalTransition> {
        self.look_ended(unit, step, &probed, now);
        self.set_stage(unit, step, Stage::Idle);
        let plan = Arc::clone(&self.plan);
        let Some(active) = self.units.get(&unit) else { return Ok(()) };
        let cell = &active.progress.cells[step];
        // A message may have proven the effect while the look was under way.
        if !matches!(cell.state, State::InDoubt(_)) {
            return Ok(());
        }
        let retry = &plan.track(unit).steps[step].retry;
        let kind = match probed {
            Probed::Unknown(fault) if self.is_held(unit, step) => {
                postponed(fault, cell.looks, retry, now, chance)
            }
            probed => judge_probe(probed, cell, retry, now, chance),
        };
        self.record(unit, step, kind, now)
    }

    /// Applies one event to a unit in memory; what it makes ready is prepared.
    pub(super) fn record(
        &mut self,
        unit: Unit,
        step: usize,
        kind: Kind,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        self.note(unit, step, kind, now)?;
        self.review(unit);
        Ok(())
    }

    /// Applies one event to a unit in memory and notes that it is to be made durable.
    fn note(&mut self, unit: Unit, step: usize, kind: Kind, now: Timestamp) -> Result<(), IllegalTransition> {
        let plan = Arc::clone(&self.plan);
        let track = plan.track(unit);
        let Some(active) = self.units.get_mut(&unit) else { return Ok(()) };
        // What fails over a held connection is told of once, with the connection.
        let told = kind.fault().filter(|_| !matches!(kind, Kind::Postponed { .. })).cloned();
        active.progress.apply(track, step, kind, now)?;
        let cell = &active.progress.cells[step];
        let (state, attempt) = (cell.state, cell.attempts);
        // One whose doubt ended without an attempt left brings no fault of its own.
        let told = told.or_else(|| cell.fault.clone().filter(|_| state == State::DeadLettered));
        if let Some(fault) = told {
            self.setbacks.push(Setback { unit, step, attempt, state, fault });
        }
        if state.is_final() {
            active.slots[step].request = None;
        }
        // A doubt of an earlier revision is settled, and what it was about is out of date.
        if active.progress.is_outdated(track, step) {
            active.progress.apply(track, step, Kind::Outdated, now)?;
        }
        let state = active.progress.cells[step].state;
        self.touched.insert(unit);
        self.set_timer(unit, step, state);
        Ok(())
    }

    /// Finds the steps of a unit that have to be prepared.
    pub(super) fn review(&mut self, unit: Unit) {
        let plan = Arc::clone(&self.plan);
        let track = plan.track(unit);
        let Some(active) = self.units.get_mut(&unit) else { return };
        for step in 0..track.steps.len() {
            let slot = &mut active.slots[step];
            let unprepared = slot.stage == Stage::Idle && slot.request.is_none();
            let needed = match active.progress.cells[step].state {
                State::Pending => active.progress.is_ready(track, step),
                State::Backoff(_) | State::InDoubt(Some(_)) => !track.steps[step].is_closed(),
                _ => false,
            };
            if unprepared && needed {
                slot.stage = Stage::Preparing;
                self.moving += 1;
                self.prepare.entry(unit).or_default().push(step);
            }
        }
    }

    /// Lets go of a unit that is at rest and has nothing to record.
    pub(super) fn release(&mut self, unit: Unit) {
        let Some(active) = self.units.get(&unit) else { return };
        let track = self.plan.track(unit);
        let idle = active.slots.iter().all(|slot| slot.stage == Stage::Idle);
        if !idle || !active.progress.is_at_rest(track) {
            return;
        }
        if active.unsaved {
            self.touched.insert(unit);
        } else if !self.touched.contains(&unit) {
            self.units.remove(&unit);
        }
    }

    fn set_timers(&mut self, unit: Unit) {
        let states: Vec<State> = match self.units.get(&unit) {
            Some(active) => active.progress.cells.iter().map(|cell| cell.state).collect(),
            None => return,
        };
        for (step, state) in states.into_iter().enumerate() {
            self.set_timer(unit, step, state);
        }
    }

    pub(super) fn set_timer(&mut self, unit: Unit, step: usize, state: State) {
        if self.plan.track(unit).steps.get(step).is_some_and(PlanStep::is_closed) {
            return;
        }
        if let State::Backoff(until) | State::Waiting(until) | State::InDoubt(Some(until)) = state {
            self.timers.insert((until, unit, step));
        }
    }
}
