//! The queue of one life, as a rough road makes it: messages come in any order, twice, and once
//! more long after they were done with. No message may go before what it brought is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::change::Message;
use milepost::core::id::Unit;
use milepost::core::progress::Progress;
use milepost::core::queue::{Delivery, Receive, Received, Ticket};
use milepost::ports::{OwnQueue, Queue, QueueError};

use crate::world::World;

/// A queue that tells the world of what is premature.
pub(crate) struct Mailbox {
    queue: Arc<dyn OwnQueue>,
    world: Arc<World>,
    /// The step after which a message goes.
    step: usize,
    seen: Mutex<BTreeMap<Ticket, Message>>,
}

impl Mailbox {
    pub(crate) fn new(queue: Arc<dyn OwnQueue>, world: Arc<World>, step: usize) -> Self {
        Self { queue, world, step, seen: Mutex::default() }
    }

    fn is_rough(&self, share: f64) -> bool {
        self.world.is_rough(|temper| temper.shuffles_mail, share)
    }

    fn shuffle(&self, deliveries: &mut Vec<Delivery>, max: usize) {
        for at in 1..deliveries.len() {
            if self.is_rough(0.5) {
                deliveries.swap(at, self.world.below(at + 1));
            }
        }
        if !deliveries.is_empty() && deliveries.len() < max && self.is_rough(0.2) {
            let twice = deliveries[self.world.below(deliveries.len())].clone();
            deliveries.push(twice);
        }
    }
}

#[async_trait]
impl Queue for Mailbox {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        let mut received = self.queue.receive(receive).await?;
        let deliveries = &mut received.deliveries;
        let mut seen = self.seen.lock().unwrap();
        seen.extend(deliveries.iter().map(|delivery| (delivery.ticket.clone(), delivery.message.clone())));
        drop(seen);
        self.shuffle(deliveries, receive.max);
        Ok(received)
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        let seen = |ticket| self.seen.lock().unwrap().get(ticket).cloned();
        let messages: Vec<Message> = tickets.iter().filter_map(seen).collect();
        for message in &messages {
            let served = |progress: &Progress| progress.cells[self.step].state.is_passed();
            if let Some(item) = message.item {
                self.world.check_durable("a deletion", message.run, Unit::Item(item), served);
            }
        }
        self.queue.delete(tickets).await?;
        if self.is_rough(0.2) {
            self.queue.send(messages).await?;
        }
        Ok(())
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError> {
        self.queue.hide(tickets, visibility).await
    }
    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        self.queue.redrive(receive).await
    }
}
