//! Care for the state as a whole, apart from the engine's work: is it sound (`verify`), what takes
//! the room (`size`), what may go (`gc`), copies of it (`backup`, `restore`).
//!
//! - `words` says what a key is about, for people; `walk` reads every row and survives damage.
//! - `expiry` is the one place that knows which rows have a time after which they may go.
//! - `parcel` is the format of a backup.

mod backup;
mod expiry;
mod gc;
mod kept;
mod parcel;
mod restore;
mod size;
mod verify;
mod walk;
mod words;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::care::{Size, Verified};
use crate::core::plan::Plan;
use crate::core::run::Run;
use crate::ports::{Clock, PinWriter, Pins, StoreError};

use super::open::{self, HolderMark, OpenError};
use super::rows::Rows;
use super::{LastHold, error::Error};

pub use gc::{DeadLettersOf, Retention};
pub use restore::{RestoreError, restore};

/// The plan of a run, or why its definition cannot be used.
pub type PlanOf<'a> = dyn Fn(&Run) -> Result<Arc<Plan>, String> + 'a;

/// A state directory that is only looked at, however damaged its rows are. While this process
/// looks, no other can hold it.
pub struct Inspection {
    dir: PathBuf,
    _mark: HolderMark,
    rows: LastHold,
}

impl Inspection {
    /// Takes hold of a state directory that exists. Reads no row but the one about the format.
    ///
    /// # Errors
    /// [`OpenError`] names who holds it, or what is wrong with it and what to do.
    pub fn open(dir: &Path, clock: &dyn Clock) -> Result<Self, OpenError> {
        let opened = open::guarded(dir, || open::open(dir, clock))?;
        Ok(Self { dir: dir.to_owned(), _mark: opened.mark, rows: LastHold(Some(opened.rows)) })
    }

    /// Reads everything and tells all that is wrong; stops at nothing.
    pub fn verify(&self, plan_of: &PlanOf<'_>) -> Verified {
        verify::verify(&self.rows, &self.dir, plan_of)
    }

    /// What takes the room.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn size(&self) -> Result<Size, StoreError> {
        Ok(size::size(&self.rows, &self.dir)?)
    }

    /// The content-addressed files.
    pub fn pins(&self) -> impl Pins + use<> {
        Kept(self.rows.clone())
    }
}

#[derive(Clone)]
struct Kept(Rows);

impl Pins for Kept {
    fn put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        Ok(self.0.files.put(bytes)?)
    }

    fn create(&self) -> Result<Box<dyn PinWriter>, StoreError> {
        Ok(Box::new(self.0.files.create()?))
    }

    fn get(&self, address: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.0.files.get(address)?)
    }

    fn open(&self, address: &str) -> Result<std::fs::File, StoreError> {
        Ok(self.0.files.open_address(address)?)
    }

    fn scratch(&self) -> Result<std::fs::File, StoreError> {
        Ok(self.0.files.scratch()?)
    }
}

/// Addresses of content-addressed files that the record of a run names, each with what it is.
fn named_by(run: &Run) -> Vec<(String, String)> {
    let definition = [("its definition".to_owned(), run.definition.clone())];
    let files = run.files.iter().map(|(name, address)| (format!("its file '{name}'"), address.clone()));
    // A queue has no files: what it brought is in rows.
    let pinned = run.source.iter().filter(|source| source.intake.is_none());
    let source = pinned.flat_map(|source| {
        let records = ("the records of its source".to_owned(), source.records.clone());
        [records, ("the index of its source".to_owned(), source.index.clone())]
    });
    definition.into_iter().chain(files).chain(source).collect()
}

/// The bytes of all files below a directory, however deep.
fn bytes_below(dir: &Path) -> Result<u64, Error> {
    let io = || Error::io(format!("look at {}", dir.display()));
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).map_err(io())? {
        let entry = entry.map_err(io())?;
        let found = entry.metadata().map_err(io())?;
        bytes += if found.is_dir() { bytes_below(&entry.path())? } else { found.len() };
    }
    Ok(bytes)
}
