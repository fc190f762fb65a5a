//! The queue of one life, watched: no message goes before what it brought is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::change::{Message, Receipt};
use milepost::core::id::Unit;
use milepost::core::progress::Progress;
use milepost::ports::{Delivery, Queue, Receive, StoreError};

use crate::world::World;

/// A queue that tells the world of what is premature.
pub(crate) struct Mailbox {
    queue: Arc<dyn Queue>,
    world: Arc<World>,
    /// The step after which a message goes.
    step: usize,
    items: Mutex<BTreeMap<Receipt, u64>>,
}

impl Mailbox {
    pub(crate) fn new(queue: Arc<dyn Queue>, world: Arc<World>, step: usize) -> Self {
        Self { queue, world, step, items: Mutex::default() }
    }
}

#[async_trait]
impl Queue for Mailbox {
    async fn send(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        self.queue.send(messages).await
    }

    async fn receive(&self, receive: &Receive) -> Result<Vec<Delivery>, StoreError> {
        let deliveries = self.queue.receive(receive).await?;
        let mut items = self.items.lock().unwrap();
        for Delivery { message, .. } in &deliveries {
            items.extend(message.item.map(|item| (message.receipt(), item)));
        }
        Ok(deliveries)
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<(), StoreError> {
        for receipt in &receipts {
            let item = self.items.lock().unwrap().get(receipt).copied();
            let Some(item) = item else { continue };
            let served = |progress: &Progress| progress.cells[self.step].state.is_passed();
            self.world.check_durable("a deletion", receipt.run, Unit::Item(item), served);
        }
        self.queue.delete(receipts).await
    }

    async fn hide(&self, receipts: Vec<Receipt>, visibility: Duration) -> Result<(), StoreError> {
        self.queue.hide(receipts, visibility).await
    }
}
