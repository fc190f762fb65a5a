//! One queue of SQS.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OnceCell, RwLock, oneshot};

use super::super::envelope::Reference;
use super::super::session::Session;
use super::super::trouble::{Trouble, trouble};
use super::message::{Parsed, parse, short};
use crate::core::fault::{Fault, name};
use crate::core::queue::{Carried, Delivery, Receive, Received, Stray, Ticket};
use crate::ports::{Queue, QueueError};

/// Most messages of one receive, and most entries of one batch; SQS takes no more.
pub(super) const BATCH_MAX: usize = 10;
/// Longest wait of one receive; SQS takes no more.
pub(in crate::connectors::aws) const WAIT_MAX: Duration = Duration::from_secs(20);
/// Longest time that a message is hidden, from its receive on; SQS takes no more.
pub(in crate::connectors::aws) const HIDDEN_MAX: Duration = Duration::from_hours(12);
/// Largest content that is fetched for a message.
const CONTENT_MAX: u64 = 64 * 1024 * 1024;

/// A queue, by its name or its URL.
pub(in crate::connectors::aws) struct Sqs {
    session: Arc<Session>,
    name: String,
    client: OnceCell<Client>,
    /// As SQS says; asked for once, and again after the queue was gone.
    url: Mutex<Option<Arc<str>>>,
    policy: OnceCell<Policy>,
    /// Read by each receive until it is over and what nobody waited for is kept or shows again.
    pub(super) receiving: Arc<RwLock<()>>,
    /// What was taken while nobody waited, once somebody asks for it.
    unheard: Arc<Mutex<Option<Vec<Message>>>>,
}

/// Where the messages go that were received too often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// The ARN of the dead-letter queue, if there is one.
    pub(super) dead_letters: Option<String>,
}

/// The redrive policy as SQS writes it.
#[derive(Deserialize)]
struct Redrive {
    #[serde(rename = "deadLetterTargetArn")]
    target: String,
}

/// Why the content of a message could not be fetched.
enum Unfetched {
    /// It is not there.
    Gone(String),
    /// It may be there another time.
    Later(Fault),
}

impl Sqs {
    /// Speaks to nobody yet.
    pub(in crate::connectors::aws) fn new(session: Arc<Session>, name: &str) -> Self {
        Self {
            session,
            name: name.to_owned(),
            client: OnceCell::new(),
            url: Mutex::default(),
            policy: OnceCell::new(),
            receiving: Arc::default(),
            unheard: Arc::default(),
        }
    }

    /// Another queue of the same account.
    pub(super) fn beside(&self, name: &str) -> Self {
        Self::new(Arc::clone(&self.session), name)
    }

    pub(in crate::connectors::aws) async fn client(&self) -> &Client {
        self.client.get_or_init(|| self.session.sqs()).await
    }

    /// The URL of the queue.
    pub(in crate::connectors::aws) async fn url(&self) -> Result<Arc<str>, QueueError> {
        if self.name.starts_with("https://") || self.name.starts_with("http://") {
            return Ok(self.name.as_str().into());
        }
        let known = self.known_url().clone();
        if let Some(url) = known {
            return Ok(url);
        }
        let asked = self.client().await.get_queue_url().queue_name(&self.name).send().await;
        let answer = asked.map_err(|error| self.away("GetQueueUrl", error))?;
        let url: Arc<str> = answer.queue_url().unwrap_or_default().into();
        *self.known_url() = Some(Arc::clone(&url));
        Ok(url)
    }

