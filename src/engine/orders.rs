//! Orders of whoever drives the graph: a step is let begin, and answered once nothing more happens at it by
//! itself, and what did is durable.

use serde_json::Map;

use crate::core::cell::State;
use crate::core::execution::{Answer, Errand, Order, Receipt};
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::plan::Asked;
use crate::core::progress::Progress;

use super::conduct::{Pending, Phase};
use super::drive::{Drive, Error};

impl Drive {
    pub(super) fn ordered(&mut self, Order { receipt, epoch, errand }: Order) -> Result<(), Error> {
        let (Some(conductor), Some(execution)) = (&mut self.conductor, &self.run.execution) else {
            return Ok(());
        };
        if self.steering.end.is_some() {
            return Ok(());
        }
        if epoch != execution.epoch {
            let message =
                format!("the execution that this order is part of was followed by {}", execution.name);
            self.say(receipt, Answer::Failed(Fault::new(name::SUPERSEDED, message)));
            return Ok(());
        }
        conductor.joins = false;
        match (errand, &conductor.phase) {
            (Errand::Step { step, skip }, Phase::Steps) => {
                let asked = if skip { Asked::Skip } else { Asked::Open };
                self.take_order(step, receipt, asked)
            }
            (Errand::Closing { step }, Phase::Closing(_)) => self.take_order(step, receipt, Asked::Open),
            (Errand::Close { fault }, _) => {
                conductor.close = Some(receipt);
                conductor.fault = fault.or(conductor.fault.take());
                Ok(())
            }
            (errand @ (Errand::Step { .. } | Errand::Closing { .. }), _) => {
                let message = format!("this order is out of its turn: {errand:?}");
                self.say(receipt, Answer::Failed(Fault::new(name::EXECUTION, message)));
                Ok(())
            }
        }
    }

    /// A step may begin. One that was ordered before is answered to the newest order.
    fn take_order(&mut self, step: String, receipt: Receipt, asked: Asked) -> Result<(), Error> {
        let places = self.places(&step);
        if places.is_empty() {
            let message = format!("the run has no step '{step}'");
            self.say(receipt, Answer::Failed(Fault::new(name::VALIDATION, message)));
            return Ok(());
        }
        let mut spent = 0;
        for (unit, at) in places {
            if unit == Unit::Run {
                spent = self.standing(unit)?.map_or(0, |progress| progress.cells[at].spent);
            }
            self.desk.allow(unit, at, asked);
        }
        if self.run.source.is_some() {
            self.open_mail();
        }
        if let Some(conductor) = &mut self.conductor {
            conductor.orders.insert(step, Pending { receipt, spent, done: None });
        }
        Ok(())
    }

    /// Where a step stands: the source is on two tracks.
    fn places(&self, step: &str) -> Vec<(Unit, usize)> {
        let units = match self.conductor.as_ref().map(|conductor| &conductor.phase) {
            Some(Phase::Closing(_)) => vec![Unit::Closing(self.run.closings)],
            _ => vec![Unit::Run, Unit::Item(0)],
        };
        let plan = self.desk.plan();
        units.into_iter().filter_map(|unit| Some((unit, plan.track(unit).position(step)?))).collect()
    }

    /// How far a unit of the run, or of its closing, has come.
    fn standing(&self, unit: Unit) -> Result<Option<Progress>, Error> {
        let track = self.desk.plan().track(unit);
        let known = match self.desk.progress(unit) {
            Some(progress) => Some(progress.clone()),
            None => self.ports.journal.progress(self.run.id, unit)?,
        };
        Ok(known.map(|progress| progress.fitted(track)))
    }

    /// What an order is answered, once nothing more happens at its step by itself.
    pub(super) fn answer(&mut self, step: &str, order: &mut Pending) -> Result<Option<Answer>, Error> {
        let mut answer = Answer::Done { facts: Map::new() };
        for (unit, at) in self.places(step) {
            let part = match (unit, &order.done) {
                (Unit::Item(_), _) => self.is_through(at).then(|| answer.clone()),
                (Unit::Run | Unit::Closing(_), Some(done)) => Some(done.clone()),
                (Unit::Run | Unit::Closing(_), None) => self.outcome(unit, at, order.spent)?,
            };
            answer = match part {
                Some(failed @ (Answer::Again(_) | Answer::Failed(_))) => return Ok(Some(failed)),
                Some(done) => done,
                None => return Ok(None),
            };
            order.done = Some(answer.clone()).filter(|_| unit == Unit::Run);
        }
        Ok(Some(answer))
    }

    /// Whether no item has anything left to do at a step. Without a gate there are no items.
    fn is_through(&self, step: usize) -> bool {
        if self.run.source.is_some() {
            return self.desk.is_settled(Unit::Item(0), step);
        }
        let Some(source) = self.desk.plan().source() else { return true };
        self.desk.is_settled(Unit::Run, source)
    }

    /// What a step of the run, or of its closing, has come to.
    fn outcome(&mut self, unit: Unit, step: usize, spent: u32) -> Result<Option<Answer>, Error> {
        if self.desk.holds(unit) && self.desk.progress(unit).is_none() {
            return Ok(None);
        }
        let progress = self.standing(unit)?.unwrap_or_else(|| Progress::new(self.desk.plan().track(unit)));
        let cell = &progress.cells[step];
        let fault = || cell.fault.clone().unwrap_or_else(|| Fault::new(name::REFUSED, "it did not succeed"));
        let state = progress.state(self.desk.plan().track(unit), step);
        if unit == Unit::Run && matches!(state, State::Backoff(_)) && cell.spent > spent {
            // Its executor knows when the next attempt is due; the pause of the engine counts as well.
            self.desk.withdraw(unit, step);
            return Ok(Some(Answer::Again(fault())));
        }
        if !self.desk.is_settled(unit, step) {
            return Ok(None);
        }
        let name = &self.desk.plan().track(unit).steps[step].name;
        let facts = match &self.common.assembly.executor {
            Some(conducted) => (conducted.facts)(name, &cell.facts),
            None => Map::new(),
        };
        Ok(Some(match state {
            // Steps of the run are not worked on beside chosen items.
            _ if self.desk.is_choosy() => Answer::Done { facts },
            State::DeadLettered | State::Cancelled => Answer::Failed(fault()),
            State::InDoubt(_) => {
                let message = "it may or may not have happened; a person must decide";
                Answer::Failed(Fault::new(name::IN_DOUBT, message))
            }
            State::Pending | State::Running | State::Backoff(_) | State::Waiting(_) => Answer::Done { facts },
            State::Succeeded | State::Skipped(_) => Answer::Done { facts },
        }))
    }
}
