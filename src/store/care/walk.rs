//! Every row of the journal in the order of keys, however damaged.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::core::fault::panic_text;

use super::super::codec;
use super::super::error::Error;
use super::super::pins::DIGEST_LENGTH;
use super::super::rows::Rows;
use crate::core::digest::hex;

/// After so many errors of the journal itself in a row it is not asked any more.
const ERRORS_MAX: usize = 16;

/// A row as it lies in the journal.
pub(super) struct Raw {
    pub(super) key: sled::IVec,
    pub(super) row: sled::IVec,
}

impl Raw {
    /// The address of the file that holds the payload, when it is not in the row.
    pub(super) fn address(&self) -> Option<String> {
        let digest: &[u8; DIGEST_LENGTH] = codec::digest_of(&self.row)?;
        Some(hex(digest))
    }

    /// The payload, checked.
    pub(super) fn payload(&self, rows: &Rows) -> Result<Vec<u8>, Error> {
        codec::unframe(&self.key, &self.row, &rows.files)
    }

    /// Bytes of key and value.
    pub(super) fn bytes(&self) -> u64 {
        (self.key.len() + self.row.len()) as u64
    }
}

/// Rows whose keys begin with `prefix`. An error of the journal is one item, and what lies behind
/// it is tried all the same; sled panics at some damage, which is an error here too.
pub(super) fn rows(rows: &Rows, prefix: &[u8]) -> impl Iterator<Item = Result<Raw, Error>> + use<> {
    let mut found = rows.db.scan_prefix(prefix);
    let mut errors = 0;
    std::iter::from_fn(move || {
        if errors == ERRORS_MAX {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| found.next())) {
            Ok(None) => None,
            Ok(Some(Ok((key, row)))) => {
                errors = 0;
                Some(Ok(Raw { key, row }))
            }
            Ok(Some(Err(error))) => {
                errors += 1;
                Some(Err(error.into()))
            }
            Err(panic) => {
                // The state of the iterator behind a panic is unknown.
                errors = ERRORS_MAX;
                Some(Err(Error::Unreadable(panic_text(panic.as_ref()).to_owned())))
            }
        }
    })
}
