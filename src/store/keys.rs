//! Where each record lies: one tree, a letter for the kind, big-endian numbers, so that the order
//! of the keys is the order of age and of position.

use sha2::{Digest, Sha256};

use crate::core::claims::KeyId;
use crate::core::id::{RunId, Unit};
use crate::core::signal::{Awaiting, Topic};

/// The format of the store as a whole.
pub(super) const META: &[u8] = b"M";
/// The number of the last batch.
pub(super) const LAST: &[u8] = b"N";
/// All runs.
pub(super) const RUNS: &[u8] = b"R";
/// All idempotency keys.
pub(super) const KEYS: &[u8] = b"K";
/// All start keys.
pub(super) const STARTS: &[u8] = b"P";
/// All signals that are kept.
pub(super) const SIGNALS: &[u8] = b"E";
/// All who wait for signals.
pub(super) const AWAITING: &[u8] = b"H";
/// All that triggers remember.
pub(super) const MARKS: &[u8] = b"L";
/// All alerts that are to be delivered, or were given up.
pub(super) const ALERTS: &[u8] = b"O";
/// All blocks of all queues.
pub(super) const QUEUES: &[u8] = b"Q";

/// All runs whose removal was begun.
pub(super) const GOING: &[u8] = b"G";
/// All dead letters that outlive their runs.
pub(super) const KEPT: &[u8] = b"D";
/// Kinds of rows that go with their run; its own row is no part of this.
const PARTS: &[u8] = b"WVTIUQABO";
/// Kinds of rows whose records may have rows of their own.
const BLOCKS: &[u8] = b"IUQA";

/// A kind letter and the 16 bytes of a run ID.
const RUN_LENGTH: usize = 17;

pub(super) fn run(run: RunId) -> Vec<u8> {
    begin(b'R', run)
}

/// What was started under a key.
pub(super) fn start_key(key: &str) -> Vec<u8> {
    [STARTS, key.as_bytes()].concat()
}

pub(super) fn watermark(run: RunId) -> Vec<u8> {
    begin(b'W', run)
}

/// All events of a run.
pub(super) fn events(run: RunId) -> Vec<u8> {
    begin(b'V', run)
}

pub(super) fn event(run: RunId, number: u64) -> Vec<u8> {
    numbered(events(run), number)
}

/// The counts of a run's items, one page of steps.
pub(super) fn tally(run: RunId, page: u64) -> Vec<u8> {
    numbered(begin(b'T', run), page)
}

/// All blocks of a run's items.
pub(super) fn items(run: RunId) -> Vec<u8> {
    begin(b'I', run)
}

pub(super) fn item_block(run: RunId, block: u64) -> Vec<u8> {
    numbered(items(run), block)
}

/// The items of an open run as they came in.
pub(super) fn entrant_block(run: RunId, block: u64) -> Vec<u8> {
    numbered(begin(b'A', run), block)
}

/// The body of an item of an open run.
pub(super) fn body(run: RunId, position: u64) -> Vec<u8> {
    numbered(begin(b'B', run), position)
}

/// All alerts of a run that are to be delivered, or were given up.
pub(super) fn alerts(run: RunId) -> Vec<u8> {
    begin(b'O', run)
}

pub(super) fn alert(run: RunId, number: u64) -> Vec<u8> {
    numbered(alerts(run), number)
}

