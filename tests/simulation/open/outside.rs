//! What outlives every engine: a queue in which messages come twice and show again when their time is
//! over, and the count of what was carried out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use milepost::core::cell::State;
use milepost::core::change::Message;
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::queue::{Carried, Delivery, Receive, Received, Ticket};
use milepost::core::time::Timestamp;
use milepost::ports::{Clock, Journal, Queue, QueueError};
use milepost::store::{Fate, MemoryStore};
use serde_json::json;

use super::RECEIVES_MAX;
use crate::clock::SimClock;

/// A message outside.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) event: u64,
    /// The same event twice is two messages.
    copy: u64,
    visible_at: Timestamp,
    receives: u32,
}

/// The queue and the system outside: both outlive every engine.
pub(super) struct Outside {
    pub(super) clock: Arc<SimClock>,
    pub(super) queue: Mutex<Vec<Waiting>>,
    /// How often each effect was carried out, by step and event.
    pub(super) done: Mutex<BTreeMap<(usize, u64), u32>>,
    /// The store of the present life, to hold deletions against.
    pub(super) journal: Mutex<Option<(RunId, MemoryStore)>>,
    pub(super) wrong: Mutex<Vec<String>>,
    pub(super) dead: Mutex<Vec<u64>>,
}

impl Outside {
    /// So many events, each in one message: what comes to another run is another item.
    pub(super) fn with(clock: &Arc<SimClock>, events: u64) -> Arc<Self> {
        Self::holding(clock, events, 0..0)
    }

    /// So many events; every fifth is there twice.
    pub(super) fn with_copies(clock: &Arc<SimClock>, events: u64) -> Arc<Self> {
        Self::holding(clock, events, (0..events).filter(|event| event % 5 == 0))
    }

    fn holding(clock: &Arc<SimClock>, messages: u64, twice: impl Iterator<Item = u64>) -> Arc<Self> {
        let queue = (0..messages).map(|event| (event, 0)).chain(twice.map(|event| (event, 1)));
        let queue = queue.map(|(event, copy)| Waiting { event, copy, visible_at: Timestamp(0), receives: 0 });
        Arc::new(Self {
            clock: Arc::clone(clock),
            queue: Mutex::new(queue.collect()),
            done: Mutex::default(),
            journal: Mutex::default(),
            wrong: Mutex::default(),
            dead: Mutex::default(),
        })
    }

    fn take(&self, receive: &Receive) -> Received {
        let (now, mut received) = (self.clock.now(), Received::default());
        self.queue.lock().unwrap().retain_mut(|waiting| {
            if waiting.visible_at > now || received.deliveries.len() == receive.max.min(3) {
                return true;
            }
            if waiting.receives == RECEIVES_MAX {
                self.dead.lock().unwrap().push(waiting.event);
                return false;
            }
            waiting.receives += 1;
            waiting.visible_at = now.after(receive.visibility);
            received.deliveries.push(delivery(waiting));
            true
        });
        received
    }

    /// What is durable about the item of an event, if there is one.
    fn item_of(&self, event: u64) -> Option<(u64, Progress)> {
        let journal = self.journal.lock().unwrap();
        let (run, store) = journal.as_ref()?;
        let store = store.survivor(|_| Fate::Kept);
        let entrants = store.entrants(*run, 0, usize::MAX).unwrap();
        let (position, _) =
            entrants.into_iter().find(|(_, entrant)| entrant.event_id == u128::from(event))?;
        Some((position, store.progress(*run, Unit::Item(position)).unwrap()?))
    }
}

fn delivery(waiting: &Waiting) -> Delivery {
    let Waiting { event, copy, receives, .. } = waiting;
    let message = Message {
        queue: "q".to_owned(),
        run: RunId(99),
        item: Some(*event + 7),
        event_id: u128::from(*event),
        detail_type: "T".to_owned(),
        digest: "d".to_owned(),
    };
    let content = Arc::new(json!({ "n": event }));
    let carried = Some(Carried { key: None, version: Some(event.to_string()), content });
    let ticket = Ticket::Given(format!("{event}/{copy}/{receives}").into());
    Delivery { message, receives: *receives, ticket, carried }
}

/// The event, and which of its messages.
fn message_of(ticket: &Ticket) -> (u64, u64) {
    let Ticket::Given(text) = ticket else { panic!("not a ticket of this queue") };
    let mut numbers = text.split('/').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[async_trait]
impl Queue for Outside {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        let until = self.clock.now().after(receive.wait);
        loop {
            let received = self.take(receive);
            if !received.is_empty() || self.clock.now() >= until {
                return Ok(received);
            }
            self.clock.sleep_until(self.clock.now().after(std::time::Duration::from_millis(100))).await;
        }
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        for (event, copy) in tickets.iter().map(message_of) {
            // Finished, or left to a person: never before.
            let over = |state: State| state.is_passed() || state == State::InDoubt(None);
            let item = self.item_of(event);
            let is_over = item.as_ref().is_some_and(|(_, item)| {
                item.cells.iter().all(|cell| over(cell.state) || cell.state == State::Pending)
                    && item.cells.iter().skip(1).any(|cell| over(cell.state))
            });
            if !is_over {
                self.wrong.lock().unwrap().push(format!("the message of {event} goes at {item:?}"));
            }
            self.queue.lock().unwrap().retain(|waiting| (waiting.event, waiting.copy) != (event, copy));
        }
        Ok(())
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: std::time::Duration) -> Result<(), QueueError> {
        let until = self.clock.now().after(visibility);
        for (event, copy) in tickets.iter().map(message_of) {
            let mut queue = self.queue.lock().unwrap();
            queue
                .iter_mut()
                .filter(|waiting| (waiting.event, waiting.copy) == (event, copy))
                .for_each(|waiting| waiting.visible_at = until);
        }
        Ok(())
    }

    async fn redrive(&self, _: &Receive) -> Result<Option<u64>, QueueError> {
        Ok(None)
    }
}
