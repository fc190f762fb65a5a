//! What a check finds: each damage by its name and place, and nothing in a sound state.

use crate::core::care::{Damage, Verified};
use crate::core::cell::State as S;
use crate::core::change::Change;
use crate::core::id::{RunId, Unit};
use crate::core::inflow::{Entrant, Intake};
use crate::core::run::Run;
use crate::core::tally::Tally;
use crate::ports::Journal;
use crate::store::block::{Block, ITEMS as BLOCK};
use crate::store::tests::{item, message};
use crate::store::{cells, codec, keys};

use super::super::{Inspection, walk, words};
use super::{OPEN, filled, inspect, open, plan};

fn verify(inspection: &Inspection) -> Verified {
    inspection.verify(&plan)
}

/// What was found, as kind and place.
fn told(verified: &Verified) -> Vec<(Damage, &str)> {
    verified.findings.iter().map(|finding| (finding.kind, finding.place.as_str())).collect()
}

fn put(inspection: &Inspection, key: &[u8], payload: &[u8]) {
    let row = codec::frame(key, payload, &inspection.rows.files).unwrap();
    inspection.rows.db.insert(key, row).unwrap();
}

#[tokio::test]
async fn a_sound_state_is_called_sound_and_what_was_read_is_counted() {
    let (dir, ..) = filled().await;
    let verified = verify(&inspect(dir.path()));
    assert_eq!(verified.findings, []);
    assert!(verified.sound);
    let seen = verified.seen;
    assert_eq!((seen.runs, seen.items, seen.messages), (2, 80, 80));
    assert_eq!(verified.collectable.files, 0);
}

#[tokio::test]
async fn a_flipped_byte_is_found_in_every_row_and_named() {
    let (dir, ..) = filled().await;
    let inspection = inspect(dir.path());
    let rows: Vec<_> = walk::rows(&inspection.rows, b"").map(Result::unwrap).collect();
    assert!(rows.len() > 30, "only {} rows", rows.len());
    let seed: u64 = rand::random();
    println!("seed {seed}");
    for (number, raw) in rows.iter().enumerate() {
        let mut damaged = raw.row.to_vec();
        let at = usize::try_from(seed.wrapping_mul(number as u64 + 1) >> 8).unwrap() % damaged.len();
        damaged[at] ^= 0x10;
        inspection.rows.db.insert(&raw.key, damaged).unwrap();
        let verified = verify(&inspection);
        let place = words::place(&raw.key);
        let named = verified
            .findings
            .iter()
            .any(|finding| finding.place == place && matches!(finding.kind, Damage::Row | Damage::Format));
        assert!(named && !verified.sound, "byte {at} of {place}: {:?}", verified.findings);
        inspection.rows.db.insert(&raw.key, &raw.row).unwrap();
    }
    assert!(verify(&inspection).sound, "all was put back");
}

#[tokio::test]
async fn items_of_before_a_step_was_added_are_sound_and_those_with_a_step_too_many_are_not() {
    let (dir, old, new) = filled().await;
    let inspection = inspect(dir.path());
    let with = |count: usize| {
        move |run: &Run| {
            let mut known = (*plan(run)?).clone();
            // Behind a step that an item never passes: what is at rest stays so.
            known
                .items
                .steps
                .resize_with(count, || super::step("more", crate::core::catalog::Role::Pure, vec![1]));
            Ok(std::sync::Arc::new(known))
        }
    };
    let fewer = inspection.verify(&with(1));
    assert!(fewer.findings.iter().any(|found| found.what == "it has 2 steps, and its definition 1"));
    let grown = inspection.verify(&with(3));
    assert!(!grown.findings.iter().any(|found| found.what.contains("and its definition")), "{grown:?}");
    let dead = [old, new].map(|run| format!("item {} of {run}", super::DEAD));
    assert!(!grown.findings.iter().any(|found| dead.contains(&found.place)), "{grown:?}");
}

#[tokio::test]
async fn everything_is_told_not_only_the_first() {
    let (dir, old, new) = filled().await;
    let inspection = inspect(dir.path());
    for key in [keys::event(old, 1), keys::item_block(new, 0), keys::watermark(new)] {
        inspection.rows.db.insert(key, b"not what was written").unwrap();
    }
    let verified = verify(&inspection);
    assert_eq!(verified.counts["format"], 3);
    for place in
        [format!("event 1 of {old}"), format!("items 0 to 15 of {new}"), format!("the watermark of {new}")]
    {
        assert!(verified.findings.iter().any(|finding| finding.place == place), "{place}: {verified:?}");
    }
}

