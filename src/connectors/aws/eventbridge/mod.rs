//! `eventbridge.publish` over EventBridge itself.
//!
//! - `courier` carries alerts.
//! - `entry` makes entries of a PutEvents request, counts their bytes as AWS does, and splits a batch
//!   into requests.
//! - `oversize` takes what an event has no room for to S3.
//! - `verdict` says what became of each entry.
//!
//! A bus that does not exist is told per entry by AWS; some servers of its API accept the events and
//! lose them. `milepost doctor` looks.

mod courier;
mod entry;
mod oversize;
#[cfg(test)]
mod tests;
mod verdict;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::session::Session;
use super::trouble::trouble;
use crate::connectors::{BuildFault, Site, events, settings};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};
use entry::{Body, Entry, REQUEST_BYTES_MAX, split};
use oversize::Oversize;

pub(crate) use courier::courier;

/// Makes the worker of an `eventbridge.publish` step. Reads no configuration of AWS, and speaks to
/// nobody yet.
///
/// # Errors
/// A field of the step or of the connection is wrong.
pub fn build_publish(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let session = Session::new(site.step.timeout);
    Publisher::read(site, session).map(|publisher| Worker::Effect(Arc::new(publisher)))
}

struct Publisher {
    publish: events::Publish,
    bus: String,
    /// What becomes of an item that is too large; `None`: it is refused.
    oversize: Option<Oversize>,
    /// The connection's name, for people.
    connection: String,
    session: Session,
}

impl Publisher {
    fn read(site: &Site<'_>, session: Session) -> Result<Self, Vec<BuildFault>> {
        let connection = site.step.connection.clone().unwrap_or_default();
        let bus = event_bus(&site.settings).map_err(|fault| vec![fault]);
        let oversize = Oversize::read(&site.settings).map_err(|fault| vec![fault]);
        let addressed = settings::both(bus, oversize);
        let ((bus, oversize), publish) = settings::both(addressed, events::Publish::read(&site.step.with))?;
        Ok(Self { publish, bus: bus.to_owned(), oversize, connection, session })
    }
}

/// The bus that events are put on, by its name or ARN.
fn event_bus(settings: &Map<String, Value>) -> Result<&str, BuildFault> {
    let hint = || Some("write 'event_bus: …' under the connection: its name or ARN".to_owned());
    settings::required(settings, "event_bus").map_err(|fault| BuildFault { hint: hint(), ..fault })
}

impl Prepare for Publisher {
    /// What the embedded bus is sent, and `data`: the content for readers without a pinned source,
    /// which is what the step's `detail` says, else the item.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let mut request = self.publish.prepare(scope)?;
        let said = request.as_object_mut().and_then(|fields| fields.shift_remove("detail"));
        request["data"] = said.unwrap_or_else(|| Value::clone(&scope.item));
        Ok(request)
    }
}

#[async_trait]
impl Effect for Publisher {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut batch = Batch { outcomes: vec![None; calls.len()], requests: 0 };
        let entries = self.entries(calls, &mut batch).await;
        self.put(calls, entries, &mut batch).await;
        let defect = || Outcome::Unclear(Fault::new(name::DEFECT, "a request to EventBridge broke off"));
        let outcomes = batch.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(defect)).collect();
        Verdicts { outcomes, calls: batch.requests }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Unknown(Fault::new(name::REFUSED, "a bus cannot be asked for an event"))
    }
}

/// What is known of a batch so far.
struct Batch {
    /// By the position of the call; `None`: nothing yet.
    outcomes: Vec<Option<Outcome>>,
    requests: u64,
}

/// An entry and the position of its call.
type Placed = (usize, Entry);

impl Publisher {
    /// The entries of all calls that have one, in their order. The content of those that are too
    /// large is in S3 then.
    async fn entries(&self, calls: &[Call], batch: &mut Batch) -> Vec<Placed> {
        let mut entries: Vec<Placed> = Vec::with_capacity(calls.len());
        let mut uploads = JoinSet::new();
        for (at, call) in calls.iter().enumerate() {
            let entry = Entry::of(call, Body::Data(&call.request["data"]));
            match &self.oversize {
                _ if entry.bytes() <= REQUEST_BYTES_MAX => entries.push((at, entry)),
                None => batch.outcomes[at] = Some(self.too_large(&entry)),
                Some(oversize) => {
                    let upload = oversize.upload(self.session.s3().await, call);
                    batch.requests += 1;
                    uploads.spawn(async move { (at, upload.await) });
                }
            }
        }
        while let Some(ended) = uploads.join_next().await {
            match ended {
                Ok((at, Ok(reference))) => {
                    entries.push((at, Entry::of(&calls[at], Body::Elsewhere(reference))));
                }
                Ok((at, Err(refused))) => batch.outcomes[at] = Some(refused),
                // It panicked; which one it was shows by the outcome that is missing.
                Err(_) => {}
            }
        }
        entries.sort_unstable_by_key(|(at, _)| *at);
        entries
    }

    /// Puts entries, as few requests as possible, all of them under way at once.
    async fn put(&self, calls: &[Call], entries: Vec<Placed>, batch: &mut Batch) {
        let (client, mut requests) = (self.session.eventbridge().await, JoinSet::new());
        for entries in split(entries) {
            batch.requests += 1;
            let (client, bus) = (client.clone(), self.bus.clone());
            requests.spawn(async move {
                let (positions, entries): (Vec<usize>, Vec<Entry>) = entries.into_iter().unzip();
                let outcomes = put(&client, &bus, entries).await;
                (positions, outcomes)
            });
        }
        while let Some(ended) = requests.join_next().await {
            let Ok((positions, outcomes)) = ended else { continue };
            for (at, outcome) in positions.into_iter().zip(outcomes) {
                batch.outcomes[at] = Some(outcome.map_or_else(|outcome| outcome, |()| done(&calls[at])));
            }
        }
    }

    fn too_large(&self, entry: &Entry) -> Outcome {
        let message = format!(
            "the event has {} bytes, and EventBridge takes at most {REQUEST_BYTES_MAX}; to send its content by way \
             of S3, write 'oversize: s3' and 'bucket: …' under the connection '{}'",
            entry.bytes(),
            self.connection
        );
        Outcome::Refused { fault: Fault::new(name::REFUSED, message), again: Again::Never }
    }
}

/// One PutEvents request: what became of each entry, in their order.
async fn put(client: &Client, bus: &str, entries: Vec<Entry>) -> Vec<Result<(), Outcome>> {
    let sent = entries.len();
    let entries = entries.into_iter().map(|entry| entry.on(bus)).collect();
    match client.put_events().set_entries(Some(entries)).send().await {
        Ok(answer) => verdict::of_entries(answer.entries(), sent),
        Err(error) => {
            let outcome = trouble("PutEvents", error).of_write();
            (0..sent).map(|_| Err(outcome.clone())).collect()
        }
    }
}

/// What later steps and people need of an event that was accepted. AWS's own ID of it is not kept:
/// ours is in the event, and every reader has it.
fn done(call: &Call) -> Outcome {
    let event_id = json!(event_id(call));
    Outcome::Done(Facts::from([
        ("event_id".to_owned(), event_id),
        ("digest".to_owned(), call.request["digest"].clone()),
    ]))
}

/// Our own ID of the event: the same whenever the same effect is repeated.
fn event_id(call: &Call) -> Uuid {
    Uuid::from_u128(call.effect_id)
}
