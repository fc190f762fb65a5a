//! What a key is about: its kind, its run, and the same in words.

use crate::core::id::RunId;
use crate::core::queue::SHARED;

use super::super::block::{CELLS, ITEMS, MESSAGES};
use super::super::keys;

/// Kinds of rows by the letter of their keys, in words for people.
const KINDS: &[(u8, &str)] = &[
    (b'A', "entrants"),
    (b'B', "bodies of items"),
    (b'D', "dead letters kept"),
    (b'E', "signals kept"),
    (b'G', "removals under way"),
    (b'H', "items that wait for signals"),
    (b'I', "items"),
    (b'K', "idempotency keys"),
    (b'L', "what triggers remember"),
    (b'M', "format"),
    (b'N', "number of batches"),
    (b'O', "alerts to deliver"),
    (b'P', "start keys"),
    (b'Q', "queues"),
    (b'R', "runs"),
    (b'S', "long records"),
    (b'T', "counts"),
    (b'U', "run steps and closings"),
    (b'V', "events"),
    (b'W', "watermarks"),
];

/// The kind of a row in words; `None` when this version knows no such rows.
pub(super) fn kind(key: &[u8]) -> Option<&'static str> {
    KINDS.iter().find(|(letter, _)| key.first() == Some(letter)).map(|(_, word)| *word)
}

/// The run that a row is a part of. A kept dead letter is a part of none, nor is a queue that all runs
/// share.
pub(super) fn run_of(key: &[u8]) -> Option<RunId> {
    match key.first()? {
        b'S' => run_of(key.get(1..)?),
        b'M' | b'N' | b'D' | b'K' | b'P' | b'E' | b'H' | b'L' => None,
        _ => run_in(key).filter(|run| *run != SHARED),
    }
}

/// The run ID behind the letter of a key.
pub(super) fn run_in(key: &[u8]) -> Option<RunId> {
    key.get(1..)?.first_chunk().map(|bytes| RunId(u128::from_be_bytes(*bytes)))
}

/// What a row is about, in words.
pub(super) fn place(key: &[u8]) -> String {
    let run = run_in(key).map_or_else(|| "a run".to_owned(), |run| run.to_string());
    let number = keys::last_number(key).unwrap_or_default();
    match key.first() {
        Some(b'M') => "the format of the store".to_owned(),
        Some(b'N') => "the number of batches".to_owned(),
        Some(b'K') => format!("the idempotency key {:032x}", run_in(key).map_or(0, |id| id.0)),
        Some(b'E') => "a signal that is kept".to_owned(),
        Some(b'H') => "who waits for a signal".to_owned(),
        Some(b'L') => "what a trigger remembers".to_owned(),
        Some(b'O') => format!("alert {number} of {run}"),
        Some(b'R') => format!("the record of {run}"),
        Some(b'W') => format!("the watermark of {run}"),
        Some(b'V') => format!("event {number} of {run}"),
        Some(b'T') => format!("the counts of {run}, page {number}"),
        Some(b'G') => format!("the removal of {run}"),
        Some(b'D') => format!("the kept dead letter {number} of {run}"),
        Some(b'B') => format!("the body of item {number} of {run}"),
        Some(b'A') => {
            let (first, last) = (ITEMS.position(number, 0), ITEMS.position(number, ITEMS.extra() - 1));
            format!("the entrants {first} to {last} of {run}")
        }
        Some(b'I') => {
            let (first, last) = (ITEMS.position(number, 0), ITEMS.position(number, ITEMS.extra() - 1));
            format!("items {first} to {last} of {run}")
        }
        Some(b'U') => match key.get(17..22) {
            Some([b'c', closing @ ..]) => {
                let closing = closing.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
                format!("the steps of closing {closing} of {run}, page {number}")
            }
            _ => format!("the steps of {run}, page {number}"),
        },
        Some(b'Q') => match keys::of_queue_block(key) {
            Some((SHARED, block, queue)) => format!("block {block} of the shared queue '{queue}'"),
            Some((run, block, queue)) => format!("block {block} of the queue '{queue}' of {run}"),
            None => format!("a queue of {run}"),
        },
        Some(b'S') => spilled(key),
        _ => format!("a row with the key {}", keys::display(key)),
    }
}

fn spilled(key: &[u8]) -> String {
    let Some((block, slot)) = keys::of_spill(key) else {
        return format!("a long record with the key {}", keys::display(key));
    };
    let number = keys::last_number(block).unwrap_or_default();
    let run = run_in(block).map_or_else(String::new, |run| format!(" of {run}"));
    match block.first() {
        Some(b'A') => format!("the long entrant {}{run}", ITEMS.position(number, slot)),
        Some(b'I') => format!("the long record of item {}{run}", ITEMS.position(number, slot)),
        Some(b'U') => format!("the long record of step {}{run}", CELLS.position(number, slot)),
        Some(b'Q') => {
            let (number, queue) =
                keys::of_queue_block(block).map_or((0, ""), |(_, block, queue)| (block, queue));
            format!("the long message {} of the queue '{queue}'{run}", MESSAGES.position(number, slot))
        }
        _ => format!("a long record with the key {}", keys::display(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::claims::KeyId;
    use crate::core::id::Unit;

    #[test]
    fn keys_are_told_in_words() {
        let run = RunId(7);
        let id = run.to_string();
        for (key, said) in [
            (keys::META.to_vec(), "the format of the store".to_owned()),
            (keys::run(run), format!("the record of {id}")),
            (keys::key(KeyId(255)), "the idempotency key 000000000000000000000000000000ff".to_owned()),
            (keys::item_block(run, 3), format!("items 48 to 63 of {id}")),
            (keys::entrant_block(run, 3), format!("the entrants 48 to 63 of {id}")),
            (keys::body(run, 9), format!("the body of item 9 of {id}")),
            (keys::event(run, 9), format!("event 9 of {id}")),
            (keys::alert(run, 9), format!("alert 9 of {id}")),
            (keys::mark("hourly", ""), "what a trigger remembers".to_owned()),
            (keys::unit_page(run, Unit::Run, 1), format!("the steps of {id}, page 1")),
            (
                keys::unit_page(run, Unit::Closing(300), 0),
                format!("the steps of closing 300 of {id}, page 0"),
            ),
            (keys::queue_block(run, "a.b", 2), format!("block 2 of the queue 'a.b' of {id}")),
            (keys::queue_block(SHARED, "a.b", 2), "block 2 of the shared queue 'a.b'".to_owned()),
            (keys::spill(&keys::item_block(run, 1), 2), format!("the long record of item 18 of {id}")),
            (
                keys::spill(&keys::queue_block(run, "q", 1), 3),
                format!("the long message 19 of the queue 'q' of {id}"),
            ),
            (b"x?".to_vec(), "a row with the key x?".to_owned()),
        ] {
            assert_eq!(place(&key), said);
        }
        assert_eq!(run_of(&keys::spill(&keys::item_block(run, 1), 2)), Some(run));
        assert_eq!((run_of(keys::META), run_of(b"I"), kind(b"?")), (None, None, None));
        assert_eq!(run_of(&keys::key(KeyId(255))), None, "keys outlive runs");
        assert_eq!(run_of(&keys::mark("hourly", "")), None, "so does what triggers remember");
    }
}
