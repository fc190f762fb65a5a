//! Receiving ahead, for each step that receives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::core::queue::Receive;
use crate::ports::{Clock, Queue, QueueError};

use super::note::Note;

/// Most messages per receive: each receive is a commit. A queue that gives fewer at once, as SQS
/// does, returns fewer.
pub(super) const RECEIVE_MAX: usize = 100;

/// How long a poller waits after the first failure; the wait doubles with each that follows…
const PATIENCE_MIN: Duration = Duration::from_millis(500);
/// …up to this.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// Where messages come in, for one step that receives.
pub(super) struct Inlet {
    pub(super) queue: Arc<dyn Queue>,
    pub(super) receive: Receive,
    source: Source,
    pollers: Vec<JoinHandle<()>>,
}

/// What receiving needs.
#[derive(Clone)]
struct Source {
    step: usize,
    /// Bounds what is received ahead: a message costs a permit until its item takes it.
    permits: Arc<Semaphore>,
    /// The last receive that ended got no answer.
    is_away: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    sender: mpsc::UnboundedSender<Note>,
}

impl Inlet {
    /// An inlet that receives nothing yet.
    pub(super) fn new(
        step: usize,
        (queue, receive): (Arc<dyn Queue>, Receive),
        window: usize,
        clock: Arc<dyn Clock>,
        sender: mpsc::UnboundedSender<Note>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(window.max(RECEIVE_MAX)));
        let source = Source { step, permits, is_away: Arc::default(), clock, sender };
        Self { queue, receive, source, pollers: Vec::new() }
    }

    /// Begins to receive, unless it does already.
    pub(super) fn open(&mut self) {
        while self.pollers.len() < self.receive.pollers {
            let (queue, receive) = (Arc::clone(&self.queue), self.receive.clone());
            self.pollers.push(tokio::spawn(self.source.clone().poll(queue, receive)));
        }
    }

    /// Receives no more. What is on its way shows again by itself.
    pub(super) fn shut(&mut self) {
        for poller in self.pollers.drain(..) {
            poller.abort();
        }
    }

    /// Receives once, to see whether the queue answers.
    pub(super) fn receive_once(&self) {
        let (queue, source) = (Arc::clone(&self.queue), self.source.clone());
        // What is there comes at once; for what is not there nobody has to wait to know.
        let receive = Receive { wait: Duration::ZERO, ..self.receive.clone() };
        tokio::spawn(async move {
            let note = source.receive(queue.as_ref(), &receive).await;
            // Whoever listened has ended.
            let _ = note.map(|note| source.sender.send(note));
        });
    }

    /// So many messages are let go, or taken by their items.
    pub(super) fn give_back(&self, permits: usize) {
        self.source.permits.add_permits(permits);
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Source {
    /// Receives until nobody listens any more or the store fails. What was received costs permits
    /// until it is let go.
    async fn poll(self, queue: Arc<dyn Queue>, receive: Receive) {
        let mut patience = PATIENCE_MIN;
        while let Some(note) = self.receive(queue.as_ref(), &receive).await {
            let (is_away, is_over) = match &note {
                Note::QueueAway { .. } => (true, false),
                Note::Failed(_) => (false, true),
                _ => (false, false),
            };
            let was_away = self.is_away.swap(is_away, Ordering::Relaxed);
            let is_news =
                was_away || !matches!(&note, Note::Delivered { received, .. } if received.is_empty());
            if (is_news && self.sender.send(note).is_err()) || is_over {
                return;
            }
            if is_away {
                self.clock.sleep_until(self.clock.now().after(patience)).await;
                patience = (patience * 2).min(PATIENCE_MAX);
            } else {
                patience = PATIENCE_MIN;
            }
        }
    }

    /// One receive; `None` when nobody listens any more.
    async fn receive(&self, queue: &dyn Queue, receive: &Receive) -> Option<Note> {
        // What is free, but at least one: to wait for all of them would starve the queue as long as
        // a single message is held.
        let more = self.permits.available_permits().saturating_sub(1).min(receive.max.saturating_sub(1));
        let max = 1 + more;
        let wanted = u32::try_from(max).unwrap_or(1);
        let mut permit = Arc::clone(&self.permits).acquire_many_owned(wanted).await.ok()?;
        let step = self.step;
        Some(match queue.receive(&Receive { max, ..receive.clone() }).await {
            Ok(received) => {
                if let Some(used) = permit.split(received.len()) {
                    used.forget();
                }
                Note::Delivered { step, received }
            }
            Err(QueueError::Away(fault)) => Note::QueueAway { step, fault },
            Err(QueueError::Store(error)) => Note::Failed(error),
        })
    }
}
