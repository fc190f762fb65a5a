//! Identities. A run ID stands alone: no other name is ever needed beside it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`, so an ID survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 characters of five bits hold 128 bits.
const TEXT_LENGTH: usize = 26;
const PREFIX: &str = "run_";

/// Names one run: `run_` and 128 bits that begin with the time of the start (UUIDv7), so that
/// IDs sort by age both as bytes and as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u128);

impl RunId {
    /// Digits of an ID as text, behind its `run_`.
    pub const DIGITS: usize = TEXT_LENGTH;
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for position in (0..TEXT_LENGTH).rev() {
            let digit = (self.0 >> (position * 5)) & 31;
            write!(f, "{}", char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a run ID.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a run ID: expected 'run_' and 26 characters of 0-9 a-z without i, l, o, u")]
pub struct NotARunId(String);

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotARunId(text.to_owned());
        let digits = text.strip_prefix(PREFIX).ok_or_else(wrong)?;
        if digits.len() != TEXT_LENGTH {
            return Err(wrong());
        }
        digits
            .bytes()
            .try_fold(0u128, |value, byte| {
                let digit = ALPHABET.iter().position(|known| *known == byte).ok_or_else(wrong)?;
                if value >> (128 - 5) != 0 {
                    return Err(wrong());
                }
                Ok(value << 5 | digit as u128)
            })
            .map(RunId)
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(RunId)
        }
    }
}

/// What flows through a track of the plan: the run itself, one of its items, or one failed closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// The run as a whole, for run steps.
    Run,
    /// The failed closing with this number (from 1), for the steps of `on_failure`.
    Closing(u32),
    /// The item at this position of the pinned source, from 0.
    Item(u64),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Closing(number) => write!(f, "closing {number}"),
            Self::Item(position) => write!(f, "item {position}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_survive_text_and_sort_like_their_bytes() {
        for value in [0, 1, 31, 32, u128::MAX, 0x0199_aabb_ccdd_7eef_8000_0000_0000_0001] {
            assert_eq!(RunId(value).to_string().parse(), Ok(RunId(value)));
        }
        assert!(RunId(7).to_string() < RunId(1 << 90).to_string());
    }

    #[test]
    fn a_damaged_run_id_is_refused() {
        for text in [
            "",
            "run_",
            "7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "run_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "run_0000000000000000000000000l",
        ] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
