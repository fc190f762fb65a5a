//! Finished items, and keys, take little more room than their rows, and nothing that is read changes by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::core::cell::{Facts, State as S};
use crate::core::change::Change;
use crate::core::claims::{Applied, Fence, Fingerprint, KeyId, KeyRow};
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::time::Timestamp;
use crate::core::version::Version;
use crate::ports::Journal;
use crate::store::Store;

use super::{HandClock, RUN, START, cell, run_of};

const ITEMS: u64 = 60_000;
const KEYS: u64 = 30_000;
/// Items that begin in one commit.
const FLOCK: u64 = 250;
/// Commits in which an item may change.
const AGES: u64 = 11;

fn finished(position: u64) -> Progress {
    let id = uuid::Uuid::from_u128(u128::from(position) * 0x9E37_79B9_7F4A_7C15_F39C_0C4B);
    Progress::of(vec![cell(S::Succeeded, &[("id", id.to_string().into())]); 2])
}

/// What is written of an item this many commits after its first.
fn later(position: u64, age: u64) -> Option<Progress> {
    let half = || Progress::of([finished(position).cells[0].as_ref().clone(), cell(S::Running, &[])]);
    // As good as chance: how long each step takes.
    let (first, second) = (1 + position * 7 % 5, 6 + position * 11 % 5);
    match age {
        0 => Some(Progress::of([cell(S::Running, &[]), cell(S::Pending, &[])])),
        age if age == first => Some(half()),
        age if age == second => Some(finished(position)),
        _ => None,
    }
}

/// Items that pass two steps, some faster than others; `told`: the watermark goes along.
async fn fill(store: &Store, told: bool) {
    store.commit(vec![Change::Run(Box::new(run_of(RUN)))]).await.unwrap();
    let flocks = ITEMS / FLOCK;
    for turn in 0..flocks + AGES {
        let mut changes = Vec::new();
        for (age, flock) in (0..AGES).filter_map(|age| Some((age, turn.checked_sub(age)?))) {
            let items = (flock * FLOCK..(flock + 1) * FLOCK).filter(|_| flock < flocks);
            let of = |at| Some(Change::Progress(RUN, Unit::Item(at), later(at, age)?));
            changes.extend(items.filter_map(of));
        }
        if let Some(done) = turn.checked_sub(AGES).filter(|_| told) {
            changes.push(Change::Watermark(RUN, (done + 1) * FLOCK));
        }
        store.commit(changes).await.unwrap();
    }
}

#[tokio::test]
async fn finished_items_lie_densely_and_are_what_they_were() {
    let mut lengths = Vec::new();
    for told in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(dir.path(), Arc::new(HandClock::default())).unwrap();
        let store = open();
        fill(&store, told).await;
        drop(store);
        lengths.push(std::fs::metadata(dir.path().join("journal/db")).unwrap().len());
        let store = open();
        assert_eq!(store.watermark(RUN).unwrap(), if told { ITEMS } else { 0 });
        assert_eq!(store.tally(RUN, Unit::Item(0)).unwrap().units.succeeded, ITEMS);
        for from in (0..ITEMS).step_by(4_000) {
            let items = store.items(RUN, from, 4_000).unwrap();
            assert_eq!(items.len(), 4_000);
            assert!(items.into_iter().all(|(position, progress)| progress == finished(position)));
        }
    }
    let [scattered, laid] = lengths.try_into().unwrap();
    assert!(laid * 10 < scattered * 9, "{laid} bytes, and {scattered} without");
}

#[tokio::test]
async fn a_sync_that_fails_while_blocks_are_laid_stops_the_store_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut failed_at = 0;
    // The commits have a sync each, and between them some lay.
    for allowed in (10..160).step_by(50) {
        let state = dir.path().join(allowed.to_string());
        let synced = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&synced);
        let store = Store::open_with(&state, Arc::new(HandClock::default()), |_, mut sync| {
            Box::new(move || {
                if count.fetch_add(1, Ordering::SeqCst) == allowed {
                    return Err(crate::store::error::Error::Stopped("the disk is gone".to_owned()));
                }
                sync()
            })
        });
        let store = store.unwrap();
        let _ = store.commit(vec![Change::Run(Box::new(run_of(RUN)))]).await;
        let mut acknowledged = 0;
        for flock in (0..ITEMS).step_by(usize::try_from(FLOCK).unwrap()) {
            let items = flock..flock + FLOCK;
            let mut changes: Vec<Change> =
                items.map(|at| Change::Progress(RUN, Unit::Item(at), finished(at))).collect();
            changes.push(Change::Watermark(RUN, flock + FLOCK));
            if store.commit(changes).await.is_err() {
                break;
            }
            acknowledged = flock + FLOCK;
        }
        failed_at += usize::from(acknowledged < ITEMS);
        drop(store);
        let store = Store::open(&state, Arc::new(HandClock::default())).unwrap();
        assert!(store.watermark(RUN).unwrap() >= acknowledged, "after {allowed} syncs");
        assert!(store.items(RUN, 0, 100_000).unwrap().len() as u64 >= acknowledged, "after {allowed} syncs");
    }
    assert!(failed_at > 0, "no sync failed");
}

#[tokio::test]
async fn keys_take_little_more_room_than_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Arc::new(HandClock::default())).unwrap();
    let id = |number: u64| KeyId::of("shop", &number.to_string());
    let row = |number: u64| KeyRow {
        held: None,
        applied: Some(Applied {
            owner: u128::from(number) << 64,
            fence: Fence { epoch: 1, attempt: 1 },
            fingerprint: Fingerprint(u128::MAX / u128::from(number + 1)),
            version: Version(START.to_string()),
            at: Timestamp(START + number),
            keep: Duration::from_hours(24 * 14),
            facts: Facts::new(),
            overwritten: false,
        }),
    };
    for first in (0..KEYS).step_by(200) {
        let keys = first..first + 200;
        store.commit(keys.map(|key| Change::Key(id(key), Some(Box::new(row(key))))).collect()).await.unwrap();
    }
    for number in (0..KEYS).step_by(97) {
        assert_eq!(store.key(id(number)).unwrap(), Some(row(number)));
    }
    let length = std::fs::metadata(dir.path().join("journal/db")).unwrap().len();
    assert!(length < KEYS * 250, "{} bytes per key", length / KEYS);
}
