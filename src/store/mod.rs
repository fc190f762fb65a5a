//! The durable store: the only place that knows sled.
//!
//! ```text
//! commit, send, receive… ─► writer ─► stage ─► block, cells, pack ─► codec ─► sled
//!                           (one thread:        (records, spelled)   (rows)     │
//!                            batch, sync, ack)                                  │
//! run, items, tally…     ◄─ reader ◄─ rows ◄────────────────────────────────────┘
//! put, open…             ◄► pins (content-addressed files)
//! ```
//!
//! - `codec` says the format, `keys` where each record lies.
//! - `claims` is about idempotency keys: which are rows, and which claims are in memory alone.
//! - `racks` is what the queues know in memory; `queue` waits for messages; `messages` stores them.
//! - `alerts` is what people are to be told.
//! - `signals` is who waits for what, and what is kept for those who will.
//! - `open` is about the directory: who holds it, whether it is whole.
//! - `care` is about the state as a whole: is it sound, what may go, copies of it.
//! - `memory` is the same ports without a disk, for simulation and tests.
//!
//! Absent: retries after an error of a write (the store stops), asynchronous flushes (sled
//! deadlocks in them), any reading by a second process (sled locks its directory).

mod alerts;
mod before;
mod bells;
mod block;
mod cache;
mod care;
mod cells;
mod claims;
mod codec;
mod deeds;
mod durable;
mod entrants;
mod error;
mod keys;
mod marks;
mod memory;
mod memory_pins;
mod memory_queue;
mod memory_signals;
mod messages;
mod open;
mod pack;
mod pins;
mod pulse;
mod queue;
mod racks;
mod reader;
mod rows;
mod signals;
mod stage;
mod tokens;
mod wire;
mod witness;
mod writer;

#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::core::alert::Alert;
use crate::core::care::KeptDeadLetter;
use crate::core::change::{Change, Message};
use crate::core::claims::{Claim, Claimed, End, KeyId, KeyRow, Settled};
use crate::core::deed::Deed;
use crate::core::event::Event;
use crate::core::id::{RunId, Unit};
use crate::core::inflow::Entrant;
use crate::core::measures::Measures;
use crate::core::progress::Progress;
use crate::core::queue::{Carried, Receive, Received, Ticket};
use crate::core::run::Run;
use crate::core::start::StartKey;
use crate::core::tally::Tally;
use crate::ports::{
    Answered, Clock, Journal, Keys, KeysError, OwnQueue, PinWriter, Pins, Queue, QueueError, StoreError,
};

use alerts::NewlyDue;
use bells::Bells;
use cells::Outline;
use claims::KeyTable;
use open::HolderMark;
use pulse::Pulse;
use rows::Rows;
use stage::Stage;
use writer::{Health, MakeDurable, Writer};

pub use care::{DeadLettersOf, Inspection, PlanOf, RestoreError, Retention, restore};
pub use memory::{Fate, MemoryStore};
pub use open::{Holder, OPENING_THREAD, OpenError};
pub use pulse::Told;
pub use tokens::Tokens;

/// The store of one state directory. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

// Dropped from the top: the writer ends before its rows, and the mark goes before sled's lock.
struct Inner {
    writer: Writer,
    health: Health,
    bells: Bells,
    pulse: Pulse,
    due: NewlyDue,
    keys: KeyTable,
    clock: Arc<dyn Clock>,
    /// One collection or backup at a time: a backup copies files that a collection may remove.
    care: tokio::sync::Mutex<()>,
    _mark: HolderMark,
    rows: LastHold,
}

/// The last to let go of sled. It syncs once more then, and panics when the disk is gone; whoever
/// lost the store was told so by the write that failed.
struct LastHold(Option<Rows>);

impl Deref for LastHold {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        self.0.as_ref().expect("it is only taken when it is dropped")
    }
}

