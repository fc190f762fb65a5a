//! Alerts: what is to be told, and who carries it.

use std::sync::Arc;

use async_trait::async_trait;

use super::Journal;
use crate::core::alert::{Alert, Answer};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::time::Timestamp;

/// When an alert is due: its run, and which alert of that run it is.
pub type Due = (Timestamp, RunId, u64);

/// The alerts of a journal, as whoever delivers them sees them. Implemented by the sled store and, for the
/// simulation, in memory.
#[async_trait]
pub trait Outbox: Journal {
    /// Waits for alerts that were put since this was last asked, and returns when each is due. They are
    /// durable. For one who asks; two would take them from each other.
    async fn newly_due(&self) -> Vec<Due>;
}

/// Carries alerts to one receiver. Implemented by connectors, and by the simulated outside.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Makes one attempt. Never tries again by itself.
    async fn deliver(&self, alert: &Alert) -> Answer;
}

/// Knows who carries what. Implemented by the wiring, from the pinned workflow of the run, and by the
/// simulation.
#[async_trait]
pub trait Couriers: Send + Sync {
    /// The courier of an alert.
    ///
    /// # Errors
    /// There is none for now, and why; later there may be one.
    async fn of(&self, alert: &Alert) -> Result<Arc<dyn Courier>, Fault>;
}
