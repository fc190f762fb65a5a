//! Receiving ahead, for each step that receives.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use crate::core::queue::Receive;
use crate::ports::{Clock, Queue, QueueError};

use super::note::Note;

/// Most messages per receive: each receive is a commit. A queue that gives fewer at once, as SQS
/// does, returns fewer.
pub(super) const RECEIVE_MAX: usize = 100;

/// How long a poller waits after the first failure; the wait doubles with each that follows…
const PATIENCE_MIN: Duration = Duration::from_millis(500);
/// …up to this.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// Receives until nothing more is wanted, nobody listens any more, or the store fails. What was received costs permits until
/// it is let go.
pub(super) async fn poll(
    step: usize,
    receive: Receive,
    queue: Arc<dyn Queue>,
    permits: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    sender: mpsc::UnboundedSender<Note>,
) {
    let mut patience = PATIENCE_MIN;
    loop {
        // What is free, but at least one: to wait for all of them would starve the queue as long as
        // a single message is held.
        let more = permits.available_permits().saturating_sub(1).min(receive.max.saturating_sub(1));
        let max = 1 + more;
        let wanted = u32::try_from(max).unwrap_or(1);
        let Ok(mut permit) = Arc::clone(&permits).acquire_many_owned(wanted).await else {
            // Nobody listens any more only when the engine itself has stopped.
            let _ = sender.send(Note::Dried);
            return;
        };
        let (note, is_away) = match queue.receive(&Receive { max, ..receive.clone() }).await {
            Ok(received) => {
                if let Some(used) = permit.split(received.len()) {
                    used.forget();
                }
                (Note::Delivered { step, received }, false)
            }
            Err(QueueError::Away(fault)) => (Note::QueueAway { step, fault }, true),
            Err(QueueError::Store(error)) => (Note::Failed(error), false),
        };
        drop(permit);
        let is_over = matches!(note, Note::Failed(_));
        let is_news = !matches!(&note, Note::Delivered { received, .. } if received.is_empty());
        if (is_news && sender.send(note).is_err()) || is_over {
            return;
        }
        if is_away {
            clock.sleep_until(clock.now().after(patience)).await;
            patience = (patience * 2).min(PATIENCE_MAX);
        } else {
            patience = PATIENCE_MIN;
        }
    }
}
