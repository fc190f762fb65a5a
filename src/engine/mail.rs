//! Messages for items: received ahead, held while the item works, removed when they have served.
//! What becomes of each is decided by [`crate::core::mail`]; here it is carried out, always after
//! the commit that the decision rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::core::arrival::Arrival;
use crate::core::catalog::Role;
use crate::core::cell::{Facts, Kind, State};
use crate::core::change::Receipt;
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::mail::{Disposition, disposition};
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::selection::Positions;
use crate::core::time::Timestamp;
use crate::ports::{Delivery, Receive};

use super::carry::effect_id;
use super::context::{Common, Context};
use super::drive::{Drive, Error, Ports};
use super::note::Note;
use super::poll::{RECEIVE_MAX, parameters, poll};

/// Most messages in one change of the queue: each is a row of one commit.
const CHANGES_MAX: usize = 400;

/// The messages of one run.
pub(super) struct Mail {
    held: BTreeMap<(Unit, usize), Held>,
    /// Held messages whose item moved, or that are new.
    review: BTreeSet<Unit>,
    /// Items that left memory, as they were last seen.
    rest: BTreeMap<Unit, Progress>,
    /// Items that left memory with a doubt that their message settled; not yet committed.
    proven: Vec<(Unit, Progress)>,
    pollers: Vec<JoinHandle<()>>,
    inlets: BTreeMap<usize, Inlet>,
    /// Only messages for these items are received.
    chosen: Option<Arc<Positions>>,
    window: usize,
    outstanding: usize,
    extend_at: Option<Timestamp>,
}

/// A message that was received and is not let go yet.
struct Held {
    delivery: Delivery,
    /// Its item took it; it is only kept until the step that it is deleted after.
    taken: bool,
}

