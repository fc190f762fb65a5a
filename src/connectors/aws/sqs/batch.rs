//! Changing many messages: ten at a time, with one verdict for each.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use tokio::task::JoinSet;

use super::queue::{BATCH_MAX, Sqs};
use crate::core::fault::{Fault, name};
use crate::core::queue::Ticket;
use crate::ports::QueueError;

/// Batches under way at once.
const AT_ONCE: usize = 8;
/// How often an entry is tried that failed by the fault of the service.
const TRIES: usize = 2;

/// What is done to messages.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// They are removed.
    Delete,
    /// They are hidden for so many seconds from now.
    Hide(i32),
}

impl Sqs {
    /// Changes messages. An entry that failed by the fault of the service is tried once more; one that
    /// is refused is gone, or shows again and is judged again then.
    pub(super) async fn change(&self, change: Change, tickets: Vec<Ticket>) -> Result<(), QueueError> {
        let mut handles: Vec<Arc<str>> = tickets
            .into_iter()
            .filter_map(|ticket| match ticket {
                Ticket::Given(handle) => Some(handle),
                Ticket::Own(_) => None,
            })
            .collect();
        // A batch with one message twice would be refused as a whole.
        let mut seen = BTreeSet::new();
        handles.retain(|handle| seen.insert(Arc::clone(handle)));
        let url = self.url().await?;
        let client = self.client().await.clone();
        for _ in 0..TRIES {
            if handles.is_empty() {
                break;
            }
            handles = self.one_round(change, &client, &url, handles).await?;
        }
        if !handles.is_empty() {
            tracing::warn!(messages = handles.len(), "SQS did not change messages; they show again");
        }
        Ok(())
    }

    /// Returns the entries that failed by the fault of the service.
    async fn one_round(
        &self,
        change: Change,
        client: &Client,
        url: &Arc<str>,
        handles: Vec<Arc<str>>,
    ) -> Result<Vec<Arc<str>>, QueueError> {
        let mut waiting = handles.chunks(BATCH_MAX).map(<[Arc<str>]>::to_vec);
        let mut under_way = JoinSet::new();
        let mut again = Vec::new();
        let mut first_error = Ok(());
        loop {
            while under_way.len() < AT_ONCE
                && let Some(batch) = waiting.next()
            {
                under_way.spawn(one_batch(change, client.clone(), Arc::clone(url), batch));
            }
            let Some(ended) = under_way.join_next().await else { break };
            match ended {
                Ok(Ok(failed)) => again.extend(failed),
                Ok(Err(error)) => first_error = first_error.and(Err(self.unchanged(error))),
                Err(defect) => {
                    let fault = Fault::new(name::DEFECT, defect.to_string());
                    first_error = first_error.and(Err(QueueError::Away(fault)));
                }
            }
        }
        first_error.map(|()| again)
    }

    fn unchanged(&self, error: Unchanged) -> QueueError {
        match error {
            Unchanged::Delete(error) => self.away("DeleteMessageBatch", *error),
            Unchanged::Hide(error) => self.away("ChangeMessageVisibilityBatch", *error),
        }
    }
}

type SdkError<E> = aws_smithy_runtime_api::client::result::SdkError<
    E,
    aws_smithy_runtime_api::client::orchestrator::HttpResponse,
>;

/// A batch without an answer.
enum Unchanged {
    Delete(Box<SdkError<aws_sdk_sqs::operation::delete_message_batch::DeleteMessageBatchError>>),
    Hide(
        Box<
            SdkError<
                aws_sdk_sqs::operation::change_message_visibility_batch::ChangeMessageVisibilityBatchError,
            >,
        >,
    ),
}

async fn one_batch(
    change: Change,
    client: Client,
    url: Arc<str>,
    handles: Vec<Arc<str>>,
) -> Result<Vec<Arc<str>>, Unchanged> {
    let numbered = handles.iter().enumerate();
    let failed = match change {
        Change::Delete => {
            let entries = numbered.filter_map(|(at, handle)| {
                let entry = DeleteMessageBatchRequestEntry::builder();
                entry.id(at.to_string()).receipt_handle(&**handle).build().ok()
            });
            let request = client.delete_message_batch().queue_url(&*url);
            let answer = request.set_entries(Some(entries.collect())).send().await;
            answer.map_err(|error| Unchanged::Delete(Box::new(error)))?.failed
        }
        Change::Hide(seconds) => {
            let entries = numbered.filter_map(|(at, handle)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().visibility_timeout(seconds);
                entry.id(at.to_string()).receipt_handle(&**handle).build().ok()
            });
            let request = client.change_message_visibility_batch().queue_url(&*url);
            let answer = request.set_entries(Some(entries.collect())).send().await;
            answer.map_err(|error| Unchanged::Hide(Box::new(error)))?.failed
        }
    };
    Ok(to_be_tried_again(&failed, &handles))
}

/// The entries that the service failed at. One that it refused is not in flight any more: its message
/// is gone, or was given to somebody else, or is hidden as long as SQS allows.
fn to_be_tried_again(failed: &[BatchResultErrorEntry], handles: &[Arc<str>]) -> Vec<Arc<str>> {
    let at = |entry: &BatchResultErrorEntry| entry.id().parse::<usize>().ok();
    failed
        .iter()
        .inspect(|entry| {
            tracing::debug!(code = entry.code(), "an entry failed: {}", entry.message().unwrap_or_default());
        })
        .filter(|entry| !entry.sender_fault())
        .filter_map(|entry| handles.get(at(entry)?).cloned())
        .collect()
}
