//! The runs that this engine works on. Whoever works on a run, or changes its record, takes it
//! first; nobody else can until it is let go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::core::id::RunId;
use crate::engine::{Control, Handle};

/// The runs that are taken, each with what its driver listens to.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    runs: Arc<Mutex<BTreeMap<RunId, Handle>>>,
    /// Rings when a run is let go.
    let_go: Arc<Notify>,
}

/// A run that is taken; dropping this lets it go.
#[derive(Debug)]
pub(super) struct Taken {
    id: RunId,
    live: Live,
    /// The other end, which its driver listens to.
    pub(super) handle: Handle,
}

impl Live {
    /// Takes a run; `None` when it is taken.
    pub(super) fn take(&self, id: RunId) -> Option<(Taken, Control)> {
        let mut runs = self.lock();
        if runs.contains_key(&id) {
            return None;
        }
        let (handle, control) = Control::new();
        runs.insert(id, handle.clone());
        drop(runs);
        Some((Taken { id, live: self.clone(), handle }, control))
    }

    /// What the driver of a run that is taken listens to.
    pub(super) fn handle(&self, id: RunId) -> Option<Handle> {
        self.lock().get(&id).cloned()
    }

    /// Returns once nobody has taken the run.
    pub(super) async fn at_rest(&self, id: RunId) {
        loop {
            let mut rings = std::pin::pin!(self.let_go.notified());
            rings.as_mut().enable();
            if self.handle(id).is_none() {
                return;
            }
            rings.await;
        }
    }

    /// The same, after `patience` at the latest.
    pub(super) async fn at_rest_soon(&self, id: RunId, patience: Duration) {
        // Whoever goes on to take it is told when it still is taken.
        let _ = tokio::time::timeout(patience, self.at_rest(id)).await;
    }

    /// How many runs are taken.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Handle>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.live.lock().remove(&self.id);
        self.live.let_go.notify_waiters();
    }
}
