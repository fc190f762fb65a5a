//! Stored bytes: a change of the format that nobody meant fails here.

use serde_json::json;

use crate::core::cell::{Cell, State};
use crate::core::digest::hex;
use crate::core::progress::Progress;
use crate::core::tally::{Calls, Tally};
use crate::core::time::Timestamp;
use crate::store::block::{Block, CELLS, Found, ITEMS, MESSAGES};
use crate::store::cells::{Count, Paged};
use crate::store::codec::{FORMAT, ROW_BYTES_MAX, frame, unframe};
use crate::store::error::Error;
use crate::store::pins::Files;
use crate::store::racks::Parcel;
use crate::store::{cells, keys};

use super::{RUN, START, cell, event, failed_cell, message, run_of};

/// Seven steps, three effects, each with one ID.
fn finished() -> Progress {
    let at = |ms| Timestamp(START + ms);
    let pure = |ms| Cell { state: State::Succeeded, at: at(ms), ..Cell::default() };
    let effect = |ms, name, id| Cell { at: at(ms), ..cell(State::Succeeded, &[(name, json!(id))]) };
    let cells = vec![
        pure(50),
        pure(50),
        effect(80, "event_id", "0190f3a2-7b1c-7def-8000-0123456789ab"),
        pure(95),
        effect(130, "pim_id", "0190f3a2-7b1c-7def-8000-0123456789ac"),
        pure(950),
        effect(990, "shop_id", "prod_01JD3ZK5V8N7Q2R4S6T8W0XYZA"),
    ];
    Progress::of(cells)
}

#[test]
fn a_block_of_items_is_spelled_like_this() {
    let mut block = Block::default();
    block.put(ITEMS, 0, &finished());
    block.put(ITEMS, 2, &Progress::of([failed_cell(), Cell::default()]));
    insta::assert_snapshot!(hex(&block.encode()));
    assert_eq!(Block::decode(&block.encode()), Ok(block.clone()));
    assert_eq!(block.get(0), Ok(Found::Here(finished())));
    assert_eq!(block.get::<Progress>(1), Ok(Found::Nothing));
}

#[test]
fn a_finished_item_takes_few_bytes() {
    let mut block = Block::default();
    for slot in 0..16 {
        block.put(ITEMS, slot, &finished());
    }
    let bytes = block.encode().len() / 16;
    assert!(bytes <= 80, "{bytes} bytes for an item");
}

#[test]
fn a_full_block_fits_into_a_row() {
    let mut block = Block::default();
    for slot in 0..16u32 {
        let texts = |length| cell(State::Succeeded, &[(&*format!("{slot:020}"), json!("z".repeat(length)))]);
        let longest = (0..400).rev().map(|length| Progress::of([texts(length)]));
        let fits = longest.map(|item| block.clone().put(ITEMS, slot as usize, &item).spill.is_none());
        let length = 399 - fits.take_while(|fits| !fits).count();
        block.put(ITEMS, slot as usize, &Progress::of([texts(length)]));
    }
    let length = 6 + block.encode().len();
    assert!((3_500..=ROW_BYTES_MAX).contains(&length), "{length} bytes");
}

#[test]
fn other_payloads_are_spelled_like_this() {
    let mut tally = Tally::default();
    tally.shift(None, &finished());
    let run = cells::put_run(&run_of(RUN));
    let event = cells::put_event(&event("hello"));
    let tally: Vec<_> = cells::put_tally(&tally).iter().map(|page| hex(page)).collect();
    insta::assert_snapshot!(format!("{}\n{}\n{}", hex(&run), hex(&event), tally.join("\n")));
}

#[test]
fn messages_and_run_steps_are_spelled_like_this() {
    let mut messages = Block::default();
    let mut received = Parcel::new(message("q", RUN, 5), None);
    (received.receives, received.until) = (2, Some(Timestamp(START)));
    let about_the_run = Parcel { item: None, ..Parcel::new(message("q", RUN, 6), None) };
    messages.put(MESSAGES, 0, &received);
    messages.put(MESSAGES, 1, &about_the_run);
    assert_eq!(messages.get(0), Ok(Found::Here(received)));
    assert_eq!(messages.get(1), Ok(Found::Here(about_the_run)));
    let mut steps = Block::default();
    let calls = Calls { batches: 1, calls: 300, accepted: 2, refused: 0 };
    let step = Paged { cell: failed_cell(), calls };
    steps.put(CELLS, 0, &step);
    steps.put(CELLS, CELLS.extra(), &Count(1));
    assert_eq!(steps.get(0), Ok(Found::Here(step)));
    insta::assert_snapshot!(format!("{}\n{}", hex(&messages.encode()), hex(&steps.encode())));
}

#[test]
fn a_row_says_when_it_is_not_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let key = keys::watermark(RUN);
    let row = frame(&key, b"payload", &files).unwrap();
    assert_eq!(unframe(&key, &row, &files).unwrap(), b"payload");
    for place in 1..row.len() {
        let mut damaged = row.clone();
        damaged[place] ^= 0x20;
        assert!(matches!(unframe(&key, &damaged, &files), Err(Error::Damaged { .. })), "byte {place}");
        assert!(matches!(unframe(&key, &row[..place], &files), Err(Error::Damaged { .. })), "cut at {place}");
    }
    let elsewhere = keys::run(RUN);
    assert!(matches!(unframe(&elsewhere, &row, &files), Err(Error::Damaged { .. })), "at a wrong key");
}

#[test]
fn an_unknown_format_is_never_guessed() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    let mut row = frame(b"k", b"payload", &files).unwrap();
    row[0] = FORMAT + 1;
    assert!(matches!(unframe(b"k", &row, &files), Err(Error::Format { found, .. }) if found == FORMAT + 1));
}

#[test]
fn what_is_too_long_for_a_row_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    for length in [4_000, 4_090, 4_091, 100_000] {
        let payload = vec![7; length];
        let row = frame(b"k", &payload, &files).unwrap();
        assert!(row.len() <= ROW_BYTES_MAX);
        assert_eq!(unframe(b"k", &row, &files).unwrap(), payload);
    }
}
