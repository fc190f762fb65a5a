//! The index of a pinned source: one entry of fixed size per record, so that the record at a
//! position is one read away.

use sha2::{Digest, Sha256};

use crate::core::digest;

/// Bytes of an entry: offset 8, length 4, flags 4, key hash 8, each little-endian.
pub(super) const ENTRY_BYTES: usize = 24;

/// The record breaks the schema, has no key, or is no JSON.
const INVALID: u32 = 1;
/// Its key or another unique value occurred before.
const DUPLICATE: u32 = 2;
/// The upper half of the flags is the length of a note that follows the record.
const NOTE_SHIFT: u32 = 16;

/// What became of a record at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Valid,
    Invalid,
    Duplicate,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where the record begins in the pinned records.
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) state: State,
    /// Bytes of the note after the record.
    pub(super) note: u16,
    /// The hash of the item key; zero without a key.
    pub(super) key: u64,
}

impl Entry {
    /// As it is stored.
    pub(super) fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let state = match self.state {
            State::Valid => 0,
            State::Invalid => INVALID,
            State::Duplicate => DUPLICATE,
        };
        let flags = state | u32::from(self.note) << NOTE_SHIFT;
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..].copy_from_slice(&self.key.to_le_bytes());
        bytes
    }

    /// From what is stored.
    pub(super) fn from_bytes(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let long = |from: usize| {
            bytes[from..from + 8].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let short = |from: usize| {
            bytes[from..from + 4].iter().rev().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte))
        };
        let flags = short(12);
        let state = match flags & (INVALID | DUPLICATE) {
            0 => State::Valid,
            DUPLICATE => State::Duplicate,
            _ => State::Invalid,
        };
        let note = u16::try_from(flags >> NOTE_SHIFT).unwrap_or(u16::MAX);
        Self { offset: long(0), length: short(8), state, note, key: long(16) }
    }
}

/// A hash of a unique value. 128 bits of SHA-256: nobody can make two alike on purpose, and a
/// false duplicate would cost a good product.
pub(super) type Claim = u128;

/// The hash of a value of a field.
pub(super) fn claim(field: &str, value: &str) -> Claim {
    let mut hash = Sha256::new();
    hash.update(field.as_bytes());
    hash.update([0]);
    hash.update(value.as_bytes());
    digest::half(hash)
}

/// The hash of an item key as entries have it: never zero.
pub(super) fn key_hash(key: &str) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "half of the hash is wanted")]
    let half = claim("", key) as u64;
    half.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_index_names_keys_as_ever() {
        assert_eq!(claim("sku", "SKU-1"), 0xbc96_e1db_1fe9_9010_35f6_6aac_24eb_86a4);
        assert_eq!(key_hash("SKU-1"), 0xdeaa_f198_a77c_f093);
    }

    #[test]
    fn entries_survive_their_bytes() {
        for state in [State::Valid, State::Invalid, State::Duplicate] {
            let entry = Entry { offset: 1 << 41, length: 16_777_216, state, note: 65_535, key: u64::MAX - 1 };
            assert_eq!(Entry::from_bytes(&entry.to_bytes()), entry);
        }
    }
}
