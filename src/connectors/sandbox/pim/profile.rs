//! Which Data Hub the PIM stand-in plays.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A version of Data Hub, as far as its differences reach a client. What lies between the two is a
/// mixture of them: from 2.0 times are texts, and only from 2026.2 can an update publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PimProfile {
    /// Data Hub 1.8 (Pimcore 11): times are numbers; `update…` has neither `published` nor `key`.
    #[default]
    #[serde(rename = "1.8")]
    V1_8,
    /// Data Hub 2026.2: times are texts; `update…` takes `published` and `key`.
    #[serde(rename = "2026.2")]
    V2026_2,
}

impl PimProfile {
    /// Its name in commands: `1.8` or `2026.2`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "1.8" => Some(Self::V1_8),
            "2026.2" => Some(Self::V2026_2),
            _ => None,
        }
    }

    /// A time as answers have it.
    pub(super) fn time(self, seconds: u64) -> Value {
        match self {
            Self::V1_8 => Value::from(seconds),
            Self::V2026_2 => Value::from(iso(seconds)),
        }
    }
}

/// Seconds since 1970 as a text.
pub(super) fn iso(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
