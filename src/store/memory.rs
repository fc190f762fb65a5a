//! The ports of the store without a disk, for simulation and tests. Written plainly and apart from
//! the real store, so that each can be held against the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::core::change::{Change, Message, Receipt};
use crate::core::claims::{Claim, Claimed, End, KeyId, KeyRow, Settled};
use crate::core::event::Event;
use crate::core::id::{RunId, Unit};
use crate::core::progress::Progress;
use crate::core::queue::{Delivery, Receive, Received, Ticket};
use crate::core::run::Run;
use crate::core::start::StartKey;
use crate::core::tally::Tally;
use crate::core::time::Timestamp;
use crate::ports::{Answered, Clock, Journal, Keys, KeysError, OwnQueue, Queue, QueueError, StoreError};

use super::bells::Bells;
use super::claims::{self, KeyTable};
use super::queue::{self, Taken, hidden_until, long_poll};
use super::racks::dead_letter_queue;

/// What becomes of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is durable, and the caller is told so.
    Kept,
    /// The engine dies before it: nothing is durable, the caller gets an error.
    Lost,
    /// The engine dies after it: it is durable, but the caller gets an error all the same.
    Unheard,
}

/// Decides about each write, numbered from 1.
type Fates = Box<dyn FnMut(u64) -> Fate + Send>;

/// A store in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    bells: Bells,
    keys: Arc<KeyTable>,
    inner: Arc<Mutex<Inner>>,
}

pub(super) struct Inner {
    pub(super) kept: Kept,
    writes: u64,
    dead: bool,
    fates: Fates,
}

/// All that is durable.
#[derive(Clone, Default)]
pub(super) struct Kept {
    runs: BTreeMap<RunId, Run>,
    start_keys: HashMap<String, StartKey>,
    events: HashMap<RunId, Vec<Event>>,
    units: BTreeMap<(RunId, Unit), Progress>,
    tallies: HashMap<(RunId, Track), Tally>,
    watermarks: HashMap<RunId, u64>,
    queues: BTreeMap<(String, RunId), Vec<Waiting>>,
    pub(super) pins: HashMap<String, Arc<[u8]>>,
    keys: BTreeMap<KeyId, KeyRow>,
    /// Queues that the present write has changed.
    stirred: Vec<(String, RunId)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Track {
    Run,
    Closing,
    Item,
}

#[derive(Clone)]
struct Waiting {
    message: Message,
    receives: u32,
    until: Timestamp,
}

impl MemoryStore {
    /// An empty store in which every write succeeds.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_fates(clock, |_| Fate::Kept)
    }

    /// An empty store; `fates` is asked before each write, with its number from 1. After one that
    /// is not [`Fate::Kept`] every further write and read fails.
    pub fn with_fates(clock: Arc<dyn Clock>, fates: impl FnMut(u64) -> Fate + Send + 'static) -> Self {
        Self::from_kept(clock, Kept::default(), Box::new(fates))
    }

    /// A new store that begins with what is durable in this one, as after a restart of the engine.
    /// The two share nothing: what leftovers of the old engine still write is not seen. Every
    /// message is visible at once, and its receives stay counted.
    #[must_use]
    pub fn survivor(&self, fates: impl FnMut(u64) -> Fate + Send + 'static) -> Self {
        let mut kept = self.lock().kept.clone();
        kept.show_all();
        Self::from_kept(Arc::clone(&self.clock), kept, Box::new(fates))
    }

