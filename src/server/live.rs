//! What happens now, as server-sent events. Each commit rings; several in a short while are told as one.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use super::{Service, ending, problem, reads};
use crate::core::id::RunId;
use crate::view::{Archive, Problem, RunFilter};

/// Nobody is told more often than this: a commit takes milliseconds, and people read slower.
const APART: Duration = Duration::from_millis(200);
/// How often a connection on which nothing happens shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);
/// Runs that a listener is told of at first, and when it was too slow to be told of each.
const RUNS_MAX: usize = 100;
/// Events that are told at once.
const EVENTS_MAX: usize = 500;
/// Where a listener that comes again says what it saw last.
const LAST_SEEN: &str = "last-event-id";

/// What one listener is told next, and how far it is.
struct Listener {
    archive: Archive,
    rings: broadcast::Receiver<RunId>,
    /// Only of this run; `None`: of all.
    run: Option<RunId>,
    /// The number of the next event of that run.
    next: u64,
    /// Nothing was told yet.
    is_new: bool,
}

/// One run: its view whenever something changed, and each of its events. The ID of a message is the
/// number of the event that comes next, so whoever comes again misses none.
pub(super) async fn run(
    State(service): State<Service>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Response {
    let seen = headers.get(LAST_SEEN).and_then(|value| value.to_str().ok()?.parse().ok());
    let archive = service.archive.clone();
    let found = reads::waiting(move || {
        let run = archive.find(&run)?.id;
        let next = match seen {
            Some(next) => next,
            // Who comes for the first time reads the past where it is.
            None => last_event(&archive, run)?,
        };
        Ok((run, next))
    });
    match found.await {
        Ok((run, next)) => listen(&service, Some(run), next),
        Err(problem) => problem::response(&problem),
    }
}

/// All runs: the summary of each one that changes.
pub(super) async fn runs(State(service): State<Service>) -> Response {
    listen(&service, None, 0)
}

fn last_event(archive: &Archive, run: RunId) -> Result<u64, Problem> {
    let mut next = 0;
    loop {
        let page = archive.events(&run.to_string(), next, None)?;
        if page.events.is_empty() {
            return Ok(next);
        }
        next = page.next;
    }
}

fn listen(service: &Service, run: Option<RunId>, next: u64) -> Response {
    let Some(rings) = service.operator.listen() else { return problem::response(&ending()) };
    let listener = Listener { archive: service.archive.clone(), rings, run, next, is_new: true };
    let batches = stream::unfold(listener, |mut listener| async move {
        let touched = listener.wait().await?;
        let (messages, listener) = listener.tell(touched).await?;
        Some((stream::iter(messages.into_iter().map(Ok::<_, Infallible>)), listener))
    });
    let messages = futures_util::StreamExt::flatten(batches);
    let kept = Sse::new(messages).keep_alive(KeepAlive::new().interval(ALIVE));
    ([("x-accel-buffering", "no")], kept).into_response()
}

/// What rang.
enum Touched {
    Runs(BTreeSet<RunId>),
    /// More than could be kept.
    Any,
}

impl Listener {
    /// Waits until something rings that concerns this listener; `None` when nothing will any more.
    async fn wait(&mut self) -> Option<Touched> {
        if std::mem::take(&mut self.is_new) {
            return Some(Touched::Any);
        }
        let mut runs = BTreeSet::new();
        while runs.is_empty() {
            match self.rings.recv().await {
                Ok(run) => runs.extend(self.concerns(run)),
                Err(RecvError::Lagged(_)) => return Some(Touched::Any),
                Err(RecvError::Closed) => return None,
            }
        }
        tokio::time::sleep(APART).await;
        loop {
            match self.rings.try_recv() {
                Ok(run) => runs.extend(self.concerns(run)),
                Err(TryRecvError::Lagged(_)) => return Some(Touched::Any),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(Touched::Runs(runs)),
            }
        }
    }

    fn concerns(&self, run: RunId) -> Option<RunId> {
        Some(run).filter(|run| self.run.is_none_or(|only| only == *run))
    }

    /// The messages for what rang, made on a thread where waiting is allowed.
    async fn tell(self, touched: Touched) -> Option<(Vec<Event>, Self)> {
        let told = tokio::task::spawn_blocking(move || {
            let mut listener = self;
            let messages = match listener.run {
                Some(run) => listener.of_run(run),
                None => listener.of_runs(&touched),
            };
            (messages, listener)
        });
        let (messages, listener) = told.await.ok()?;
        match messages {
            Ok(messages) => Some((messages, listener)),
            // The state cannot be read: a listener that comes again is told so.
            Err(_) => None,
        }
    }

    fn of_run(&mut self, run: RunId) -> Result<Vec<Event>, Problem> {
        let name = run.to_string();
        let page = self.archive.events(&name, self.next, Some(EVENTS_MAX))?;
        let mut messages = Vec::with_capacity(page.events.len() + 1);
        for event in &page.events {
            messages.push(message("event", event).id((event.event + 1).to_string()));
        }
        self.next = page.next;
        messages.push(message("run", &self.archive.show(&name)?).id(self.next.to_string()));
        Ok(messages)
    }

    fn of_runs(&self, touched: &Touched) -> Result<Vec<Event>, Problem> {
        let summaries = match touched {
            Touched::Any => {
                self.archive.runs(&RunFilter { limit: Some(RUNS_MAX), ..RunFilter::default() })?.runs
            }
            Touched::Runs(runs) => self.archive.summaries(runs)?,
        };
        Ok(summaries.iter().map(|summary| message("run", summary)).collect())
    }
}

fn message(name: &str, value: &impl Serialize) -> Event {
    // What is shown everywhere else as JSON is JSON.
    Event::default().event(name).json_data(value).unwrap_or_default()
}
