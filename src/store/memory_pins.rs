//! Content-addressed files without a disk. Where a real file is wanted, it is a nameless one.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::core::digest::hex;
use crate::ports::{PinWriter, Pins, StoreError};

use super::memory::MemoryStore;

impl Pins for MemoryStore {
    fn put(&self, bytes: &[u8]) -> Result<String, StoreError> {
        let address = hex(&Sha256::digest(bytes));
        self.lock().kept.pins.insert(address.clone(), bytes.into());
        Ok(address)
    }

    fn create(&self) -> Result<Box<dyn PinWriter>, StoreError> {
        Ok(Box::new(Unfinished { store: self.clone(), bytes: Vec::new() }))
    }

    fn get(&self, address: &str) -> Result<Vec<u8>, StoreError> {
        let bytes = self.lock().kept.pins.get(address).cloned();
        let bytes = bytes.ok_or_else(|| StoreError(format!("nothing is kept at the address '{address}'")))?;
        Ok(bytes.to_vec())
    }

    fn open(&self, address: &str) -> Result<File, StoreError> {
        nameless_file(&self.get(address)?)
    }

    fn scratch(&self) -> Result<File, StoreError> {
        nameless_file(&[])
    }
}

/// A file with these bytes that nobody else can open: its name is removed at once.
fn nameless_file(bytes: &[u8]) -> Result<File, StoreError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("milepost-{}-{number}", std::process::id()));
    let make = || -> io::Result<File> {
        let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(&path)?;
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(file)
    };
    make().map_err(|error| StoreError(format!("failed to make a passing file: {error}")))
}

struct Unfinished {
    store: MemoryStore,
    bytes: Vec<u8>,
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PinWriter for Unfinished {
    fn finish(self: Box<Self>) -> Result<String, StoreError> {
        self.store.put(&self.bytes)
    }
}