/// Where messages come in, one for each step that receives.
struct Inlet {
    receive: Receive,
    /// Bounds what is received ahead: a message costs a permit until its item takes it.
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
            extend_at: None,
        }
    }

    /// Leaves the messages of all other items in their queues. To be called before any is received.
    pub(super) fn choose(&mut self, chosen: Arc<Positions>) {
        self.chosen = Some(chosen);
    }

    /// Starts receiving for every step that receives.
    pub(super) fn open(&mut self, ports: &Ports, common: &Common, sender: &mpsc::UnboundedSender<Note>) {
        for (step, known) in common.assembly.plan.items.steps.iter().enumerate() {
            if known.role != Role::Receive {
                continue;
            }
            let Some(receive) = parameters(common, step) else { continue };
            let receive = Receive { items: self.chosen.clone(), ..receive };
            let permits = Arc::new(Semaphore::new(self.window.max(RECEIVE_MAX)));
            let (queue, inlet) = (Arc::clone(&ports.queue), Arc::clone(&permits));
            let poller = poll(step, receive.clone(), queue, inlet, sender.clone());
            self.inlets.insert(step, Inlet { receive, permits });
            self.pollers.push(tokio::spawn(poller));
        }
    }

    /// Stops receiving. Messages that are held show again by themselves.
    pub(super) fn stop(&mut self) {
        for poller in self.pollers.drain(..) {
            poller.abort();
        }
        self.extend_at = None;
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
        if let Some(before) = self.held.insert((unit, step), Held { delivery, taken: false }) {
            self.give_back(step, usize::from(!before.taken));
        }
        self.review.insert(unit);
        let half_way = self.inlets.get(&step).map(|inlet| now.after(inlet.receive.visibility / 2));
        self.extend_at = [self.extend_at, half_way].into_iter().flatten().min();
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
        self.outstanding == 0 && self.review.is_empty()
    }

    pub(super) fn extend_at(&self) -> Option<Timestamp> {
        self.extend_at
    }

    /// Keeps held messages hidden while their items work.
    pub(super) fn extend(&mut self, ports: &Ports, now: Timestamp, sender: &mpsc::UnboundedSender<Note>) {
        if self.extend_at.is_none_or(|at| at > now) {
            return;
        }
        self.extend_at = None;
        let steps: Vec<(usize, Duration)> =
            self.inlets.iter().map(|(step, inlet)| (*step, inlet.receive.visibility)).collect();
        for (step, visibility) in steps {
            let receipts: Vec<Receipt> = self
                .held
                .iter()
                .filter(|((_, at), _)| *at == step)
                .map(|(_, held)| held.delivery.message.receipt())
                .collect();
            if !receipts.is_empty() {
                let half_way = now.after(visibility / 2);
                self.extend_at = Some(self.extend_at.map_or(half_way, |at| at.min(half_way)));
            }
            for receipts in receipts.chunks(CHANGES_MAX) {
                self.hide(ports, receipts.to_vec(), visibility, sender);
            }
        }
    }

    /// Ends receiving and lets go of what is left in the queues for items that are at rest.
    pub(super) async fn close(&mut self, ports: &Ports, common: &Common, run: &Run) -> Result<(), Error> {
        self.stop();
        let plan = Arc::clone(&common.assembly.plan);
        for (step, inlet) in &self.inlets {
            let receive = Receive { wait: Duration::ZERO, ..inlet.receive.clone() };
            loop {
                let deliveries = ports.queue.receive(&receive).await?;
                if deliveries.is_empty() {
                    break;
                }
                self.let_go(ports, &plan, run, *step, deliveries).await?;
            }
        }
        Ok(())
    }

    async fn let_go(
        &self,
        ports: &Ports,
        plan: &Plan,
        run: &Run,
        step: usize,
        deliveries: Vec<Delivery>,
    ) -> Result<(), Error> {
        let (mut delete, mut release) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let Some(item) = delivery.message.item else { continue };
            let progress = ports.journal.progress(run.id, Unit::Item(item))?;
            let progress = progress.map(|progress| progress.fitted(&plan.items));
            match progress.map(|progress| disposition(&plan.items, step, &progress)) {
                Some(Disposition::Delete) => delete.push(delivery.message.receipt()),
                Some(Disposition::Release) => release.push(delivery.message.receipt()),
                // Stays hidden until its time: the run has not ended for this item.
                Some(Disposition::Keep | Disposition::Take | Disposition::Proves(_)) | None => {}
            }
        }
        if !delete.is_empty() {
            ports.queue.delete(delete).await?;
        }
        if !release.is_empty() {
            ports.queue.hide(release, Duration::ZERO).await?;
        }
        Ok(())
    }

    fn holds(&self, unit: Unit) -> bool {
        self.held.range((unit, 0)..=(unit, usize::MAX)).next().is_some()
    }

    fn give_back(&self, step: usize, permits: usize) {
        if let Some(inlet) = self.inlets.get(&step) {
            inlet.permits.add_permits(permits);
        }
    }

    fn let_go_of(&mut self, unit: Unit, step: usize) -> Option<Receipt> {
        let held = self.held.remove(&(unit, step))?;
        self.give_back(step, usize::from(!held.taken));
        Some(held.delivery.message.receipt())
    }

    fn hide(
        &mut self,
        ports: &Ports,
        receipts: Vec<Receipt>,
        visibility: Duration,
        sender: &mpsc::UnboundedSender<Note>,
    ) {
        self.outstanding += 1;
        let (queue, sender) = (Arc::clone(&ports.queue), sender.clone());
        tokio::spawn(async move {
            let _ = sender.send(Note::QueueDone(queue.hide(receipts, visibility).await));
        });
    }

    fn delete(&mut self, ports: &Ports, receipts: Vec<Receipt>, sender: &mpsc::UnboundedSender<Note>) {
        self.outstanding += 1;
        let (queue, sender) = (Arc::clone(&ports.queue), sender.clone());
        tokio::spawn(async move {
            let _ = sender.send(Note::QueueDone(queue.delete(receipts).await));
        });
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Drive {
    /// Decides about the messages whose items moved. Everything the decision rests on is durable.
    /// Returns whether something was recorded that wants a commit.
    pub(super) fn review_mail(&mut self, now: Timestamp) -> Result<bool, Error> {
        let mut heard = false;
        let (mut delete, mut release) = (Vec::new(), Vec::new());
        for unit in std::mem::take(&mut self.mail.review) {
            let held: Vec<usize> =
                self.mail.held.range((unit, 0)..=(unit, usize::MAX)).map(|((_, step), _)| *step).collect();
            for step in held {
                let decided = match (self.desk.progress(unit), self.mail.rest.get(&unit)) {
                    (Some(progress), _) | (None, Some(progress)) if self.is_stale(unit, step, progress) => {
                        Disposition::Delete
                    }
                    (Some(progress), _) | (None, Some(progress)) => {
                        disposition(&self.desk.plan().items, step, progress)
                    }
                    (None, None) => {
                        self.desk.want(unit);
                        heard = true;
                        continue;
                    }
                };
                match decided {
                    Disposition::Keep => {}
                    Disposition::Delete => delete.extend(self.mail.let_go_of(unit, step)),
                    Disposition::Release => release.extend(self.mail.let_go_of(unit, step)),
                    Disposition::Take => {
                        heard = true;
                        self.take(unit, step, now)?;
                    }
                    Disposition::Proves(need) => {
                        heard = true;
                        self.prove(unit, step, need, now)?;
                    }
                }
            }
            self.mail.rest.remove(&unit);
        }
        if !delete.is_empty() {
            self.mail.delete(&self.ports, delete, &self.sender);
        }
        if !release.is_empty() {
            self.mail.hide(&self.ports, release, Duration::ZERO, &self.sender);
        }
        Ok(heard)
    }

    /// Whether a held message is of an effect that was carried out anew since, under a later
    /// revision of its step: that has a message of its own.
    fn is_stale(&self, unit: Unit, step: usize, progress: &Progress) -> bool {
        let Some(held) = self.mail.held.get(&(unit, step)) else { return false };
        let (event_id, run) = (held.delivery.message.event_id, self.run.id.to_string());
        let track = &self.desk.plan().items;
        track.steps[..step].iter().enumerate().any(|(at, known)| {
            let present = match progress.state(track, at) {
                State::Pending | State::Backoff(_) => known.revision,
                _ => progress.cells[at].revision,
            };
            (0..present).any(|revision| effect_id(&run, &known.name, unit, revision) == event_id)
        })
    }

    fn take(&mut self, unit: Unit, step: usize, now: Timestamp) -> Result<(), Error> {
        let Some(held) = self.mail.held.get_mut(&(unit, step)) else { return Ok(()) };
        let first_time = !std::mem::replace(&mut held.taken, true);
        self.mail.give_back(step, usize::from(first_time));
        let Some(Held { delivery, .. }) = self.mail.held.get(&(unit, step)) else { return Ok(()) };
        let message = &delivery.message;
        let expected = match (self.contexts.get(&unit), self.desk.progress(unit)) {
            (Some(context), Some(progress)) => expected_digest(&self.common, context, step, progress),
            _ => None,
        };
        let content = match expected {
            Some(expected) if expected != message.digest => Err(Fault::new(
                name::PAYLOAD_MISMATCH,
                format!("the message is about content {}, the pinned item is {expected}", message.digest),
            )),
            _ => Ok(facts_of(delivery)),
        };
        Ok(self.desk.hear(Arrival::Delivered { step, unit, content }, now, 0.0)?)
    }

    fn prove(&mut self, unit: Unit, step: usize, need: usize, now: Timestamp) -> Result<(), Error> {
        let Some(Held { delivery, .. }) = self.mail.held.get(&(unit, step)) else { return Ok(()) };
        let facts = facts_of(delivery);
        if self.desk.progress(unit).is_some() {
            return Ok(self.desk.hear(Arrival::Proven { step: need, unit, facts }, now, 0.0)?);
        }
        // A doubt that only a person could settle had put the item to rest; it is read in again
        // after the commit.
        let Some(mut progress) = self.mail.rest.remove(&unit) else { return Ok(()) };
        progress.apply(&self.desk.plan().items, need, Kind::Done { facts }, now)?;
        self.mail.proven.push((unit, progress));
        self.desk.want(unit);
        Ok(())
    }
}

fn facts_of(delivery: &Delivery) -> Facts {
    let event_id = uuid::Uuid::from_u128(delivery.message.event_id).to_string();
    Facts::from([("event_id".to_owned(), Value::from(event_id))])
}

/// Made when the step was prepared; made here only for an item that waited before the engine began.
fn expected_digest(common: &Common, context: &Context, step: usize, progress: &Progress) -> Option<String> {
    context.output(common, step, progress).ok()?.get("digest")?.as_str().map(str::to_owned)
}
