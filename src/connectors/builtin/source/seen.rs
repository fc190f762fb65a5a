//! Which unique values occurred before, exactly, however many there are: the latest lie in memory, the
//! others in sorted runs on disk, each behind a filter that nearly always knows that a value is not there.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use super::index::Claim;
use crate::ports::{Pins, StoreError};

/// Values that lie in memory before they go to disk. Their tables are then about as full as they get
/// before they double, and take 18 MB.
pub(super) const LATEST_MAX: usize = 800_000;
/// How many tables share the work of growing: when one doubles, the others stay as they are.
const TABLES: usize = 64;
/// What is read from a run at a time.
const PAGE_BYTES: usize = 4096;
/// Bytes of a hash in a run, big-endian, so that bytes sort as numbers do.
const HASH_BYTES: usize = size_of::<Claim>();
const PAGE_HASHES: usize = PAGE_BYTES / HASH_BYTES;

/// Every unique value seen so far, by its hash.
pub(super) struct Seen<'a> {
    pins: &'a dyn Pins,
    /// A table has the hashes that begin alike, so that one table after the other is in order.
    latest: Vec<HashSet<Claim, BuildHasherDefault<Already>>>,
    latest_count: usize,
    latest_max: usize,
    scratch: Option<File>,
    runs: Vec<Run>,
}

impl<'a> Seen<'a> {
    /// Nothing seen. At most so many lie in memory.
    pub(super) fn new(pins: &'a dyn Pins, latest_max: usize) -> Self {
        let latest = (0..TABLES).map(|_| HashSet::default()).collect();
        Self { pins, latest, latest_count: 0, latest_max, scratch: None, runs: Vec::new() }
    }

    fn table(hash: Claim) -> usize {
        usize::try_from(hash >> (Claim::BITS - TABLES.ilog2())).unwrap_or(0)
    }

