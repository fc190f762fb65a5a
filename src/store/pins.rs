//! Content-addressed files: immutable bytes under the hexadecimal SHA-256 of what they are.
//!
//! A file is written under a passing name, hashed on the way, synced, renamed to its address, and
//! its directory synced: an address that exists is whole.
//!
//! Whether it is durable as well is another question. A life that ended between the rename and the
//! sync of the directory leaves a name that a power cut may still take, and whoever copied a state
//! directory synced nothing at all. So bytes that lie there already are not written again, but before
//! anybody relies on them, both the file and its directory are synced, once in the life of a store.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::core::digest::hex;
use crate::ports::{PinWriter, StoreError};

use super::cache::Cache;
use super::error::Error;

/// Bytes of a digest; an address has two characters for each.
pub(super) const DIGEST_LENGTH: usize = 32;
/// Where files are that are still being written.
pub(super) const UNFINISHED: &str = "unfinished";
/// Source files are read in large pieces, so they are written in such.
const BUFFER_BYTES: usize = 64 << 10;
/// Addresses that are remembered as durable. One that was forgotten costs two syncs, no more.
const DURABLE_KEPT: usize = 1024;

/// The directory of content-addressed files.
pub(super) struct Files {
    dir: PathBuf,
    next: AtomicU64,
    shelves: Arc<Mutex<Shelves>>,
}

/// What is known of the files; whoever renames or removes one holds this meanwhile.
struct Shelves {
    /// Addresses that this life has made durable, or found so.
    durable: Cache<String, ()>,
    /// How many files were removed.
    removed: u64,
}

impl Shelves {
    /// Remembers an address as durable, unless the file that was synced may be gone since.
    fn remember(&mut self, address: &str, removed: u64) {
        if self.removed == removed {
            self.durable.insert(address.to_owned(), ());
            self.durable.settle();
        }
    }

    fn forget(&mut self, address: &str) {
        self.removed += 1;
        self.durable.remove(address);
    }
}

impl Files {
    /// Opens the directory and removes what an earlier process did not finish. Only the process
    /// that holds the store may do this.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let unfinished = dir.join(UNFINISHED);
        let io = |what: &str| Error::io(format!("{what} {}", unfinished.display()));
        fs::create_dir_all(&unfinished).map_err(io("create"))?;
        for entry in fs::read_dir(&unfinished).map_err(io("read"))? {
            let path = entry.map_err(io("read"))?.path();
            fs::remove_file(&path).map_err(Error::io(format!("remove {}", path.display())))?;
        }
        sync_dir(dir)?;
        let shelves = Shelves { durable: Cache::new(DURABLE_KEPT), removed: 0 };
        let shelves = Arc::new(Mutex::new(shelves));
        Ok(Self { dir: dir.to_owned(), next: AtomicU64::new(0), shelves })
    }

    /// Keeps bytes durably. Those that lie at their address already count as new from then on, and are
    /// not written again.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<String, Error> {
        let address = hex(&Sha256::digest(bytes));
        if self.is_there(&address, bytes)? {
            return Ok(address);
        }
        let mut writer = self.create()?;
        writer.write_all(bytes).map_err(Error::io("write a content-addressed file"))?;
        writer.end()
    }

    /// Whether these very bytes lie at their address, durably. Whatever is wrong with what lies there,
    /// it is not trusted: it is then to be written anew.
    fn is_there(&self, address: &str, bytes: &[u8]) -> Result<bool, Error> {
        let path = path_of(&self.dir, address).expect("a digest is a good address");
        let (file, removed, is_durable) = {
            let mut shelves = lock(&self.shelves);
            let Ok(file) = File::open(&path) else { return Ok(false) };
            // Before a collection looks: what is put now must not go as something old.
            if renew(&file).is_err() {
                return Ok(false);
            }
            (file, shelves.removed, shelves.durable.get(address).is_some())
        };
        if !holds(&file, bytes) {
            return Ok(false);
        }
        if !is_durable {
            file.sync_all().map_err(Error::io(format!("sync {}", path.display())))?;
            // The name of the directory itself is: it was synced when it was made, or at the opening.
            sync_dir(path.parent().expect("an address has a directory"))?;
            lock(&self.shelves).remember(address, removed);
        }
        Ok(true)
    }

    /// Begins a file.
    pub(super) fn create(&self) -> Result<Unfinished, Error> {
        let (path, file) = self.passing()?;
        Ok(Unfinished {
            dir: self.dir.clone(),
            shelves: Arc::clone(&self.shelves),
            path,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            hash: Sha256::new(),
        })
    }

    /// A file that is gone when it is closed: its name is removed at once. Who dies in between leaves an
    /// empty one, which the next open removes.
    pub(super) fn scratch(&self) -> Result<File, Error> {
        let (path, file) = self.passing()?;
        fs::remove_file(&path).map_err(Error::io(format!("remove {}", path.display())))?;
        Ok(file)
    }

    /// A new file under a passing name.
    fn passing(&self) -> Result<(PathBuf, File), Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(UNFINISHED).join(number.to_string());
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(Error::io(format!("create {}", path.display())))?;
        Ok((path, file))
    }

    /// Opens an address.
    pub(super) fn open_address(&self, address: &str) -> Result<File, Error> {
        let path = path_of(&self.dir, address).ok_or_else(|| Error::NotKept(address.to_owned()))?;
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotKept(address.to_owned()),
            _ => Error::io(format!("open {}", path.display()))(error),
        })
    }

    /// The bytes at an address, checked against it.
    pub(super) fn get(&self, address: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.open_address(address)?
            .read_to_end(&mut bytes)
            .map_err(Error::io(format!("read the content at {address}")))?;
        if hex(&Sha256::digest(&bytes)) == address {
            Ok(bytes)
        } else {
            Err(Error::NotGenuine(address.to_owned()))
        }
    }

    /// The length of the content at an address, whose digest is checked without holding it in memory.
    pub(super) fn check(&self, address: &str) -> Result<u64, Error> {
        let mut file = self.open_address(address)?;
        let mut hash = Sha256::new();
        let length =
            io::copy(&mut file, &mut hash).map_err(Error::io(format!("read the content at {address}")))?;
        if hex(&hash.finalize()) == address { Ok(length) } else { Err(Error::NotGenuine(address.to_owned())) }
    }

    /// Everything there is.
    pub(super) fn all(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        for shelf in entries(&self.dir)? {
            let begin = name_of(&shelf);
            if !shelf.is_dir() {
                listing.others.push(format!("pins/{begin}"));
                continue;
            }
            for path in entries(&shelf)? {
                let address = format!("{begin}{}", name_of(&path));
                if path_of(&self.dir, &address).as_ref() == Some(&path) {
                    let found = fs::metadata(&path);
                    let found = found.map_err(Error::io(format!("look at {}", path.display())))?;
                    listing.addresses.push((address, found.len()));
                } else {
                    listing.others.push(format!("pins/{begin}/{}", name_of(&path)));
                }
            }
        }
        listing.addresses.sort();
        listing.others.sort();
        Ok(listing)
    }

    /// Removes the content at an address, if it was written last before that. `false`: it stays, or was
    /// gone already.
    pub(super) fn remove(&self, address: &str, before: Option<SystemTime>) -> Result<bool, Error> {
        let path = path_of(&self.dir, address).ok_or_else(|| Error::NotKept(address.to_owned()))?;
        let failed = |what: &str| Error::io(format!("{what} {}", path.display()));
        // What is put in its place meanwhile would go instead.
        let mut shelves = lock(&self.shelves);
        if let Some(before) = before {
            match fs::metadata(&path).and_then(|found| found.modified()) {
                Ok(written) if written < before => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("look at")(error));
                }
                Ok(_) | Err(_) => return Ok(false),
            }
        }
        shelves.forget(address);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove")(error)),
        }
    }

    /// The bytes with a digest.
    pub(super) fn get_digest(&self, digest: &[u8; DIGEST_LENGTH]) -> Result<Vec<u8>, Error> {
        self.get(&hex(digest))
    }
}

