//! Opening a state directory: who holds it, whether it is whole, which format it has.

use std::any::Any;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::core::time::Timestamp;
use crate::ports::Clock;

use super::codec::{self, STORE_FORMAT};
use super::error::Error;
use super::keys;
use super::pins::{Files, sync_dir};
use super::rows::Rows;
use super::wire::{Input, put_number};
use super::writer::MakeDurable;

/// sled's own files.
pub(super) const JOURNAL: &str = "journal";
/// What a journal that cannot be opened is called from then on; a time follows.
pub(super) const DAMAGED: &str = "journal.damaged-";
/// Content-addressed files.
pub(super) const PINS: &str = "pins";
/// Who holds the directory.
const HOLDER: &str = "holder";
/// sled's cache; the resident size is about twice as much.
const CACHE_BYTES: u64 = 64 << 20;
/// A lock without the mark of a holder belongs to one who has just come or is just leaving (sled's
/// threads let go a moment after it is closed), so it is worth a second in all.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The process that holds a state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process ID.
    pub pid: u32,
    /// Since when it holds the directory.
    pub since: Timestamp,
}

/// Why a state directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it. That is normal: talk to that process.
    #[error("state directory {} is in use by another engine{}", dir.display(), pid_text(*holder))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Who holds it, if it left its name.
        holder: Option<Holder>,
    },
    /// It cannot be read. It was moved aside, whole, so that nothing overwrites it.
    #[error(
        "the journal in {} cannot be opened ({cause}); it was moved, whole, to {}; \
         put back a copy of the state directory if there is one",
        dir.display(), moved_to.display()
    )]
    Damaged {
        /// The directory.
        dir: PathBuf,
        /// Where the journal is now.
        moved_to: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A damaged journal was moved aside earlier and none was put in its place. Beginning with
    /// nothing would forget which effects were done, so that is left to a person.
    #[error(
        "the journal in {} was damaged and moved to {}; put back a copy of the state directory; \
         to begin with an empty state instead, move the damaged journal out of the state directory",
        dir.display(), moved_to.display()
    )]
    MovedAside {
        /// The directory.
        dir: PathBuf,
        /// Where the journal is.
        moved_to: PathBuf,
    },
    /// It was written by another version.
    #[error(
        "state directory {} has format {found}; this version of milepost reads formats up to {STORE_FORMAT}; \
         open it with the version that wrote it, or give another directory with --state",
        dir.display()
    )]
    Format {
        /// The directory.
        dir: PathBuf,
        /// Its format.
        found: u64,
    },
    /// The file system refused something. Nothing was changed.
    #[error("failed to open state directory {}: {cause}", dir.display())]
    Failed {
        /// The directory.
        dir: PathBuf,
        /// What it refused, and what a person can do about it.
        cause: String,
    },
}

impl OpenError {
    pub(super) fn failed(dir: &Path, error: &Error) -> Self {
        let advice = match error {
            Error::Io { source, .. } => match source.kind() {
                ErrorKind::StorageFull => "; make room on the disk",
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    "; make it writable, or give another directory with --state"
                }
                ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                    "; that is a file: give a directory with --state"
                }
                _ => "",
            },
            _ => "",
        };
        Self::Failed { dir: dir.to_owned(), cause: format!("{error}{advice}") }
    }
}

/// What opening came to.
pub(super) struct Opened {
    pub(super) rows: Rows,
    pub(super) sync: MakeDurable,
    pub(super) mark: HolderMark,
}

/// Opens or creates a state directory.
pub(super) fn open(dir: &Path, clock: &dyn Clock) -> Result<Opened, OpenError> {
    let failed = |error: Error| OpenError::failed(dir, &error);
    let journal = dir.join(JOURNAL);
    if !journal.exists()
        && let Some(moved_to) = damaged_in(dir)
    {
        return Err(OpenError::MovedAside { dir: dir.to_owned(), moved_to });
    }
    let made = missing_above(&journal);
    fs::create_dir_all(&journal)
        .map_err(Error::io(format!("create {}", journal.display())))
        .map_err(failed)?;
    let db = open_sled(dir, &journal, clock)?;
    let mark = HolderMark::write(dir, clock.now());
    let files = Files::open(&dir.join(PINS)).map_err(failed)?;
    let sync = sync_of(&db, &journal).map_err(failed)?;
    let rows = Rows { db, files: Arc::new(files) };
    let mut opened = Opened { rows, sync, mark };
    check_format(dir, &mut opened)?;
    // The names of what was created above; everything after that is inside the files.
    for dir in [&*journal, dir].into_iter().chain(made.iter().filter_map(|made| parent_of(made))) {
        sync_dir(dir).map_err(failed)?;
    }
    if let Some(parent) = parent_of(dir) {
        // An earlier life may have been killed before it came to this. A parent that cannot be
        // read is none that a life of ours has made.
        let _ = sync_dir(parent);
    }
    Ok(opened)
}

/// The directories that have to be made before `path` can be, and `path` itself.
fn missing_above(path: &Path) -> Vec<PathBuf> {
    let missing = path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
    missing.map(Path::to_owned).collect()
}

