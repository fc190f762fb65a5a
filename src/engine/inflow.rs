//! The open side of a run whose source is a queue: what comes becomes items, until it is enough.
//!
//! A message becomes an item in one commit: its entrant, its body, and the count of items. Only then
//! is the item worked on, and only when it is finished does its message go. A message whose event
//! has brought an item before belongs to that item, whichever way it comes.

use std::sync::Arc;

use crate::core::change::{Change, Message};
use crate::core::event::RunEvent;
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::inflow::{Entrant, Intake, Register};
use crate::core::plan::Messages;
use crate::core::queue::{Delivery, Received, Stray, Ticket};
use crate::core::time::Timestamp;
use crate::ports::Stream;

use super::bodies;
use super::drive::{Drive, Error};
use super::note::{Incoming, Note};

/// What is taken in while a run is open.
pub(super) struct Inflow {
    step: usize,
    stream: Arc<dyn Stream>,
    register: Register,
    /// New items that are not durable yet.
    staged: Vec<Change>,
    /// Messages that are being read.
    reading: usize,
    /// Messages that came when nothing more was wanted. They show again once nobody here receives any
    /// more, so that each costs one receive at most.
    late: Vec<Ticket>,
}

impl Drive {
    /// Begins, or goes on, to take items in. A resume of chosen items takes none: what comes belongs to
    /// others.
    pub(super) fn open_intake(&mut self, now: Timestamp) -> Result<(), Error> {
        if !self.run.takes_in() || self.desk.is_choosy() {
            return Ok(());
        }
        let Some((step, stream)) = self.common.assembly.stream() else { return Ok(()) };
        let stream = Arc::clone(stream);
        let mut register = Register::new(stream.rotation(), self.run.started_at, now);
        for (event_id, position) in bodies::events(self.ports.journal.as_ref(), self.run.id)? {
            register.learn(event_id, position);
        }
        self.desk.open_intake();
        let count = self.run.source.as_ref().map_or(0, |source| source.count);
        let room = usize::try_from(stream.rotation().items.saturating_sub(count)).unwrap_or(usize::MAX);
        self.mail.admit(step, stream.as_ref(), (self.run.id, room), &self.ports, &self.sender);
        let (staged, late) = (Vec::new(), Vec::new());
        self.inflow = Some(Inflow { step, stream, register, staged, reading: 0, late });
        Ok(())
    }

    /// Whether the messages at a step bring items of their own.
    pub(super) fn takes_items_at(&self, step: usize) -> bool {
        self.desk.plan().items.steps[step].messages == Messages::Bringing
    }

    /// Those that are known belong to their items; the others are read.
    pub(super) fn came(&mut self, received: Received, now: Timestamp) {
        let queue = self.run.source.as_ref().map_or_else(String::new, |source| source.uri.clone());
        let (run, takes_in) = (self.run.id, self.run.takes_in() && self.steering.end.is_none());
        let Some(inflow) = &mut self.inflow else { return };
        let is_silent = received.is_empty();
        let strays = received.strays.into_iter().map(|stray| {
            let (delivery, entrant) = strayed(stray, run, &queue);
            (delivery, Some(entrant))
        });
        let deliveries = received.deliveries.into_iter().map(|delivery| (delivery, None));
        let (mut fresh, mut known) = (Vec::new(), 0);
        for (delivery, entrant) in deliveries.chain(strays) {
            match inflow.register.position(delivery.message.event_id) {
                Some(position) => {
                    known += 1;
                    self.mail.hold(Unit::Item(position), inflow.step, delivery, now);
                }
                None if takes_in => fresh.push((delivery, entrant)),
                None => inflow.late.push(delivery.ticket),
            }
        }
        if is_silent {
            inflow.register.hear_nothing(now);
        } else {
            inflow.register.stir(now);
        }
        inflow.reading += fresh.len();
        self.mail.want_more(inflow.step, known);
        if fresh.is_empty() {
            return;
        }
        let stream = Arc::clone(&inflow.stream);
        self.compute(move || {
            let read = |(delivery, entrant): (Delivery, Option<Entrant>)| {
                let (entrant, body) = match entrant {
                    Some(entrant) => (entrant, Vec::new()),
                    None => stream.item(&delivery),
                };
                Incoming { delivery, entrant, body }
            };
            Note::Read(fresh.into_iter().map(read).collect())
        });
    }

