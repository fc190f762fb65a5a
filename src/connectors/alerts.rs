//! Common ground of those who carry alerts: what a courier is made from, and what it carries.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::core::alert::Alert;
use crate::core::time::Timestamp;
use crate::ports::{Clock, OwnQueue};

/// Longest time of one attempt (Standard Webhooks, section "Deliverability and reliability": 15 to 30 seconds).
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// What a courier is made from.
pub struct Errand<'a> {
    /// The kind of the connection.
    pub kind: &'a str,
    /// The connection's fields with `${env:NAME}` replaced.
    pub settings: &'a Map<String, Value>,
    /// The embedded queue.
    pub queue: Arc<dyn OwnQueue>,
    /// The engine's time.
    pub clock: Arc<dyn Clock>,
}

/// What is sent of an alert, whoever carries it.
pub(crate) fn body(alert: &Alert) -> Value {
    alert.body(written)
}

/// An instant as RFC 3339 writes it.
pub(crate) fn written(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map(|at| at.to_string()).unwrap_or_default()
}
