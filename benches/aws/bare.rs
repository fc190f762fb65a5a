//! The bare loop over the SDK.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Case;
use crate::site::{DETAIL_TYPE, POLLERS, SOURCE, Site};

/// Entries of a call, and messages of a receive; neither service takes more.
const ENTRIES: usize = 10;
/// Calls in flight: four batches of 25, in calls of 10.
const IN_FLIGHT: usize = 12;

/// One turn, from the first call to the last answer.
pub(crate) async fn run(site: &Site, case: Case, products: &[Value]) -> anyhow::Result<Duration> {
    let entries: Vec<PutEventsRequestEntry> =
        products.iter().enumerate().map(|(at, product)| entry(site, at, product)).collect();
    let begun = Instant::now();
    let consuming = match case {
        Case::Publish => None,
        Case::PublishAndConsume => Some(consume(site, products.len())),
    };
    publish(site, entries).await?;
    if let Some(mut pollers) = consuming {
        while let Some(ended) = pollers.join_next().await {
            ended??;
        }
    }
    Ok(begun.elapsed())
}

/// What the engine sends, as far as the server can tell.
fn entry(site: &Site, at: usize, product: &Value) -> PutEventsRequestEntry {
    let references = json!({
        "run": "run_01999999-9999-7999-8999-999999999999",
        "item": at,
        "event_id": "00000000-0000-0000-0000-000000000000",
        "digest": "0".repeat(64),
        "version": "1763820000000",
    });
    PutEventsRequestEntry::builder()
        .event_bus_name(site.name())
        .source(SOURCE)
        .detail_type(DETAIL_TYPE)
        .detail(json!({ "milepost": references, "data": product }).to_string())
        .build()
}

async fn publish(site: &Site, entries: Vec<PutEventsRequestEntry>) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut calls = JoinSet::new();
    for chunk in entries.chunks(ENTRIES) {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let call = site.events.put_events().set_entries(Some(chunk.to_vec()));
        calls.spawn(async move {
            let answer = call.send().await?;
            drop(slot);
            ensure!(answer.failed_entry_count() == 0, "{} entries failed", answer.failed_entry_count());
            Ok(())
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended??;
    }
    Ok(())
}

/// Pollers that receive and delete until there were so many messages.
fn consume(site: &Site, messages: usize) -> JoinSet<anyhow::Result<()>> {
    let left = Arc::new(AtomicUsize::new(messages));
    let mut pollers = JoinSet::new();
    for _ in 0..POLLERS {
        let (queue, url, left) = (site.queue.clone(), site.queue_url.clone(), Arc::clone(&left));
        pollers.spawn(async move {
            while left.load(Ordering::Relaxed) > 0 {
                let got =
                    queue.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
                let got = got.send().await?.messages.unwrap_or_default();
                if got.is_empty() {
                    continue;
                }
                let entries = got.iter().enumerate().map(|(at, message)| {
                    let handle = message.receipt_handle().context("a message without a handle")?;
                    Ok(DeleteMessageBatchRequestEntry::builder()
                        .id(at.to_string())
                        .receipt_handle(handle)
                        .build()?)
                });
                let entries = entries.collect::<anyhow::Result<Vec<_>>>()?;
                queue.delete_message_batch().queue_url(&url).set_entries(Some(entries)).send().await?;
                left.fetch_sub(got.len(), Ordering::Relaxed);
            }
            Ok(())
        });
    }
    pollers
}