    /// A receive at a step got no answer.
    pub(super) fn lost_touch(&mut self, step: usize) {
        if let Some(inflow) = self.inflow.as_mut().filter(|inflow| inflow.step == step) {
            inflow.register.lose();
        }
    }

    /// What was read becomes items; they are durable with the next commit, before anything is done
    /// with them.
    pub(super) fn take_in(&mut self, items: Vec<Incoming>, now: Timestamp) {
        let takes_in = self.run.takes_in() && self.steering.end.is_none();
        let (Some(inflow), Some(source)) = (&mut self.inflow, &mut self.run.source) else { return };
        inflow.reading -= items.len();
        for Incoming { delivery, entrant, body } in items {
            // Its message may have come twice at once.
            if let Some(position) = inflow.register.position(entrant.event_id) {
                self.mail.want_more(inflow.step, 1);
                self.mail.hold(Unit::Item(position), inflow.step, delivery, now);
                continue;
            }
            if !takes_in {
                inflow.late.push(delivery.ticket);
                continue;
            }
            let (id, position) = (self.run.id, source.count);
            source.count += 1;
            inflow.register.learn(entrant.event_id, position);
            inflow.staged.push(Change::Entrant(id, position, Box::new(entrant)));
            if !body.is_empty() {
                inflow.staged.push(Change::Body(id, position, Some(body)));
            }
            self.mail.hold(Unit::Item(position), inflow.step, delivery, now);
        }
        self.desk.grow(source.count);
    }

    /// New items, with the run that counts them.
    pub(super) fn taken_in(&mut self) -> Vec<Change> {
        let Some(inflow) = &mut self.inflow else { return Vec::new() };
        let mut changes = std::mem::take(&mut inflow.staged);
        if !changes.is_empty() {
            changes.push(Change::Run(Box::new(self.run.clone())));
        }
        changes
    }

    /// When it has to be asked whether it is enough.
    pub(super) fn intake_wakes_at(&self) -> Option<Timestamp> {
        let open = self.inflow.as_ref().filter(|_| self.run.takes_in() && self.steering.end.is_none());
        open.map(|inflow| inflow.register.wakes_at())
    }

    /// Stops to take items in once there are enough: what is in hand is finished, the run is closed.
    pub(super) fn watch_intake(&mut self, now: Timestamp) -> Result<(), Error> {
        if let Some(inflow) = self.inflow.as_mut().filter(|inflow| !self.mail.is_drying(inflow.step)) {
            self.mail.turn_away(inflow.step, std::mem::take(&mut inflow.late), &self.sender);
        }
        if !self.run.takes_in() || self.steering.end.is_some() {
            return Ok(());
        }
        let Some(inflow) = &mut self.inflow else { return Ok(()) };
        if self.desk.is_busy() || inflow.reading > 0 {
            inflow.register.stir(now);
        }
        let count = self.run.source.as_ref().map_or(0, |source| source.count);
        let why = inflow.register.judge(count, now);
        if why == Intake::Open {
            return Ok(());
        }
        let step = inflow.step;
        self.desk.close_intake(step);
        self.mail.close_inlet(step);
        self.tell(RunEvent::Rotated { why })
    }

    /// Whether no message is being read, or waits to be turned away.
    pub(super) fn intake_is_idle(&self) -> bool {
        self.inflow.as_ref().is_none_or(|inflow| inflow.reading == 0 && inflow.late.is_empty())
    }
}

/// What is no message of ours is an item all the same: a dead letter, so that somebody sees it.
fn strayed(stray: Stray, run: RunId, queue: &str) -> (Delivery, Entrant) {
    let name = format!("{queue}/{}", stray.id);
    let event_id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).as_u128();
    let message = Message {
        queue: queue.to_owned(),
        run,
        item: None,
        event_id,
        detail_type: String::new(),
        digest: String::new(),
    };
    let fault = Some(Fault::new(name::STRAY, stray.reason));
    let entrant = Entrant { event_id, key: None, version: None, fault };
    (Delivery { message, receives: stray.receives, ticket: stray.ticket, carried: None }, entrant)
}
