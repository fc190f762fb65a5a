//! SQS: `sqs.consume` over a queue of AWS. Long polls in batches of ten; messages stay hidden while
//! their items work and are deleted in batches; what nobody takes is left to the redrive policy of
//! the queue, which takes it to its dead-letter queue.
//!
//! `queue` is one queue and what is asked of it; `message` reads bodies; `batch` changes many messages
//! with one verdict for each; `redrive` empties the dead-letter queue.

mod batch;
mod message;
pub(super) mod queue;
mod redrive;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::super::events::Receive;
use super::super::{BuildFault, Site};
use super::session::Session;
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::queue as core;
use crate::core::scope::Scope;
use crate::ports::{Prepare, Queue, Receiver, Worker};
use queue::Sqs;

/// Receives under way at once, when the step does not say: each brings ten messages at most.
pub(crate) const POLLERS: u64 = 4;
/// Longest time of a request beyond the wait that it asks for.
const MARGIN: Duration = Duration::from_secs(15);

/// Makes the worker of an `sqs.consume` step. Where the connection names its `queue`, by name or URL,
/// that is the one; else the step's own.
///
/// # Errors
/// A field is wrong.
pub fn build_consume(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let mut receive = Receive::read(&site.step.with, POLLERS)?;
    let queue = queue(site, &mut receive);
    Ok(Worker::Receiver(Arc::new(Consumer { receive, queue })))
}

/// The queue that is received from like this; `receive` names it from then on. Speaks to nobody yet.
pub(crate) fn queue(site: &Site<'_>, receive: &mut Receive) -> Arc<dyn Queue> {
    name_of_connection(site.settings.get("queue"), receive);
    let core::Receive { queue, wait, .. } = receive.of(RunId(0));
    let session = Arc::new(Session::new(wait.min(queue::WAIT_MAX) + MARGIN));
    Arc::new(Sqs::new(session, &queue))
}

/// The connection's queue goes before the one that the step says.
fn name_of_connection(named: Option<&Value>, receive: &mut Receive) {
    if let Some(named) = named.and_then(Value::as_str) {
        receive.receive_from(named);
    }
}

struct Consumer {
    receive: Receive,
    queue: Arc<dyn Queue>,
}

impl Prepare for Consumer {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.receive.prepare(scope)
    }
}

impl Receiver for Consumer {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue)
    }

    fn receive(&self, run: RunId) -> core::Receive {
        self.receive.of(run)
    }
}
