//! Which unique values occurred before, exactly, however many there are. The newest lie in memory;
//! whenever these are too many, all of them go to disk as a sorted run. What stays of such a value is
//! some 1.3 bytes: its bits in the filter of its run, which nearly always knows that a value is not
//! there, and its part in the first claim of its page.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use super::index::Claim;
use crate::ports::{Pins, StoreError};

/// Values that lie in memory before they go to disk. Their tables are then about as full as they get
/// before they double, and take 18 MB.
pub(super) const NEWEST_MAX: usize = 800_000;
/// How many tables share the work of growing: when one doubles, the others stay as they are.
const TABLES: usize = 64;
/// What is read from a run at a time.
const PAGE_BYTES: usize = 4096;
/// What is written to a run at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes of a claim in a run, big-endian, so that bytes sort as numbers do.
const CLAIM_BYTES: usize = size_of::<Claim>();
const PAGE_CLAIMS: usize = PAGE_BYTES / CLAIM_BYTES;

/// Every unique value seen so far, as its claim.
pub(super) struct Seen<'a> {
    pins: &'a dyn Pins,
    /// A table has the claims that begin alike, so that one table after the other is in order.
    newest: Vec<HashSet<Claim, BuildHasherDefault<Already>>>,
    newest_count: usize,
    newest_max: usize,
    scratch: Option<File>,
    /// All of them are asked about a new value: ten after eight million values. Merging them would pay
    /// where they are a hundred.
    runs: Vec<Run>,
}

impl<'a> Seen<'a> {
    /// Nothing seen. With so many in memory, all of them go to disk.
    pub(super) fn new(pins: &'a dyn Pins, newest_max: usize) -> Self {
        let newest = (0..TABLES).map(|_| HashSet::default()).collect();
        Self { pins, newest, newest_count: 0, newest_max, scratch: None, runs: Vec::new() }
    }

    fn table(claim: Claim) -> usize {
        usize::try_from(claim >> (Claim::BITS - TABLES.ilog2())).unwrap_or(0)
    }

    /// Whether a value was seen.
    ///
    /// # Errors
    /// What went to disk cannot be read.
    pub(super) fn has(&self, claim: Claim) -> Result<bool, StoreError> {
        if self.newest[Self::table(claim)].contains(&claim) {
            return Ok(true);
        }
        let Some(scratch) = &self.scratch else { return Ok(false) };
        for run in &self.runs {
            if run.has(claim, scratch).map_err(|error| failed("read", &error))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps a value that was not seen before.
    ///
    /// # Errors
    /// What lies in memory cannot be put on disk. Some of it is lost then: nothing more may be asked.
    pub(super) fn keep(&mut self, claim: Claim) -> Result<(), StoreError> {
        if self.newest[Self::table(claim)].insert(claim) {
            self.newest_count += 1;
        }
        if self.newest_count >= self.newest_max { self.store_newest() } else { Ok(()) }
    }

    /// Makes a run of what lies in memory.
    fn store_newest(&mut self) -> Result<(), StoreError> {
        let scratch = match &self.scratch {
            Some(scratch) => scratch,
            None => self.scratch.insert(self.pins.scratch()?),
        };
        let begin = self.runs.last().map_or(0, Run::end);
        let mut run = Run::new(begin, self.newest_count);
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, scratch);
        for table in &mut self.newest {
            let mut claims: Vec<Claim> = table.drain().collect();
            claims.sort_unstable();
            for claim in claims {
                run.add(claim);
                writer.write_all(&claim.to_be_bytes()).map_err(|error| failed("write", &error))?;
            }
        }
        writer.flush().map_err(|error| failed("write", &error))?;
        self.newest_count = 0;
        self.runs.push(run);
        Ok(())
    }
}

fn failed(what: &str, error: &io::Error) -> StoreError {
    StoreError(format!("failed to {what} the unique values of the source: {error}"))
}

/// Claims on disk, in order.
struct Run {
    /// Where it begins in the file.
    begin: u64,
    count: usize,
    /// The first claim of each page.
    firsts: Vec<Claim>,
    filter: Filter,
}

impl Run {
    fn new(begin: u64, capacity: usize) -> Self {
        let firsts = Vec::with_capacity(capacity.div_ceil(PAGE_CLAIMS));
        Self { begin, count: 0, firsts, filter: Filter::new(capacity) }
    }

    fn end(&self) -> u64 {
        self.begin + (self.count * CLAIM_BYTES) as u64
    }

    /// Counts a claim that is written behind the others.
    fn add(&mut self, claim: Claim) {
        if self.count.is_multiple_of(PAGE_CLAIMS) {
            self.firsts.push(claim);
        }
        self.count += 1;
        self.filter.add(claim);
    }

    fn has(&self, claim: Claim, scratch: &File) -> io::Result<bool> {
        if !self.filter.may_have(claim) {
            return Ok(false);
        }
        let pages_before = self.firsts.partition_point(|first| *first <= claim);
        let Some(page) = pages_before.checked_sub(1) else { return Ok(false) };
        let claims = PAGE_CLAIMS.min(self.count - page * PAGE_CLAIMS);
        let mut bytes = [0; PAGE_BYTES];
        let bytes = &mut bytes[..claims * CLAIM_BYTES];
        scratch.read_exact_at(bytes, self.begin + (page * PAGE_BYTES) as u64)?;
        let (found, _) = bytes.as_chunks::<CLAIM_BYTES>();
        Ok(found.binary_search(&claim.to_be_bytes()).is_ok())
    }
}

/// Bits of a block.
const BLOCK_BITS: u32 = 512;
const WORD_BITS: u32 = u64::BITS;
/// Bits for each claim. With seven of them set, about one claim in a hundred that is not there looks as if
/// it were.
const BITS_EACH: usize = 10;
const BITS_SET: u32 = 7;

/// A line of a processor's cache.
#[derive(Clone)]
#[repr(align(64))]
struct Block([u64; (BLOCK_BITS / WORD_BITS) as usize]);

/// A Bloom filter whose bits for one claim all lie in one block.
struct Filter {
    blocks: Vec<Block>,
}

impl Filter {
    fn new(capacity: usize) -> Self {
        let blocks = (capacity * BITS_EACH).div_ceil(BLOCK_BITS as usize).max(1);
        Self { blocks: vec![Block([0; _]); blocks] }
    }

