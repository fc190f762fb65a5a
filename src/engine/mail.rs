//! Messages for items: received ahead, held while the item works, removed when they have served.
//! What becomes of each is decided by [`crate::core::mail`]; here it is carried out, always after
//! the commit that the decision rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::core::id::{RunId, Unit};
use crate::core::plan::Track;
use crate::core::progress::Progress;
use crate::core::queue::{Delivery, Only, Receive, Received, Ticket};
use crate::core::selection::Positions;
use crate::core::time::Timestamp;
use crate::ports::{Receiver, Worker};

use super::context::Common;
use super::drive::Ports;
use super::note::Note;
use super::poll::Inlet;

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
    pub(super) inlets: BTreeMap<usize, Inlet>,
    /// Only messages for these items are received.
    chosen: Option<Arc<Positions>>,
    window: usize,
    outstanding: usize,
    extend_at: Option<Timestamp>,
    /// Messages may come in.
    is_open: bool,
    /// More is to come from the queues: messages are back in them, or the run will be resumed.
    expects_more: bool,
}

/// A message that was received and is not let go yet.
pub(super) struct Held {
    pub(super) delivery: Delivery,
    /// Its item took it; it is only kept until the step that it is deleted after.
    pub(super) taken: bool,
    /// Others about the same item, which came before this one and go with it: an event that was
    /// published twice is two messages.
    others: Vec<Ticket>,
}

impl Held {
    fn tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.others.iter().chain([&self.delivery.ticket])
    }
}

impl Mail {
    pub(super) fn new(window: usize) -> Self {
        Self {
            held: BTreeMap::new(),
            review: BTreeSet::new(),
            rest: BTreeMap::new(),
            proven: Vec::new(),
            inlets: BTreeMap::new(),
            chosen: None,
            window,
            outstanding: 0,
            extend_at: None,
            is_open: false,
            expects_more: false,
        }
    }

    /// Leaves the messages of all other items in their queues. To be called before any is received.
    pub(super) fn choose(&mut self, chosen: Arc<Positions>) {
        self.chosen = Some(chosen);
    }

    /// Starts receiving for every step that receives messages about items and may begin, unless it does.
    pub(super) fn open(
        &mut self,
        track: &Track,
        ports: &Ports,
        common: &Common,
        sender: &mpsc::UnboundedSender<Note>,
    ) {
        for (step, station) in common.assembly.items.iter().enumerate() {
            if let Worker::Receiver(receiver) = &station.worker
                && !track.steps[step].is_closed()
                && !self.inlets.contains_key(&step)
            {
                self.admit(step, receiver.as_ref(), (common.run.id, usize::MAX), ports, sender);
            }
        }
    }

    /// Starts receiving at a step, so many messages at most.
    pub(super) fn admit<R: Receiver + ?Sized>(
        &mut self,
        step: usize,
        receiver: &R,
        (run, wanted): (RunId, usize),
        ports: &Ports,
        sender: &mpsc::UnboundedSender<Note>,
    ) {
        self.is_open = true;
        let only = self.chosen.clone().map_or(Only::All, Only::Items);
        let receive = Receive { only, ..receiver.receive(run) };
        let of = (receiver.queue(), receive);
        let mut inlet = Inlet::new(step, of, (self.window, wanted), Arc::clone(&ports.clock), sender.clone());
        inlet.open();
        self.inlets.insert(step, inlet);
    }

    /// Nothing more is wanted at a step. What is held there stays held.
    pub(super) fn close_inlet(&mut self, step: usize) {
        self.inlets.get_mut(&step).map(Inlet::dry);
    }

    pub(super) fn is_drying(&self, step: usize) -> bool {
        self.inlets.get(&step).is_some_and(Inlet::is_drying)
    }

    /// Messages at a step brought nothing new.
    pub(super) fn want_more(&self, step: usize, messages: usize) {
        if let Some(inlet) = self.inlets.get(&step) {
            inlet.want_more(messages);
        }
    }

    pub(super) fn poller_dried(&mut self, step: usize) {
        self.inlets.get_mut(&step).map(Inlet::dried);
    }

    /// Receives for every step, but for those whose queue is held.
    pub(super) fn tend(&mut self, is_held: impl Fn(usize) -> bool) {
        if !self.is_open {
            return;
        }
        for (step, inlet) in &mut self.inlets {
            if is_held(*step) { inlet.shut() } else { inlet.open() }
        }
    }

    /// Receives once for a step whose queue is held.
    pub(super) fn try_queue(&self, step: usize) {
        if let Some(inlet) = self.inlets.get(&step).filter(|_| self.is_open) {
            inlet.receive_once();
        }
    }

    /// Stops receiving. Messages that are held show again by themselves.
    pub(super) fn stop(&mut self) {
        self.is_open = false;
        self.inlets.values_mut().for_each(Inlet::shut);
        self.extend_at = None;
    }

    /// Ends receiving. When more is to come, it waits for the receives that are under way, which would
    /// hide it from whoever wants it, and returns what came last for each step.
    pub(super) async fn end(&mut self) -> Vec<(usize, Received)> {
        let mut last = Vec::new();
        if self.expects_more {
            for (step, inlet) in &mut self.inlets {
                last.push((*step, inlet.end().await));
            }
        }
        self.stop();
        last
    }

    /// More will come from the queues, to this engine or another.
    pub(super) fn expect_more(&mut self) {
        self.expects_more = true;
    }

    /// A message of this run came.
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
            // About the run, or of an item that is not worked on now: left to the queue.
            self.give_back(step, 1);
            return;
        };
        self.hold(unit, step, delivery, now);
    }

    /// Holds a message for its item.
    pub(super) fn hold(&mut self, unit: Unit, step: usize, delivery: Delivery, now: Timestamp) {
        let before = self.held.remove(&(unit, step));
        let mut others = Vec::new();
        if let Some(before) = before {
            self.give_back(step, usize::from(!before.taken));
            others.extend(before.tickets().filter(|ticket| **ticket != delivery.ticket).cloned());
        }
        self.held.insert((unit, step), Held { delivery, taken: false, others });
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
        let is_dry = !self.inlets.values().any(Inlet::is_drying);
        self.outstanding == 0 && is_dry && self.review.is_empty()
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
                .flat_map(|(_, held)| held.tickets().cloned())
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

    fn holds(&self, unit: Unit) -> bool {
        self.held.range((unit, 0)..=(unit, usize::MAX)).next().is_some()
    }

    pub(super) fn give_back(&self, step: usize, permits: usize) {
        if let Some(inlet) = self.inlets.get(&step) {
            inlet.give_back(permits);
        }
    }

    pub(super) fn let_go_of(&mut self, unit: Unit, step: usize) -> Vec<Ticket> {
        let Some(held) = self.held.remove(&(unit, step)) else { return Vec::new() };
        self.give_back(step, usize::from(!held.taken));
        held.tickets().cloned().collect()
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
        self.expects_more |= visibility.is_zero();
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
