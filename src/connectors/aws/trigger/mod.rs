//! `s3.created`: an object was written to S3. The queue gets it from S3 itself, or from EventBridge;
//! both forms are read, because which one it is is a setting of the bucket.

mod notification;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde_json::{Map, Value};

use super::s3::address::Address;
use super::session::Session;
use super::sqs::queue::{HIDDEN_MAX, Sqs, WAIT_MAX};
use crate::connectors::{BuildFault, Post, settings};
use crate::core::catalog::{Field, Kind, TriggerKind};
use crate::core::fault::{Fault, name};
use crate::core::queue::{Stray, Ticket};
use crate::core::trigger::{Heard, Notice, Occasion};
use crate::core::version::Version;
use crate::ports::{Queue, QueueError, Trigger};
use notification::Object;

/// Shortest time for both that follow; to ask without waiting would be to ask all the time.
const LEAST: Duration = Duration::from_secs(1);
/// How long a message is hidden, when the file does not say: to record a run takes milliseconds.
const VISIBILITY: Duration = Duration::from_mins(1);
/// What a request may take beyond its wait.
const REQUEST_MAX: Duration = Duration::from_secs(15);

/// What `s3.created` is.
pub const S3_CREATED: TriggerKind = TriggerKind {
    uses: "s3.created",
    summary: "an object was written to S3, told through SQS",
    connections: &[super::CONNECTION.name],
    needs_input: true,
    fields: &[
        Field { name: "queue", kind: Kind::Plain, required: true },
        Field { name: "bucket", kind: Kind::Plain, required: false },
        Field { name: "prefix", kind: Kind::Plain, required: false },
        Field { name: "suffix", kind: Kind::Plain, required: false },
        Field { name: "wait", kind: Kind::Duration, required: false },
        Field { name: "visibility_timeout", kind: Kind::Duration, required: false },
    ],
};

/// Makes what listens for uploads.
///
/// # Errors
/// A field is wrong.
pub fn build_s3_created(post: &Post<'_>) -> Result<Arc<dyn Trigger>, Vec<BuildFault>> {
    let with = &post.trigger.with;
    let read = || {
        let wait = bounded(with, "wait", LEAST, WAIT_MAX)?.unwrap_or(WAIT_MAX);
        let visibility = bounded(with, "visibility_timeout", LEAST, HIDDEN_MAX)?;
        Ok(Uploads {
            queue: Sqs::new(Arc::new(Session::new(wait + REQUEST_MAX)), settings::required(with, "queue")?),
            filter: Filter::read(with)?,
            wait,
            visibility: visibility.unwrap_or(VISIBILITY),
        })
    };
    read().map(|uploads| Arc::new(uploads) as Arc<dyn Trigger>).map_err(|fault| vec![fault])
}

fn bounded(
    with: &Map<String, Value>,
    name: &str,
    least: Duration,
    most: Duration,
) -> Result<Option<Duration>, BuildFault> {
    let Some(duration) = settings::duration(with, name)? else { return Ok(None) };
    if duration < least || duration > most || duration.subsec_nanos() != 0 {
        let (least, most) = (least.as_secs(), most.as_secs());
        let message = format!("SQS takes whole seconds from {least} to {most} for '{name}'");
        return Err(BuildFault::field(name, message));
    }
    Ok(Some(duration))
}

/// Which objects are meant.
#[derive(Debug, Default)]
struct Filter {
    bucket: Option<String>,
    prefix: Option<String>,
    suffix: Option<String>,
}

impl Filter {
    fn read(with: &Map<String, Value>) -> Result<Self, BuildFault> {
        let text = |name| settings::text(with, name).map(|text| text.map(str::to_owned));
        Ok(Self { bucket: text("bucket")?, prefix: text("prefix")?, suffix: text("suffix")? })
    }

    fn takes(&self, object: &Object) -> bool {
        let Address { bucket, key, .. } = &object.address;
        self.bucket.as_ref().is_none_or(|wanted| wanted == bucket)
            && self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()))
            && self.suffix.as_ref().is_none_or(|suffix| key.ends_with(suffix.as_str()))
    }

    /// What a message says, in order. A folder that a console makes is an object without content, and
    /// its name ends with a slash; a suffix leaves it out, as anything else.
    fn notice(&self, body: &str, ticket: Ticket) -> Result<Notice, String> {
        let mut notice = Notice { occasions: Vec::new(), passed_over: Vec::new(), ticket };
        let told = notification::read(body)?;
        notice.passed_over = told.passed_over;
        for object in told.created {
            if self.takes(&object) {
                notice.occasions.push(occasion(&object));
            } else {
                notice.passed_over.push(format!("{} is none of those that are watched", object.address));
            }
        }
        Ok(notice)
    }
}

/// One run per version of an object. Without versions in the bucket, the ETag and the sequencer
/// together name what was written: content that was there before, and was replaced meanwhile, is
/// written again, but the same notification is not another upload.
fn occasion(object: &Object) -> Occasion {
    let Object { address, etag, sequencer, at } = object;
    let Address { bucket, key, version } = address;
    let written = match version {
        Some(version) => vec!["version", version],
        None => vec!["etag", etag.as_deref().unwrap_or(""), sequencer.as_deref().unwrap_or("")],
    };
    let place = Address { version: None, ..address.clone() };
    Occasion {
        subject: address.to_string(),
        identity: serde_json::json!([bucket, key, written]).to_string(),
        version: Some(Version::of_object(*at, &place.to_string(), sequencer.as_deref())),
    }
}

/// Listens on one queue.
struct Uploads {
    queue: Sqs,
    filter: Filter,
    wait: Duration,
    visibility: Duration,
}

#[async_trait]
impl Trigger for Uploads {
    async fn next(&self) -> Result<Heard, Fault> {
        let url = self.queue.url().await.map_err(fault)?;
        let asked = self
            .queue
            .client()
            .await
            .receive_message()
            .queue_url(&*url)
            .max_number_of_messages(1)
            .wait_time_seconds(seconds(self.wait))
            .visibility_timeout(seconds(self.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let received = asked.send().await;
        let received = received.map_err(|error| fault(self.queue.away("ReceiveMessage", error)))?;
        match received.messages.unwrap_or_default().into_iter().next() {
            Some(message) => Ok(self.heard(message)),
            None => Ok(Heard::Nothing),
        }
    }

    async fn done(&self, ticket: &Ticket) -> Result<(), Fault> {
        self.queue.delete(vec![ticket.clone()]).await.map_err(fault)
    }
}

impl Uploads {
    fn heard(&self, message: Message) -> Heard {
        let ticket = Ticket::Given(message.receipt_handle.unwrap_or_default().into());
        let attributes = message.attributes.unwrap_or_default();
        let receives = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
        let receives = receives.and_then(|count| count.parse().ok()).unwrap_or(1);
        match self.filter.notice(&message.body.unwrap_or_default(), ticket.clone()) {
            Ok(notice) => Heard::Notice(notice),
            Err(reason) => {
                let id = message.message_id.unwrap_or_default();
                Heard::Stray(Stray { id, receives, reason, ticket })
            }
        }
    }
}

fn fault(error: QueueError) -> Fault {
    match error {
        QueueError::Away(fault) => fault,
        QueueError::Store(error) => Fault::new(name::NO_ANSWER, error.to_string()),
    }
}

/// Whole seconds: `check` has refused what has more.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
