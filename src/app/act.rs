//! What people do to runs beside starting and resuming them.

use crate::core::change::Change;
use crate::core::event::{Event, RunEvent};
use crate::core::fault::{Fault, name};
use crate::core::id::RunId;
use crate::core::run::{Run, Status};
use crate::engine::{Declined, Request, alerts};
use crate::ports::Journal;
use crate::view::Names as _;
use crate::view::{Acted, Action, Order, Problem, ProblemKind, ResumeTerms, code};

use super::Engine;

impl Engine {
    /// Does something to a run. When it returns, what was done is durable.
    ///
    /// # Errors
    /// A [`Problem`] that names what to do instead; nothing was changed then.
    pub async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem> {
        match order.action {
            Action::Cancel => self.cancel(run, order.by).await.inspect(|acted| self.let_be(acted)),
            Action::Pause => self.pause(run, order.by).await,
            Action::Unpause => self.unpause(run, order.by).await,
            Action::Close => self.close(run, order.by).await.inspect(|acted| self.let_be(acted)),
            Action::Settle(settling) => self.settle(run, &settling, order.by).await,
            Action::Drop(dropping) => self.give_up(run, &dropping, order.by).await,
        }
    }

    /// It is not tried to go on with it any more.
    fn let_be(&self, acted: &Acted) {
        self.stuck.forget(acted.run);
    }

    async fn cancel(&self, id: RunId, by: String) -> Result<Acted, Problem> {
        loop {
            if let Some(driver) = self.live.handle(id) {
                match driver.ask(Request::Cancel { by: by.clone() }).await {
                    Ok(()) => {
                        let message = format!("{id} is cancelled: no new calls; those that are out may end");
                        return Ok(acted(&self.recorded(id)?, message));
                    }
                    Err(Declined::Unfit(why)) => return Err(refused(format!("{id}: {why}"))),
                    // It ended meanwhile; what is left is in its record.
                    Err(Declined::Gone) => self.live.at_rest(id).await,
                }
            } else if let Some((_taken, _)) = self.live.take(id) {
                return self.cancel_record(id, by).await;
            }
        }
    }

    async fn cancel_record(&self, id: RunId, by: String) -> Result<Acted, Problem> {
        let mut run = self.recorded(id)?;
        let mut events = Vec::new();
        match run.status {
            Status::Cancelled => return Ok(acted(&run, format!("{id} was cancelled before"))),
            Status::Succeeded => {
                return Err(refused(format!("{id} succeeded: there is nothing to cancel"))
                    .next(format!("milepost show {id}")));
            }
            Status::Queued
            | Status::Running
            | Status::Waiting
            | Status::Paused
            | Status::Interrupted
            | Status::Failed => {}
        }
        // Who asked first, asked; their engine may have died before it could close the run.
        if run.steer.cancelled_by.is_none() {
            events.push(RunEvent::Cancelling { by });
        }
        events.push(RunEvent::Closed { status: Status::Cancelled, fault: run.fault.clone() });
        let before = run.clone();
        self.happened(&mut run, events).await?;
        self.halted(&before, &mut run, "a person gave the run up").await?;
        Ok(acted(&run, format!("{id} is cancelled")))
    }

    /// Ends the execution of a run that is let go: it may have gone on without an engine. Last, because its executor
    /// may be out of reach.
    async fn halted(&self, before: &Run, run: &mut Run, why: &str) -> Result<(), Problem> {
        match self.halt(before, Fault::new(name::CANCELLED, why)).await {
            Some(halted) => self.happened(run, vec![halted]).await,
            None => Ok(()),
        }
    }

    async fn pause(&self, id: RunId, by: String) -> Result<Acted, Problem> {
        self.ask(id, Request::Pause { by }).await?;
        let message = format!("{id} is paused: no new calls; those that are out may end");
        let acted = acted(&self.recorded(id)?, message);
        Ok(Acted { next: vec![format!("milepost unpause {id}")], ..acted })
    }

    async fn unpause(&self, id: RunId, by: String) -> Result<Acted, Problem> {
        self.ask(id, Request::Unpause { by }).await?;
        Ok(acted(&self.recorded(id)?, format!("{id} goes on")))
    }

