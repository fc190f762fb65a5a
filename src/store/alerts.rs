//! What people are to be told, on both stores.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::core::alert::Alert;
use crate::core::change::Change;
use crate::core::id::RunId;
use crate::ports::{Due, Outbox};

use super::Store;
use super::cells;
use super::codec;
use super::error::Error;
use super::keys;
use super::memory::MemoryStore;
use super::rows::Rows;

/// Alerts that were put and that whoever delivers them has not heard of.
#[derive(Clone, Default)]
pub(super) struct NewlyDue(Arc<Heap>);

#[derive(Default)]
struct Heap {
    due: Mutex<Vec<Due>>,
    rings: Notify,
}

impl NewlyDue {
    /// They are durable.
    pub(super) fn add(&self, due: Vec<Due>) {
        if !due.is_empty() {
            self.0.due.lock().unwrap_or_else(PoisonError::into_inner).extend(due);
            // Kept for one who does not wait yet.
            self.0.rings.notify_one();
        }
    }

    async fn taken(&self) -> Vec<Due> {
        loop {
            let due = std::mem::take(&mut *self.0.due.lock().unwrap_or_else(PoisonError::into_inner));
            if !due.is_empty() {
                return due;
            }
            self.0.rings.notified().await;
        }
    }
}

/// When the alerts among these changes are due.
pub(super) fn due(changes: &[Change]) -> Vec<Due> {
    let due = changes.iter().filter_map(|change| match change {
        Change::Alert { run, number, alert: Some(alert) } => Some((alert.next?, *run, *number)),
        _ => None,
    });
    due.collect()
}

impl Rows {
    pub(super) fn alerts(&self, of: Option<RunId>) -> Result<Vec<Alert>, Error> {
        let prefix = of.map_or_else(|| keys::ALERTS.to_vec(), keys::alerts);
        let alerts = self.all(&prefix).map(|row| {
            let (key, payload) = row?;
            cells::from_json(&payload).map_err(codec::at(&key))
        });
        alerts.collect()
    }
}

#[async_trait]
impl Outbox for Store {
    async fn newly_due(&self) -> Vec<Due> {
        self.0.due.taken().await
    }
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn newly_due(&self) -> Vec<Due> {
        self.due.taken().await
    }
}
