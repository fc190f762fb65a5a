//! The records of a pinned source, read again one at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::check::{Checker, parse};
use super::index::{ENTRY_BYTES, Entry, State, key_hash};
use crate::core::fault::{Fault, name};
use crate::ports::{Record, Records};

/// Entries read at once when a key is looked for.
const ENTRIES_PER_READ: usize = 4096;

/// A pinned source, open.
pub(super) struct Pinned {
    pub(super) records: File,
    pub(super) index: File,
    pub(super) count: u64,
    pub(super) checker: Arc<Checker>,
}

impl Records for Pinned {
    fn record(&self, position: u64) -> Record {
        self.read(position).unwrap_or_else(|error| {
            let message = format!("failed to read record {position} of the pinned source: {error}");
            Record { version: None, key: None, value: Err(Fault::new(name::VALIDATION, message)) }
        })
    }

    fn content(&self, position: u64) -> Option<Vec<u8>> {
        self.entry(position).and_then(|entry| self.bytes(&entry, 0)).ok()
    }

    fn find(&self, key: &str) -> Option<u64> {
        let wanted = key_hash(key);
        let mut bytes = vec![0; ENTRIES_PER_READ * ENTRY_BYTES];
        let mut position = 0;
        while position < self.count {
            let left = usize::try_from(self.count - position).unwrap_or(usize::MAX).min(ENTRIES_PER_READ);
            let bytes = &mut bytes[..left * ENTRY_BYTES];
            self.index.read_exact_at(bytes, position * ENTRY_BYTES as u64).ok()?;
            for (entry, at) in bytes.as_chunks::<ENTRY_BYTES>().0.iter().zip(position..) {
                if Entry::from_bytes(entry).key == wanted && self.record(at).key.as_deref() == Some(key) {
                    return Some(at);
                }
            }
            position += left as u64;
        }
        None
    }
}

impl Pinned {
    fn read(&self, position: u64) -> io::Result<Record> {
        let entry = self.entry(position)?;
        let bytes = self.bytes(&entry, usize::from(entry.note))?;
        let (record, note) = bytes.split_at(bytes.len() - usize::from(entry.note));
        Ok(self.judged(entry.state, record, &String::from_utf8_lossy(note)))
    }

    fn entry(&self, position: u64) -> io::Result<Entry> {
        let mut bytes = [0; ENTRY_BYTES];
        self.index.read_exact_at(&mut bytes, position * ENTRY_BYTES as u64)?;
        Ok(Entry::from_bytes(&bytes))
    }

    /// The bytes of a record, and so many that follow it.
    fn bytes(&self, entry: &Entry, more: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(entry.length).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.saturating_add(more)];
        self.records.read_exact_at(&mut bytes, entry.offset)?;
        Ok(bytes)
    }

    fn judged(&self, state: State, record: &[u8], note: &str) -> Record {
        let invalid = |message: String| Fault::new(name::INVALID_RECORD, message);
        match (state, self.checker.trust(record)) {
            (State::Valid, Ok(checked)) => {
                Record { version: None, key: checked.key, value: Ok(checked.value) }
            }
            (State::Duplicate, Ok(checked)) => {
                let fault = Fault::new(name::DUPLICATE, format!("{note} occurred before in this source"));
                Record { version: None, key: checked.key, value: Err(fault) }
            }
            (State::Invalid, Ok(checked)) => {
                let mut reasons = self.checker.reasons(&checked.value);
                if !note.is_empty() {
                    reasons.insert(0, note.to_owned());
                }
                Record { version: None, key: checked.key, value: Err(invalid(reasons.join("; "))) }
            }
            (_, Err(error)) => {
                let message =
                    if note.is_empty() { format!("not JSON: {}", error.message) } else { note.to_owned() };
                Record { version: None, key: None, value: Err(invalid(message)) }
            }
        }
    }
}

/// Why a record is invalid, for the fault that ends a run.
pub(super) fn reasons(checker: &Checker, record: &[u8], note: Option<&str>) -> String {
    match (note, parse(record)) {
        (Some(note), _) => note.to_owned(),
        (None, Ok(value)) => checker.reasons(&Arc::new(value)).join("; "),
        (None, Err(error)) => format!("not JSON: {}", error.message),
    }
}
