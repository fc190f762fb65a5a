//! Idempotency keys of one engine, on disk and in memory, by the suite that every store of keys
//! must pass; and what a shared store says when nobody can be asked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[macro_use]
mod suite;
mod outage;

use std::sync::Arc;

use milepost::ports::{Clock, Journal, Keys};
use milepost::store::{MemoryStore, Store};
use suite::{Bench, ManualClock};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn bench<S: Keys + Journal + Clone + 'static>(store: S, clock: Arc<ManualClock>) -> Bench {
    let journal: Arc<dyn Journal> = Arc::new(store.clone());
    let another = Box::new(move || Arc::new(store.clone()) as Arc<dyn Keys>);
    Bench { another, journal: Some(journal), clock: Some(clock), scope: "bench".to_owned() }
}

mod in_memory {
    use super::*;

    macro_rules! run {
        ($story:path) => {{
            let clock = Arc::<ManualClock>::default();
            let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
            runtime().block_on($story(&bench(store, clock)));
        }};
    }

    stories!([] run);
}

mod on_disk {
    use super::*;

    macro_rules! run {
        ($story:path) => {{
            let (clock, dir) = (Arc::<ManualClock>::default(), tempfile::tempdir().unwrap());
            let store = Store::open(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
            runtime().block_on($story(&bench(store, clock)));
        }};
    }

    stories!([] run);
}

mod lives;
