//! Wakes whoever waits for a message, and nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::racks::RackKey;

/// One bell for each queue and run that somebody waits for.
#[derive(Clone, Default)]
pub(super) struct Bells(Arc<Mutex<HashMap<RackKey, Arc<Notify>>>>);

impl Bells {
    /// The bell of a queue, for as long as it is held.
    pub(super) fn listen(&self, key: RackKey) -> Bell {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = Arc::clone(bells.entry(key.clone()).or_default());
        Bell { bells: self.clone(), key, notify }
    }

    /// Wakes everybody who waits for this queue.
    pub(super) fn ring(&self, key: &RackKey) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = bells.get(key) {
            notify.notify_waiters();
        }
    }
}

/// A bell that is listened to.
pub(super) struct Bell {
    bells: Bells,
    key: RackKey,
    notify: Arc<Notify>,
}

impl Bell {
    /// Ends when the bell rings after this call and a first poll or `enable`.
    pub(super) fn rung(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let mut bells = self.bells.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map and this listener: nobody else.
        if Arc::strong_count(&self.notify) == 2 {
            bells.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::RunId;

    #[test]
    fn nothing_is_left_when_nobody_listens() {
        let bells = Bells::default();
        let key = || ("q".to_owned(), RunId(1));
        let first = bells.listen(key());
        let second = bells.listen(key());
        drop(first);
        assert_eq!(bells.0.lock().unwrap().len(), 1);
        drop(second);
        assert_eq!(bells.0.lock().unwrap().len(), 0);
    }
}
