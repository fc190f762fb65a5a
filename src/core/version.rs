//! How new content is (rule R6), and which of two is newer.

use std::cmp::Ordering;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::digest::hex;
use super::time::Timestamp;

/// Digits of a digest that tell two objects apart: a row of keys is small, and there is one per
/// product.
const SCALE_DIGITS: usize = 16;

/// How new content is: a number or a text as it was written, or a place in the sequence of an
/// object, which is written `INSTANT/SEQUENCER@OBJECT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version(pub String);

/// A version with a sequencer: a scale of its own for each object.
struct Sequenced<'a> {
    /// When it was written, in milliseconds.
    at: &'a str,
    /// A hexadecimal number without zeros in front.
    sequencer: &'a str,
    /// The digest of the object.
    scale: &'a str,
}

impl Version {
    /// The version of what was written to an object at an instant. `sequencer` is a hexadecimal
    /// number that grows with each write to this object; when it is none, the instant alone counts.
    pub fn of_object(at: Timestamp, object: &str, sequencer: Option<&str>) -> Self {
        let sequencer = sequencer.filter(|text| is_hex(text));
        let Some(sequencer) = sequencer else { return Self(at.0.to_string()) };
        let digits = sequencer.trim_start_matches('0').to_ascii_uppercase();
        let digits = if digits.is_empty() { "0" } else { &digits };
        let digest = hex(&Sha256::digest(object));
        Self(format!("{}/{digits}@{}", at.0, &digest[..SCALE_DIGITS]))
    }

    /// Two of one object by their sequencers, and by their instants where those say nothing. Two
    /// numbers by value, however they are written; the instant of a sequenced version is such a
    /// number, because a sequencer says nothing about another object, and nothing about a run that
    /// was started by hand. Anything else byte by byte.
    pub fn compare(&self, other: &Self) -> Ordering {
        let (one, another) = (self.sequenced(), other.sequenced());
        let of_sequence = match (&one, &another) {
            (Some(one), Some(another)) if one.scale == another.scale => by_length(one, another),
            _ => Ordering::Equal,
        };
        let plain = |known: Option<Sequenced<'_>>, text: &str| number(known.map_or(text, |known| known.at));
        of_sequence.then_with(|| match (plain(one, &self.0), plain(another, &other.0)) {
            (Some(one), Some(another)) => one.cmp(&another),
            _ => self.0.as_bytes().cmp(other.0.as_bytes()),
        })
    }

    fn sequenced(&self) -> Option<Sequenced<'_>> {
        let (at, rest) = self.0.split_once('/')?;
        let (sequencer, scale) = rest.split_once('@')?;
        let known = is_hex(sequencer) && is_hex(scale) && scale.len() == SCALE_DIGITS;
        (known && at.bytes().all(|byte| byte.is_ascii_digit())).then_some(Sequenced { at, sequencer, scale })
    }
}

/// The longer one is the larger number: there are no zeros in front.
fn by_length(one: &Sequenced<'_>, another: &Sequenced<'_>) -> Ordering {
    let lengths = one.sequencer.len().cmp(&another.sequencer.len());
    lengths.then_with(|| one.sequencer.cmp(another.sequencer))
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A decimal number; numbers over 2^53 reach us as text (rule R12).
fn number(text: &str) -> Option<Decimal> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if !plain || text.is_empty() {
        return None;
    }
    Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).ok()
}