/// The pages of cells of a unit that is not an item.
pub(super) fn unit(run: RunId, unit: Unit) -> Vec<u8> {
    let number = match unit {
        Unit::Run => 0,
        Unit::Closing(number) => number,
        // Items have blocks of their own; a caller that asks for their pages finds nothing.
        Unit::Item(_) => u32::MAX,
    };
    let mut key = units(run, unit);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// All units of the track that `unit` flows through.
pub(super) fn units(run: RunId, unit: Unit) -> Vec<u8> {
    let mut key = begin(b'U', run);
    key.push(match unit {
        Unit::Run => b'r',
        Unit::Closing(_) => b'c',
        Unit::Item(_) => b'i',
    });
    key
}

pub(super) fn unit_page(run: RunId, unit: Unit, page: u64) -> Vec<u8> {
    numbered(self::unit(run, unit), page)
}

pub(super) fn queue_block(run: RunId, queue: &str, block: u64) -> Vec<u8> {
    let mut key = numbered(begin(b'Q', run), block);
    key.extend_from_slice(queue.as_bytes());
    key
}

/// What is known of an idempotency key.
pub(super) fn key(id: KeyId) -> Vec<u8> {
    [KEYS, &id.0.to_be_bytes()].concat()
}

/// All that a trigger remembers.
pub(super) fn marks(of: &str) -> Vec<u8> {
    [MARKS, half(of).as_slice()].concat()
}

/// What a trigger remembers of one subject.
pub(super) fn mark(of: &str, subject: &str) -> Vec<u8> {
    [marks(of).as_slice(), half(subject).as_slice()].concat()
}

/// The first half of the digest of a name that may be long.
fn half(text: &str) -> Vec<u8> {
    Sha256::digest(text).iter().copied().take(16).collect()
}

/// All signals of a topic.
pub(super) fn signals(topic: Topic) -> Vec<u8> {
    [SIGNALS, &topic.0.to_be_bytes()].concat()
}

/// A signal that is kept.
pub(super) fn signal(topic: Topic, id: u128) -> Vec<u8> {
    [signals(topic), id.to_be_bytes().to_vec()].concat()
}

/// All who wait for a topic.
pub(super) fn awaiting_topic(topic: Topic) -> Vec<u8> {
    [AWAITING, &topic.0.to_be_bytes()].concat()
}

/// Who waits for a signal.
pub(super) fn awaiting(awaiting: &Awaiting) -> Vec<u8> {
    let mut key = awaiting_topic(awaiting.subject.topic());
    key.extend_from_slice(&awaiting.run.0.to_be_bytes());
    key.extend_from_slice(&awaiting.item.to_be_bytes());
    key.extend_from_slice(&awaiting.step.to_be_bytes());
    key
}

/// The run of whoever waits, as the key of the row names it.
pub(super) fn run_awaiting(key: &[u8]) -> Option<RunId> {
    key.get(17..)?.first_chunk().map(|bytes| RunId(u128::from_be_bytes(*bytes)))
}

/// A record that did not fit into its slot of the block at `block`.
pub(super) fn spill(block: &[u8], slot: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(block.len() + 9);
    key.push(b'S');
    key.extend_from_slice(block);
    numbered(key, slot as u64)
}

/// The block and the slot that the key of a record's own row names.
pub(super) fn of_spill(key: &[u8]) -> Option<(&[u8], usize)> {
    let (block, slot) = key.strip_prefix(b"S")?.split_last_chunk()?;
    Some((block, usize::try_from(u64::from_be_bytes(*slot)).ok()?))
}

/// The mark of a run whose removal was begun.
pub(super) fn going(run: RunId) -> Vec<u8> {
    begin(b'G', run)
}

/// A dead letter that outlives its run.
pub(super) fn kept(run: RunId, position: u64) -> Vec<u8> {
    numbered(begin(b'D', run), position)
}

/// What the keys of all rows of a run begin with, but for the run's own.
pub(super) fn parts(run: RunId) -> Vec<Vec<u8>> {
    let spilled = BLOCKS.iter().map(|kind| [b"S", &*begin(*kind, run)].concat());
    PARTS.iter().map(|kind| begin(*kind, run)).chain(spilled).collect()
}

/// The number a key ends with.
pub(super) fn last_number(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The run, the block and the queue that the key of a queue's block names.
pub(super) fn of_queue_block(key: &[u8]) -> Option<(RunId, u64, &str)> {
    let (run, rest) = key.get(1..)?.split_first_chunk()?;
    let (block, queue) = rest.split_first_chunk()?;
    let queue = std::str::from_utf8(queue).ok()?;
    Some((RunId(u128::from_be_bytes(*run)), u64::from_be_bytes(*block), queue))
}

/// The key for people, in an error.
pub(super) fn display(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

fn begin(kind: u8, run: RunId) -> Vec<u8> {
    let mut key = Vec::with_capacity(RUN_LENGTH + 13);
    key.push(kind);
    key.extend_from_slice(&run.0.to_be_bytes());
    key
}

fn numbered(mut key: Vec<u8>, number: u64) -> Vec<u8> {
    key.extend_from_slice(&number.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_is_the_order_of_age_and_position() {
        assert!(run(RunId(1)) < run(RunId(1 << 100)));
        assert!(item_block(RunId(7), 255) < item_block(RunId(7), 256));
        assert!(event(RunId(7), 9) < event(RunId(7), 10));
    }

    #[test]
    fn a_queue_key_says_what_it_is_about() {
        let key = queue_block(RunId(9), "products.dlq", 3);
        assert_eq!(of_queue_block(&key), Some((RunId(9), 3, "products.dlq")));
        assert_eq!(of_queue_block(b"Qx"), None);
        assert_eq!(last_number(&event(RunId(1), 77)), Some(77));
    }
}
