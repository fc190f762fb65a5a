//! Messages become rows: the part of the stage that serves the queues.

use crate::core::change::{Message, Receipt};
use crate::core::queue::{Carried, Delivery, Receive, Ticket};
use crate::core::time::Timestamp;

use super::block::{Block, MESSAGES};
use super::codec;
use super::error::Error;
use super::keys;
use super::queue::{Taken, hidden_until};
use super::racks::{Opened, Parcel, RackKey, dead_letter_queue};
use super::stage::Stage;

impl Stage {
    /// Reads where all messages are; once, when the store is opened.
    pub(super) fn load_queues(&mut self) -> Result<(), Error> {
        for row in self.rows.clone().all(keys::QUEUES) {
            let (key, payload) = row?;
            let damaged = || Error::Damaged { key: keys::display(&key), what: "its key names no queue" };
            let (run, number, queue) = keys::of_queue_block(&key).ok_or_else(damaged)?;
            let block = Block::decode(&payload).map_err(codec::at(&key))?;
            let rack = (queue.to_owned(), run);
            for slot in block.filled() {
                if let Some(parcel) = self.rows.record(&key, &block, slot)? {
                    self.racks.load(&rack, MESSAGES.position(number, slot), &parcel);
                }
            }
        }
        Ok(())
    }

    /// Takes what is visible: hides and counts it. What was received too often is buried.
    pub(super) fn take(&mut self, receive: &Receive, now: Timestamp) -> Result<Taken, Error> {
        let rack = (receive.queue.clone(), receive.run);
        let until = hidden_until(receive, now);
        let mut taken = Taken::default();
        let mut from = 0;
        while taken.deliveries.len() < receive.max {
            let Some((position, event_id)) = self.racks.oldest_visible(&rack, now, from) else { break };
            let receipt = Receipt { queue: rack.0.clone(), run: rack.1, event_id };
            let parcel = self.parcel(&rack, position)?;
            if !receive.takes(parcel.item, event_id) {
                from = position + 1;
                continue;
            }
            if parcel.receives >= receive.receives_max && dead_letter_queue(&rack.0).is_some() {
                self.bury(&receipt)?;
                continue;
            }
            self.received(&receipt, until)?;
            let receives = parcel.receives + 1;
            let (message, carried) = parcel.open(&rack);
            let ticket = Ticket::Own(message.receipt());
            taken.deliveries.push(Delivery { message, receives, ticket, carried });
        }
        taken.next_visible = self.racks.next_visible(&rack);
        Ok(taken)
    }

    pub(super) fn enqueue(&mut self, message: Message, carried: Option<Carried>) -> Result<(), Error> {
        let rack = (message.queue.clone(), message.run);
        let Some(position) = self.racks.place_new(&rack, message.event_id) else { return Ok(()) };
        let (key, slot) = row_of(&rack, position);
        self.put_record(&key, MESSAGES, slot, &Parcel::new(message, carried))?;
        self.stirred.push(rack);
        Ok(())
    }

    pub(super) fn received(&mut self, receipt: &Receipt, until: Timestamp) -> Result<(), Error> {
        self.change(receipt, |parcel| {
            parcel.receives = parcel.receives.saturating_add(1);
            parcel.until = Some(until);
        })
    }

    pub(super) fn hide(&mut self, receipt: &Receipt, until: Timestamp) -> Result<(), Error> {
        self.change(receipt, |parcel| parcel.until = Some(until))
    }

    /// Removes a message and returns it, with what it carries, if it was there.
    pub(super) fn delete(&mut self, receipt: &Receipt) -> Result<Option<Opened>, Error> {
        let Some(position) = self.racks.position(receipt) else { return Ok(None) };
        let rack = (receipt.queue.clone(), receipt.run);
        let parcel = self.parcel(&rack, position)?;
        let (key, slot) = row_of(&rack, position);
        self.clear(&key, slot)?;
        self.racks.remove(&rack, receipt.event_id);
        Ok(Some(parcel.open(&rack)))
    }

    pub(super) fn bury(&mut self, receipt: &Receipt) -> Result<(), Error> {
        let Some(dead) = dead_letter_queue(&receipt.queue) else { return Ok(()) };
        match self.delete(receipt)? {
            Some((message, carried)) => self.enqueue(Message { queue: dead, ..message }, carried),
            None => Ok(()),
        }
    }

    fn change(&mut self, receipt: &Receipt, change: impl FnOnce(&mut Parcel)) -> Result<(), Error> {
        let Some(position) = self.racks.position(receipt) else { return Ok(()) };
        let rack = (receipt.queue.clone(), receipt.run);
        let mut parcel = self.parcel(&rack, position)?;
        change(&mut parcel);
        let (key, slot) = row_of(&rack, position);
        self.put_record(&key, MESSAGES, slot, &parcel)?;
        if let Some(until) = parcel.until {
            self.racks.hide(&rack, receipt.event_id, until);
        }
        self.stirred.push(rack);
        Ok(())
    }

    fn parcel(&mut self, rack: &RackKey, position: u64) -> Result<Parcel, Error> {
        let (key, slot) = row_of(rack, position);
        let missing = || Error::Damaged { key: keys::display(&key), what: "a message is missing" };
        self.record(&key, slot)?.ok_or_else(missing)
    }
}

fn row_of((queue, run): &RackKey, position: u64) -> (Vec<u8>, usize) {
    let (block, slot) = MESSAGES.place(position);
    (keys::queue_block(*run, queue, block), slot)
}