/// What the directory holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Addresses with the length of their content.
    pub(super) addresses: Vec<(String, u64)>,
    /// Whatever else lies there, such as files that were never finished.
    pub(super) others: Vec<String>,
}

fn lock(shelves: &Mutex<Shelves>) -> MutexGuard<'_, Shelves> {
    shelves.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Dates a file as if it were written now.
#[expect(
    clippy::disallowed_methods,
    reason = "files are dated by the machine, whatever the engine's clock says"
)]
fn renew(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::now())
}

/// Whether a file holds these bytes and no others.
fn holds(mut file: &File, bytes: &[u8]) -> bool {
    let is_as_long = file.metadata().is_ok_and(|found| usize::try_from(found.len()) == Ok(bytes.len()));
    let mut found = Vec::with_capacity(if is_as_long { bytes.len() } else { 0 });
    is_as_long && file.read_to_end(&mut found).is_ok() && found == bytes
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = || Error::io(format!("read {}", dir.display()));
    fs::read_dir(dir).map_err(io())?.map(|entry| Ok(entry.map_err(io())?.path())).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file that has no address yet.
pub(super) struct Unfinished {
    dir: PathBuf,
    shelves: Arc<Mutex<Shelves>>,
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
}

impl Unfinished {
    /// Ends the file and returns its address.
    pub(super) fn end(mut self) -> Result<String, Error> {
        let io = |what: &str| Error::io(format!("{what} {}", self.path.display()));
        self.file.flush().map_err(io("write"))?;
        self.file.get_ref().sync_all().map_err(io("sync"))?;
        let address = hex(&self.hash.finalize_reset());
        let target = path_of(&self.dir, &address).expect("a digest is a good address");
        let parent = target.parent().expect("an address has a directory");
        let removed = {
            // One at a time: a directory that another thread has only just made is not durable yet.
            let shelves = lock(&self.shelves);
            if !parent.is_dir() {
                fs::create_dir(parent).map_err(Error::io(format!("create {}", parent.display())))?;
                sync_dir(&self.dir)?;
            }
            // The same bytes may lie there already; then this replaces them by the same, which are newer.
            fs::rename(&self.path, &target).map_err(io("rename"))?;
            shelves.removed
        };
        sync_dir(parent)?;
        lock(&self.shelves).remember(&address, removed);
        Ok(address)
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl PinWriter for Unfinished {
    fn finish(self: Box<Self>) -> Result<String, StoreError> {
        Ok(self.end()?)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `end` the name is gone; if removal fails otherwise, the next open removes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    let sync = |dir: &Path| File::open(dir)?.sync_all();
    sync(dir).map_err(Error::io(format!("sync the directory {}", dir.display())))
}

/// The digest that an address spells; `None` if it cannot be an address.
pub(super) fn digest_of_address(address: &str) -> Option<[u8; DIGEST_LENGTH]> {
    let mut digest = [0; DIGEST_LENGTH];
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(address.get(at..at + 2)?, 16).ok()?;
    }
    (hex(&digest) == address).then_some(digest)
}

/// Where the content of an address lies; `None` if it cannot be an address (so that no text from
/// outside names another file).
fn path_of(dir: &Path, address: &str) -> Option<PathBuf> {
    let good = address.len() == 2 * DIGEST_LENGTH
        && address.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    good.then(|| dir.join(&address[..2]).join(&address[2..]))
}

#[cfg(test)]
mod tests;
