//! What is looked at before sled opens its file: once it does, it is too late.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::error::Error;
use super::open::{OpenError, PINS};
use super::pins::UNFINISHED;

/// A file that is made and removed when a directory is opened, to see whether there is room.
const ROOM: &str = "room";
/// What sled writes when it opens its file, with something to spare: a segment and a snapshot.
const ROOM_BYTES: usize = 2 << 20;

/// sled writes while it opens its file, and on a full disk it leaves one behind that it cannot read:
/// seen in one of four tries. So it is not even begun where there is no room.
pub(super) fn check_room(dir: &Path) -> Result<(), Error> {
    let path = dir.join(ROOM);
    let fill = || -> std::io::Result<()> {
        let mut file = fs::File::create(&path)?;
        file.write_all(&vec![0; ROOM_BYTES])?;
        file.sync_data()
    };
    let filled = fill().map_err(Error::io(format!("write {}", path.display())));
    let removed = match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    };
    filled.and(removed)
}

/// A journal that was deleted or emptied would be begun anew, as if there had never been a run.
pub(super) fn check_there(dir: &Path, journal: &Path) -> Result<(), OpenError> {
    let cause = match fs::metadata(journal.join("db")) {
        Ok(found) if found.len() == 0 => "its file is empty",
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => "it was deleted",
        // Opening it will say why.
        Err(_) => return Ok(()),
    };
    lost_if_pinned(dir, cause)
}

/// Runs always have content-addressed files, so without those nothing was lost.
pub(super) fn lost_if_pinned(dir: &Path, cause: &'static str) -> Result<(), OpenError> {
    let pins = dir.join(PINS);
    let shelves = fs::read_dir(&pins).into_iter().flatten().flatten();
    let is_filled = |shelf: fs::DirEntry| {
        let is_unfinished = shelf.file_name() == UNFINISHED;
        !is_unfinished && fs::read_dir(shelf.path()).is_ok_and(|mut files| files.next().is_some())
    };
    if shelves.into_iter().any(is_filled) {
        return Err(OpenError::Lost { dir: dir.to_owned(), cause });
    }
    Ok(())
}
