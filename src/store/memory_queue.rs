//! The embedded queues without a disk.

use std::time::Duration;

use async_trait::async_trait;

use crate::core::change::{Change, Message, Receipt};
use crate::core::queue::{Carried, Delivery, Receive, Received, Ticket};
use crate::core::time::Timestamp;
use crate::ports::{Journal, OwnQueue, Queue, QueueError, StoreError};

use super::memory::{Kept, MemoryStore};
use super::queue::{self, Taken, hidden_until, long_poll};
use super::racks::{Opened, dead_letter_queue};

/// A message in a queue.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) message: Message,
    pub(super) carried: Option<Carried>,
    pub(super) receives: u32,
    pub(super) until: Timestamp,
}

impl Waiting {
    fn is_visible(&self, receive: &Receive, now: Timestamp) -> bool {
        self.until <= now && receive.takes(self.message.item, self.message.event_id)
    }
}

impl Kept {
    pub(super) fn take(&mut self, receive: &Receive, now: Timestamp) -> Taken {
        let key = (receive.queue.clone(), receive.run);
        let mut taken = Taken::default();
        let buries = dead_letter_queue(&receive.queue).is_some();
        let mut worn_out = Vec::new();
        let visible = |waiting: &&mut Waiting| waiting.is_visible(receive, now);
        for waiting in self.queues.get_mut(&key).into_iter().flatten().filter(visible) {
            if taken.deliveries.len() == receive.max {
                break;
            }
            if buries && waiting.receives >= receive.receives_max {
                worn_out.push(waiting.message.receipt());
                continue;
            }
            waiting.receives += 1;
            waiting.until = hidden_until(receive, now);
            let message = waiting.message.clone();
            let ticket = Ticket::Own(message.receipt());
            let carried = waiting.carried.clone();
            let delivery = Delivery { message, receives: waiting.receives, ticket, carried };
            taken.deliveries.push(delivery);
        }
        self.stirred.push(key);
        for receipt in &worn_out {
            self.bury(receipt);
        }
        taken.next_visible = self.next_visible(receive, now);
        taken
    }

    pub(super) fn has_visible(&self, receive: &Receive, now: Timestamp) -> bool {
        let queue = self.queues.get(&(receive.queue.clone(), receive.run));
        receive.max > 0 && queue.into_iter().flatten().any(|waiting| waiting.is_visible(receive, now))
    }

    pub(super) fn next_visible(&self, receive: &Receive, now: Timestamp) -> Option<Timestamp> {
        let queue = self.queues.get(&(receive.queue.clone(), receive.run));
        let hidden = queue.into_iter().flatten().map(|waiting| waiting.until);
        hidden.filter(|until| *until > now).min()
    }

    pub(super) fn enqueue(&mut self, (message, carried): Opened) {
        let queue = self.queues.entry((message.queue.clone(), message.run)).or_default();
        if queue.iter().all(|waiting| waiting.message.event_id != message.event_id) {
            self.stirred.push((message.queue.clone(), message.run));
            queue.push(Waiting { message, carried, receives: 0, until: Timestamp(0) });
        }
    }

    pub(super) fn waiting(&mut self, receipt: &Receipt) -> Option<&mut Waiting> {
        let key = (receipt.queue.clone(), receipt.run);
        self.stirred.push(key.clone());
        self.queues.get_mut(&key)?.iter_mut().find(|waiting| waiting.message.event_id == receipt.event_id)
    }

    /// Whoever hid a message is gone: no lease to wait for.
    pub(super) fn show_all(&mut self) {
        for waiting in self.queues.values_mut().flatten() {
            waiting.until = Timestamp(0);
        }
    }

    pub(super) fn delete(&mut self, receipt: &Receipt) -> Option<Opened> {
        let queue = self.queues.get_mut(&(receipt.queue.clone(), receipt.run))?;
        let place = queue.iter().position(|waiting| waiting.message.event_id == receipt.event_id)?;
        let Waiting { message, carried, .. } = queue.remove(place);
        Some((message, carried))
    }

    pub(super) fn bury(&mut self, receipt: &Receipt) {
        if let Some(queue) = dead_letter_queue(&receipt.queue)
            && let Some((message, carried)) = self.delete(receipt)
        {
            self.enqueue((Message { queue, ..message }, carried));
        }
    }
}

/// A visibility timeout holds within one life of the engine: see [`MemoryStore::survivor`].
#[async_trait]
impl Queue for MemoryStore {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        let ask = |now| async move {
            // Finding nothing is no write, so it has no fate.
            if self.read(|kept| kept.has_visible(receive, now))? {
                return self.write(|kept| kept.take(receive, now));
            }
            let next_visible = self.read(|kept| kept.next_visible(receive, now))?;
            Ok(Taken { deliveries: Vec::new(), next_visible })
        };
        Ok(long_poll(&*self.clock, &self.bells, receive, ask).await?)
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        Ok(self.commit(queue::own(tickets).map(Change::Delete).collect()).await?)
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError> {
        let until = self.clock.now().after(visibility);
        Ok(self.commit(queue::own(tickets).map(|receipt| Change::Hide { receipt, until }).collect()).await?)
    }

    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        queue::redrive(self, receive).await
    }
}

#[async_trait]
impl OwnQueue for MemoryStore {
    async fn send(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        self.commit(vec![Change::Enqueue(messages)]).await
    }

    async fn share(&self, messages: Vec<(Message, Carried)>) -> Result<(), StoreError> {
        self.commit(vec![Change::Share(messages)]).await
    }
}