#[tokio::test]
async fn rows_that_are_missing_are_missed() {
    let (dir, old, _) = filled().await;
    let inspection = inspect(dir.path());
    let block = keys::item_block(old, 1);
    let spill = keys::spill(&block, 1);
    for (key, kind, place) in [
        (keys::run(old), Damage::RunMissing, format!("event 0 of {old}")),
        (keys::event(old, 2), Damage::Gap, format!("event 3 of {old}")),
        (keys::tally(old, 0), Damage::Tally, format!("the counts of {old}")),
        (keys::item_block(old, 2), Damage::Tally, format!("the counts of {old}")),
        (keys::item_block(old, 1), Damage::Watermark, format!("the watermark of {old}")),
        (keys::item_block(old, 1), Damage::Spill, format!("the long record of item 17 of {old}")),
        (spill, Damage::Spill, format!("the long record of item 17 of {old}")),
    ] {
        let row = inspection.rows.db.remove(&key).unwrap().unwrap();
        let verified = verify(&inspection);
        assert!(told(&verified).contains(&(kind, &*place)), "{place}: {:?}", told(&verified));
        inspection.rows.db.insert(key, row).unwrap();
    }
}

#[tokio::test]
async fn counts_that_do_not_add_up_are_told_with_both_sums() {
    let (dir, old, _) = filled().await;
    let inspection = inspect(dir.path());
    let key = keys::tally(old, 0);
    let mut tally = inspection.rows.tally(old, Unit::Item(0)).unwrap();
    let right: Tally = tally.clone();
    tally.steps[1].attempts += 1;
    put(&inspection, &key, &cells::put_tally(&tally)[0]);
    let verified = verify(&inspection);
    assert_eq!(told(&verified), [(Damage::Tally, &*format!("the counts of {old}"))]);
    assert!(verified.findings[0].what.contains("and 41 attempts; the records come to"));
    tally = right;
    tally.units.succeeded -= 1;
    put(&inspection, &key, &cells::put_tally(&tally)[0]);
    let verified = verify(&inspection);
    assert!(verified.findings[0].what.contains("succeeded: 37"), "{:?}", verified.findings);
}

#[tokio::test]
async fn an_item_before_the_watermark_that_is_not_at_rest_is_told() {
    let (dir, old, _) = filled().await;
    {
        let store = open(dir.path());
        store.commit(vec![Change::Watermark(old, OPEN + 1)]).await.unwrap();
    }
    let verified = verify(&inspect(dir.path()));
    assert_eq!(told(&verified), [(Damage::Watermark, &*format!("item {OPEN} of {old}"))]);
}

#[tokio::test]
async fn what_belongs_to_no_run_or_no_item_is_told() {
    let (dir, old, _) = filled().await;
    let nobody = RunId(8 << 64);
    {
        let store = open(dir.path());
        let stray = Change::Enqueue(vec![message("lost", nobody, 1), message("lost", old, 99)]);
        let progress = Change::Progress(old, Unit::Item(3), item(&[S::Succeeded; 3]));
        store.commit(vec![stray, progress]).await.unwrap();
    }
    let verified = verify(&inspect(dir.path()));
    let lost = format!("block 0 of the queue 'lost' of {nobody}");
    assert!(told(&verified).contains(&(Damage::RunMissing, &*lost)), "{:?}", told(&verified));
    let late = format!("message 0 in block 0 of the queue 'lost' of {old}");
    assert!(told(&verified).contains(&(Damage::Row, &*late)), "{:?}", told(&verified));
    assert!(told(&verified).contains(&(Damage::Row, &*format!("item 3 of {old}"))), "too many steps");
}

