//! What is told of a run, or of all of them: read and spelled once for all who listen to it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use serde::Serialize;
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError, error::TryRecvError};

use super::reads;
use crate::core::id::RunId;
use crate::view::{Archive, Problem, RunFilter};

/// Nobody is told more often than this: a commit takes milliseconds, and people read slower.
const APART: Duration = Duration::from_millis(200);
/// Runs that a listener is told of at first, and when it was too slow to be told of each.
const RUNS_MAX: usize = 100;
/// Events that are told at once.
const EVENTS_MAX: usize = 500;
/// What a slow listener may be behind; one that is further behind reads for itself.
const BEHIND_MAX: usize = 8;

/// What is listened to: one run; `None`: all of them.
pub(super) type Subject = Option<RunId>;

/// Who is told what. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Hub(Arc<Mutex<HashMap<Subject, Sender<Arc<Told>>>>>);

/// What is told at once.
pub(super) struct Told {
    /// The number of the first event that may be among it.
    pub(super) from: u64,
    /// The number of the event that comes next.
    pub(super) next: u64,
    /// There is more to tell already.
    pub(super) is_part: bool,
    messages: Vec<Message>,
}

/// One message, spelled.
struct Message {
    name: &'static str,
    /// The number of the event that comes next, for whoever comes again.
    id: Option<u64>,
    data: String,
}

/// What rang.
pub(super) enum Touched {
    Runs(BTreeSet<RunId>),
    /// More than could be kept, or nothing was told yet.
    Any,
}

impl Hub {
    /// Listens to a subject. What is committed after this call will be told; `next` is the event that comes next
    /// as far as the listener knows.
    pub(super) fn listen(
        &self,
        subject: Subject,
        next: u64,
        archive: &Archive,
        rings: Receiver<RunId>,
    ) -> Receiver<Arc<Told>> {
        let mut subjects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = subjects.get(&subject) {
            return told.subscribe();
        }
        let (told, listener) = broadcast::channel(BEHIND_MAX);
        subjects.insert(subject, told.clone());
        tokio::spawn(
            Teller { hub: self.clone(), subject, archive: archive.clone(), rings, told, next }.work(),
        );
        listener
    }
}

/// Tells one subject to all who listen, as long as somebody does.
struct Teller {
    hub: Hub,
    subject: Subject,
    archive: Archive,
    rings: Receiver<RunId>,
    told: Sender<Arc<Told>>,
    next: u64,
}

impl Teller {
    async fn work(mut self) {
        loop {
            tokio::select! {
                touched = touched(&mut self.rings, self.subject) => {
                    let Some(touched) = touched else { break };
                    // When the state cannot be read, a listener that comes again is told so.
                    if self.tell(touched).await.is_err() {
                        break;
                    }
                }
                () = self.told.closed() => if self.is_alone() { return },
            }
        }
        self.hub.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.subject);
    }

    async fn tell(&mut self, touched: Touched) -> Result<(), Problem> {
        let touched = Arc::new(touched);
        loop {
            let told = read(&self.archive, self.subject, self.next, Arc::clone(&touched)).await?;
            self.next = told.next;
            let is_part = told.is_part;
            // Who is gone by now is told nothing.
            let _ = self.told.send(Arc::new(told));
            if !is_part {
                return Ok(());
            }
        }
    }

    /// Whether nobody listens any more; from then on nobody comes.
    fn is_alone(&self) -> bool {
        let mut subjects = self.hub.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alone = self.told.receiver_count() == 0;
        if is_alone {
            subjects.remove(&self.subject);
        }
        is_alone
    }
}

/// Waits until something of the subject rings, and a moment more; `None` when nothing will any more.
async fn touched(rings: &mut Receiver<RunId>, subject: Subject) -> Option<Touched> {
    let concerns = |run: RunId| Some(run).filter(|run| subject.is_none_or(|only| only == *run));
    let mut runs = BTreeSet::new();
    while runs.is_empty() {
        match rings.recv().await {
            Ok(run) => runs.extend(concerns(run)),
            Err(RecvError::Lagged(_)) => return Some(Touched::Any),
            Err(RecvError::Closed) => return None,
        }
    }
    tokio::time::sleep(APART).await;
    loop {
        match rings.try_recv() {
            Ok(run) => runs.extend(concerns(run)),
            Err(TryRecvError::Lagged(_)) => return Some(Touched::Any),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(Touched::Runs(runs)),
        }
    }
}

/// Reads what there is to tell of a subject from this event on, on a thread where waiting is allowed.
///
/// # Errors
/// The records cannot be read.
pub(super) async fn read(
    archive: &Archive,
    subject: Subject,
    next: u64,
    touched: Arc<Touched>,
) -> Result<Told, Problem> {
    let archive = archive.clone();
    reads::waiting(move || match subject {
        Some(run) => of_run(&archive, run, next),
        None => of_runs(&archive, &touched),
    })
    .await
}

fn of_run(archive: &Archive, run: RunId, from: u64) -> Result<Told, Problem> {
    let name = run.to_string();
    let page = archive.events(&name, from, Some(EVENTS_MAX))?;
    let mut messages = Vec::with_capacity(page.events.len() + 1);
    for event in &page.events {
        messages.push(message("event", Some(event.event + 1), event));
    }
    let is_part = page.events.len() == EVENTS_MAX;
    messages.push(message("run", Some(page.next), &archive.show(&name)?));
    Ok(Told { from, next: page.next, is_part, messages })
}

fn of_runs(archive: &Archive, touched: &Touched) -> Result<Told, Problem> {
    let summaries = match touched {
        Touched::Any => archive.runs(&RunFilter { limit: Some(RUNS_MAX), ..RunFilter::default() })?.runs,
        Touched::Runs(runs) => archive.summaries(runs)?,
    };
    let messages = summaries.iter().map(|summary| message("run", None, summary)).collect();
    Ok(Told { from: 0, next: 0, is_part: false, messages })
}

fn message(name: &'static str, id: Option<u64>, value: &impl Serialize) -> Message {
    // What is shown everywhere else as JSON is JSON.
    Message { name, id, data: serde_json::to_string(value).unwrap_or_default() }
}

impl Told {
    /// The messages for a listener that knows every event before `next`.
    pub(super) fn for_one_at(&self, next: u64) -> Vec<Event> {
        let is_new = |message: &&Message| message.name == "run" || message.id.is_none_or(|id| id > next);
        let event = |message: &Message| {
            let event = Event::default().event(message.name).data(&message.data);
            match message.id {
                Some(id) => event.id(id.max(next).to_string()),
                None => event,
            }
        };
        self.messages.iter().filter(is_new).map(event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fake;

    #[tokio::test(start_paused = true)]
    async fn what_happens_is_read_once_for_all_who_listen_and_nothing_is_left_behind_them() {
        let (archive, hub, ring) = (fake::archive(true), Hub::default(), Sender::new(9));
        let run = archive.find("@latest").unwrap().id;
        let listen = |next| hub.listen(Some(run), next, &archive, ring.subscribe());
        let (mut one, mut two) = (listen(0), listen(0));
        ring.send(run).unwrap();
        let (heard, same) = (one.recv().await.unwrap(), two.recv().await.unwrap());
        assert!(Arc::ptr_eq(&heard, &same));
        let events = usize::try_from(heard.next).unwrap();
        assert!(events > 0 && heard.from == 0);
        assert_eq!(heard.for_one_at(0).len(), events + 1, "each event, and the run");
        assert_eq!(heard.for_one_at(heard.next).len(), 1, "who knows the events is told of the run");
        drop((one, two));
        while !hub.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(ring.receiver_count(), 0);
    }
}