impl Drop for LastHold {
    fn drop(&mut self) {
        let rows = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(rows))).is_err() {
            tracing::error!("the journal could not be synced when it was closed");
        }
    }
}

impl Store {
    /// Opens a state directory, or makes it. While this process holds it no other can.
    ///
    /// Every message of the embedded queues is visible at once, however long it was hidden: whoever
    /// received it held this directory and is gone, so there is no lease to wait for. Its receives
    /// stay counted.
    ///
    /// # Errors
    /// [`OpenError`] names who holds it, or what is wrong with it and what to do.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_with(dir, clock, |_, sync| sync)
    }

    fn open_with(
        dir: &Path,
        clock: Arc<dyn Clock>,
        sync: impl FnOnce(&sled::Db, MakeDurable) -> MakeDurable,
    ) -> Result<Self, OpenError> {
        let failed = |error: error::Error| OpenError::failed(dir, &error);
        let (opened, stage) = open::guarded(dir, || {
            let opened = open::open(dir, &*clock)?;
            let mut stage = Stage::new(opened.rows.clone());
            stage.load_queues().map_err(failed)?;
            Ok((opened, stage))
        })?;
        let (bells, health) = (Bells::default(), Health::default());
        let sync = sync(&opened.rows.db, opened.sync);
        let writer =
            Writer::start(stage, sync, opened.witness, bells.clone(), health.clone()).map_err(failed)?;
        let (keys, care) = (KeyTable::default(), tokio::sync::Mutex::default());
        let rows = LastHold(Some(opened.rows));
        let inner = Inner {
            writer,
            health,
            bells,
            due: NewlyDue::default(),
            pulse: Pulse::begun(clock.now()),
            keys,
            clock,
            care,
            _mark: opened.mark,
            rows,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Tells of every run that a commit touches, once that is durable.
    pub fn listen(&self) -> broadcast::Receiver<RunId> {
        self.0.pulse.listen()
    }

    /// Every event from now on, once it is durable, until [`Store::dismiss_scribe`]. A slow reader misses
    /// some, and holds up nobody.
    pub fn write_down(&self) -> std::sync::mpsc::Receiver<Told> {
        self.0.pulse.write_down()
    }

    /// Ends what [`Store::write_down`] began.
    pub fn dismiss_scribe(&self) {
        self.0.pulse.dismiss();
    }

    /// What was counted since the store was opened.
    pub fn measures(&self) -> Measures {
        self.0.pulse.measures()
    }

    /// Whether writes are accepted and carried out: the thread that writes answers.
    ///
    /// # Errors
    /// The store stopped, and why.
    pub async fn is_writing(&self) -> Result<(), StoreError> {
        self.0.writer.look(|_| ()).await
    }

    fn key(&self, id: KeyId) -> Result<Option<KeyRow>, KeysError> {
        let row = self.rows().and_then(|rows| Ok(rows.key(id)?));
        row.map_err(|error| KeysError(error.to_string()))
    }

    /// For reading; refused after an error, because what was applied may not be durable.
    fn rows(&self) -> Result<&Rows, StoreError> {
        self.0.health.check()?;
        Ok(&self.0.rows)
    }
}

#[async_trait]
impl Journal for Store {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let (keys, beat, began) = (claims::ids(&changes), self.0.pulse.of(&changes), Instant::now());
        let due = alerts::due(&changes);
        self.0.writer.commit(changes).await?;
        self.0.pulse.beat(beat, began.elapsed(), self.0.clock.now());
        self.0.keys.committed(&keys);
        self.0.due.add(due);
        Ok(())
    }

    fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.rows()?.run(run)?)
    }

    fn runs_before(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        Ok(self.rows()?.runs_before(before, limit)?)
    }

    fn unended(&self) -> Result<Vec<Run>, StoreError> {
        Ok(self.rows()?.unended()?)
    }

    fn run_count(&self) -> Result<usize, StoreError> {
        Ok(self.rows()?.run_count()?)
    }

    fn started_under(&self, key: &str) -> Result<Option<StartKey>, StoreError> {
        Ok(self.rows()?.started_under(key)?)
    }

    fn progress(&self, run: RunId, unit: Unit) -> Result<Option<Progress>, StoreError> {
        Ok(self.rows()?.progress(run, unit)?)
    }

    fn items(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError> {
        Ok(self.rows()?.items::<Progress>(run, from, limit)?)
    }

    fn outlines(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError> {
        let outlines = self.rows()?.items::<Outline>(run, from, limit)?;
        Ok(outlines.into_iter().map(|(position, Outline(progress))| (position, progress)).collect())
    }

    fn tally(&self, run: RunId, unit: Unit) -> Result<Tally, StoreError> {
        Ok(self.rows()?.tally(run, unit)?)
    }

    fn watermark(&self, run: RunId) -> Result<u64, StoreError> {
        Ok(self.rows()?.watermark(run)?)
    }

    fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        Ok(self.rows()?.events(run, from, limit)?)
    }

    fn alerts(&self, of: Option<RunId>) -> Result<Vec<Alert>, StoreError> {
        Ok(self.rows()?.alerts(of)?)
    }

    fn deeds(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Deed)>, StoreError> {
        Ok(self.rows()?.deeds(before, limit)?)
    }

    fn entrants(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Entrant)>, StoreError> {
        Ok(self.rows()?.entrants(run, from, limit)?)
    }

    fn body(&self, run: RunId, position: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows()?.body(run, position)?)
    }

    fn kept_dead_letters(
        &self,
        after: Option<(RunId, u64)>,
        limit: usize,
    ) -> Result<Vec<KeptDeadLetter>, StoreError> {
        // The method of the store itself, which has the same name.
        Store::kept_dead_letters(self, after, limit)
    }
}

