//! The format of a backup: one file, with a checksum over all of it.
//!
//! ```text
//! file   = "milepost backup\n" format(1 byte, now 1) rows(8: the format of the store) entry… end
//! entry  = 'r' length(4) key length(4) row      a row as it lies in the journal
//!        | 'f' digest(32) length(8) bytes       a content-addressed file
//! end    = 'e' rows(8) files(8) runs(8) sha256(32, of all before it)
//! ```
//!
//! All numbers are little endian. A row has its own checksum and a file its own digest, so that
//! damage is told with its place; the checksum at the end also finds what was left out.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::core::care::Backup;
use crate::core::digest::hex;

use super::super::codec::{self, ROW_BYTES_MAX, STORE_FORMAT};
use super::super::keys;
use super::super::pins::DIGEST_LENGTH;
use super::words;

const MAGIC: &[u8] = b"milepost backup\n";
/// The format of the file this version writes.
const VERSION: u8 = 1;
const BUFFER_BYTES: usize = 256 << 10;
/// Longest key: that of a long message, with the longest name of a queue.
const KEY_BYTES_MAX: usize = 1 << 16;

/// A backup that is being written.
pub(super) struct Packer {
    out: BufWriter<File>,
    hash: Sha256,
    pub(super) said: Backup,
}

impl Packer {
    pub(super) fn begin(file: File) -> io::Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut packer = Self { out, hash: Sha256::new(), said: Backup::default() };
        packer.put(MAGIC)?;
        packer.put(&[VERSION])?;
        packer.put(&STORE_FORMAT.to_le_bytes())?;
        Ok(packer)
    }

    pub(super) fn row(&mut self, key: &[u8], row: &[u8]) -> io::Result<()> {
        self.put(b"r")?;
        for bytes in [key, row] {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            self.put(&length.to_le_bytes())?;
            self.put(bytes)?;
        }
        self.said.rows += 1;
        self.said.runs += u64::from(key.starts_with(keys::RUNS));
        Ok(())
    }

    /// A content-addressed file, whose bytes must be those of its digest.
    pub(super) fn file(&mut self, digest: &[u8; DIGEST_LENGTH], mut file: File) -> io::Result<()> {
        let length = file.metadata()?.len();
        self.put(b"f")?;
        self.put(digest)?;
        self.put(&length.to_le_bytes())?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => {
                    hash.update(&buffer[..read]);
                    self.put(&buffer[..read])?;
                }
            }
        }
        if *hash.finalize() != digest[..] {
            let what = format!("the content at {} is not what was put there", hex(digest));
            return Err(io::Error::other(what));
        }
        self.said.files += 1;
        Ok(())
    }

    /// Ends the file and makes it durable.
    pub(super) fn end(mut self) -> io::Result<Backup> {
        let Backup { rows, files, runs, .. } = self.said;
        self.put(b"e")?;
        for number in [rows, files, runs] {
            self.put(&number.to_le_bytes())?;
        }
        let sum = self.hash.finalize_reset();
        self.out.write_all(&sum)?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        let bytes = self.said.bytes + DIGEST_LENGTH as u64;
        Ok(Backup { bytes, sha256: hex(&sum), ..self.said })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.said.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// What becomes of the entries of a backup that is read.
pub(super) trait Unpack {
    /// A row.
    fn row(&mut self, key: Vec<u8>, row: Vec<u8>) -> Result<(), Flaw>;
    /// A file begins; its bytes follow.
    fn file(&mut self) -> Result<(), Flaw>;
    /// Bytes of the file that began last.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Flaw>;
    /// The file ended; this is its address.
    fn end(&mut self, address: &str) -> Result<(), Flaw>;
}

/// Only looks.
pub(super) struct Nobody;

impl Unpack for Nobody {
    fn row(&mut self, _: Vec<u8>, _: Vec<u8>) -> Result<(), Flaw> {
        Ok(())
    }

    fn file(&mut self) -> Result<(), Flaw> {
        Ok(())
    }

    fn bytes(&mut self, _: &[u8]) -> Result<(), Flaw> {
        Ok(())
    }

    fn end(&mut self, _: &str) -> Result<(), Flaw> {
        Ok(())
    }
}

/// Why a backup cannot be read.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is no backup, or a damaged one: the byte where that was seen, and what.
    Damaged(u64, String),
    /// It was written by a later version; what of it, and which.
    Version(&'static str, u64),
    /// What it is unpacked to failed.
    Failed(String),
}

/// Reads a backup from beginning to end, and checks everything that can be checked.
pub(super) fn unpack(path: &Path, to: &mut dyn Unpack) -> Result<Backup, Flaw> {
    let file = File::open(path).map_err(|error| Flaw::Failed(format!("{}: {error}", path.display())))?;
    let input = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut reader = Unpacker { input, hash: Sha256::new(), place: 0, said: Backup::default() };
    reader.head()?;
    loop {
        let at = reader.place;
        match reader.array::<1>("an entry")? {
            [b'r'] => reader.row(at, to)?,
            [b'f'] => reader.file(at, to)?,
            [b'e'] => return reader.end(at, path),
            _ => return Err(Flaw::Damaged(at, "there is no entry, row or file".to_owned())),
        }
    }
}

struct Unpacker {
    input: BufReader<File>,
    hash: Sha256,
    place: u64,
    said: Backup,
}

impl Unpacker {
    fn head(&mut self) -> Result<(), Flaw> {
        let mut magic = vec![0; MAGIC.len()];
        self.fill(&mut magic, "its beginning")?;
        if magic != MAGIC {
            return Err(Flaw::Damaged(0, "it does not begin like a backup".to_owned()));
        }
        let [version] = self.array("its format")?;
        if version != VERSION {
            return Err(Flaw::Version("a layout", u64::from(version)));
        }
        let rows = u64::from_le_bytes(self.array("the format of its rows")?);
        if rows > STORE_FORMAT {
            return Err(Flaw::Version("rows", rows));
        }
        Ok(())
    }

    fn row(&mut self, at: u64, to: &mut dyn Unpack) -> Result<(), Flaw> {
        let key = self.text(KEY_BYTES_MAX)?;
        let row = self.text(ROW_BYTES_MAX)?;
        if let Err(what) = codec::check(&key, &row) {
            return Err(Flaw::Damaged(at, format!("{}: {what}", words::place(&key))));
        }
        self.said.rows += 1;
        self.said.runs += u64::from(key.starts_with(keys::RUNS));
        to.row(key, row)
    }

    fn text(&mut self, most: usize) -> Result<Vec<u8>, Flaw> {
        let at = self.place;
        let length = u32::from_le_bytes(self.array("a length")?) as usize;
        if length > most {
            return Err(Flaw::Damaged(at, format!("a length of {length} is too great")));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes, "a row")?;
        Ok(bytes)
    }

    fn file(&mut self, at: u64, to: &mut dyn Unpack) -> Result<(), Flaw> {
        let digest = self.array::<DIGEST_LENGTH>("a file")?;
        let mut left = u64::from_le_bytes(self.array("a file")?);
        to.file()?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            self.fill(&mut buffer[..piece], "a file")?;
            hash.update(&buffer[..piece]);
            to.bytes(&buffer[..piece])?;
            left -= piece as u64;
        }
        let address = hex(&digest);
        if hex(&hash.finalize()) != address {
            return Err(Flaw::Damaged(at, format!("the content {address} is not what was put there")));
        }
        self.said.files += 1;
        to.end(&address)
    }

    fn end(mut self, at: u64, path: &Path) -> Result<Backup, Flaw> {
        for count in [self.said.rows, self.said.files, self.said.runs] {
            if u64::from_le_bytes(self.array("its end")?) != count {
                return Err(Flaw::Damaged(at, "entries are missing".to_owned()));
            }
        }
        let sum = self.hash.clone().finalize();
        let place = self.place;
        if self.array::<DIGEST_LENGTH>("its checksum")? != *sum {
            return Err(Flaw::Damaged(place, "its checksum is wrong".to_owned()));
        }
        let more = self.input.read(&mut [0]).map_err(|error| Flaw::Failed(error.to_string()))?;
        if more > 0 {
            return Err(Flaw::Damaged(self.place, "it should end here, and does not".to_owned()));
        }
        let file = path.display().to_string();
        Ok(Backup { file, bytes: self.place, sha256: hex(&sum), ..self.said })
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Flaw> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<(), Flaw> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Flaw::Damaged(self.place, format!("it ends within {what}")),
            _ => Flaw::Failed(error.to_string()),
        })?;
        self.hash.update(&*bytes);
        self.place += bytes.len() as u64;
        Ok(())
    }
}
