//! What happens now, as server-sent events. Each commit rings; several in a short while are told as one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::gate::Caller;
use super::hub::{self, Hub, Subject, Told, Touched};
use super::{Service, ending, problem, reads};
use crate::core::id::RunId;
use crate::view::{Archive, Problem};

/// How often a connection on which nothing happens shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);
/// Where a listener that comes again says what it saw last.
const LAST_SEEN: &str = "last-event-id";

/// What one listener is told next, and how far it is.
struct Listener {
    service: Service,
    caller: Caller,
    told: Receiver<Arc<Told>>,
    subject: Subject,
    /// The number of the next event of its run.
    next: u64,
    /// Something may be missing that is not told any more.
    is_behind: bool,
}

/// One run: its view whenever something changed, and each of its events. The ID of a message is the
/// number of the event that comes next, so whoever comes again misses none.
pub(super) async fn run(
    State(service): State<Service>,
    Extension(hub): Extension<Hub>,
    Extension(caller): Extension<Caller>,
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
        Ok((run, next)) => listen(service, caller, &hub, Some(run), next),
        Err(problem) => problem::response(&problem),
    }
}

/// All runs: the summary of each one that changes.
pub(super) async fn runs(
    State(service): State<Service>,
    Extension(hub): Extension<Hub>,
    Extension(caller): Extension<Caller>,
) -> Response {
    listen(service, caller, &hub, None, 0)
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

fn listen(service: Service, caller: Caller, hub: &Hub, subject: Subject, next: u64) -> Response {
    let Some(rings) = service.operator.listen() else { return problem::response(&ending()) };
    let told = hub.listen(subject, next, &service.archive, rings);
    let listener = Listener { service, caller, told, subject, next, is_behind: true };
    let batches = stream::unfold(listener, |mut listener| async move {
        let messages = listener.hear().await?;
        Some((stream::iter(messages.into_iter().map(Ok::<_, Infallible>)), listener))
    });
    let messages = futures_util::StreamExt::flatten(batches);
    let kept = Sse::new(messages).keep_alive(KeepAlive::new().interval(ALIVE));
    ([("x-accel-buffering", "no")], kept).into_response()
}

impl Listener {
    /// What comes next; `None` when nothing will any more, or whoever listens may not any more.
    async fn hear(&mut self) -> Option<Vec<Event>> {
        let messages = self.heard().await?;
        self.caller.is_still_known(&self.service).then_some(messages)
    }

    async fn heard(&mut self) -> Option<Vec<Event>> {
        loop {
            if self.is_behind {
                // A listener that comes again is told why nothing can be read.
                let told = hub::read(&self.service.archive, self.subject, self.next, Arc::new(Touched::Any))
                    .await
                    .ok()?;
                self.is_behind = told.is_part;
                return Some(self.take(&told));
            }
            match self.told.recv().await {
                Ok(told) if told.from <= self.next => return Some(self.take(&told)),
                Ok(_) | Err(RecvError::Lagged(_)) => self.is_behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn take(&mut self, told: &Told) -> Vec<Event> {
        let messages = told.for_one_at(self.next);
        self.next = self.next.max(told.next);
        messages
    }
}
