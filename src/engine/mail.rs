//! Messages for items: received ahead, held while the item works, removed when they have served.
//! What becomes of each is decided by [`crate::core::mail`]; here it is carried out, always after
//! the commit that the decision rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::core::id::{RunId, Unit};
use crate::core::mail::{Disposition, disposition};
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::queue::{Delivery, Receive, Ticket};
use crate::core::run::Run;
use crate::core::selection::Positions;
use crate::core::time::Timestamp;
use crate::ports::{Queue, QueueError, Receiver, Worker};

use super::context::Common;
use super::drive::{Error, Ports};
use super::note::Note;
use super::poll::{RECEIVE_MAX, poll};

/// Most messages in one change of the queue: each is a row of one commit.
const CHANGES_MAX: usize = 400;

/// The messages of one run.
pub(super) struct Mail {
    pub(super) held: BTreeMap<(Unit, usize), Held>,
    /// Held messages whose item moved, or that are new.
    pub(super) review: BTreeSet<Unit>,
    /// Items that left memory, as they were last seen.
    pub(super) rest: BTreeMap<Unit, Progress>,
    /// Items that left memory with a doubt that their message settled; not yet committed.
    pub(super) proven: Vec<(Unit, Progress)>,
    pollers: Vec<JoinHandle<()>>,
    inlets: BTreeMap<usize, Inlet>,
    /// Only messages for these items are received.
    chosen: Option<Arc<Positions>>,
    window: usize,
    outstanding: usize,
    /// Pollers that are to end once their receive is over.
    drying: usize,
    extend_at: Option<Timestamp>,
}

/// A message that was received and is not let go yet.
pub(super) struct Held {
    pub(super) delivery: Delivery,
    /// Its item took it; it is only kept until the step that it is deleted after.
    pub(super) taken: bool,
}

/// Where messages come in, one for each step that receives.
struct Inlet {
    queue: Arc<dyn Queue>,
    receive: Receive,
    /// Bounds what is received ahead: a message costs a permit until its item takes it, one that brings
    /// an item until that is finished.
    permits: Arc<Semaphore>,
}

impl Mail {
    pub(super) fn new(window: usize) -> Self {
        Self {
            held: BTreeMap::new(),
            review: BTreeSet::new(),
            rest: BTreeMap::new(),
            proven: Vec::new(),
            pollers: Vec::new(),
            inlets: BTreeMap::new(),
            chosen: None,
            window,
            outstanding: 0,
            drying: 0,
            extend_at: None,
        }
    }

    /// Leaves the messages of all other items in their queues. To be called before any is received.
    pub(super) fn choose(&mut self, chosen: Arc<Positions>) {
        self.chosen = Some(chosen);
    }

    /// Starts receiving for every step that receives messages about items.
    pub(super) fn open(&mut self, ports: &Ports, common: &Common, sender: &mpsc::UnboundedSender<Note>) {
        for (step, station) in common.assembly.items.iter().enumerate() {
            if let Worker::Receiver(receiver) = &station.worker {
                self.admit(step, receiver.as_ref(), common.run.id, ports, sender);
            }
        }
    }

    /// Starts receiving at a step.
    pub(super) fn admit<R: Receiver + ?Sized>(
        &mut self,
        step: usize,
        receiver: &R,
        run: RunId,
        ports: &Ports,
        sender: &mpsc::UnboundedSender<Note>,
    ) {
        let receive = Receive { items: self.chosen.clone(), ..receiver.receive(run) };
        let (queue, permits) = (receiver.queue(), Arc::new(Semaphore::new(self.window.max(RECEIVE_MAX))));
        for _ in 0..receive.pollers {
            let (queue, permits) = (Arc::clone(&queue), Arc::clone(&permits));
            let clock = Arc::clone(&ports.clock);
            let poller = poll(step, receive.clone(), queue, permits, clock, sender.clone());
            self.pollers.push(tokio::spawn(poller));
        }
        self.inlets.insert(step, Inlet { queue, receive, permits });
    }

