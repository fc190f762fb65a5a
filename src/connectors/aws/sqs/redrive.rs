//! Emptying the dead-letter queue back into the queue.
//!
//! All of it is moved by SQS itself (StartMessageMoveTask), which goes on with that by itself. Where
//! that operation is absent, and for the messages of some items only, each message is received, sent
//! to the queue and deleted, in this order: a message may then be in both for a moment, and what comes
//! twice is harmless.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, SendMessageBatchRequestEntry};

use super::super::trouble::trouble;
use super::batch::Change;
use super::message::parse;
use super::queue::{BATCH_MAX, Sqs, seconds};
use crate::core::fault::{Fault, name};
use crate::core::queue::{Only, Receive, Ticket};
use crate::ports::QueueError;

/// How long messages of the dead-letter queue stay hidden while it is looked through.
const HIDDEN: Duration = Duration::from_mins(2);
/// Most bytes of one batch of sent messages: below what SQS takes in every region.
const BATCH_BYTES_MAX: usize = 240 * 1024;
/// What services that do not have an operation say of it.
const ABSENT: &[&str] = &[
    "AWS.SimpleQueueService.UnsupportedOperation",
    "InternalFailure",
    "InvalidAction",
    "NotImplemented",
    "UnknownOperation",
    "UnknownOperationException",
    "UnsupportedOperation",
];

/// What was looked through.
#[derive(Default)]
struct Looked {
    seen: BTreeSet<String>,
    left: Vec<Ticket>,
    /// The items, or events, whose messages were found.
    found: BTreeSet<u128>,
    moved: u64,
}

impl Sqs {
    /// Puts the messages back that `receive` names by run and items; all, if it names no items.
    pub(super) async fn empty_dead_letters(&self, receive: &Receive) -> Result<Option<u64>, QueueError> {
        let Some(arn) = self.policy().await?.dead_letters.clone() else { return Ok(Some(0)) };
        if receive.only == Only::All && self.start_moving(&arn).await? {
            return Ok(None);
        }
        self.move_by_hand(&arn, receive).await.map(Some)
    }

    /// Lets SQS move all of it; `false` when it cannot.
    async fn start_moving(&self, arn: &str) -> Result<bool, QueueError> {
        let asked = self.client().await.start_message_move_task().source_arn(arn).send().await;
        match asked.map_err(|error| trouble("SQS StartMessageMoveTask", error)) {
            Ok(_) => Ok(true),
            Err(trouble) if ABSENT.contains(&trouble.code()) => Ok(false),
            Err(trouble) => Err(QueueError::Away(trouble.fault())),
        }
    }

    async fn move_by_hand(&self, arn: &str, receive: &Receive) -> Result<u64, QueueError> {
        let (client, to) = (self.client().await, self.url().await?);
        let dead = self.beside(name_in(arn)?);
        let from = dead.url().await?;
        let mut looked = Looked::default();
        let wanted = receive.only.count();
        while wanted.is_none_or(|wanted| (looked.found.len() as u64) < wanted) {
            let asked = client
                .receive_message()
                .queue_url(&*from)
                .max_number_of_messages(i32::try_from(BATCH_MAX).unwrap_or(1))
                .wait_time_seconds(1)
                .visibility_timeout(seconds(HIDDEN))
                .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
                .send()
                .await;
            let answer = asked.map_err(|error| dead.away("ReceiveMessage", error))?;
            let (chosen, is_round) = looked.sort(answer.messages.unwrap_or_default(), receive);
            for batch in in_batches(chosen) {
                let handles = self.send(client, &to, &batch).await?;
                looked.moved += handles.len() as u64;
                dead.change(Change::Delete, handles).await?;
            }
            if is_round {
                break;
            }
        }
        dead.change(Change::Hide(0), looked.left).await?;
        Ok(looked.moved)
    }

    /// Sends messages again. Returns the handles of those that were taken.
    async fn send(&self, client: &Client, to: &str, batch: &[Message]) -> Result<Vec<Ticket>, QueueError> {
        let entries = batch.iter().enumerate().filter_map(|(at, message)| {
            let group = MessageSystemAttributeName::MessageGroupId;
            let group = message.attributes.as_ref().and_then(|all| all.get(&group)).cloned();
            SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(message.body.clone().unwrap_or_default())
                // Only a queue that keeps an order has groups, and wants to know what is the same.
                .set_message_deduplication_id(group.as_ref().and(message.message_id.clone()))
                .set_message_group_id(group)
                .build()
                .ok()
        });
        let request = client.send_message_batch().queue_url(to).set_entries(Some(entries.collect()));
        let answer = request.send().await.map_err(|error| self.away("SendMessageBatch", error))?;
        if let Some(failed) = answer.failed.first() {
            let why = failed.message().unwrap_or_default();
            tracing::warn!(messages = answer.failed.len(), "left in the dead-letter queue: {why}");
        }
        let sent = answer.successful.iter().filter_map(|entry| batch.get(entry.id().parse::<usize>().ok()?));
        Ok(sent.filter_map(ticket).collect())
    }
}

impl Looked {
    /// The messages to move, and whether everything was seen.
    fn sort(&mut self, received: Vec<Message>, receive: &Receive) -> (Vec<Message>, bool) {
        let mut is_round = received.is_empty();
        let mut chosen = Vec::new();
        for message in received {
            is_round |= !self.seen.insert(message.message_id.clone().unwrap_or_default());
            let parsed = parse(&receive.queue, message.body.as_deref().unwrap_or_default());
            let known = parsed.ok().map(|parsed| parsed.message);
            let found = match (&receive.only, known) {
                (Only::All, _) => Some(None),
                (Only::Items(items), Some(known)) if known.run == receive.run => {
                    known.item.filter(|item| items.contains(*item)).map(|item| Some(u128::from(item)))
                }
                (Only::Events(events), Some(known)) => {
                    Some(known.event_id).filter(|event| events.contains(event)).map(Some)
                }
                (Only::Items(_) | Only::Events(_), _) => None,
            };
            if let Some(found) = found {
                self.found.extend(found);
                chosen.push(message);
            } else {
                self.left.extend(ticket(&message));
            }
        }
        (chosen, is_round)
    }
}

fn ticket(message: &Message) -> Option<Ticket> {
    message.receipt_handle.as_deref().map(|handle| Ticket::Given(handle.into()))
}

fn in_batches(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut batches: Vec<(usize, Vec<Message>)> = Vec::new();
    for message in messages {
        let bytes = message.body.as_ref().map_or(0, String::len);
        match batches.last_mut().filter(|(size, _)| size + bytes <= BATCH_BYTES_MAX) {
            Some((size, batch)) => {
                *size += bytes;
                batch.push(message);
            }
            None => batches.push((bytes, vec![message])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// The name of the queue that an ARN names.
fn name_in(arn: &str) -> Result<&str, QueueError> {
    let broken = || QueueError::Away(Fault::new(name::REFUSED, format!("'{arn}' names no queue")));
    arn.rsplit(':').next().filter(|name| !name.is_empty()).ok_or_else(broken)
}
