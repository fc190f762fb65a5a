//! How far the journal came, told by a small file beside it.
//!
//! sled reads its file as far as it makes sense and forgets the rest: a file that was cut, or has a
//! damaged byte near its end, opens as the state of an earlier moment, and effects that are known to
//! be done would be done again. So every batch carries its number, and the number of the last
//! acknowledged one is written here as well, after the batch is durable. A journal that ends before
//! that number has lost something.
//!
//! The number is written in place and not synced: a `kill` leaves it as it is, and after a power
//! cut it may be an older one, which says less and is never wrong.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::Error;

/// The file.
const NAME: &str = "acknowledged";
/// The number and its CRC-32, little endian.
const BYTES: usize = 12;

/// The file, open for writing.
pub(super) struct Witness {
    file: File,
    path: PathBuf,
}

impl Witness {
    /// Opens or makes the file; also returns the number in it, 0 when there is none.
    pub(super) fn open(dir: &Path) -> Result<(Self, u64), Error> {
        let path = dir.join(NAME);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::io(format!("open {}", path.display())))?;
        let witness = Self { file, path };
        let number = witness.read();
        if number == 0 {
            // Takes its room on the disk now, so that a full one does not keep it from being told.
            witness.write(0).map_err(Error::io(format!("write {}", witness.path.display())))?;
        }
        Ok((witness, number))
    }

    /// Every batch up to this number is durable.
    pub(super) fn tell(&self, number: u64) {
        if let Err(error) = self.write(number) {
            tracing::warn!(path = %self.path.display(), %error, "failed to write down what was acknowledged");
        }
    }

    /// Where it is, for people.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self, number: u64) -> std::io::Result<()> {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..].copy_from_slice(&crc32fast::hash(&number.to_le_bytes()).to_le_bytes());
        self.file.write_all_at(&bytes, 0)
    }

    fn read(&self) -> u64 {
        let mut bytes = [0; BYTES];
        if self.file.read_exact_at(&mut bytes, 0).is_err() {
            return 0;
        }
        let (number, sum) = bytes.split_at(8);
        // Half written when the power went: it says nothing.
        if sum != crc32fast::hash(number).to_le_bytes() {
            return 0;
        }
        number.first_chunk().map_or(0, |number| u64::from_le_bytes(*number))
    }
}
