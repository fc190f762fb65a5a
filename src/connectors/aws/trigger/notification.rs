//! What S3 says of its objects, in the three forms that reach a queue.
//!
//! - From S3 itself: `Records`, several in one message at times, with keys encoded as in a form
//!   (`+` is a space). Setting a notification up sends one `s3:TestEvent`.
//! - From EventBridge: one event, `source` `aws.s3`, with the key as it is.
//! - Either of them through SNS, as a text in `Message`.
//!
//! Forms from the S3 User Guide ("Event message structure", "EventBridge event message structure").
//! LocalStack 2026.3.0 writes `%20` for a space, which a form may have as well; and it encodes keys
//! towards EventBridge, too, where AWS does not: there AWS is followed, so that no key is misread.

use serde::Deserialize;
use serde_json::Value;

use super::super::s3::address::Address;
use crate::core::escape;
use crate::core::time::Timestamp;

/// An object as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// Names exactly this version, where the bucket keeps versions.
    pub(super) address: Address,
    pub(super) etag: Option<String>,
    /// A hexadecimal number that grows with each write to this key.
    pub(super) sequencer: Option<String>,
    /// When it was written.
    pub(super) at: Timestamp,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// What was written.
    pub(super) created: Vec<Object>,
    /// What else happened.
    pub(super) passed_over: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    event_time: String,
    s3: Subject,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: String,
    detail: Subject,
}

#[derive(Deserialize)]
struct Subject {
    bucket: Bucket,
    object: Written,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Written {
    key: String,
    #[serde(alias = "versionId", rename = "version-id")]
    version: Option<String>,
    #[serde(alias = "eTag")]
    etag: Option<String>,
    sequencer: Option<String>,
}

/// Reads the body of a message.
///
/// # Errors
/// Why it says nothing of S3.
pub(super) fn read(body: &str) -> Result<Told, String> {
    let value: Value = serde_json::from_str(body).map_err(|error| format!("it is no JSON: {error}"))?;
    if value["Type"] == "Notification"
        && let Some(inner) = value["Message"].as_str()
    {
        let inner: Value =
            serde_json::from_str(inner).map_err(|error| format!("its 'Message' is no JSON: {error}"))?;
        return of_message(inner);
    }
    of_message(value)
}

fn of_message(mut value: Value) -> Result<Told, String> {
    if value["Event"] == "s3:TestEvent" {
        let passed_over = vec!["s3:TestEvent: notifications were set up".to_owned()];
        return Ok(Told { passed_over, ..Told::default() });
    }
    if value["source"] == "aws.s3" {
        let event: Event = parsed(value)?;
        return of_event(event);
    }
    if !value["Records"].is_array() {
        return Err("it is neither a notification of S3 nor its event from EventBridge".to_owned());
    }
    let records: Vec<Record> = parsed(value["Records"].take())?;
    let mut told = Told::default();
    for record in records {
        let mut subject = record.s3;
        subject.object.key = decoded(&subject.object.key)?;
        if record.event_name.starts_with("ObjectCreated:") {
            told.created.push(object(subject, &record.event_time)?);
        } else {
            told.passed_over.push(format!("{}: {}", record.event_name, subject.place()));
        }
    }
    Ok(told)
}

fn of_event(event: Event) -> Result<Told, String> {
    if event.detail_type == "Object Created" {
        let created = vec![object(event.detail, &event.time)?];
        return Ok(Told { created, ..Told::default() });
    }
    let passed_over = vec![format!("{}: {}", event.detail_type, event.detail.place())];
    Ok(Told { passed_over, ..Told::default() })
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("it is not what S3 sends: {error}"))
}

impl Subject {
    fn place(&self) -> Address {
        Address { bucket: self.bucket.name.clone(), key: self.object.key.clone(), version: None }
    }
}

fn object(subject: Subject, time: &str) -> Result<Object, String> {
    let at: jiff::Timestamp = time.parse().map_err(|_| format!("'{time}' is no time"))?;
    let Written { key, version, etag, sequencer } = subject.object;
    let bucket = subject.bucket.name;
    if bucket.is_empty() || key.is_empty() {
        return Err("it names no object".to_owned());
    }
    // A bucket whose versions are suspended says `null`, and every write replaces that one.
    let version = version.filter(|version| !version.is_empty() && version != "null");
    if version.is_none() && etag.is_none() && sequencer.is_none() {
        return Err("neither version, ETag nor sequencer say what was written".to_owned());
    }
    let at = Timestamp(u64::try_from(at.as_millisecond()).unwrap_or(0));
    Ok(Object { address: Address { bucket, key, version }, etag, sequencer, at })
}

/// A key encoded as in a form: `+` is a space, `%2B` a plus.
fn decoded(key: &str) -> Result<String, String> {
    escape::decoded(&key.replace('+', " ")).ok_or_else(|| format!("the key '{key}' is encoded wrongly"))
}
