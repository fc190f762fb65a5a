//! The system's clock behind the port.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

use crate::core::time::Timestamp;
use crate::ports::Clock;

/// When this process first asked how much time has passed.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SystemClock;

/// The time of day, for commands that count back from it.
pub fn now() -> Timestamp {
    SystemClock.now()
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day for the engine")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn passed(&self) -> Duration {
        BEGUN.elapsed()
    }

    async fn sleep_until(&self, until: Timestamp) {
        tokio::time::sleep(until.since(self.now())).await;
    }
}
