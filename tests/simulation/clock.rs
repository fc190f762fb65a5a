//! Simulated time, and computing in place.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::time::Timestamp;
use milepost::ports::{Clock, Compute};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Simulated time: tokio's paused clock, which jumps to the next timer when nothing else is left
/// to do. It goes on from life to life.
pub(crate) struct SimClock {
    life: Mutex<(Timestamp, Option<Instant>)>,
}

impl SimClock {
    pub(crate) fn new() -> Self {
        Self { life: Mutex::new((Timestamp(1_000_000), None)) }
    }

    /// A fresh single-threaded runtime for one life.
    pub(crate) fn runtime(&self) -> Runtime {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let start = runtime.block_on(async { Instant::now() });
        self.life.lock().unwrap().1 = Some(start);
        runtime
    }

    /// Keeps the time at which a life ended.
    pub(crate) fn keep(&self, runtime: &Runtime) {
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
pub(crate) struct InPlace;

impl Compute for InPlace {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}