    /// Nothing more is wanted at a step: each poller ends once its receive is over, so that nothing
    /// is hidden in vain. What is held there stays held.
    pub(super) fn close_inlet(&mut self, step: usize) {
        if let Some(inlet) = self.inlets.get(&step) {
            inlet.permits.close();
            self.drying += inlet.receive.pollers;
        }
    }

    pub(super) fn poller_dried(&mut self) {
        // Those that were stopped meanwhile are not waited for any more.
        self.drying = self.drying.saturating_sub(1);
    }

    /// Stops receiving. Messages that are held show again by themselves.
    pub(super) fn stop(&mut self) {
        for poller in self.pollers.drain(..) {
            poller.abort();
        }
        self.drying = 0;
        self.extend_at = None;
    }

    /// A message that is none of ours is left to its queue, and to the redrive policy there.
    pub(super) fn strayed(&mut self, step: usize) {
        self.give_back(step, 1);
    }

    pub(super) fn delivered(&mut self, step: usize, delivery: Delivery, now: Timestamp) {
        if !self.inlets.contains_key(&step) {
            // Received before the items were given up; it shows again by itself.
            return;
        }
        let known = delivery
            .message
            .item
            .filter(|item| self.chosen.as_ref().is_none_or(|chosen| chosen.contains(*item)));
        let Some(unit) = known.map(Unit::Item) else {
            // About the run, foreign, or of an item that is not worked on now: left to the queue.
            self.give_back(step, 1);
            return;
        };
        self.hold(unit, step, delivery, now);
    }

    /// Holds a message for its item.
    pub(super) fn hold(&mut self, unit: Unit, step: usize, delivery: Delivery, now: Timestamp) {
        if let Some(before) = self.held.insert((unit, step), Held { delivery, taken: false }) {
            self.give_back(step, usize::from(!before.taken));
        }
        self.review.insert(unit);
        let half_way = self.inlets.get(&step).map(|inlet| now.after(inlet.receive.visibility / 2));
        self.extend_at = [self.extend_at, half_way].into_iter().flatten().min();
    }

    /// Messages that nobody here will do anything with show again at once.
    pub(super) fn turn_away(
        &mut self,
        step: usize,
        tickets: Vec<Ticket>,
        sender: &mpsc::UnboundedSender<Note>,
    ) {
        if !tickets.is_empty() {
            self.give_back(step, tickets.len());
            self.hide(step, tickets, Duration::ZERO, sender);
        }
    }

    pub(super) fn note_change(&mut self, unit: Unit) {
        if self.holds(unit) {
            self.review.insert(unit);
        }
    }

    pub(super) fn note_rest(&mut self, unit: Unit, progress: &Progress) {
        if self.holds(unit) {
            self.rest.insert(unit, progress.clone());
            self.review.insert(unit);
        }
    }

    pub(super) fn note_found(&mut self, unit: Unit, progress: Option<&Progress>) {
        if let Some(progress) = progress {
            self.note_rest(unit, progress);
        }
    }

    pub(super) fn take_proven(&mut self) -> Vec<(Unit, Progress)> {
        std::mem::take(&mut self.proven)
    }

    pub(super) fn queue_done(&mut self) {
        self.outstanding -= 1;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.outstanding == 0 && self.drying == 0 && self.review.is_empty()
    }

    pub(super) fn extend_at(&self) -> Option<Timestamp> {
        self.extend_at
    }

    /// Keeps held messages hidden while their items work.
    pub(super) fn extend(&mut self, now: Timestamp, sender: &mpsc::UnboundedSender<Note>) {
        if self.extend_at.is_none_or(|at| at > now) {
            return;
        }
        self.extend_at = None;
        let steps: Vec<(usize, Duration)> =
            self.inlets.iter().map(|(step, inlet)| (*step, inlet.receive.visibility)).collect();
        for (step, visibility) in steps {
            let tickets: Vec<Ticket> = self
                .held
                .iter()
                .filter(|((_, at), _)| *at == step)
                .map(|(_, held)| held.delivery.ticket.clone())
                .collect();
            if !tickets.is_empty() {
                let half_way = now.after(visibility / 2);
                self.extend_at = Some(self.extend_at.map_or(half_way, |at| at.min(half_way)));
            }
            for tickets in tickets.chunks(CHANGES_MAX) {
                self.hide(step, tickets.to_vec(), visibility, sender);
            }
        }
    }

