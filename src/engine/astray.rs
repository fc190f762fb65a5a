//! What comes in and is not for this run to work on: messages that are none of ours, messages of other
//! runs, and what is left in the queues when the run ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::event::RunEvent;
use crate::core::id::Unit;
use crate::core::mail::{Disposition, disposition};
use crate::core::queue::{Delivery, Receive, Received, Stray};
use crate::core::time::Timestamp;
use crate::ports::{Queue, QueueError};

use super::drive::{Drive, Error};
use super::note::Note;

/// Events read at once.
const SCAN: usize = 1_000;
/// Strays whose IDs are remembered, and that are told of; of more the run only says that there are.
const TOLD_MAX: usize = 1_000;

/// The strays that were told of.
#[derive(Default)]
pub(super) struct Strays(Option<BTreeSet<String>>);

impl Drive {
    /// Takes in what a receive brought.
    pub(super) fn received(&mut self, step: usize, received: Received, now: Timestamp) -> Result<(), Error> {
        if self.takes_items_at(step) {
            self.came(received, now);
            return Ok(());
        }
        for delivery in received.deliveries {
            if delivery.message.run == self.run.id {
                self.mail.delivered(step, delivery, now);
            } else {
                self.mail.give_back(step, 1);
                self.is_of_another(step, delivery)?;
            }
        }
        for stray in received.strays {
            self.mail.give_back(step, 1);
            self.strayed(step, stray)?;
        }
        Ok(())
    }

    /// A message came that is none of ours, or is damaged. It is left to its queue, and to the
    /// redrive policy there; people are told of it once.
    pub(super) fn strayed(&mut self, step: usize, stray: Stray) -> Result<(), Error> {
        let Stray { id, receives, reason, ticket: _ } = stray;
        let known = match self.strays.0.take() {
            Some(known) => known,
            None => self.strays_told()?,
        };
        let told = self.strays.0.insert(known);
        if told.len() < TOLD_MAX && told.insert(id.clone()) {
            let step = self.common.assembly.plan.items.steps[step].name.clone();
            self.tell(RunEvent::Stray { step, id, receives, reason })?;
        }
        Ok(())
    }

    /// Those that an earlier engine told of.
    fn strays_told(&self) -> Result<BTreeSet<String>, Error> {
        let mut told = BTreeSet::new();
        let mut from = 0;
        while (told.len() as u64) < self.run.strays {
            let events = self.ports.journal.events(self.run.id, from, SCAN)?;
            let Some((last, _)) = events.last() else { break };
            from = last + 1;
            told.extend(events.into_iter().filter_map(|(_, event)| match event.what {
                RunEvent::Stray { id, .. } => Some(id),
                _ => None,
            }));
        }
        Ok(told)
    }

    /// A message of another run came. Whoever works on that one gets it when it shows again; what its
    /// records, where they are here, say has served is removed (rule R5).
    pub(super) fn is_of_another(&mut self, step: usize, delivery: Delivery) -> Result<(), Error> {
        match self.recorded_disposition(step, &delivery)? {
            Some(Disposition::Delete) => self.mail.delete(step, vec![delivery.ticket], &self.sender),
            Some(Disposition::Release) => {
                self.mail.hide(step, vec![delivery.ticket], Duration::ZERO, &self.sender);
            }
            Some(Disposition::Keep | Disposition::Take | Disposition::Proves(_)) | None => {}
        }
        Ok(())
    }

    /// What is to become of a message by the records alone; `None` when they say nothing about it. Of
    /// another run only when it goes by the same definition: else nobody can say which step is which.
    fn recorded_disposition(&self, step: usize, delivery: &Delivery) -> Result<Option<Disposition>, Error> {
        let (journal, message) = (&self.ports.journal, &delivery.message);
        let Some(item) = message.item else { return Ok(None) };
        if message.run != self.run.id {
            let other = journal.run(message.run)?;
            let is_alike = |other: &crate::core::run::Run| {
                other.definition == self.run.definition && other.files == self.run.files
            };
            if !other.is_some_and(|other| is_alike(&other)) {
                return Ok(None);
            }
        }
        let track = &self.common.assembly.plan.items;
        let progress = journal.progress(message.run, Unit::Item(item))?;
        Ok(progress.map(|progress| disposition(track, step, &progress.fitted(track))))
    }

    /// Ends receiving and lets go of what is left in the queues for items that are at rest.
    pub(super) async fn close_mail(&mut self) -> Result<(), Error> {
        let mut last = self.mail.end().await;
        // What is left in the queue of an open run is for the next one.
        let source = self.common.assembly.stream().map(|(step, _)| step);
        let inlets: Vec<(usize, Arc<dyn Queue>, Receive)> = (self.mail.inlets.iter())
            .filter(|(step, _)| Some(**step) != source && !self.desk.is_queue_held(**step))
            .map(|(step, inlet)| {
                let receive = Receive { wait: Duration::ZERO, ..inlet.receive.clone() };
                (*step, Arc::clone(&inlet.queue), receive)
            })
            .collect();
        // What came after the last item was at rest is hidden from the receives below.
        while let Ok(note) = self.inbox.try_recv() {
            if let Note::Delivered { step, received } = note {
                last.push((step, received));
            }
        }
        for (step, received) in last {
            if let Some((_, queue, _)) = inlets.iter().find(|(at, ..)| *at == step) {
                self.let_go(step, queue.as_ref(), received).await?;
            }
        }
        for (step, queue, receive) in inlets {
            loop {
                // What is out of reach needs nothing: its messages show again by themselves.
                let Some(received) = at_hand(queue.receive(&receive).await)? else { break };
                if !self.let_go(step, queue.as_ref(), received).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns whether more may come.
    async fn let_go(&mut self, step: usize, queue: &dyn Queue, received: Received) -> Result<bool, Error> {
        let (mut delete, mut release) = (Vec::new(), Vec::new());
        for delivery in received.deliveries {
            match self.recorded_disposition(step, &delivery)? {
                Some(Disposition::Delete) => delete.push(delivery.ticket),
                Some(Disposition::Release) => release.push(delivery.ticket),
                // Stays hidden until its time: its run has not ended for this item.
                Some(Disposition::Keep | Disposition::Take | Disposition::Proves(_)) | None => {}
            }
        }
        for stray in received.strays {
            self.strayed(step, stray)?;
        }
        let more = !delete.is_empty() || !release.is_empty();
        if !delete.is_empty() && at_hand(queue.delete(delete).await)?.is_none() {
            return Ok(false);
        }
        if !release.is_empty() && at_hand(queue.hide(release, Duration::ZERO).await)?.is_none() {
            return Ok(false);
        }
        Ok(more)
    }
}

/// What a queue answered; `None` when it is out of reach.
pub(super) fn at_hand<T>(answer: Result<T, QueueError>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(QueueError::Away(fault)) => {
            tracing::warn!("the queue did not answer: {fault}");
            Ok(None)
        }
        Err(QueueError::Store(error)) => Err(Error::Store(error)),
    }
}
