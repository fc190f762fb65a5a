//! What a message of SQS says: our envelope inside EventBridge's event, or by itself when it was sent
//! straight to the queue.

use serde_json::Value;

use super::super::envelope::{Envelope, Reference};
use crate::core::change::Message;

/// A message of ours.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    /// What it is about.
    pub(super) message: Message,
    /// How new the content is.
    pub(super) version: String,
    /// The content, where it travels.
    pub(super) data: Option<Value>,
    /// Where the content is, when it was too large.
    pub(super) data_ref: Option<Reference>,
}

/// Longest reason, in characters: what is wrong with a message is short, what it says may be long.
const REASON_MAX: usize = 300;

/// Reads the body of a message from `queue`.
///
/// # Errors
/// Why it is no message of ours, in words for people.
pub(super) fn parse(queue: &str, body: &str) -> Result<Parsed, String> {
    if body.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let body: Value = serde_json::from_str(body).map_err(|error| short(format!("it is no JSON: {error}")))?;
    let Value::Object(mut body) = body else { return Err("it is no JSON object".to_owned()) };
    if body.get("Event").is_some_and(|event| event == "s3:TestEvent") {
        return Err("it is the test event of an S3 notification".to_owned());
    }
    if body.contains_key("Records") {
        return Err("it is a notification of another service, no event of ours".to_owned());
    }
    let (detail_type, detail) = match (body.remove("detail-type"), body.remove("detail")) {
        (Some(Value::String(detail_type)), Some(detail)) => (detail_type, detail),
        (None, None) => (String::new(), Value::Object(body)),
        _ => return Err("it is no whole event: 'detail-type' or 'detail' is missing or no text".to_owned()),
    };
    if detail.get("milepost").is_none() {
        let what = if detail_type.is_empty() { "a message".to_owned() } else { format!("'{detail_type}'") };
        return Err(short(format!("it is {what} without our envelope ('milepost' is missing)")));
    }
    let envelope: Envelope =
        serde_json::from_value(detail).map_err(|error| short(format!("its envelope is damaged: {error}")))?;
    let Envelope { milepost, data, data_ref } = envelope;
    if milepost.item.is_none() {
        return Err(short(format!("it is about {} as a whole, not about an item", milepost.run)));
    }
    let message = Message {
        queue: queue.to_owned(),
        run: milepost.run,
        item: milepost.item,
        event_id: milepost.event_id.as_u128(),
        detail_type,
        digest: milepost.digest,
    };
    Ok(Parsed { message, version: milepost.version, data, data_ref })
}

pub(super) fn short(reason: String) -> String {
    match reason.char_indices().nth(REASON_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    }
}