/// Where the name of a path is kept; for a bare name that is the working directory.
pub(super) fn parent_of(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// The words of a panic.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

fn open_sled(dir: &Path, journal: &Path, clock: &dyn Clock) -> Result<sled::Db, OpenError> {
    for _ in 0..LOCK_TRIES {
        let config = sled::Config::new().path(journal).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
                if let Some(holder) = read_holder(dir) {
                    return Err(OpenError::Held { dir: dir.to_owned(), holder: Some(holder) });
                }
                std::thread::park_timeout(LOCK_PAUSE);
            }
            // The journal may be whole: permissions, a full disk.
            Ok(Err(error @ sled::Error::Io(_))) => return Err(OpenError::failed(dir, &error.into())),
            Ok(Err(error)) => return Err(move_aside(dir, journal, clock, error.to_string())),
            Err(panic) => return Err(move_aside(dir, journal, clock, panic_text(panic.as_ref()))),
        }
    }
    Err(OpenError::Held { dir: dir.to_owned(), holder: None })
}

fn move_aside(dir: &Path, journal: &Path, clock: &dyn Clock, cause: String) -> OpenError {
    let moved_to = dir.join(format!("{DAMAGED}{}", clock.now().0));
    match fs::rename(journal, &moved_to) {
        Ok(()) => OpenError::Damaged { dir: dir.to_owned(), moved_to, cause },
        Err(error) => {
            let cause = format!("{cause}; and the journal could not be moved aside: {error}");
            OpenError::Failed { dir: dir.to_owned(), cause }
        }
    }
}

fn damaged_in(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
    let damaged = names.filter(|name| name.to_string_lossy().starts_with(DAMAGED));
    damaged.max().map(|name| dir.join(name))
}

/// sled's `flush` alone does not survive a power cut; with a sync of its file it does, as long as
/// no value is so large that sled gives it a file of its own.
fn sync_of(db: &sled::Db, journal: &Path) -> Result<MakeDurable, Error> {
    let path = journal.join("db");
    let file = File::open(&path).map_err(Error::io(format!("open {}", path.display())))?;
    let db = db.clone();
    let mut large = LargeValues::new(journal.join("blobs"));
    Ok(Box::new(move || {
        db.flush()?;
        file.sync_data().map_err(Error::io(format!("sync {}", path.display())))?;
        large.sync()?;
        same_file(&file, &path)
    }))
}

/// A file that was deleted or replaced under us still takes writes, but nobody will ever find them.
fn same_file(file: &File, path: &Path) -> Result<(), Error> {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let there = fs::metadata(path).map_err(Error::io(format!("find {} again", path.display())))?;
    let ours = file.metadata().map_err(Error::io(format!("look at {}", path.display())))?;
    if identity(there) == identity(ours) {
        return Ok(());
    }
    let replaced = std::io::Error::other("another file is in its place");
    Err(Error::io(format!("find {} again", path.display()))(replaced))
}

/// sled's files for large values. There should never be one; sled would not sync it, so we do.
struct LargeValues {
    dir: PathBuf,
    synced_at: Option<SystemTime>,
}

impl LargeValues {
    fn new(dir: PathBuf) -> Self {
        Self { dir, synced_at: None }
    }

    fn sync(&mut self) -> Result<(), Error> {
        let changed_at = fs::metadata(&self.dir).and_then(|metadata| metadata.modified()).ok();
        if changed_at == self.synced_at {
            return Ok(());
        }
        let io = || Error::io(format!("sync {}", self.dir.display()));
        for entry in fs::read_dir(&self.dir).map_err(io())? {
            let path = entry.map_err(io())?.path();
            tracing::warn!(path = %path.display(), "sled made a file for a large value");
            File::open(&path).and_then(|file| file.sync_all()).map_err(io())?;
        }
        sync_dir(&self.dir)?;
        self.synced_at = changed_at;
        Ok(())
    }
}

fn check_format(dir: &Path, opened: &mut Opened) -> Result<(), OpenError> {
    let failed = |error: Error| OpenError::failed(dir, &error);
    let rows = &opened.rows;
    let payload = match rows.get(keys::META) {
        Err(Error::Format { found, .. }) => {
            return Err(OpenError::Format { dir: dir.to_owned(), found: u64::from(found) });
        }
        other => other.map_err(failed)?,
    };
    if let Some(payload) = payload {
        let found = Input::new(&payload).number().map_err(codec::at(keys::META)).map_err(failed)?;
        if found == STORE_FORMAT {
            return Ok(());
        }
        if !(1..STORE_FORMAT).contains(&found) {
            return Err(OpenError::Format { dir: dir.to_owned(), found });
        }
    } else if !rows.db.is_empty() {
        // The format is the first row ever written, so this was written by something else.
        let cause = format!("{} holds rows that milepost did not write", dir.join(JOURNAL).display());
        return Err(OpenError::Failed { dir: dir.to_owned(), cause });
    }
    let mut payload = Vec::new();
    put_number(&mut payload, STORE_FORMAT);
    let row = codec::frame(keys::META, &payload, &rows.files).map_err(failed)?;
    rows.db.insert(keys::META, row).map_err(|error| failed(error.into()))?;
    (opened.sync)().map_err(failed)
}

fn pid_text(holder: Option<Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" (process {})", holder.pid))
}

fn read_holder(dir: &Path) -> Option<Holder> {
    serde_json::from_slice(&fs::read(dir.join(HOLDER)).ok()?).ok()
}

/// The file that says who holds the directory; goes when the store is closed.
pub(super) struct HolderMark(PathBuf);

impl HolderMark {
    fn write(dir: &Path, since: Timestamp) -> Self {
        let path = dir.join(HOLDER);
        let holder = Holder { pid: std::process::id(), since };
        // Only a courtesy: without it the message to the second engine says a little less.
        if let Err(error) = fs::write(&path, serde_json::json!(holder).to_string()) {
            tracing::warn!(path = %path.display(), %error, "failed to write down who holds the state directory");
        }
        Self(path)
    }
}

impl Drop for HolderMark {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