/// A visibility timeout holds within one life of the engine: see [`Store::open`].
#[async_trait]
impl Queue for Store {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        let Inner { clock, bells, writer, .. } = &*self.0;
        Ok(queue::long_poll(&**clock, bells, receive, |now| writer.take(receive.clone(), now)).await?)
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        Ok(self.commit(queue::own(tickets).map(Change::Delete).collect()).await?)
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError> {
        let until = self.0.clock.now().after(visibility);
        Ok(self.commit(queue::own(tickets).map(|receipt| Change::Hide { receipt, until }).collect()).await?)
    }
    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        queue::redrive(self, receive).await
    }
}

#[async_trait]
impl OwnQueue for Store {
    async fn send(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        self.commit(vec![Change::Enqueue(messages)]).await
    }

    async fn share(&self, messages: Vec<(Message, Carried)>) -> Result<(), StoreError> {
        self.commit(vec![Change::Share(messages)]).await
    }
}

/// Claims of `mode: latest` hold within one life of the engine.
#[async_trait]
impl Keys for Store {
    async fn claim(&self, claims: &[Claim]) -> Result<Answered<Claimed>, KeysError> {
        self.0.keys.claim(claims, self.0.clock.now(), |id| self.key(id))
    }

    async fn settle(&self, ends: &[(Claim, End)]) -> Result<Answered<Settled>, KeysError> {
        self.0.keys.settle(ends, self.0.clock.now(), |id| self.key(id))
    }
}

impl Pins for Store {
    fn put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        Ok(self.0.rows.files.put(bytes)?)
    }

    fn create(&self) -> Result<Box<dyn PinWriter>, StoreError> {
        Ok(Box::new(self.0.rows.files.create()?))
    }

    fn get(&self, address: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.0.rows.files.get(address)?)
    }

    fn open(&self, address: &str) -> Result<std::fs::File, StoreError> {
        Ok(self.0.rows.files.open_address(address)?)
    }

    fn scratch(&self) -> Result<std::fs::File, StoreError> {
        Ok(self.0.rows.files.scratch()?)
    }
}
