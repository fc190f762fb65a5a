//! Simulated time, computing in place, and a store that dies at a given commit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::change::{Change, Message, Receipt};
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::run::{Event, Run};
use milepost::core::tally::Tally;
use milepost::core::time::Timestamp;
use milepost::ports::{Clock, Compute, Delivery, Journal, Queue, Receive, StoreError};
use milepost::store::memory::MemoryStore;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Simulated time: tokio's paused clock, which jumps to the next timer when nothing else is left
/// to do. It goes on from life to life.
pub struct SimClock {
    life: Mutex<(Timestamp, Option<Instant>)>,
}

impl SimClock {
    pub fn new() -> Self {
        Self { life: Mutex::new((Timestamp(1_000_000), None)) }
    }

    /// A fresh single-threaded runtime for one life.
    pub fn runtime(&self) -> Runtime {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let start = runtime.block_on(async { Instant::now() });
        self.life.lock().unwrap().1 = Some(start);
        runtime
    }

    /// Keeps the time at which a life ended.
    pub fn keep(&self, runtime: &Runtime) {
        let now = runtime.block_on(async { self.now() });
        *self.life.lock().unwrap() = (now, None);
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let (base, start) = *self.life.lock().unwrap();
        start.map_or(base, |start| base.after(start.elapsed()))
    }

    async fn sleep_until(&self, until: Timestamp) {
        // A timer of tokio may fire within the millisecond it was set for, never before.
        while self.now() < until {
            tokio::time::sleep(until.since(self.now()).max(Duration::from_millis(1))).await;
        }
    }
}

/// Computes at once, on the thread that asks.
pub struct InPlace;

impl Compute for InPlace {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

/// Lets a given number of commits through, then dies: before the next one, or right after it.
pub struct Fuse {
    store: Arc<MemoryStore>,
    left: Mutex<u64>,
    after: bool,
}

impl Fuse {
    pub fn new(store: Arc<MemoryStore>, commits: u64, after: bool) -> Self {
        Self { store, left: Mutex::new(commits), after }
    }

    fn cut() -> StoreError {
        StoreError("the power is cut".to_owned())
    }

    /// Burns one commit. `Ok(true)`: carry it out and die.
    fn burn(&self) -> Result<bool, StoreError> {
        let mut left = self.left.lock().unwrap();
        match *left {
            0 => Err(Self::cut()),
            1 => {
                *left = 0;
                if self.after { Ok(true) } else { Err(Self::cut()) }
            }
            _ => {
                *left -= 1;
                Ok(false)
            }
        }
    }
}

#[async_trait]
impl Journal for Fuse {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let last = self.burn()?;
        self.store.commit(changes).await?;
        if last { Err(Self::cut()) } else { Ok(()) }
    }

    fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        self.store.run(run)
    }

    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.store.runs()
    }

    fn progress(&self, run: RunId, unit: Unit) -> Result<Option<Progress>, StoreError> {
        self.store.progress(run, unit)
    }

    fn items(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError> {
        self.store.items(run, from, limit)
    }

    fn tally(&self, run: RunId, unit: Unit) -> Result<Tally, StoreError> {
        self.store.tally(run, unit)
    }

    fn watermark(&self, run: RunId) -> Result<u64, StoreError> {
        self.store.watermark(run)
    }

    fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.store.events(run, from, limit)
    }
}

#[async_trait]
impl Queue for Fuse {
    async fn send(&self, messages: Vec<Message>) -> Result<(), StoreError> {
        let last = self.burn()?;
        self.store.send(messages).await?;
        if last { Err(Self::cut()) } else { Ok(()) }
    }

    async fn receive(&self, receive: &Receive) -> Result<Vec<Delivery>, StoreError> {
        if *self.left.lock().unwrap() == 0 {
            return Err(Self::cut());
        }
        self.store.receive(receive).await
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<(), StoreError> {
        let last = self.burn()?;
        self.store.delete(receipts).await?;
        if last { Err(Self::cut()) } else { Ok(()) }
    }

    async fn hide(&self, receipts: Vec<Receipt>, visibility: Duration) -> Result<(), StoreError> {
        let last = self.burn()?;
        self.store.hide(receipts, visibility).await?;
        if last { Err(Self::cut()) } else { Ok(()) }
    }
}
