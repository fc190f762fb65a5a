//! Receiving ahead, for each step that receives.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::ports::{Queue, Receive, Worker};

use super::context::{Common, Context};
use super::note::Note;

/// Most messages per receive: each receive is a commit. A queue that gives fewer at once, as SQS
/// does, returns fewer.
pub(super) const RECEIVE_MAX: usize = 100;

/// How a step receives, from what its worker prepares without an item.
pub(super) fn parameters(common: &Common, step: usize) -> Option<Receive> {
    let nobody = Context::new(common, Unit::Item(0), Ok(Arc::new(Value::Null)));
    let progress = Progress::new(&common.assembly.plan.items);
    let mut scope = nobody.scope(common, 0, &progress).ok()?;
    scope.item = Arc::new(Value::Null);
    scope.digest = Arc::default();
    let Worker::Pure(receiver) = &common.assembly.items[step].worker else { return None };
    let body = receiver.prepare(&scope).ok()?;
    let millis = |field: &str| body.get(field).and_then(Value::as_u64).map(Duration::from_millis);
    Some(Receive {
        queue: body.get("queue")?.as_str()?.to_owned(),
        run: common.run.id,
        items: None,
        max: RECEIVE_MAX,
        wait: millis("wait_ms")?,
        visibility: millis("visibility_ms")?,
        receives_max: u32::try_from(body.get("receives_max")?.as_u64()?).ok()?,
    })
}

/// Receives until nobody listens any more or the queue fails. What was received costs permits until
/// it is let go.
pub(super) async fn poll(
    step: usize,
    receive: Receive,
    queue: Arc<dyn Queue>,
    permits: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<Note>,
) {
    loop {
        // What is free, but at least one: to wait for all of them would starve the queue as long as
        // a single message is held.
        let more = permits.available_permits().saturating_sub(1).min(receive.max.saturating_sub(1));
        let max = 1 + more;
        let wanted = u32::try_from(max).unwrap_or(1);
        let Ok(mut permit) = Arc::clone(&permits).acquire_many_owned(wanted).await else { return };
        match queue.receive(&Receive { max, ..receive.clone() }).await {
            Ok(deliveries) => {
                if let Some(used) = permit.split(deliveries.len()) {
                    used.forget();
                }
                if !deliveries.is_empty() && sender.send(Note::Delivered { step, deliveries }).is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = sender.send(Note::Failed(error));
                return;
            }
        }
    }
}
