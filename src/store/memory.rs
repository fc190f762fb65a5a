//! The ports of the store without a disk, for simulation and tests. Written plainly and apart from
//! the real store, so that each can be held against the other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::core::alert::Alert;
use crate::core::change::Change;
use crate::core::claims::{Claim, Claimed, End, KeyId, KeyRow, Settled};
use crate::core::event::Event;
use crate::core::id::{RunId, Unit};
use crate::core::inflow::Entrant;
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::start::StartKey;
use crate::core::tally::Tally;
use crate::ports::{Answered, Clock, Journal, Keys, KeysError, StoreError};

use super::alerts::{self, NewlyDue};
use super::bells::Bells;
use super::claims::{self, KeyTable};
use super::memory_queue::Waiting;
use super::memory_signals::Mailroom;

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
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bells: Bells,
    pub(super) due: NewlyDue,
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
    pub(super) marks: BTreeMap<(String, String), String>,
    events: HashMap<RunId, Vec<Event>>,
    pub(super) units: BTreeMap<(RunId, Unit), Progress>,
    tallies: HashMap<(RunId, Track), Tally>,
    watermarks: HashMap<RunId, u64>,
    pub(super) queues: BTreeMap<(String, RunId), Vec<Waiting>>,
    pub(super) pins: HashMap<String, Arc<[u8]>>,
    keys: BTreeMap<KeyId, KeyRow>,
    entrants: BTreeMap<(RunId, u64), Entrant>,
    bodies: BTreeMap<(RunId, u64), Vec<u8>>,
    pub(super) alerts: BTreeMap<(RunId, u64), Alert>,
    pub(super) signals: Mailroom,
    /// Queues that the present write has changed.
    pub(super) stirred: Vec<(String, RunId)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Track {
    Run,
    Closing,
    Item,
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
        let (bells, due, inner) = (Bells::default(), NewlyDue::default(), Arc::new(Mutex::new(inner)));
        Self { clock, bells, due, keys: Arc::default(), inner }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, id: KeyId) -> Result<Option<KeyRow>, KeysError> {
        self.read(|kept| kept.keys.get(&id).cloned()).map_err(|error| KeysError(error.to_string()))
    }

    /// What is durable, for a read.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Kept) -> T) -> Result<T, StoreError> {
        let inner = self.lock();
        if inner.dead { Err(stopped()) } else { Ok(read(&inner.kept)) }
    }

    /// One write, with its fate.
    pub(super) fn write<T>(&self, write: impl FnOnce(&mut Kept) -> T) -> Result<T, StoreError> {
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
            Change::Mark(mark) => self.mark(*mark),
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
            Change::Entrant(run, position, entrant) => {
                drop(self.entrants.insert((run, position), *entrant));
            }
            Change::Body(run, position, Some(body)) => drop(self.bodies.insert((run, position), body)),
            Change::Body(run, position, None) => drop(self.bodies.remove(&(run, position))),
            Change::Key(id, Some(row)) => drop(self.keys.insert(id, *row)),
            Change::Key(id, None) => drop(self.keys.remove(&id)),
            Change::Enqueue(messages) => {
                for message in messages {
                    self.enqueue((message, None));
                }
            }
            Change::Share(messages) => {
                for (message, carried) in messages {
                    self.enqueue((message, Some(carried)));
                }
            }
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
            Change::Alert { run, number, alert: Some(alert) } => {
                drop(self.alerts.insert((run, number), *alert));
            }
            Change::Alert { run, number, alert: None } => drop(self.alerts.remove(&(run, number))),
            Change::Await(awaiting) => self.listen(*awaiting),
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
        let (keys, due) = (claims::ids(&changes), alerts::due(&changes));
        self.write(|kept| changes.into_iter().for_each(|change| kept.apply(change)))?;
        self.keys.committed(&keys);
        self.due.add(due);
        Ok(())
    }

    fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        self.read(|kept| kept.runs.get(&run).cloned())
    }

    fn runs_before(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.read(|kept| {
            let older = kept.runs.values().rev().filter(|run| before.is_none_or(|before| run.id < before));
            older.take(limit).cloned().collect()
        })
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

    fn entrants(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Entrant)>, StoreError> {
        self.read(|kept| {
            let entrants = kept.entrants.range((run, from)..=(run, u64::MAX)).take(limit);
            entrants.map(|((_, position), entrant)| (*position, entrant.clone())).collect()
        })
    }

    fn body(&self, run: RunId, position: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|kept| kept.bodies.get(&(run, position)).cloned())
    }

    fn alerts(&self, of: Option<RunId>) -> Result<Vec<Alert>, StoreError> {
        self.read(|kept| {
            let alerts = kept.alerts.values().filter(|alert| of.is_none_or(|run| run == alert.run));
            alerts.cloned().collect()
        })
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
