//! Opening a state directory: who holds it, whether it is whole, which format it has.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::fault::panic_text;
use crate::core::time::Timestamp;
use crate::ports::Clock;

use super::before::{check_room, check_there, lost_if_pinned};
use super::codec::{self, STORE_FORMAT};
use super::durable::sync_of;
use super::error::Error;
use super::keys;
use super::pins::{Files, sync_dir};
use super::rows::Rows;
use super::wire::{Input, put_number};
use super::witness::Witness;
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
/// The thread that opens a journal. A damaged one makes it panic; what is wrong is then told as an
/// [`OpenError`], so nobody needs the words of the panic.
pub const OPENING_THREAD: &str = "milepost-open";
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
        "the journal in {} cannot be opened ({cause}); it was moved, whole, to {}; {}",
        dir.display(), moved_to.display(), put_back(dir)
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
        "the journal in {} was damaged and moved to {}; {}; \
         to begin with an empty state instead, move the state directory away",
        dir.display(), moved_to.display(), put_back(dir)
    )]
    MovedAside {
        /// The directory.
        dir: PathBuf,
        /// Where the journal is.
        moved_to: PathBuf,
    },
    /// There are content-addressed files of runs, and no journal that knows of them. Beginning with
    /// nothing would forget which effects were done, so that is left to a person.
    #[error(
        "the journal in {} is gone: {cause}, though there are the files of runs; {}",
        dir.display(), put_back(dir)
    )]
    Lost {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with the journal.
        cause: &'static str,
    },
    /// The journal ends before something that was acknowledged: its file was cut, or damaged near
    /// the end. Going on would do again what is known to be done, so that is left to a person.
    #[error(
        "the journal in {} has lost its end: it has {found} batches, and {acknowledged} were acknowledged; {}; \
         to go on without what was lost, remove {}",
        dir.display(), put_back(dir), witness.display()
    )]
    Behind {
        /// The directory.
        dir: PathBuf,
        /// Batches in the journal.
        found: u64,
        /// Batches that were acknowledged.
        acknowledged: u64,
        /// The file that says so.
        witness: PathBuf,
    },
    /// Rows that are read while it is opened cannot be read.
    #[error("the journal in {} is damaged: {cause}; {}", dir.display(), put_back(dir))]
    Unsound {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        cause: String,
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
        let is_damaged = matches!(error, Error::Sled(_) | Error::Damaged { .. } | Error::Unreadable(_));
        if is_damaged {
            return Self::Unsound { dir: dir.to_owned(), cause: error.to_string() };
        }
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

/// Does the work of opening on a thread of its own: sled also panics when it reads what it had
/// taken for whole.
pub(super) fn guarded<T: Send>(
    dir: &Path,
    work: impl FnOnce() -> Result<T, OpenError> + Send,
) -> Result<T, OpenError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(OPENING_THREAD.to_owned());
        let working = thread.spawn_scoped(scope, work).map_err(Error::io("start a thread"));
        let ended = working.map_err(|error| OpenError::failed(dir, &error))?.join();
        ended.unwrap_or_else(|panic| {
            let error = Error::Unreadable(panic_text(panic.as_ref()).to_owned());
            Err(OpenError::failed(dir, &error))
        })
    })
}

/// How a lost state is put back.
fn put_back(dir: &Path) -> String {
    let dir = dir.display();
    format!("put back a backup: mv {dir} {dir}.damaged; milepost state restore BACKUP --state {dir}")
}

/// What opening came to.
pub(super) struct Opened {
    pub(super) rows: Rows,
    pub(super) sync: MakeDurable,
    pub(super) witness: Witness,
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
    check_there(dir, &journal)?;
    let made = missing_above(&journal);
    fs::create_dir_all(&journal)
        .map_err(Error::io(format!("create {}", journal.display())))
        .map_err(failed)?;
    check_room(dir).map_err(failed)?;
    let db = open_sled(dir, &journal, clock)?;
    let mark = HolderMark::write(dir, clock.now());
    let files = Files::open(&dir.join(PINS)).map_err(failed)?;
    let sync = sync_of(&db, &journal).map_err(failed)?;
    let rows = Rows { db, files: Arc::new(files) };
    let (witness, acknowledged) = Witness::open(dir).map_err(failed)?;
    let mut opened = Opened { rows, sync, witness, mark };
    check_format(dir, &mut opened)?;
    let found = opened.rows.batches().map_err(failed)?;
    if found < acknowledged {
        let witness = opened.witness.path().to_owned();
        return Err(OpenError::Behind { dir: dir.to_owned(), found, acknowledged, witness });
    }
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

fn open_sled(dir: &Path, journal: &Path, clock: &dyn Clock) -> Result<sled::Db, OpenError> {
    for _ in 0..LOCK_TRIES {
        let config = sled::Config::new().path(journal).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        // Its own thread, by whose name the words of a panic are told from those of a defect of ours.
        let opening = std::thread::Builder::new().name(OPENING_THREAD.to_owned());
        let opening = opening.spawn(move || config.open()).map_err(Error::io("start a thread"));
        match opening.map_err(|error| OpenError::failed(dir, &error))?.join() {
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
            Err(panic) => return Err(move_aside(dir, journal, clock, panic_text(panic.as_ref()).to_owned())),
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
    } else {
        lost_if_pinned(dir, "it holds nothing")?;
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
