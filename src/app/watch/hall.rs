//! What loop and desk share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::core::id::RunId;

use super::pace::Begins;
use super::roster::{Claimed, Roster};

/// What loop and desk share.
pub(super) struct Hall {
    roster: Mutex<Roster>,
    /// Rings when there may be something to begin with.
    pub(super) stirred: Notify,
    /// Rings when a run is at work no more.
    left: Notify,
    /// Whether nothing as a whole is held any more.
    pub(super) released: watch::Sender<bool>,
}

impl Hall {
    pub(super) fn of(roster: Roster, begins: Begins) -> Self {
        let (stirred, left) = (Notify::new(), Notify::new());
        let released = watch::Sender::new(begins == Begins::AtOnce);
        Self { roster: Mutex::new(roster), stirred, left, released }
    }

    pub(super) fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a run out of the line, as soon as nobody works on it.
    pub(super) async fn claim(&self, workflow: &str, run: RunId) -> Claimed {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            // The roster is not kept while it waits.
            let claimed = self.roster().claim(workflow, run);
            if let Some(claimed) = claimed {
                return claimed;
            }
            left.await;
        }
    }

    /// A run is at work no more.
    pub(super) fn ended(&self, run: RunId) {
        self.roster().ended(run);
        self.left.notify_waiters();
    }
}
