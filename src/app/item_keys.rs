//! The keys of all items of a run, side by side in memory, so that a text in them is found at once.

use std::thread;

use crate::ports::Records;

/// Threads that read keys: reading is parsing every record once.
const READERS_MAX: usize = 8;
/// Positions that one thread reads at least: fewer are not worth a thread.
const SHARE_MIN: u64 = 2_000;

/// Keys in lower case, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct ItemKeys {
    text: String,
    /// Where the key of each position ends; an item without a key has none.
    ends: Vec<usize>,
}

impl ItemKeys {
    /// Reads the keys of so many items.
    pub(super) fn read(records: &dyn Records, count: u64) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX) as u64;
        let share = count.div_ceil(threads).max(SHARE_MIN);
        let firsts = (0..count).step_by(usize::try_from(share).unwrap_or(usize::MAX));
        let shares: Vec<Self> = thread::scope(|scope| {
            let readers: Vec<_> = firsts
                .map(|first| scope.spawn(move || Self::of(records, first, count.min(first + share))))
                .collect();
            let joined = readers.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|read| read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        shares.into_iter().fold(Self::default(), Self::then)
    }

    fn of(records: &dyn Records, first: u64, end: u64) -> Self {
        let mut keys = Self::default();
        for position in first..end {
            if let Some(key) = records.record(position).key {
                keys.text.push_str(&key.to_lowercase());
            }
            keys.ends.push(keys.text.len());
        }
        keys
    }

    fn then(mut self, next: Self) -> Self {
        let behind = self.text.len();
        self.text.push_str(&next.text);
        self.ends.extend(next.ends.into_iter().map(|end| behind + end));
        self
    }

    /// Every position that has a key, with it.
    pub(super) fn positions(&self) -> impl Iterator<Item = (u64, &str)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let keys = starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end]);
        (0u64..).zip(keys).filter(|(_, key)| !key.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Record;
    use serde_json::Value;
    use std::sync::Arc;

    struct Numbered;

    impl Records for Numbered {
        fn record(&self, position: u64) -> Record {
            let key = (position % 7 != 3).then(|| format!("SKU-{position}"));
            Record { key, value: Ok(Arc::new(Value::Null)), version: None }
        }

        fn find(&self, _: &str) -> Option<u64> {
            None
        }

        fn content(&self, _: u64) -> Option<Vec<u8>> {
            None
        }
    }

    #[test]
    fn every_key_stands_at_its_position_however_many_threads_read() {
        for count in [0, 1, SHARE_MIN, 3 * SHARE_MIN + 17] {
            let keys = ItemKeys::read(&Numbered, count);
            let found: Vec<(u64, String)> =
                keys.positions().map(|(position, key)| (position, key.to_owned())).collect();
            let wanted: Vec<(u64, String)> = (0..count)
                .filter(|position| position % 7 != 3)
                .map(|position| (position, format!("sku-{position}")))
                .collect();
            assert_eq!(found, wanted, "{count}");
        }
    }
}