    /// How many writes were asked for.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    fn from_kept(clock: Arc<dyn Clock>, kept: Kept, fates: Fates) -> Self {
        let inner = Inner { kept, writes: 0, dead: false, fates };
        Self { clock, bells: Bells::default(), keys: Arc::default(), inner: Arc::new(Mutex::new(inner)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, id: KeyId) -> Result<Option<KeyRow>, KeysError> {
        self.read(|kept| kept.keys.get(&id).cloned()).map_err(|error| KeysError(error.to_string()))
    }

    /// What is durable, for a read.
    fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> Result<T, StoreError> {
        let inner = self.lock();
        if inner.dead { Err(stopped()) } else { Ok(read(&inner.kept)) }
    }

    /// One write, with its fate.
    fn write<T>(&self, write: impl FnOnce(&mut Kept) -> T) -> Result<T, StoreError> {
        let mut inner = self.lock();
        if inner.dead {
            return Err(stopped());
        }
        inner.writes += 1;
        let number = inner.writes;
        let fate = (inner.fates)(number);
        inner.dead = fate != Fate::Kept;
        if fate == Fate::Lost {
            return Err(stopped());
        }
        let done = write(&mut inner.kept);
        let stirred = std::mem::take(&mut inner.kept.stirred);
        drop(inner);
        if fate == Fate::Unheard {
            return Err(stopped());
        }
        for queue in &stirred {
            self.bells.ring(queue);
        }
        Ok(done)
    }
}

fn stopped() -> StoreError {
    StoreError("the store stopped: the simulated engine died".to_owned())
}

impl Kept {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Run(run) => drop(self.runs.insert(run.id, *run)),
            Change::StartKey(key) => drop(self.start_keys.insert(key.key.clone(), key)),
            Change::ForgetStartKey(key) => drop(self.start_keys.remove(&key)),
            Change::Event(run, event) => self.events.entry(run).or_default().push(event),
            Change::Progress(run, unit, progress) => {
                let tally = self.tallies.entry((run, track(unit))).or_default();
                tally.shift(self.units.get(&(run, unit)), &progress);
                self.units.insert((run, unit), progress);
            }
            Change::Calls(run, unit, step, calls) => {
                self.tallies.entry((run, track(unit))).or_default().add(step, calls);
            }
            Change::Watermark(run, position) => drop(self.watermarks.insert(run, position)),
            Change::Key(id, Some(row)) => drop(self.keys.insert(id, *row)),
            Change::Key(id, None) => drop(self.keys.remove(&id)),
            Change::Enqueue(messages) => messages.into_iter().for_each(|message| self.enqueue(message)),
            Change::Received { receipt, until } => {
                if let Some(waiting) = self.waiting(&receipt) {
                    waiting.receives += 1;
                    waiting.until = until;
                }
            }
            Change::Hide { receipt, until } => {
                if let Some(waiting) = self.waiting(&receipt) {
                    waiting.until = until;
                }
            }
            Change::Delete(receipt) => drop(self.delete(&receipt)),
            Change::Bury(receipt) => self.bury(&receipt),
        }
    }

    fn take(&mut self, receive: &Receive, now: Timestamp) -> Taken {
        let key = (receive.queue.clone(), receive.run);
        let mut taken = Taken::default();
        let buries = dead_letter_queue(&receive.queue).is_some();
        let mut worn_out = Vec::new();
        let visible = |waiting: &&mut Waiting| waiting.until <= now && receive.takes(waiting.message.item);
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
            let delivery = Delivery { message, receives: waiting.receives, ticket, carried: None };
            taken.deliveries.push(delivery);
        }
        self.stirred.push(key);
        for receipt in &worn_out {
            self.bury(receipt);
        }
        taken.next_visible = self.next_visible(receive, now);
        taken
    }

    fn has_visible(&self, receive: &Receive, now: Timestamp) -> bool {
        let queue = self.queues.get(&(receive.queue.clone(), receive.run));
        let visible = |waiting: &Waiting| waiting.until <= now && receive.takes(waiting.message.item);
        receive.max > 0 && queue.into_iter().flatten().any(visible)
    }

    fn next_visible(&self, receive: &Receive, now: Timestamp) -> Option<Timestamp> {
        let queue = self.queues.get(&(receive.queue.clone(), receive.run));
        let hidden = queue.into_iter().flatten().map(|waiting| waiting.until);
        hidden.filter(|until| *until > now).min()
    }

    fn enqueue(&mut self, message: Message) {
        let queue = self.queues.entry((message.queue.clone(), message.run)).or_default();
        if queue.iter().all(|waiting| waiting.message.event_id != message.event_id) {
            self.stirred.push((message.queue.clone(), message.run));
            queue.push(Waiting { message, receives: 0, until: Timestamp(0) });
        }
    }

    fn waiting(&mut self, receipt: &Receipt) -> Option<&mut Waiting> {
        let key = (receipt.queue.clone(), receipt.run);
        self.stirred.push(key.clone());
        self.queues.get_mut(&key)?.iter_mut().find(|waiting| waiting.message.event_id == receipt.event_id)
    }

    /// Whoever hid a message is gone: no lease to wait for.
    fn show_all(&mut self) {
        for waiting in self.queues.values_mut().flatten() {
            waiting.until = Timestamp(0);
        }
    }

    fn delete(&mut self, receipt: &Receipt) -> Option<Message> {
        let queue = self.queues.get_mut(&(receipt.queue.clone(), receipt.run))?;
        let place = queue.iter().position(|waiting| waiting.message.event_id == receipt.event_id)?;
        Some(queue.remove(place).message)
    }

    fn bury(&mut self, receipt: &Receipt) {
        if let Some(queue) = dead_letter_queue(&receipt.queue)
            && let Some(message) = self.delete(receipt)
        {
            self.enqueue(Message { queue, ..message });
        }
    }
}

