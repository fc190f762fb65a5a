//! What the tests of the store share.

mod alerts;
mod conformance;
mod differential;
mod directory;
mod format;
mod open_runs;
mod power;
mod queues;
mod signals;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::core::cell::{Cell, State};
use crate::core::change::Message;
use crate::core::event::{Event, RunEvent};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::progress::Progress;
use crate::core::queue::{Only, Receive};
use crate::core::run::{Run, Status};
use crate::core::time::Timestamp;
use crate::ports::{Clock, Marks, Outbox, OwnQueue, Pins, Signals};

use super::{MemoryStore, Store};

/// All ports of a store.
pub(super) trait Ports: Outbox + Marks + OwnQueue + Pins + Signals {}
impl<T: Outbox + Marks + OwnQueue + Pins + Signals> Ports for T {}

pub(super) const START: u64 = 1_767_225_600_000;

/// A clock that stands still until it is moved.
#[derive(Default)]
pub(super) struct HandClock {
    moved: Mutex<u64>,
    ticked: Notify,
}

impl HandClock {
    pub(super) fn advance(&self, duration: Duration) {
        *self.moved.lock().unwrap() += u64::try_from(duration.as_millis()).unwrap();
        self.ticked.notify_waiters();
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(START + *self.moved.lock().unwrap())
    }

    async fn sleep_until(&self, until: Timestamp) {
        loop {
            let ticked = self.ticked.notified();
            if self.now() >= until {
                return;
            }
            ticked.await;
        }
    }
}

pub(super) fn memory() -> (Arc<dyn Ports>, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    (Arc::new(MemoryStore::new(clock.clone())), clock)
}

pub(super) fn on_disk(dir: &Path) -> (Arc<dyn Ports>, Arc<HandClock>) {
    let clock = Arc::new(HandClock::default());
    (Arc::new(Store::open(dir, clock.clone()).unwrap()), clock)
}

/// Makes each story two tests: one in memory, one on disk.
macro_rules! on_both_stores {
    ($($story:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $story() {
                let (store, clock) = $crate::store::tests::memory();
                super::$story(store, clock).await;
            })*
        }
        mod sled {
            $(#[tokio::test]
            async fn $story() {
                let dir = tempfile::tempdir().unwrap();
                let (store, clock) = $crate::store::tests::on_disk(dir.path());
                super::$story(store, clock).await;
            })*
        }
    };
}
pub(super) use on_both_stores;

pub(super) const RUN: RunId = RunId(0x0199_aabb_ccdd_7eef_8000_0000_0000_0001);
pub(super) const LATER: RunId = RunId(0x0199_aabb_ccdd_7eef_8000_0000_0000_0002);

pub(super) fn run_of(id: RunId) -> Run {
    Run {
        files: BTreeMap::from([("schema.json".to_owned(), "cd".repeat(32))]),
        input: Map::from_iter([("ratio".to_owned(), json!(0.1 + 0.2))]),
        status: Status::Running,
        epoch: 1,
        ..Run::queued(id, "product-sync", "workflows/product-sync.yaml", &"ab".repeat(32), Timestamp(START))
    }
}

pub(super) fn cell(state: State, facts: &[(&str, Value)]) -> Cell {
    let facts = facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Cell { state, attempts: 1, spent: 1, at: Timestamp(START + 1_234), facts, ..Cell::default() }
}

pub(super) fn item(states: &[State]) -> Progress {
    Progress::of(states.iter().map(|state| cell(*state, &[])))
}

/// An item that is far too long for a block, or even for a row.
pub(super) fn long_item(bytes: usize) -> Progress {
    let text = "ä".repeat(bytes / 2);
    Progress::of([cell(State::Succeeded, &[("answer", json!(text))])])
}

pub(super) fn event(message: &str) -> Event {
    Event { at: Timestamp(START), what: RunEvent::Alert { message: message.to_owned(), dead_letters: None } }
}

pub(super) fn failed_cell() -> Cell {
    let fault = Some(Fault::new("HttpStatus", "500 from the shop: 'try again'"));
    Cell { fault, ..cell(State::DeadLettered, &[]) }
}

pub(super) fn message(queue: &str, run: RunId, number: u64) -> Message {
    Message {
        queue: queue.to_owned(),
        run,
        item: Some(number),
        event_id: u128::from(number) << 64 | 7,
        detail_type: "ProductIngested".to_owned(),
        digest: format!("{number:064x}"),
    }
}

pub(super) fn ask(queue: &str, run: RunId, max: usize) -> Receive {
    Receive {
        queue: queue.to_owned(),
        run,
        only: Only::All,
        max,
        wait: Duration::ZERO,
        visibility: Duration::from_secs(30),
        receives_max: 3,
        pollers: 1,
        content: false,
    }
}
