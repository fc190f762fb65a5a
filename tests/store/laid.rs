//! Promise 1 while the blocks of finished items are laid side by side, and pages of keys are moved.

use std::path::Path;

use milepost::core::cell::{Cell, Facts, State};
use milepost::core::change::Change;
use milepost::core::claims::{Applied, Fence, Fingerprint, KeyId, KeyRow};
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::run::Run;
use milepost::core::version::Version;
use milepost::ports::{Clock, Journal};
use milepost::store::{Inspection, Store};
use serde_json::json;

use super::disk::{Disk, cut_power};
use super::harness::{Still, run_of, write_and_end};
use super::{CHILD, open};

/// Items that begin, and keys that come, in one commit.
const ITEMS: u64 = 200;
const KEYS: u64 = 60;
/// What the child is told, before the number of its round.
pub(crate) const TASK: &str = "lay-";

fn at(position: u64, is_finished: bool) -> Progress {
    let state = if is_finished { State::Succeeded } else { State::Running };
    let id = json!(format!("{:032x}", u128::from(position) * 0x9E37_79B9_7F4A_7C15_F39C_0C4B));
    let facts = if is_finished { Facts::from([("id".to_owned(), id)]) } else { Facts::new() };
    let cell = Cell { state, attempts: u32::from(is_finished), at: Still.now(), facts, ..Cell::default() };
    Progress::of([cell.clone(), cell])
}

fn key(run: RunId, number: u64) -> Change {
    let applied = Applied {
        owner: u128::from(number),
        fence: Fence { epoch: 1, attempt: 1 },
        fingerprint: Fingerprint(u128::from(number)),
        version: Version("1".to_owned()),
        at: Still.now(),
        keep: std::time::Duration::from_hours(24),
        facts: Facts::new(),
        overwritten: false,
    };
    let row = KeyRow { held: None, applied: Some(applied) };
    Change::Key(KeyId::of(&run.to_string(), &number.to_string()), Some(Box::new(row)))
}

/// A commit: new items begin, those of the two commits before are finished by and by, keys come.
fn commit_of(run: RunId, number: u64) -> Vec<Change> {
    let flock = |back: u64| number.checked_sub(back).map_or(0..0, |flock| flock * ITEMS..(flock + 1) * ITEMS);
    let put = |position, is_finished| Change::Progress(run, Unit::Item(position), at(position, is_finished));
    let mut changes = vec![Change::Watermark(run, number.saturating_sub(1) * ITEMS)];
    changes.extend(flock(0).map(|position| put(position, false)));
    changes.extend(flock(1).filter(|position| position % 3 > 0).map(|position| put(position, true)));
    changes.extend(flock(2).filter(|position| position % 3 == 0).map(|position| put(position, true)));
    changes.extend((number * KEYS..(number + 1) * KEYS).map(|number| key(run, number)));
    changes
}

/// Writes until the process is ended, and says what was acknowledged.
pub(crate) fn write_on(store: &Store, run: RunId) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let record = Run::queued(run, "w", "w.yaml", "d", Still.now());
    runtime.block_on(store.commit(vec![Change::Run(Box::new(record))])).unwrap();
    for number in 0.. {
        if let Err(error) = runtime.block_on(store.commit(commit_of(run, number))) {
            return println!("\n{error}");
        }
        println!("acknowledged {number}.");
    }
}

/// Whatever was acknowledged is there as it was written, or as the one commit after left it.
fn check(state: &Path, run: RunId, acknowledged: &[u64]) {
    let store = open(state).unwrap();
    let last = acknowledged.iter().copied().max().unwrap();
    let items = store.items(run, 0, usize::MAX).unwrap();
    let commits = items.len() as u64 / ITEMS;
    assert!(commits > last && items.len() as u64 == commits * ITEMS, "{last}, and {} items", items.len());
    for (position, progress) in items {
        let age = commits - 1 - position / ITEMS;
        let is_finished = age > 1 || age == 1 && position % 3 > 0;
        assert_eq!(progress, at(position, is_finished), "item {position} of {commits} commits");
    }
    drop(store);
    let kinds = Inspection::open(state, &Still).unwrap().size().unwrap().kinds;
    let keys: u64 = kinds.iter().filter(|kind| kind.kind == "idempotency keys").map(|kind| kind.rows).sum();
    assert!(keys >= commits * KEYS, "{keys} keys of {commits} commits");
}

#[test]
fn what_is_laid_survives_a_kill() {
    for lines in [90, 140, 201] {
        let dir = tempfile::tempdir().unwrap();
        let task = format!("{TASK}{lines}");
        let acknowledged = write_and_end(CHILD, dir.path(), &task, lines, |child| child.kill().unwrap());
        check(dir.path(), run_of(lines as u64), &acknowledged);
    }
}

#[test]
#[ignore = "needs root, a loop device, mkfs.ext4 and python3"]
fn what_is_laid_survives_a_power_cut() {
    let cuts: u64 = std::env::var("MILEPOST_CUTS").map_or(10, |cuts| cuts.parse().unwrap());
    for round in 0..cuts {
        let disk = Disk::ext4("512M");
        let state = disk.path().join("state");
        drop(open(&state).unwrap());
        let lines = rand::random_range(60..260);
        let acknowledged = write_and_end(CHILD, &state, &format!("{TASK}{round}"), lines, |child| {
            cut_power(&disk.path());
            child.kill().unwrap();
        });
        disk.unmount();
        disk.mount();
        check(&state, run_of(round), &acknowledged);
        println!("cut {round}: {} commits acknowledged, none missing", acknowledged.len());
    }
}
