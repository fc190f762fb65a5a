//! Signals as people and other programs send and see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::When;
use crate::core::signal::{KEEP_MAX, Kept, TEXT_BYTES_MAX};

/// [`KEEP_MAX`] in milliseconds.
const KEEP_MS_MAX: u64 = KEEP_MAX.as_secs() * 1_000;

/// A signal that is sent. Sending it again under the same ID is no mistake: it is the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// What happened. Like key and ID at most 512 bytes of UTF-8, which may be fewer letters.
    #[schemars(length(min = 1, max = TEXT_BYTES_MAX))]
    pub signal: String,
    /// What it is about.
    #[schemars(length(min = 1, max = TEXT_BYTES_MAX))]
    pub key: String,
    /// What the sender calls it.
    #[schemars(length(min = 1, max = TEXT_BYTES_MAX))]
    pub id: String,
    /// Only items of this workflow are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// How new what it tells of is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What else is said.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    /// How long it is kept for those who begin to wait later, in milliseconds; 14 days when nothing is
    /// said.
    #[schemars(range(max = KEEP_MS_MAX))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u64>,
    /// Who sends it. A token says this better, and is believed.
    #[serde(default)]
    pub by: String,
}

/// What came of it. It is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signalled {
    /// The signal.
    pub signal: String,
    /// Its key.
    pub key: String,
    /// Its ID.
    pub id: String,
    /// It had come before, and changed nothing now.
    pub known: bool,
    /// How many waiting items it has woken.
    pub woke: u64,
    /// How many wait for it, and have begun their own effect after it was true.
    pub too_old_for: u64,
    /// Kept until then.
    pub kept_until: When,
}

impl Signalled {
    /// The same in a sentence.
    pub fn message(&self) -> String {
        let (signal, key, until) = (&self.signal, &self.key, self.kept_until);
        let items = |count: u64| if count == 1 { "1 item".to_owned() } else { format!("{count} items") };
        match self {
            Self { known: true, woke, .. } => {
                format!("{signal} {key} came before under this ID; it woke {}", items(*woke))
            }
            Self { woke: 0, too_old_for: 0, .. } => {
                format!("nobody waits for {signal} {key}; it is kept until {until}")
            }
            Self { woke: 0, too_old_for, .. } => format!(
                "{} waits for {signal} {key}, for a newer one; it is kept until {until}",
                items(*too_old_for)
            ),
            Self { woke, .. } => format!("{signal} {key} woke {}; it is kept until {until}", items(*woke)),
        }
    }
}

/// A signal that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignalView {
    /// The signal.
    pub signal: String,
    /// Its key.
    pub key: String,
    /// Its ID.
    pub id: String,
    /// When it came.
    pub at: When,
    /// Which person sent it; `null`: a system, and the ID says which.
    #[serde(default)]
    pub by: Option<String>,
    /// Only items of this workflow are meant.
    pub workflow: Option<String>,
    /// How new what it tells of is.
    pub version: Option<String>,
    /// What else is said.
    pub payload: Value,
    /// How many waiting items it has woken.
    pub woke: u64,
    /// Kept until then.
    pub kept_until: When,
}

impl From<Kept> for SignalView {
    fn from(kept: Kept) -> Self {
        let Kept { signal, woke } = kept;
        Self {
            signal: signal.name,
            key: signal.key,
            id: signal.id,
            at: When(signal.at),
            by: signal.by,
            workflow: signal.workflow,
            version: signal.version,
            payload: signal.payload,
            woke,
            kept_until: When(signal.until),
        }
    }
}