fn track(unit: Unit) -> Track {
    match unit {
        Unit::Run => Track::Run,
        Unit::Closing(_) => Track::Closing,
        Unit::Item(_) => Track::Item,
    }
}

#[async_trait]
impl Journal for MemoryStore {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return self.read(|_| ());
        }
        // A sync takes a moment; whatever was set off before it goes on meanwhile.
        tokio::task::yield_now().await;
        let keys = claims::ids(&changes);
        self.write(|kept| changes.into_iter().for_each(|change| kept.apply(change)))?;
        self.keys.committed(&keys);
        Ok(())
    }

    fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        self.read(|kept| kept.runs.get(&run).cloned())
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|kept| kept.runs.values().rev().cloned().collect())
    }

    fn started_under(&self, key: &str) -> Result<Option<StartKey>, StoreError> {
        self.read(|kept| kept.start_keys.get(key).cloned())
    }

    fn progress(&self, run: RunId, unit: Unit) -> Result<Option<Progress>, StoreError> {
        self.read(|kept| kept.units.get(&(run, unit)).cloned())
    }

    fn items(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError> {
        self.read(|kept| {
            let items = kept.units.range((run, Unit::Item(from))..=(run, Unit::Item(u64::MAX)));
            let items = items.filter_map(|((_, unit), progress)| match unit {
                Unit::Item(position) => Some((*position, progress.clone())),
                Unit::Run | Unit::Closing(_) => None,
            });
            items.take(limit).collect()
        })
    }

    fn tally(&self, run: RunId, unit: Unit) -> Result<Tally, StoreError> {
        self.read(|kept| kept.tallies.get(&(run, track(unit))).cloned().unwrap_or_default())
    }

    fn watermark(&self, run: RunId) -> Result<u64, StoreError> {
        self.read(|kept| kept.watermarks.get(&run).copied().unwrap_or_default())
    }

    fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.read(|kept| {
            let events = (0..).zip(kept.events.get(&run).into_iter().flatten().cloned());
            events.filter(|(number, _)| *number >= from).take(limit).collect()
        })
    }
}

/// Claims of `mode: latest` hold within one life of the engine.
#[async_trait]
impl Keys for MemoryStore {
    async fn claim(&self, claims: &[Claim]) -> Result<Answered<Claimed>, KeysError> {
        self.keys.claim(claims, self.clock.now(), |id| self.key(id))
    }

    async fn settle(&self, ends: &[(Claim, End)]) -> Result<Answered<Settled>, KeysError> {
        self.keys.settle(ends, self.clock.now(), |id| self.key(id))
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
}