#[tokio::test]
async fn files_are_missed_and_read_and_those_nobody_names_are_only_told() {
    let (dir, old, new) = filled().await;
    let run = open(dir.path()).run(old).unwrap().unwrap();
    let path = |address: &str| dir.path().join("pins").join(&address[..2]).join(&address[2..]);
    let source = run.source.unwrap();
    std::fs::remove_file(path(&source.records)).unwrap();
    std::fs::write(path(&run.files["schema.json"]), b"another schema").unwrap();
    let inspection = inspect(dir.path());
    inspection.rows.files.put(b"nobody asked for this").unwrap();
    let spill = keys::spill(&keys::item_block(new, 1), 1);
    let row = inspection.rows.db.get(&spill).unwrap().unwrap();
    inspection.rows.files.remove(&crate::core::digest::hex(codec::digest_of(&row).unwrap()), None).unwrap();
    let verified = verify(&inspection);
    let found = told(&verified);
    for (kind, place) in [
        (Damage::FileMissing, format!("the records of its source, {old}")),
        (Damage::FileDamaged, format!("its file 'schema.json', {old}")),
        (Damage::FileMissing, format!("the long record of item 17 of {new}")),
    ] {
        assert!(found.contains(&(kind, &*place)), "{place}: {found:?}");
    }
    assert_eq!((verified.collectable.files, verified.collectable.bytes), (1, 21));
}

#[tokio::test]
async fn a_definition_that_cannot_be_used_and_leftovers_are_told() {
    let (dir, old, new) = filled().await;
    std::fs::create_dir(dir.path().join("journal.damaged-17")).unwrap();
    let inspection = inspect(dir.path());
    let verified = inspection.verify(&|run: &Run| {
        if run.id == old { Err("it names a step kind that is gone".to_owned()) } else { plan(run) }
    });
    assert_eq!(told(&verified), [(Damage::Definition, &*format!("the definition of {old}"))]);
    assert_eq!(verified.collectable.leftovers, ["journal.damaged-17"]);
    assert_eq!(inspection.rows.run(new).unwrap().unwrap().id, new);
}

#[tokio::test]
async fn a_block_that_knows_of_no_long_record_makes_it_an_orphan() {
    let (dir, old, _) = filled().await;
    let inspection = inspect(dir.path());
    let mut block = inspection.rows.block(&keys::item_block(old, 0)).unwrap().unwrap();
    block.put(BLOCK, 9, &item(&[S::Succeeded, S::Succeeded]));
    put(&inspection, &keys::item_block(old, 0), &block.encode());
    let verified = verify(&inspection);
    assert_eq!(told(&verified), [(Damage::Spill, &*format!("the long record of item 9 of {old}"))]);
    assert_eq!(Block::decode(&block.encode()).unwrap(), block);
}

#[tokio::test]
async fn sizes_are_told_by_kind_and_per_item() {
    let (dir, ..) = filled().await;
    let size = inspect(dir.path()).size().unwrap();
    assert_eq!(size.items, 80);
    let rows: Vec<(&str, u64)> = size.kinds.iter().map(|kind| (kind.kind.as_str(), kind.rows)).collect();
    for kind in [("runs", 2), ("events", 10), ("items", 6), ("watermarks", 2), ("format", 1), ("counts", 2)] {
        assert!(rows.contains(&kind), "{kind:?}: {rows:?}");
    }
    assert!(rows.contains(&("long records", 4)) && rows.contains(&("queues", 6)), "{rows:?}");
    assert!(size.bytes_per_item.is_some_and(|bytes| (20..200).contains(&bytes)), "{size:?}");
    assert!(size.files >= 7 && size.total_bytes == size.journal_bytes + size.file_bytes, "{size:?}");
}

#[tokio::test]
async fn an_unfinished_item_of_an_open_run_without_its_body_is_told() {
    let (dir, id, _) = filled().await;
    let store = open(dir.path());
    let mut run = store.run(id).unwrap().unwrap();
    run.source.as_mut().unwrap().intake = Some(Intake::Open);
    let entrant = |event| Entrant { event_id: event, key: None, version: None, fault: None };
    let mut changes = vec![Change::Run(Box::new(run))];
    for at in 0..40 {
        changes.push(Change::Entrant(id, at, Box::new(entrant(u128::from(at) + 1))));
        changes.push(Change::Body(id, at, Some(b"{}".to_vec())));
    }
    store.commit(changes).await.unwrap();
    drop(store);
    let inspection = inspect(dir.path());
    assert_eq!(told(&verify(&inspection)), []);
    let body = keys::body(id, OPEN);
    inspection.rows.db.remove(&body).unwrap();
    inspection.rows.db.remove(keys::entrant_block(id, 2)).unwrap();
    let verified = verify(&inspection);
    let (body, entrants) = (words::place(&body), format!("the entrants of {id}"));
    let expected = [(Damage::Gap, body.as_str()), (Damage::Gap, entrants.as_str())];
    assert_eq!(told(&verified), expected);
}
