//! The work on one run, to its end.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::app::error::{EngineError, ResumeError};
use crate::app::resume::Asked;
use crate::app::{Engine, Running};
use crate::core::run::{Run, Status};
use crate::view::ResumeTerms;

use super::news::News;
use super::roster::Next;

/// How the work on a run ended.
pub(super) enum Outcome {
    /// It could not begin.
    Stuck(Box<(Next, ResumeError)>),
    /// It is wanted no more: somebody had it when its turn came, and ended it.
    Elsewhere,
    /// It was begun, and this came of it.
    Over(Result<Box<Run>, EngineError>),
}

/// A run that goes on by itself when nobody works on it.
pub(super) fn is_unfinished(run: &Run) -> bool {
    match run.status {
        Status::Succeeded | Status::Failed | Status::Cancelled => false,
        Status::Queued | Status::Running | Status::Waiting | Status::Paused | Status::Interrupted => {
            run.released.is_none() && !run.is_given_up()
        }
    }
}

/// Goes on with a run, to its end or until the loop is stopped.
pub(super) async fn carried_out(
    engine: Arc<Engine>,
    next: Next,
    news: mpsc::UnboundedSender<News>,
    stopping: watch::Receiver<bool>,
) -> Outcome {
    loop {
        match engine.resume(next.run, &ResumeTerms::default(), Asked::default()).await {
            Ok(running) => {
                let _ = news.send(next.news);
                return Outcome::Over(until_over(running, stopping).await);
            }
            // Somebody changes its record, which does not take long.
            Err(ResumeError::Busy(_)) => engine.live.at_rest(next.run).await,
            Err(error) => return Outcome::Stuck(Box::new((next, error))),
        }
        match engine.recorded(next.run) {
            Ok(run) if is_unfinished(&run) => {}
            Ok(_) => return Outcome::Elsewhere,
            Err(problem) => return Outcome::Stuck(Box::new((next, problem.into()))),
        }
    }
}

pub(super) async fn until_over(
    mut running: Running,
    mut stopping: watch::Receiver<bool>,
) -> Result<Box<Run>, EngineError> {
    tokio::select! {
        ended = running.finished() => return ended.map(Box::new),
        () = stopped(&mut stopping) => running.stop(),
    }
    running.finished().await.map(Box::new)
}

/// Returns when the loop is asked to stop, or whoever could ask is gone.
pub(super) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Both end it.
    drop(stopping.wait_for(|stops| *stops).await);
}