    fn known_url(&self) -> std::sync::MutexGuard<'_, Option<Arc<str>>> {
        self.url.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an error means for whoever asked; a queue that is gone may come back at another address.
    pub(in crate::connectors::aws) fn away<E>(
        &self,
        asked: &str,
        error: SdkError<E, HttpResponse>,
    ) -> QueueError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let trouble = trouble(&format!("SQS {asked}"), error);
        if is_no_queue(&trouble) {
            *self.known_url() = None;
            let message = format!("the queue '{}' does not exist (SQS {asked})", self.name);
            return QueueError::Away(Fault::new(name::REFUSED, message));
        }
        QueueError::Away(trouble.fault())
    }

    /// The redrive policy of the queue.
    pub(super) async fn policy(&self) -> Result<&Policy, QueueError> {
        let read = || async {
            let url = self.url().await?;
            let client = self.client().await;
            let asked = client
                .get_queue_attributes()
                .queue_url(&*url)
                .attribute_names(QueueAttributeName::RedrivePolicy)
                .send()
                .await;
            let answer = asked.map_err(|error| self.away("GetQueueAttributes", error))?;
            let written = answer.attributes().and_then(|all| all.get(&QueueAttributeName::RedrivePolicy));
            let redrive = written.and_then(|text| serde_json::from_str::<Redrive>(text).ok());
            Ok(Policy { dead_letters: redrive.map(|redrive| redrive.target) })
        };
        self.policy.get_or_try_init(read).await
    }

    async fn sort(&self, received: Vec<Message>, receive: &Receive) -> Received {
        let mut sorted = Received::default();
        for message in received {
            let (times, id) = (receives(&message), message.message_id.unwrap_or_default());
            let ticket = Ticket::Given(message.receipt_handle.unwrap_or_default().into());
            let body = message.body.unwrap_or_default();
            let read = match parse(&receive.queue, &body) {
                Ok(parsed) if receive.content => self.carried(parsed).await,
                Ok(parsed) => Ok((parsed.message, None)),
                Err(reason) => Err(Unfetched::Gone(reason)),
            };
            match read {
                Ok((message, carried)) => {
                    sorted.deliveries.push(Delivery { message, receives: times, ticket, carried });
                }
                Err(Unfetched::Gone(reason)) => {
                    sorted.strays.push(Stray { id, receives: times, reason, ticket });
                }
                // It shows again by itself.
                Err(Unfetched::Later(fault)) => tracing::warn!(id, "its content was not fetched: {fault}"),
            }
        }
        sorted
    }

    /// The message with the content that travels with it.
    async fn carried(
        &self,
        parsed: Parsed,
    ) -> Result<(crate::core::change::Message, Option<Carried>), Unfetched> {
        let Parsed { message, version, data, data_ref } = parsed;
        let content = match (data, data_ref) {
            (Some(data), _) => data,
            (None, Some(reference)) => self.fetch(&reference).await?,
            (None, None) => return Err(Unfetched::Gone("it carries no content".to_owned())),
        };
        let carried = Carried { key: None, version: Some(version), content: Arc::new(content) };
        Ok((message, Some(carried)))
    }

    /// The content that an object holds.
    async fn fetch(&self, reference: &Reference) -> Result<Value, Unfetched> {
        let Reference { bucket, key, bytes } = reference;
        let place = format!("s3://{bucket}/{key}");
        if *bytes > CONTENT_MAX {
            return Err(Unfetched::Gone(format!("its content at {place} is too large")));
        }
        let asked = self.session.s3().await.get_object().bucket(bucket).key(key).send().await;
        let object = asked.map_err(|error| unfetched(&place, trouble("S3 GetObject", error)))?;
        if object.content_length().and_then(|length| u64::try_from(length).ok()) != Some(*bytes) {
            return Err(Unfetched::Gone(format!("its content at {place} has not the {bytes} bytes it had")));
        }
        let read = object.body.collect().await;
        let read = read.map_err(|error| Unfetched::Later(Fault::new(name::NO_ANSWER, error.to_string())))?;
        serde_json::from_slice(&read.into_bytes())
            .map_err(|error| Unfetched::Gone(short(format!("its content at {place} is no JSON: {error}"))))
    }
}

