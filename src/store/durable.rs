//! Making durable what sled was given, and noticing when its file is no longer ours.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::Error;
use super::pins::sync_dir;
use super::writer::MakeDurable;

/// sled gives room back in pieces of this size; whoever else cuts its file hardly does.
const SEGMENT_BYTES: u64 = 512 << 10;

/// sled's `flush` alone does not survive a power cut; with a sync of its file it does, as long as
/// no value is so large that sled gives it a file of its own.
pub(super) fn sync_of(db: &sled::Db, journal: &Path) -> Result<MakeDurable, Error> {
    let path = journal.join("db");
    let file = File::open(&path).map_err(Error::io(format!("open {}", path.display())))?;
    let db = db.clone();
    let mut large = LargeValues::new(journal.join("blobs"));
    let mut ours = Ours { file, path, length: 0 };
    Ok(Box::new(move || {
        ours.check_length()?;
        db.flush()?;
        ours.file.sync_data().map_err(Error::io(format!("sync {}", ours.path.display())))?;
        large.sync()?;
        ours.check_place()
    }))
}

/// sled's file, which nobody else may touch. One that was deleted, replaced or cut under us still
/// takes writes, but nobody will ever find them.
struct Ours {
    file: File,
    path: PathBuf,
    /// After the last sync.
    length: u64,
}

impl Ours {
    fn wrong(&self, what: &'static str) -> Error {
        Error::io(format!("keep {}", self.path.display()))(std::io::Error::other(what))
    }

    fn length_now(&self) -> Result<u64, Error> {
        let found = self.file.metadata();
        Ok(found.map_err(Error::io(format!("look at {}", self.path.display())))?.len())
    }

    /// Between two syncs only sled itself makes it shorter, and never empty.
    fn check_length(&self) -> Result<(), Error> {
        let now = self.length_now()?;
        let is_given_back = now > 0 && now.is_multiple_of(SEGMENT_BYTES);
        if now >= self.length || is_given_back { Ok(()) } else { Err(self.wrong("somebody cut it short")) }
    }

    fn check_place(&mut self) -> Result<(), Error> {
        let identity = |found: fs::Metadata| (found.dev(), found.ino());
        let there =
            fs::metadata(&self.path).map_err(Error::io(format!("find {} again", self.path.display())))?;
        let ours = self.file.metadata();
        let ours = ours.map_err(Error::io(format!("look at {}", self.path.display())))?;
        self.length = ours.len();
        if identity(there) == identity(ours) {
            Ok(())
        } else {
            Err(self.wrong("another file is in its place"))
        }
    }
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