    /// Ends receiving and lets go of what is left in the queues for items that are at rest.
    pub(super) async fn close(&mut self, ports: &Ports, common: &Common, run: &Run) -> Result<(), Error> {
        self.stop();
        let plan = Arc::clone(&common.assembly.plan);
        // What is left in the queue of an open run is for the next one.
        let source = common.assembly.stream().map(|(step, _)| step);
        for (step, inlet) in self.inlets.iter().filter(|(step, _)| Some(**step) != source) {
            let receive = Receive { wait: Duration::ZERO, ..inlet.receive.clone() };
            loop {
                // What is out of reach needs nothing: its messages show again by themselves.
                let Some(received) = at_hand(inlet.queue.receive(&receive).await)? else { break };
                if received.is_empty() {
                    break;
                }
                self.let_go(ports, &plan, run, (*step, inlet), received.deliveries).await?;
            }
        }
        Ok(())
    }

    async fn let_go(
        &self,
        ports: &Ports,
        plan: &Plan,
        run: &Run,
        (step, inlet): (usize, &Inlet),
        deliveries: Vec<Delivery>,
    ) -> Result<(), Error> {
        let (mut delete, mut release) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let Some(item) = delivery.message.item else { continue };
            let progress = ports.journal.progress(run.id, Unit::Item(item))?;
            let progress = progress.map(|progress| progress.fitted(&plan.items));
            match progress.map(|progress| disposition(&plan.items, step, &progress)) {
                Some(Disposition::Delete) => delete.push(delivery.ticket),
                Some(Disposition::Release) => release.push(delivery.ticket),
                // Stays hidden until its time: the run has not ended for this item.
                Some(Disposition::Keep | Disposition::Take | Disposition::Proves(_)) | None => {}
            }
        }
        if !delete.is_empty() {
            at_hand(inlet.queue.delete(delete).await)?;
        }
        if !release.is_empty() {
            at_hand(inlet.queue.hide(release, Duration::ZERO).await)?;
        }
        Ok(())
    }

    fn holds(&self, unit: Unit) -> bool {
        self.held.range((unit, 0)..=(unit, usize::MAX)).next().is_some()
    }

    pub(super) fn give_back(&self, step: usize, permits: usize) {
        if let Some(inlet) = self.inlets.get(&step) {
            inlet.permits.add_permits(permits);
        }
    }

    pub(super) fn let_go_of(&mut self, unit: Unit, step: usize) -> Option<Ticket> {
        let held = self.held.remove(&(unit, step))?;
        self.give_back(step, usize::from(!held.taken));
        Some(held.delivery.ticket)
    }

    pub(super) fn hide(
        &mut self,
        step: usize,
        tickets: Vec<Ticket>,
        visibility: Duration,
        sender: &mpsc::UnboundedSender<Note>,
    ) {
        let Some(inlet) = self.inlets.get(&step) else { return };
        self.outstanding += 1;
        let (queue, sender) = (Arc::clone(&inlet.queue), sender.clone());
        tokio::spawn(async move {
            let _ = sender.send(Note::QueueDone(queue.hide(tickets, visibility).await));
        });
    }

    pub(super) fn delete(&mut self, step: usize, tickets: Vec<Ticket>, sender: &mpsc::UnboundedSender<Note>) {
        let Some(inlet) = self.inlets.get(&step) else { return };
        self.outstanding += 1;
        let (queue, sender) = (Arc::clone(&inlet.queue), sender.clone());
        tokio::spawn(async move {
            let _ = sender.send(Note::QueueDone(queue.delete(tickets).await));
        });
    }
}

/// What a queue answered; `None` when it is out of reach.
pub(super) fn at_hand<T>(answer: Result<T, QueueError>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(QueueError::Away(_)) => Ok(None),
        Err(QueueError::Store(error)) => Err(Error::Store(error)),
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.stop();
    }
}