#[async_trait]
impl Queue for Sqs {
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError> {
        let url = self.url().await?;
        let client = self.client().await;
        let most = i32::try_from(receive.max.clamp(1, BATCH_MAX)).unwrap_or(1);
        let request = client
            .receive_message()
            .queue_url(&*url)
            .max_number_of_messages(most)
            // Without any wait SQS asks only some of its servers, and may miss what is there.
            .wait_time_seconds(seconds(receive.wait.clamp(Duration::from_secs(1), WAIT_MAX)))
            .visibility_timeout(seconds(receive.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let (heard, hearing) = oneshot::channel();
        let (client, url) = (client.clone(), Arc::clone(&url));
        let receiving = Arc::clone(&self.receiving).read_owned().await;
        let unheard = Arc::clone(&self.unheard);
        // SQS does not notice when nobody waits any more, and hides what it then gives away.
        tokio::spawn(async move {
            let _receiving = receiving;
            let answer = request.send().await;
            let messages = answer.as_ref().map(|answer| answer.messages().to_vec()).unwrap_or_default();
            let (taken, taking) = oneshot::channel();
            // An answer that finds nobody, and one that nobody fetches, takes the other end along.
            drop(heard.send((answer, taken)));
            if taking.await.is_err()
                && let Some(unwanted) = keep(&unheard, messages)
            {
                show_again(&client, &url, unwanted).await;
            }
        });
        let defect = |_| QueueError::Away(Fault::new(name::DEFECT, "a receive ended without an answer"));
        let (answer, taken) = hearing.await.map_err(defect)?;
        // Whoever hears it holds the messages in the same breath.
        let _ = taken.send(());
        let answer = answer.map_err(|error| self.away("ReceiveMessage", error))?;
        Ok(self.sort(answer.messages.unwrap_or_default(), receive).await)
    }

    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        self.change(super::batch::Change::Delete, tickets).await
    }

    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError> {
        // Where no policy takes a message away, it would only come again at once, for ever.
        if visibility.is_zero() && self.policy().await?.dead_letters.is_none() {
            return Ok(());
        }
        self.change(super::batch::Change::Hide(seconds(visibility)), tickets).await
    }

    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        self.empty_dead_letters(receive).await
    }

    async fn last(&self, receive: &Receive) -> Received {
        // Shown again instead, each would cost a receive, and soon be a dead letter.
        *self.unheard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        drop(self.receiving.write().await);
        let unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.sort(unheard.unwrap_or_default(), receive).await
    }
}

/// Keeps messages for somebody who asks for what nobody waited for; returns them when nobody does.
fn keep(unheard: &Mutex<Option<Vec<Message>>>, messages: Vec<Message>) -> Option<Vec<Message>> {
    match unheard.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        Some(kept) => {
            kept.extend(messages);
            None
        }
        None => Some(messages),
    }
}

/// What a refusal means for the message. A redrive mends nothing of what is not there; any other may
/// be mended, a missing permission for one.
fn unfetched(place: &str, trouble: Trouble) -> Unfetched {
    if ["NoSuchKey", "NoSuchBucket"].contains(&trouble.code()) {
        let why = trouble.fault().message;
        return Unfetched::Gone(short(format!("its content at {place} cannot be read: {why}")));
    }
    Unfetched::Later(trouble.fault())
}

/// Lets others have messages that nobody waited for any more. If that fails they show later.
async fn show_again(client: &Client, url: &str, messages: Vec<Message>) {
    let entries = messages.into_iter().enumerate().filter_map(|(at, message)| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
        entry.receipt_handle(message.receipt_handle?).visibility_timeout(0).build().ok()
    });
    let entries: Vec<_> = entries.collect();
    if !entries.is_empty() {
        let request = client.change_message_visibility_batch().queue_url(url).set_entries(Some(entries));
        drop(request.send().await);
    }
}

/// How often a message was received, this time included.
fn receives(message: &Message) -> u32 {
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    let said = message.attributes.as_ref().and_then(|all| all.get(&count));
    said.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Whole seconds, rounded up: SQS knows no other.
pub(super) fn seconds(duration: Duration) -> i32 {
    let bounded = duration.min(HIDDEN_MAX);
    let whole = bounded.as_secs() + u64::from(bounded.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

/// Whether the queue is not there. The name of the error is another in the older protocol.
fn is_no_queue(trouble: &Trouble) -> bool {
    ["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"].contains(&trouble.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::retry::Again;

    #[test]
    fn only_content_that_is_not_there_is_gone() {
        let is_gone = |code: &str, again| {
            let fault = Fault::new(name::STATUS, format!("S3 GetObject: {code}"));
            let refused = Trouble::Refused { code: code.to_owned(), fault, again };
            matches!(unfetched("s3://b/k", refused), Unfetched::Gone(_))
        };
        for code in ["NoSuchKey", "NoSuchBucket"] {
            assert!(is_gone(code, Again::Never), "{code}");
        }
        for code in ["AccessDenied", "InvalidAccessKeyId", "InvalidObjectState", "PermanentRedirect", ""] {
            assert!(!is_gone(code, Again::Never), "{code}");
        }
        assert!(!is_gone("SlowDown", Again::Later));
    }
}