    /// Asks the driver of a run that is being worked on.
    async fn ask(&self, id: RunId, request: Request) -> Result<(), Problem> {
        let answer = match self.live.handle(id) {
            Some(driver) => driver.ask(request).await,
            None => Err(Declined::Gone),
        };
        let Err(declined) = answer else { return Ok(()) };
        let run = self.recorded(id)?;
        let ended = run.status.is_ended() || run.is_given_up();
        let problem = match declined {
            Declined::Unfit(why) => return Err(refused(format!("{id}: {why}"))),
            Declined::Gone if ended => refused(format!("{id} has ended: {}", run.status.word())),
            Declined::Gone => refused(format!("nobody works on {id}, so it stands still already")),
        };
        let resumable = self.resumable(id, &ResumeTerms::default()).is_ok();
        Err(problem.next(if resumable {
            format!("milepost resume {id}")
        } else {
            "milepost list".to_owned()
        }))
    }

    async fn close(&self, id: RunId, by: String) -> Result<Acted, Problem> {
        let Some((_taken, _)) = self.live.take(id) else {
            let problem = refused(format!("{id} is being worked on: only a run at rest is closed"));
            return Err(problem.next(format!("milepost cancel {id}")));
        };
        let mut run = self.recorded(id)?;
        if run.released.is_some() {
            return Ok(acted(&run, format!("{id} was closed before; it is not resumed any more")));
        }
        let mut events = Vec::new();
        if run.is_given_up() && run.status != Status::Cancelled {
            events.push(RunEvent::Closed { status: Status::Cancelled, fault: run.fault.clone() });
        } else if matches!(run.status, Status::Queued | Status::Running | Status::Waiting | Status::Paused) {
            // Its engine died before it could say so.
            events.push(RunEvent::Interrupted);
        }
        events.push(RunEvent::Released { by });
        let before = run.clone();
        self.happened(&mut run, events).await?;
        self.halted(&before, &mut run, "a person let the run go").await?;
        Ok(acted(&run, format!("{id} is closed; it is not resumed any more")))
    }

    /// Makes durable that a person let runs begin that were held. Nobody works on them.
    pub(super) async fn unheld(&self, runs: &[RunId], by: &str) -> Result<(), Problem> {
        let event = || Event { at: self.ports.clock.now(), what: RunEvent::Unheld { by: by.to_owned() } };
        Ok(self.store.commit(runs.iter().map(|run| Change::Event(*run, event())).collect()).await?)
    }

    /// Makes durable what happened to a run that is taken and that no driver works on.
    pub(super) async fn happened(&self, run: &mut Run, events: Vec<RunEvent>) -> Result<(), Problem> {
        let mut changes = Vec::with_capacity(events.len() + 1);
        for what in events {
            let event = Event { at: self.ports.clock.now(), what };
            run.apply(&event).map_err(|error| refused(error.to_string()))?;
            // A run whose definition cannot be read tells nobody, and can be acted on all the same.
            if let Ok(plan) = self.names.plan(run) {
                changes.extend(alerts::put(alerts::of(&self.store, run, &plan, &event)?.into_iter()));
            }
            changes.push(Change::Event(run.id, event));
        }
        changes.push(Change::Run(Box::new(run.clone())));
        self.store.commit(changes).await.map_err(|error| {
            let detail = format!("failed to write the state: {error}");
            Problem::new(ProblemKind::Internal, code::INTERNAL, detail).next("milepost list")
        })
    }

    /// The record of a run that is there.
    pub(super) fn recorded(&self, id: RunId) -> Result<Run, Problem> {
        self.store.run(id)?.ok_or_else(|| {
            Problem::new(ProblemKind::NotFound, code::RUN_UNKNOWN, format!("there is no run {id}"))
                .next("milepost list")
        })
    }
}

pub(super) fn refused(detail: String) -> Problem {
    Problem::new(ProblemKind::Refused, code::ACT_REFUSED, detail)
}

pub(super) fn acted(run: &Run, message: String) -> Acted {
    Acted { run: run.id, status: run.status, message, next: Vec::new() }
}