    /// Whether a hash was seen.
    ///
    /// # Errors
    /// What went to disk cannot be read.
    pub(super) fn has(&self, hash: Claim) -> Result<bool, StoreError> {
        if self.latest[Self::table(hash)].contains(&hash) {
            return Ok(true);
        }
        let Some(scratch) = &self.scratch else { return Ok(false) };
        for run in &self.runs {
            if run.has(hash, scratch).map_err(|error| failed("read", &error))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps a hash.
    ///
    /// # Errors
    /// There is no room for it on the disk.
    pub(super) fn keep(&mut self, hash: Claim) -> Result<(), StoreError> {
        if self.latest[Self::table(hash)].insert(hash) {
            self.latest_count += 1;
        }
        if self.latest_count >= self.latest_max { self.store_latest() } else { Ok(()) }
    }

    /// Makes a run of what lies in memory.
    fn store_latest(&mut self) -> Result<(), StoreError> {
        let scratch = match self.scratch.take() {
            Some(scratch) => scratch,
            None => self.pins.scratch()?,
        };
        let begin = self.runs.last().map_or(0, Run::end);
        let mut run = Run::new(begin, self.latest_count);
        let mut writer = BufWriter::with_capacity(PAGE_BYTES * TABLES, &scratch);
        for table in &mut self.latest {
            let mut hashes: Vec<Claim> = table.drain().collect();
            hashes.sort_unstable();
            for hash in hashes {
                run.add(hash);
                writer.write_all(&hash.to_be_bytes()).map_err(|error| failed("write", &error))?;
            }
        }
        writer.flush().map_err(|error| failed("write", &error))?;
        drop(writer);
        self.latest_count = 0;
        self.runs.push(run);
        self.scratch = Some(scratch);
        Ok(())
    }
}

fn failed(what: &str, error: &io::Error) -> StoreError {
    StoreError(format!("failed to {what} the unique values of the source: {error}"))
}

/// Hashes on disk, in order.
struct Run {
    /// Where it begins in the file.
    begin: u64,
    count: usize,
    /// The first hash of each page.
    firsts: Vec<Claim>,
    filter: Filter,
}

impl Run {
    fn new(begin: u64, capacity: usize) -> Self {
        let firsts = Vec::with_capacity(capacity.div_ceil(PAGE_HASHES));
        Self { begin, count: 0, firsts, filter: Filter::new(capacity) }
    }

    fn end(&self) -> u64 {
        self.begin + (self.count * HASH_BYTES) as u64
    }

    /// Counts a hash that is written behind the others.
    fn add(&mut self, hash: Claim) {
        if self.count.is_multiple_of(PAGE_HASHES) {
            self.firsts.push(hash);
        }
        self.count += 1;
        self.filter.add(hash);
    }

    fn has(&self, hash: Claim, scratch: &File) -> io::Result<bool> {
        if !self.filter.may_have(hash) {
            return Ok(false);
        }
        let pages_before = self.firsts.partition_point(|first| *first <= hash);
        let Some(page) = pages_before.checked_sub(1) else { return Ok(false) };
        let hashes = PAGE_HASHES.min(self.count - page * PAGE_HASHES);
        let mut bytes = [0; PAGE_BYTES];
        let bytes = &mut bytes[..hashes * HASH_BYTES];
        scratch.read_exact_at(bytes, self.begin + (page * PAGE_BYTES) as u64)?;
        let (found, _) = bytes.as_chunks::<HASH_BYTES>();
        Ok(found.binary_search(&hash.to_be_bytes()).is_ok())
    }
}

/// Bits of a block: one line of a processor's cache.
const BLOCK_BITS: u32 = 512;
const WORD_BITS: u32 = u64::BITS;
/// Bits for each hash. With seven of them set, about one hash in eighty that is not there looks as if.
const BITS_EACH: usize = 10;
const BITS_SET: u32 = 7;

/// A Bloom filter whose bits for one hash all lie in one block.
struct Filter {
    blocks: Vec<[u64; (BLOCK_BITS / WORD_BITS) as usize]>,
}

impl Filter {
    fn new(capacity: usize) -> Self {
        let blocks = (capacity * BITS_EACH).div_ceil(BLOCK_BITS as usize).max(1);
        Self { blocks: vec![[0; _]; blocks] }
    }

    /// The lower half of a hash chooses the block.
    fn block(&self, hash: Claim) -> usize {
        let lower = hash & Claim::from(u64::MAX);
        usize::try_from((lower * self.blocks.len() as Claim) >> u64::BITS).unwrap_or(0)
    }

    /// The upper half has the places of its bits there: each a word and a bit of it.
    fn bits(hash: Claim) -> impl Iterator<Item = (usize, u64)> {
        (0..BITS_SET).map(move |at| {
            let place = (hash >> (u64::BITS + at * BLOCK_BITS.ilog2())) % Claim::from(BLOCK_BITS);
            let word = usize::try_from(place / Claim::from(WORD_BITS)).unwrap_or(0);
            (word, 1 << (place % Claim::from(WORD_BITS)))
        })
    }

    fn add(&mut self, hash: Claim) {
        let block = self.block(hash);
        for (word, bit) in Self::bits(hash) {
            self.blocks[block][word] |= bit;
        }
    }

    /// `false`: it was never added.
    fn may_have(&self, hash: Claim) -> bool {
        let block = &self.blocks[self.block(hash)];
        Self::bits(hash).all(|(word, bit)| block[word] & bit != 0)
    }
}

/// A hasher for what is a hash already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "half of the hash is enough for a table")]
        let half = hash as u64;
        self.0 = half;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::super::index::claim;
    use super::*;
    use crate::connectors::listening::tests::Waited;
    use crate::store::MemoryStore;

    #[test]
    fn what_went_to_disk_is_still_known_and_nothing_else_is() {
        let store = MemoryStore::new(Arc::new(Waited(AtomicU64::new(0))));
        // Runs that end within a page, and a remainder in memory.
        let mut seen = Seen::new(&store, 1000);
        for number in 0..4500 {
            let hash = claim("sku", &number.to_string());
            assert!(!seen.has(hash).unwrap(), "{number} has not been seen yet");
            seen.keep(hash).unwrap();
            assert!(seen.has(hash).unwrap(), "{number} has just been seen");
        }
        assert_eq!(seen.runs.len(), 4);
        for number in 0..4500 {
            assert!(seen.has(claim("sku", &number.to_string())).unwrap(), "{number} was seen");
            assert!(!seen.has(claim("ean", &number.to_string())).unwrap(), "{number} was not");
        }
    }

    #[test]
    fn a_filter_seldom_sends_anybody_to_the_disk_in_vain() {
        let mut filter = Filter::new(50_000);
        (0..50_000).for_each(|number| filter.add(claim("sku", &number.to_string())));
        let vain = (0..50_000).filter(|number| filter.may_have(claim("ean", &number.to_string()))).count();
        assert!(vain < 1000, "{vain} of 50,000");
    }
}