    /// The lower half of a claim chooses the block.
    fn block(&self, claim: Claim) -> usize {
        let lower = claim & Claim::from(u64::MAX);
        usize::try_from((lower * self.blocks.len() as Claim) >> u64::BITS).unwrap_or(0)
    }

    /// The upper half has the places of its bits there: each a word and a bit of it.
    fn bits(claim: Claim) -> impl Iterator<Item = (usize, u64)> {
        (0..BITS_SET).map(move |at| {
            let place = (claim >> (u64::BITS + at * BLOCK_BITS.ilog2())) % Claim::from(BLOCK_BITS);
            let word = usize::try_from(place / Claim::from(WORD_BITS)).unwrap_or(0);
            (word, 1 << (place % Claim::from(WORD_BITS)))
        })
    }

    fn add(&mut self, claim: Claim) {
        let block = self.block(claim);
        for (word, bit) in Self::bits(claim) {
            self.blocks[block].0[word] |= bit;
        }
    }

    /// `false`: it was never added.
    fn may_have(&self, claim: Claim) -> bool {
        let block = &self.blocks[self.block(claim)];
        Self::bits(claim).all(|(word, bit)| block.0[word] & bit != 0)
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
    use crate::ports::PinWriter;
    use crate::store::MemoryStore;

    #[test]
    fn what_went_to_disk_is_still_known_and_nothing_else_is() {
        let store = MemoryStore::new(Arc::new(Waited(AtomicU64::new(0))));
        // Runs that end within a page, runs that fill their pages, and runs of one.
        for (newest_max, count) in [(1000, 4500), (512, 2048), (1, 20)] {
            let mut seen = Seen::new(&store, newest_max);
            for number in 0..count {
                let claim = claim("sku", &number.to_string());
                assert!(!seen.has(claim).unwrap(), "{number} has not been seen yet");
                seen.keep(claim).unwrap();
                assert!(seen.has(claim).unwrap(), "{number} has just been seen");
            }
            assert_eq!(seen.runs.len(), count / newest_max);
            for number in 0..count {
                assert!(seen.has(claim("sku", &number.to_string())).unwrap(), "{number} was seen");
                assert!(!seen.has(claim("ean", &number.to_string())).unwrap(), "{number} was not");
            }
        }
    }

    /// Gives this file for a scratch file, and nothing otherwise.
    struct Given(fn() -> io::Result<File>);

    fn full() -> StoreError {
        StoreError("the disk is full".to_owned())
    }

    impl Pins for Given {
        fn put(&self, _bytes: &[u8]) -> Result<String, StoreError> {
            Err(full())
        }

        fn create(&self) -> Result<Box<dyn PinWriter>, StoreError> {
            Err(full())
        }

        fn get(&self, _address: &str) -> Result<Vec<u8>, StoreError> {
            Err(full())
        }

        fn open(&self, _address: &str) -> Result<File, StoreError> {
            Err(full())
        }

        fn scratch(&self) -> Result<File, StoreError> {
            (self.0)().map_err(|_| full())
        }
    }

    #[test]
    fn a_disk_that_fails_is_an_error_and_never_an_answer() {
        let refusing = Given(|| Err(io::ErrorKind::StorageFull.into()));
        let mut seen = Seen::new(&refusing, 2);
        seen.keep(claim("sku", "1")).unwrap();
        assert_eq!(seen.keep(claim("sku", "2")).unwrap_err().0, "the disk is full");

        let not_writable = Given(|| File::open("/dev/null"));
        let mut seen = Seen::new(&not_writable, 2);
        seen.keep(claim("sku", "1")).unwrap();
        let error = seen.keep(claim("sku", "2")).unwrap_err().0;
        assert!(error.starts_with("failed to write the unique values of the source: "), "{error}");

        let cut_short = Given(tempfile::tempfile);
        let mut seen = Seen::new(&cut_short, 2);
        (1..=2).for_each(|number| seen.keep(claim("sku", &number.to_string())).unwrap());
        seen.scratch.as_ref().unwrap().set_len(16).unwrap();
        let error = seen.has(claim("sku", "1")).unwrap_err().0;
        assert!(error.starts_with("failed to read the unique values of the source: "), "{error}");
    }

    #[test]
    fn a_filter_knows_what_was_added_and_seldom_sends_anybody_to_the_disk_in_vain() {
        let mut filter = Filter::new(50_000);
        (0..50_000).for_each(|number| filter.add(claim("sku", &number.to_string())));
        assert!((0..50_000).all(|number| filter.may_have(claim("sku", &number.to_string()))));
        let vain = (0..50_000).filter(|number| filter.may_have(claim("ean", &number.to_string()))).count();
        assert!(vain < 600, "{vain} of 50,000");
    }
}
