//! Receiving ahead, for each step that receives.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::core::queue::{Receive, Received};
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
    /// Pollers that are to end once their receive is over.
    drying: usize,
}

/// What receiving needs.
#[derive(Clone)]
struct Source {
    step: usize,
    /// Bounds what is received ahead: a message costs a permit until its item takes it; one that
    /// brings an item, until that is finished.
    permits: Arc<Semaphore>,
    /// How many messages are wanted at all; each costs one for good.
    wanted: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    sender: mpsc::UnboundedSender<Note>,
}

impl Inlet {
    /// An inlet that receives nothing yet.
    pub(super) fn new(
        step: usize,
        (queue, receive): (Arc<dyn Queue>, Receive),
        (window, wanted): (usize, usize),
        clock: Arc<dyn Clock>,
        sender: mpsc::UnboundedSender<Note>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(window.max(RECEIVE_MAX)));
        let wanted = Arc::new(Semaphore::new(wanted.min(Semaphore::MAX_PERMITS)));
        let source = Source { step, permits, wanted, clock, sender };
        Self { queue, receive, source, pollers: Vec::new(), drying: 0 }
    }

    /// Begins to receive, unless it does already, or nothing more is wanted.
    pub(super) fn open(&mut self) {
        if self.source.permits.is_closed() {
            return;
        }
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
        self.drying = 0;
    }

    /// As [`Self::shut`]. When it returns, nothing is on its way any more; the notes of what pollers
    /// received are sent, and what came when they had ended is returned.
    pub(super) async fn end(&mut self) -> Received {
        let pollers = std::mem::take(&mut self.pollers);
        self.drying = 0;
        pollers.iter().for_each(JoinHandle::abort);
        let last = self.queue.last(&self.receive).await;
        for poller in pollers {
            // That it was cancelled is what was asked for.
            let _ = poller.await;
        }
        last
    }

    /// Nothing more is wanted: each poller ends once its receive is over, so that nothing is hidden in
    /// vain. What is held stays held.
    pub(super) fn dry(&mut self) {
        self.source.permits.close();
        self.source.wanted.close();
        self.drying = self.pollers.len();
    }

    /// A poller has ended.
    pub(super) fn dried(&mut self) {
        // Those that were shut out meanwhile are not waited for any more.
        self.drying = self.drying.saturating_sub(1);
    }

    /// Whether a receive may still bring something that is not wanted.
    pub(super) fn is_drying(&self) -> bool {
        self.drying > 0
    }

    /// Receives once, to see whether the queue answers. That waits for no permit, or it might never
    /// be known; what it brings is paid for afterwards.
    pub(super) fn receive_once(&self) {
        let (queue, source) = (Arc::clone(&self.queue), self.source.clone());
        // What is there comes at once; for what is not there nobody has to wait to know.
        let receive = Receive { max: 1, wait: Duration::ZERO, ..self.receive.clone() };
        tokio::spawn(async move {
            let received = queue.receive(&receive).await;
            let count = received.as_ref().map_or(0, Received::len);
            // Whoever listened may have ended.
            let _ = source.sender.send(source.note(received));
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            for cost in [&source.wanted, &source.permits] {
                if let Ok(used) = cost.acquire_many(count).await {
                    used.forget();
                }
            }
        });
    }

    /// So many messages more are wanted: these brought nothing new.
    pub(super) fn want_more(&self, messages: usize) {
        self.source.wanted.add_permits(messages);
    }

    /// So many messages are let go, or taken by their items.
    pub(super) fn give_back(&self, permits: usize) {
        self.source.permits.add_permits(permits);
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.shut();
        // Whoever waits for a permit waits for nothing.
        self.source.permits.close();
        self.source.wanted.close();
    }
}

impl Source {
    /// Receives until nothing more is wanted, nobody listens any more, or the store fails. What was received costs permits
    /// until it is let go.
    async fn poll(self, queue: Arc<dyn Queue>, receive: Receive) {
        let mut patience = PATIENCE_MIN;
        while let Some(note) = self.receive(queue.as_ref(), &receive).await {
            let (is_away, is_over) = match &note {
                Note::QueueAway { .. } => (true, false),
                Note::Failed(_) => (false, true),
                _ => (false, false),
            };
            // Also what brought nothing: a silence is only one when the queue answers.
            if self.sender.send(note).is_err() || is_over {
                return;
            }
            if is_away {
                self.clock.sleep_until(self.clock.now().after(patience)).await;
                patience = (patience * 2).min(PATIENCE_MAX);
            } else {
                patience = PATIENCE_MIN;
            }
        }
        // Whoever listened has ended, or wants nothing more.
        let _ = self.sender.send(Note::Dried { step: self.step });
    }

    /// One receive; `None` when nothing more is wanted.
    async fn receive(&self, queue: &dyn Queue, receive: &Receive) -> Option<Note> {
        // What is free, but at least one: to wait for all of them would starve the queue as long as
        // a single message is held.
        let free = self.permits.available_permits().min(self.wanted.available_permits());
        let max = 1 + free.saturating_sub(1).min(receive.max.saturating_sub(1));
        let count = u32::try_from(max).unwrap_or(1);
        let mut wanted = Arc::clone(&self.wanted).acquire_many_owned(count).await.ok()?;
        let mut permit = Arc::clone(&self.permits).acquire_many_owned(count).await.ok()?;
        let received = queue.receive(&Receive { max, ..receive.clone() }).await;
        for cost in [&mut permit, &mut wanted] {
            if let Some(used) = cost.split(received.as_ref().map_or(0, Received::len)) {
                used.forget();
            }
        }
        Some(self.note(received))
    }

    /// What a receive came to.
    fn note(&self, received: Result<Received, QueueError>) -> Note {
        let step = self.step;
        match received {
            Ok(received) => Note::Delivered { step, received },
            Err(QueueError::Away(fault)) => Note::QueueAway { step, fault },
            Err(QueueError::Store(error)) => Note::Failed(error),
        }
    }
}
