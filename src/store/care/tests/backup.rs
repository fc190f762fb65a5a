//! Copies: of one moment while others write, whole or refused.

use std::fs;
use std::path::{Path, PathBuf};

use crate::core::care::Backup;
use crate::core::cell::State as S;
use crate::core::change::Change;
use crate::core::id::{RunId, Unit};
use crate::ports::Journal;
use crate::store::Store;
use crate::store::tests::{event, item, message};

use super::super::{RestoreError, restore};
use super::{clock, filled, inspect, open, plan};

async fn taken() -> (tempfile::TempDir, PathBuf, Backup) {
    let (dir, ..) = filled().await;
    let file = dir.path().join("copy");
    let backup = open(dir.path()).backup(file.clone()).await.unwrap();
    (dir, file, backup)
}

fn restored(file: &Path, dir: &Path) -> Result<Backup, RestoreError> {
    restore(file, dir, &*clock())
}

fn rows(store: &Store) -> Vec<(sled::IVec, sled::IVec)> {
    store.0.rows.db.iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_copy_holds_the_same_rows_and_files() {
    let (dir, file, backup) = taken().await;
    assert_eq!((backup.runs, backup.bytes), (2, fs::metadata(&file).unwrap().len()));
    let place = dir.path().join("not/there");
    let said = restored(&file, &place).unwrap();
    assert_eq!(said, backup);
    let (one, other) = (open(dir.path()), open(&place));
    assert_eq!(rows(&one), rows(&other));
    assert_eq!(one.0.rows.files.all().unwrap().addresses, other.0.rows.files.all().unwrap().addresses);
    drop((one, other));
    assert!(inspect(&place).verify(&plan).sound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_taken_under_load_are_each_of_one_moment() {
    let (dir, run, _) = filled().await;
    let store = open(dir.path());
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let writers: Vec<_> = (0..4u64)
        .map(|writer| {
            let (store, acknowledged) = (store.clone(), std::sync::Arc::clone(&acknowledged));
            tokio::spawn(async move {
                for number in 0..150 {
                    let position = 100 + number * 4 + writer;
                    let changes = vec![
                        Change::Progress(run, Unit::Item(position), item(&[S::Succeeded, S::Succeeded])),
                        Change::Event(run, event(&position.to_string())),
                        Change::Enqueue(vec![message("busy", run, position)]),
                    ];
                    store.commit(changes).await.unwrap();
                    acknowledged.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut copies = Vec::new();
    for number in 0..4 {
        let before = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
        let file = dir.path().join(format!("copy-{number}"));
        store.backup(file.clone()).await.unwrap();
        copies.push((before, file));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    drop(store);
    for (before, file) in copies {
        let place = file.with_extension("state");
        restored(&file, &place).unwrap();
        let copy = open(&place);
        let items = copy.items(run, 100, usize::MAX).unwrap().len() as u64;
        assert!(items >= before, "{items} of {before} that were acknowledged before the copy");
        assert_eq!(copy.events(run, 5, usize::MAX).unwrap().len() as u64, items, "of one moment");
        assert_eq!(copy.tally(run, Unit::Item(0)).unwrap().units.total(), items + 40);
        drop(copy);
        let verified = inspect(&place).verify(&plan);
        // The messages are about items behind the source's end, which is told and is no matter here.
        let others = verified.findings.iter().filter(|finding| !finding.place.contains("'busy'"));
        assert_eq!(others.count(), 0, "{:?}", verified.findings);
        println!("{before} acknowledged before, {items} in the copy");
    }
}

#[tokio::test]
async fn a_damaged_copy_is_refused_with_the_place_and_nothing_is_written() {
    let (dir, file, backup) = taken().await;
    let bytes = fs::read(&file).unwrap();
    let place = dir.path().join("elsewhere");
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let refused = |damaged: &[u8], what: &str| {
        fs::write(&file, damaged).unwrap();
        match restored(&file, &place) {
            Err(RestoreError::Damaged { at, .. }) => assert!(at <= backup.bytes, "{what}: byte {at}"),
            Err(RestoreError::Version { .. }) if what.starts_with("flipped") => {}
            other => panic!("{what}: {other:?}"),
        }
        assert!(!place.exists(), "{what}");
        let beside = fs::read_dir(dir.path()).unwrap().flatten();
        let left = beside.filter(|entry| entry.file_name().to_string_lossy().contains("restoring"));
        assert_eq!(left.count(), 0, "{what}");
    };
    for number in 0..120u64 {
        let at = usize::try_from(seed.wrapping_mul(number + 1) >> 16).unwrap() % bytes.len();
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (number % 8);
        refused(&flipped, &format!("flipped at {at}"));
        refused(&bytes[..at], &format!("cut at {at}"));
    }
    refused(&[&bytes[..], b"x"].concat(), "longer");
    refused(b"", "empty");
    fs::write(&file, &bytes).unwrap();
    restored(&file, &place).unwrap();
}

#[tokio::test]
async fn a_copy_of_a_later_version_is_refused_by_name() {
    let (dir, file, _) = taken().await;
    let bytes = fs::read(&file).unwrap();
    for (at, what) in [(16, "a layout of format 9"), (17, "rows of format 9")] {
        let mut later = bytes.clone();
        later[at] = 9;
        fs::write(&file, later).unwrap();
        let error = restored(&file, &dir.path().join("elsewhere")).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("nothing was written"), "{error}");
    }
}

#[tokio::test]
async fn a_state_that_is_there_is_not_overwritten_and_what_was_shipped_stays() {
    let (dir, file, _) = taken().await;
    let error = restored(&file, dir.path()).unwrap_err();
    assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
    let place = dir.path().join("fresh");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("README.md"), "# state").unwrap();
    restored(&file, &place).unwrap();
    assert_eq!(fs::read(place.join("README.md")).unwrap(), b"# state");
    assert_eq!(open(&place).runs().unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_state_is_not_copied_and_the_store_goes_on() {
    let (dir, run, _) = filled().await;
    let store = open(dir.path());
    let file = dir.path().join("copy");
    let nowhere = store.backup(dir.path().join("no/such/folder/copy")).await.unwrap_err().to_string();
    assert!(nowhere.contains("No such file"), "{nowhere}");
    store.0.rows.db.insert(crate::store::keys::event(run, 0), b"no row of ours").unwrap();
    let error = store.backup(file.clone()).await.unwrap_err().to_string();
    assert!(error.contains("event 0 of"), "{error}");
    assert!(!file.exists() && !dir.path().join(".copy.unfinished").exists());
    let other = RunId(1);
    store.commit(vec![Change::Watermark(other, 1)]).await.unwrap();
}
