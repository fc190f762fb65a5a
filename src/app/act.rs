//! What people do to runs beside starting and resuming them.

use crate::core::change::Change;
use crate::core::id::RunId;
use crate::core::run::{Event, Run, RunEvent, Status};
use crate::ports::Journal;
use crate::view::{Acted, Action, Order, Problem, ProblemKind, code};

use super::Engine;

impl Engine {
    /// Does something to a run. When it returns, what was done is durable.
    ///
    /// # Errors
    /// A [`Problem`] that names what to do instead; nothing was changed then.
    pub async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem> {
        match order.action {
            Action::Close => self.close(run, order.by).await,
            Action::Settle(settling) => self.settle(run, &settling, order.by).await,
            Action::Drop(dropping) => self.give_up(run, &dropping, order.by).await,
        }
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
        if matches!(run.status, Status::Queued | Status::Running | Status::Waiting | Status::Paused) {
            // Its engine died before it could say so.
            events.push(RunEvent::Interrupted);
        }
        events.push(RunEvent::Released { by });
        self.happened(&mut run, events).await?;
        Ok(acted(&run, format!("{id} is closed; it is not resumed any more")))
    }

    /// Makes durable what happened to a run that is taken and that no driver works on.
    pub(super) async fn happened(&self, run: &mut Run, events: Vec<RunEvent>) -> Result<(), Problem> {
        let mut changes = Vec::with_capacity(events.len() + 1);
        for what in events {
            let event = Event { at: self.ports.clock.now(), what };
            run.apply(&event).map_err(|error| refused(error.to_string()))?;
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
