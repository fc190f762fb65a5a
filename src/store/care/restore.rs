//! A state directory from a backup: the whole file is checked before anything is written; then the
//! directory is built beside its place and renamed, so that it is there whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::core::care::Backup;
use crate::ports::Clock;

use super::super::LastHold;
use super::super::open::{self, Opened};
use super::super::pins::{Unfinished, sync_dir};
use super::super::rows::Rows;
use super::parcel::{self, Flaw, Nobody, Unpack};

/// Rows written in one batch.
const BATCH: usize = 500;
/// What may lie in a state directory that holds nothing yet.
const SHIPPED: [&str; 2] = ["README.md", ".gitignore"];

/// A backup cannot be restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is no backup, or a damaged one.
    #[error("{} is not a whole backup: at byte {at}: {what}; nothing was written", file.display())]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// Where that was seen, in bytes from its beginning.
        at: u64,
        /// What.
        what: String,
    },
    /// A later version wrote it.
    #[error(
        "{} has {what} of format {found}, which this version of milepost does not know; nothing was written",
        file.display()
    )]
    Version {
        /// The backup.
        file: PathBuf,
        /// Which part.
        what: &'static str,
        /// Its format.
        found: u64,
    },
    /// The state directory holds something already.
    #[error("{} is not empty; nothing was written", dir.display())]
    NotEmpty {
        /// The state directory.
        dir: PathBuf,
    },
    /// The file system refused something.
    #[error("failed to restore: {0}")]
    Failed(String),
}

/// Makes `dir` from a backup. When it returns, that is durable.
///
/// # Errors
/// [`RestoreError`]; `dir` is then as it was.
pub fn restore(file: &Path, dir: &Path, clock: &dyn Clock) -> Result<Backup, RestoreError> {
    let flawed = |flaw| match flaw {
        Flaw::Damaged(at, what) => RestoreError::Damaged { file: file.to_owned(), at, what },
        Flaw::Version(what, found) => RestoreError::Version { file: file.to_owned(), what, found },
        Flaw::Failed(cause) => RestoreError::Failed(cause),
    };
    let said = parcel::unpack(file, &mut Nobody).map_err(flawed)?;
    let shipped = shipped_in(dir)?;
    let building = Building::beside(dir)?;
    build(&building.0, file, clock).map_err(flawed)?;
    for name in &shipped {
        fs::copy(dir.join(name), building.0.join(name)).map_err(|error| failed(dir, &error))?;
    }
    for name in shipped {
        fs::remove_file(dir.join(name)).map_err(|error| failed(dir, &error))?;
    }
    // An empty directory may be there: a rename replaces it.
    fs::rename(&building.0, dir).map_err(|error| failed(dir, &error))?;
    if let Some(parent) = open::parent_of(dir) {
        sync_dir(parent).map_err(|error| RestoreError::Failed(error.to_string()))?;
    }
    Ok(said)
}

/// The files of a directory that holds no state; none when there is no directory.
fn shipped_in(dir: &Path) -> Result<Vec<String>, RestoreError> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| failed(dir, &error))? {
        let name = entry.map_err(|error| failed(dir, &error))?.file_name().to_string_lossy().into_owned();
        if !SHIPPED.contains(&name.as_str()) {
            return Err(RestoreError::NotEmpty { dir: dir.to_owned() });
        }
        names.push(name);
    }
    Ok(names)
}

fn failed(at: &Path, error: &std::io::Error) -> RestoreError {
    RestoreError::Failed(format!("{}: {error}", at.display()))
}

/// A directory that is being made; gone unless it was renamed.
struct Building(PathBuf);

impl Building {
    fn beside(dir: &Path) -> Result<Self, RestoreError> {
        let absolute = std::path::absolute(dir).map_err(|error| failed(dir, &error))?;
        let mut name = absolute.file_name().unwrap_or_default().to_owned();
        name.push(format!(".restoring-{}", std::process::id()));
        let path = absolute.with_file_name(name);
        if path.exists() {
            // Of a process that had our number and died.
            fs::remove_dir_all(&path).map_err(|error| failed(&path, &error))?;
        }
        fs::create_dir_all(&path).map_err(|error| failed(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if self.0.exists()
            && let Err(error) = fs::remove_dir_all(&self.0)
        {
            tracing::warn!(path = %self.0.display(), %error, "an unfinished state directory is left");
        }
    }
}

fn build(dir: &Path, file: &Path, clock: &dyn Clock) -> Result<(), Flaw> {
    let refused = |error: &dyn std::fmt::Display| Flaw::Failed(error.to_string());
    let Opened { rows, mut sync, mark, .. } = open::open(dir, clock).map_err(|error| refused(&error))?;
    let rows = LastHold(Some(rows));
    let mut builder = Builder { rows: &rows, batch: sled::Batch::default(), size: 0, file: None };
    parcel::unpack(file, &mut builder)?;
    builder.apply()?;
    sync().map_err(|error| refused(&error))?;
    // From the last to let go of sled: what it flushes then is on disk before the rename.
    drop((sync, mark));
    drop(rows);
    sync_dir(dir).map_err(|error| refused(&error))
}

struct Builder<'a> {
    rows: &'a Rows,
    batch: sled::Batch,
    size: usize,
    file: Option<Unfinished>,
}

impl Builder<'_> {
    fn apply(&mut self) -> Result<(), Flaw> {
        self.size = 0;
        let batch = std::mem::take(&mut self.batch);
        self.rows.db.apply_batch(batch).map_err(|error| Flaw::Failed(error.to_string()))
    }
}

impl Unpack for Builder<'_> {
    fn row(&mut self, key: Vec<u8>, row: Vec<u8>) -> Result<(), Flaw> {
        self.batch.insert(key, row);
        self.size += 1;
        if self.size < BATCH { Ok(()) } else { self.apply() }
    }

    fn file(&mut self) -> Result<(), Flaw> {
        self.file = Some(self.rows.files.create().map_err(|error| Flaw::Failed(error.to_string()))?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(|error| Flaw::Failed(error.to_string()))
    }

    fn end(&mut self, address: &str) -> Result<(), Flaw> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let put = file.end().map_err(|error| Flaw::Failed(error.to_string()))?;
        if put == address { Ok(()) } else { Err(Flaw::Failed(format!("{address} came out as {put}"))) }
    }
}
