//! The format of every row: version, form, checksum, payload.
//!
//! ```text
//! row      = version(1 byte, now 1) form(1) crc32(4, little endian) payload
//! form     = 0: the payload follows | 1: the payload is a content-addressed file, its 32-byte
//!            SHA-256 follows (payloads over 4 KB)
//! crc32    = of key, version, form and what follows; a row that lies at a wrong key is damaged
//!
//! number   = seven bits per byte, lowest first          distance = number, zigzag of a difference
//! bytes    = number (length), bytes                      word     = number: 0 and bytes | place + 1
//!
//! key                                  payload
//! M                                    number: the format of the store as a whole, now 5
//! N                                    number: how many batches were written, this one included
//! R run(16)                            value: the run as JSON, packed (`pack.rs`)
//! V run number(8)                      value: an event as JSON, packed
//! P start-key                          value: what was started under the key as JSON, packed
//! W run                                number: every item before it is at rest
//! T run page(8)                        tally of items, 24 steps per page (postcard)
//! I run block(8)                       block: 16 items, a progress each
//! A run block(8)                       block: 16 items of an open run as they came in
//! B run position(8)                    the body of an item of an open run, as JSON
//! U run r|c closing(4) page(8)         block: 8 cells of the run or of a closing, each with calls;
//!                                      page 0 has a ninth slot: the number of cells
//! Q run block(8) queue                 block: 16 messages; run 0: a queue that all runs share
//! K half-of-sha256(16)                 key: what was applied last, who is at it
//! E topic(16) id(16)                   value: a signal that is kept as JSON, packed; both are halves of
//!                                      SHA-256, of name and key, and of the sender's ID
//! H topic(16) run(16) item(8) step(4)  value: who waits for a signal as JSON, packed
//! L trigger(16) subject(16)            value: what a trigger remembers as JSON, packed; both are halves of
//!                                      SHA-256
//! O run number(8)                      value: an alert to be delivered, or given up, as JSON, packed
//! S key-of-block slot(8)               block of one record that did not fit into its slot
//! G run                                nothing: the run's own row is gone, the others are going
//! D run position(8)                    value: a dead letter that outlives its run, as JSON, packed
//!
//! block    = number (base time) words slots
//! words    = number (count), bytes each: words that the records share
//! slots    = number (count), then each: 0 empty | 1 in a row of its own | length + 2, record
//! progress = number (count of cells), cells
//! cell     = [14] head(1: state in the low four bits, counters in two, facts, fault)
//!            distance (when, from the cell before), [distance (when its last attempt began, from when;
//!            after 14, format 4)], [distance (until, from when)],
//!            [attempts spent looks [doubts revision redone]], [number, (word value) each], [word bytes]
//!            counters: 0 none | 1 one attempt, spent | 2 the first three | 3 all six (format 2)
//! key      = words head(1: 1 applied, 2 held, 4 applied may be overwritten),
//!            [effect version number (when, in ms) number
//!            (kept for, in ms) number (facts), (word value) each], [effect number (until, in ms)]
//! effect   = owner(16) number (epoch) number (attempt) fingerprint(16)
//! entrant  = event(16) said(1: 1 key, 2 version, 4 fault), [text] [text] [word bytes]
//! version  = 0 number | 1 bytes
//! ```
//!
//! Format 2 added the fourth form of counters and the rows of keys; a store of format 1 is read as
//! it is and is called format 2 from then on, so that an older milepost refuses it instead of
//! misreading a cell or overlooking a key. Format 3 added the rows of open runs, and messages that
//! carry their content. Format 4 added signals, who waits for them, when an attempt began, and what
//! triggers remember. Format 5 added alerts that are to be delivered.
//!
//! All numbers in keys are big endian. A change to any of this takes a new version and a reader
//! for the old one; the tests below hold stored bytes.

use sha2::Digest;

use super::error::{Damage, Error};
use super::keys;
use super::pins::{DIGEST_LENGTH, Files};

/// The format of the store as a whole that this version of milepost writes.
pub(super) const STORE_FORMAT: u64 = 5;
/// The version of every row.
pub(super) const FORMAT: u8 = 1;
/// Longest row. sled keeps larger values in files that it never syncs, so none may be larger.
pub(super) const ROW_BYTES_MAX: usize = 4096;
/// What every row begins with.
pub(super) const HEAD_BYTES: usize = 6;

const INLINE: u8 = 0;
const FILE: u8 = 1;

/// Makes a row. A payload that is too long becomes a durable file, and the row its address.
pub(super) fn frame(key: &[u8], payload: &[u8], files: &Files) -> Result<Vec<u8>, Error> {
    if HEAD_BYTES + payload.len() <= ROW_BYTES_MAX {
        return Ok(seal(key, INLINE, payload));
    }
    files.put(payload)?;
    Ok(seal(key, FILE, &sha2::Sha256::digest(payload)))
}

/// The payload of a row.
pub(super) fn unframe(key: &[u8], row: &[u8], files: &Files) -> Result<Vec<u8>, Error> {
    let damaged = |what| Error::Damaged { key: keys::display(key), what };
    let (head, rest) = row.split_first_chunk::<HEAD_BYTES>().ok_or_else(|| damaged("it ends too early"))?;
    let [version, form, sum @ ..] = *head;
    if version != FORMAT {
        return Err(Error::Format { key: keys::display(key), found: version });
    }
    if checksum(key, form, rest) != u32::from_le_bytes(sum) {
        return Err(damaged("its checksum is wrong"));
    }
    match form {
        INLINE => Ok(rest.to_vec()),
        FILE => {
            let digest: &[u8; DIGEST_LENGTH] = rest.try_into().map_err(|_| damaged("its address is cut"))?;
            files.get_digest(digest)
        }
        _ => Err(damaged("its form is unknown")),
    }
}

/// Whether a row is as it was made, without reading what it refers to; else what is wrong.
pub(super) fn check(key: &[u8], row: &[u8]) -> Result<(), &'static str> {
    let (head, rest) = row.split_first_chunk::<HEAD_BYTES>().ok_or("the row ends too early")?;
    let [version, form, sum @ ..] = *head;
    if version > FORMAT || checksum(key, form, rest) != u32::from_le_bytes(sum) {
        return Err("the checksum of the row is wrong");
    }
    Ok(())
}

/// The digest in a row whose payload is a file.
pub(super) fn digest_of(row: &[u8]) -> Option<&[u8; DIGEST_LENGTH]> {
    let (head, rest) = row.split_first_chunk::<HEAD_BYTES>()?;
    if head[1] == FILE { rest.try_into().ok() } else { None }
}

/// Names the row in which bytes were damaged.
pub(super) fn at(key: &[u8]) -> impl Fn(Damage) -> Error {
    move |Damage(what)| Error::Damaged { key: keys::display(key), what }
}

fn seal(key: &[u8], form: u8, payload: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(HEAD_BYTES + payload.len());
    row.extend_from_slice(&[FORMAT, form]);
    row.extend_from_slice(&checksum(key, form, payload).to_le_bytes());
    row.extend_from_slice(payload);
    row
}

fn checksum(key: &[u8], form: u8, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(key);
    sum.update(&[FORMAT, form]);
    sum.update(payload);
    sum.finalize()
}
