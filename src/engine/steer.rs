//! What keeps a run from going on as it would by itself: people, connections that are down, and
//! its own deadline. Every turn of it is an event of the run.

use std::time::Duration;

use crate::core::event::RunEvent;
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::outlet::Notice;
use crate::core::steer::{Halt, Relief};
use crate::core::time::Timestamp;
use crate::ports::Waiting;

use super::control::{Answer, Asked, Declined, Request};
use super::drive::{Drive, Error};

/// What the driver keeps in mind about it.
#[derive(Default)]
pub(super) struct Steering {
    /// Why no new attempt begins any more.
    pub(super) end: Option<End>,
    /// Whoever asked for something that is not durable yet.
    pub(super) answers: Vec<Answer>,
    deadline: Option<Timestamp>,
    /// Since when a person has paused it.
    paused_at: Option<Timestamp>,
    /// The source is being read, and somebody waits for it.
    pub(super) reading: Option<Waiting>,
    /// Items became dead letters since the last look at their number.
    pub(super) more_dead_letters: bool,
}

/// Why no new attempt begins any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The engine was asked to stop.
    Stopped,
    /// A person gave the run up.
    Cancelled,
    /// It was at work longer than it may be.
    TimedOut(Fault),
    /// Whoever drives its graph is out of reach, or has ended.
    Lost(Fault),
}

impl Steering {
    /// When the run has been at work for too long; never while a person has paused it.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.deadline.filter(|_| self.paused_at.is_none() && self.end.is_none())
    }

    /// It is being closed, however long that takes.
    pub(super) fn no_deadline(&mut self) {
        self.deadline = None;
    }
}

impl Drive {
    /// The run begins, or goes on after a resume.
    pub(super) fn start_watch(&mut self, now: Timestamp) {
        self.steering.deadline = self.common.assembly.plan.bounds.timeout.map(|most| now.after(most));
        self.steering.more_dead_letters = true;
    }

    /// Takes in a request; whoever asked is told once what follows from it is durable.
    pub(super) fn asked(&mut self, Asked { request, answer }: Asked, now: Timestamp) -> Result<(), Error> {
        let ending = self.steering.end.is_some();
        match request {
            Request::Stop => self.end(self.steering.end.clone().unwrap_or(End::Stopped)),
            Request::Cancel { by } => {
                if self.run.steer.cancelled_by.is_none() {
                    self.tell(RunEvent::Cancelling { by })?;
                }
                self.end(End::Cancelled);
            }
            Request::Pause { .. } | Request::Unpause { .. } if ending => {
                // Whoever asked may have gone.
                let _ = answer.send(Err(Declined::Unfit("it is ending".to_owned())));
                return Ok(());
            }
            Request::Pause { by } => self.pause(by, now)?,
            Request::Unpause { by } => self.unpause(by, now)?,
        }
        self.steering.answers.push(answer);
        Ok(())
    }

    fn pause(&mut self, by: String, now: Timestamp) -> Result<(), Error> {
        if self.steering.paused_at.is_none() {
            self.tell(RunEvent::Paused { halt: Halt::Person { name: by } })?;
            self.steering.paused_at = Some(now);
            self.desk.pause();
        }
        Ok(())
    }

    fn unpause(&mut self, by: String, now: Timestamp) -> Result<(), Error> {
        if let Some(since) = self.steering.paused_at.take() {
            self.tell(RunEvent::Unpaused { relief: Relief::Person { name: by } })?;
            let paused = now.since(since);
            self.steering.deadline = self.steering.deadline.map(|at| at.after(paused));
        }
        // Also when it is a connection that holds it: somebody does not want to wait.
        self.desk.unpause(now);
        Ok(())
    }

    /// No new attempt from now on.
    pub(super) fn end(&mut self, end: End) {
        self.steering.end = Some(end);
        // Nothing is lost by not reading on.
        self.steering.reading = None;
        self.desk.stop();
        self.mail.stop();
        self.keyring.stop();
    }

    /// Ends a run that has been at work for too long.
    pub(super) fn watch_deadline(&mut self, now: Timestamp) {
        if self.steering.deadline().is_some_and(|at| at <= now) {
            let most = self.common.assembly.plan.bounds.timeout.unwrap_or_default();
            let message = format!("it was not done after {} at work", written(most));
            self.end(End::TimedOut(Fault::new(name::RUN_TIMEOUT, message)));
        }
    }

    /// Makes events of what happened to connections.
    pub(super) fn tell_notices(&mut self) -> Result<(), Error> {
        for notice in self.desk.take_notices() {
            self.tell(match notice {
                Notice::Held { connection, fault, next } => {
                    RunEvent::Paused { halt: Halt::Connection { connection, fault, next } }
                }
                Notice::Tried { connection, fault, next } => RunEvent::Tried { connection, fault, next },
                Notice::Freed { connection } => {
                    RunEvent::Unpaused { relief: Relief::Connection { connection } }
                }
            })?;
        }
        Ok(())
    }

    /// Tells people, once in a run, when its dead letters are more than they want to know of.
    pub(super) fn watch_dead_letters(&mut self) -> Result<(), Error> {
        let plan = &self.common.assembly.plan;
        let Some(most) = plan.bounds.alert.filter(|_| self.run.steer.alert.is_none()) else { return Ok(()) };
        if !std::mem::take(&mut self.steering.more_dead_letters) {
            return Ok(());
        }
        let dead = self.ports.journal.tally(self.run.id, Unit::Item(0))?.units.dead_lettered;
        let total = self.run.source.as_ref().map_or(0, |source| source.count);
        if most.allows(dead, total) {
            return Ok(());
        }
        let id = self.run.id;
        let message = format!(
            "{id}: {dead} of {total} items are dead letters; look with: \
             milepost dead-letters list --run {id}"
        );
        self.tell(RunEvent::Alert { message, dead_letters: Some(dead) })
    }
}

/// A duration as it is written in a workflow file.
fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.iter().find(|(size, _)| millis >= *size && millis.is_multiple_of(*size));
    unit.map_or_else(|| format!("{millis}ms"), |(size, unit)| format!("{}{unit}", millis / size))
}
