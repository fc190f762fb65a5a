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
/// object, which is written `INSTANT/SEQUENCER@OBJECT`, or `INSTANT^LATEST/SEQUENCER@OBJECT` when it
/// follows one that was written at a later instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version(pub String);

/// A version with a sequencer: a scale of its own for each object.
#[derive(Clone, Copy)]
struct Sequenced<'a> {
    /// When it was written, in milliseconds.
    at: u64,
    /// The latest instant of it and of those that it followed.
    latest: u64,
    /// Hexadecimal digits, with the zeros in front.
    sequencer: &'a str,
    /// The digest of the object.
    scale: &'a str,
}

/// Where a version is among those of other scales: numbers first, then texts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    /// At one instant a bare number comes first; its scale is empty.
    Number(Decimal, &'a str),
    Text(&'a [u8]),
}

impl Version {
    /// The version of what was written to an object at an instant. `sequencer` is hexadecimal and
    /// grows with each write to this object, as S3 tells it; when it is none, the instant alone counts.
    pub fn of_object(at: Timestamp, object: &str, sequencer: Option<&str>) -> Self {
        let sequencer = sequencer.filter(|text| is_hex(text));
        let Some(sequencer) = sequencer else { return Self(at.0.to_string()) };
        let digest = hex(&Sha256::digest(object));
        Self(format!("{}/{}@{}", at.0, sequencer.to_ascii_uppercase(), &digest[..SCALE_DIGITS]))
    }

    /// Two of one object by their sequencers, and by their instants where those say nothing. Two
    /// numbers by value, however they are written; the instant of a sequenced version is such a
    /// number, because a sequencer says nothing about another object, and nothing about a run that
    /// was started by hand. At one instant the bare number is the older, and of two objects always
    /// the same one. Texts byte by byte. Every text is newer than every number: whoever begins to
    /// declare versions as texts had the starts of runs until then, which are numbers; the other way
    /// round new content counts once the key is forgotten.
    ///
    /// One order of all versions, as long as no later write to an object has an earlier instant.
    /// [`Version::after`] keeps what a key remembers in order when one has.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.sequenced(), other.sequenced()) {
            (Some(one), Some(another)) if one.scale == another.scale => {
                by_sequencer(one.sequencer, another.sequencer).then(one.at.cmp(&another.at))
            }
            _ => self.place().cmp(&other.place()),
        }
    }

    /// This version as one that was applied after `before`: what was older than that stays older.
    #[must_use]
    pub fn after(&self, before: &Self) -> Self {
        match (self.sequenced(), before.sequenced()) {
            (Some(one), Some(before)) if one.scale == before.scale && one.latest < before.latest => {
                Self(format!("{}^{}/{}@{}", one.at, before.latest, one.sequencer, one.scale))
            }
            _ => self.clone(),
        }
    }

    fn sequenced(&self) -> Option<Sequenced<'_>> {
        let (instants, rest) = self.0.split_once('/')?;
        let (sequencer, scale) = rest.split_once('@')?;
        let (at, latest) = instants.split_once('^').unwrap_or((instants, instants));
        let known = is_hex(sequencer) && is_hex(scale) && scale.len() == SCALE_DIGITS;
        known.then_some(Sequenced { at: instant(at)?, latest: instant(latest)?, sequencer, scale })
    }

    fn place(&self) -> Place<'_> {
        match (self.sequenced(), number(&self.0)) {
            (Some(known), _) => Place::Number(known.latest.into(), known.scale),
            (None, Some(number)) => Place::Number(number, ""),
            (None, None) => Place::Text(self.0.as_bytes()),
        }
    }
}

/// As the guide of S3 says it of the sequencers in its event messages ("Event message structure"):
/// the shorter one is filled up with zeros on the right, then they are compared as texts.
fn by_sequencer(one: &str, another: &str) -> Ordering {
    let length = one.len().max(another.len());
    format!("{one:0<length$}").cmp(&format!("{another:0<length$}"))
}

fn instant(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
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
