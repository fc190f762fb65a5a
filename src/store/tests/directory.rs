//! What the disk store promises about its directory, its failures, and a second life.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::cell::State as S;
use crate::core::change::Change;
use crate::core::id::Unit;
use crate::core::tally::Tally;
use crate::ports::{Journal, OwnQueue, Queue};
use crate::store::{Fate, MemoryStore, OpenError, Store};

use super::{HandClock, RUN, ask, event, item, message, run_of};

fn clock() -> Arc<HandClock> {
    Arc::new(HandClock::default())
}

fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, clock()).unwrap()
}

#[tokio::test]
async fn a_second_life_knows_everything() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("not/there/yet");
    let calls = crate::core::tally::Calls { batches: 1, ..Default::default() };
    {
        let store = open(&state);
        let changes = vec![
            Change::Run(Box::new(run_of(RUN))),
            Change::Event(RUN, event("one")),
            Change::Progress(RUN, Unit::Item(17), item(&[S::Running, S::Pending])),
            Change::Calls(RUN, Unit::Item(0), 1, calls),
            Change::Enqueue((0..20).map(|number| message("q", RUN, number)).collect()),
        ];
        store.commit(changes).await.unwrap();
        assert_eq!(store.receive(&ask("q", RUN, 5)).await.unwrap().len(), 5);
    }
    let store = open(&state);
    store.commit(vec![Change::Event(RUN, event("two"))]).await.unwrap();
    let done = Change::Progress(RUN, Unit::Item(17), item(&[S::Succeeded, S::Running]));
    store.commit(vec![done]).await.unwrap();
    assert_eq!(store.events(RUN, 0, 9).unwrap(), [(0, event("one")), (1, event("two"))]);
    let mut tally = Tally::default();
    tally.shift(None, &item(&[S::Succeeded, S::Running]));
    tally.add(1, calls);
    assert_eq!(store.tally(RUN, Unit::Item(0)).unwrap(), tally);
    let deliveries = store.receive(&ask("q", RUN, 99)).await.unwrap();
    assert_eq!(deliveries.len(), 20, "whoever hid five of them is gone");
    store.send(vec![message("q", RUN, 3)]).await.unwrap();
    assert_eq!(store.receive(&ask("q", RUN, 99)).await.unwrap().deliveries, [], "and all are known");
}

#[test]
fn a_second_engine_is_told_who_holds_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let Err(OpenError::Held { holder, .. }) = Store::open(dir.path(), clock()) else {
        panic!("two engines opened one directory");
    };
    assert_eq!(holder.unwrap().pid, std::process::id());
    drop(first);
    open(dir.path());
}

#[test]
fn what_cannot_be_opened_is_moved_aside_and_stays_there() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let conf = dir.path().join("journal/conf");
    fs::write(&conf, b"this is not what sled wrote").unwrap();
    let Err(error) = Store::open(dir.path(), clock()) else { panic!("it was opened") };
    let OpenError::Damaged { ref moved_to, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("milepost state restore BACKUP --state"), "{error}");
    assert_eq!(fs::read(moved_to.join("conf")).unwrap(), b"this is not what sled wrote");
    let Err(again) = Store::open(dir.path(), clock()) else { panic!("it began with nothing") };
    assert!(matches!(&again, OpenError::MovedAside { moved_to: found, .. } if found == moved_to), "{again}");
    fs::remove_dir_all(moved_to).unwrap();
    open(dir.path());
}

#[test]
fn rows_that_somebody_else_wrote_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let other = sled::open(dir.path().join("journal")).unwrap();
    other.insert("key", "value").unwrap();
    drop(other);
    let Err(error) = Store::open(dir.path(), clock()) else { panic!("it was opened") };
    assert!(error.to_string().contains("milepost did not write"), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    for dir in [&file, &file.join("below")] {
        let Err(error) = Store::open(dir, clock()) else { panic!("it was opened") };
        assert!(error.to_string().contains("give a directory with --state"), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"");
}

#[tokio::test]
async fn a_failed_sync_stops_the_store_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = Arc::clone(&broken);
    let store = Store::open_with(dir.path(), clock(), |_, mut sync| {
        Box::new(move || {
            if breaks.load(Ordering::Relaxed) {
                let error = std::io::Error::other("the disk is gone");
                return Err(crate::store::error::Error::io("sync")(error));
            }
            sync()
        })
    })
    .unwrap();
    let change = || vec![Change::Watermark(RUN, 1)];
    store.commit(change()).await.unwrap();
    broken.store(true, Ordering::Relaxed);
    let (one, other) = tokio::join!(store.commit(change()), store.commit(change()));
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(error.to_string().contains("the disk is gone"), "{error}");
    }
    broken.store(false, Ordering::Relaxed);
    let error = store.commit(change()).await.unwrap_err();
    assert!(error.to_string().contains("takes nothing more"), "{error}");
    assert!(store.receive(&ask("q", RUN, 1)).await.is_err());
    assert!(store.watermark(RUN).is_err(), "what is not known to be durable is not shown");
}

#[tokio::test]
async fn a_directory_that_vanishes_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(vec![Change::Watermark(RUN, 1)]).await.unwrap();
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let error = store.commit(vec![Change::Watermark(RUN, 2)]).await.unwrap_err();
    assert!(error.to_string().contains("journal"), "{error}");
    assert!(store.commit(vec![Change::Watermark(RUN, 3)]).await.is_err());
}

#[tokio::test]
async fn a_panic_of_the_writer_stops_the_store_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), clock(), |_, _| Box::new(|| panic!("planted"))).unwrap();
    let error = store.commit(vec![Change::Watermark(RUN, 1)]).await.unwrap_err();
    assert!(error.to_string().contains("planted"), "{error}");
    assert!(store.commit(vec![Change::Watermark(RUN, 1)]).await.is_err());
}

#[tokio::test]
async fn a_damaged_row_is_named_and_stops_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let put = |position| vec![Change::Progress(RUN, Unit::Item(position), item(&[S::Succeeded]))];
    store.commit(put(0)).await.unwrap();
    let key = crate::store::keys::item_block(RUN, 0);
    let mut row = store.0.rows.db.get(&key).unwrap().unwrap().to_vec();
    *row.last_mut().unwrap() ^= 1;
    store.0.rows.db.insert(&key, row).unwrap();
    drop(store);
    let store = open(dir.path());
    let error = store.progress(RUN, Unit::Item(3)).unwrap_err().to_string();
    assert!(error.contains("checksum") && error.contains("milepost state verify"), "{error}");
    assert!(store.commit(put(3)).await.is_err(), "it is not overwritten");
    assert_eq!(store.0.rows.run(RUN).unwrap(), None);
}

#[tokio::test]
async fn values_stay_small_and_sled_makes_no_files_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for position in 0..64 {
        let progress = super::long_item(64 * usize::try_from(position).unwrap());
        store.commit(vec![Change::Progress(RUN, Unit::Item(position), progress)]).await.unwrap();
    }
    let longest = store.0.rows.db.iter().values().map(|row| row.unwrap().len()).max();
    assert!(longest.unwrap() <= crate::store::codec::ROW_BYTES_MAX);
    assert_eq!(fs::read_dir(dir.path().join("journal/blobs")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_memory_store_dies_where_it_is_told_to() {
    let put = |number| vec![Change::Watermark(RUN, number)];
    for (fate, durable) in [(Fate::Lost, 1), (Fate::Unheard, 2)] {
        let store = MemoryStore::with_fates(clock(), move |write| if write == 2 { fate } else { Fate::Kept });
        store.commit(put(1)).await.unwrap();
        assert!(store.commit(put(2)).await.is_err());
        assert!(store.commit(put(3)).await.is_err() && store.watermark(RUN).is_err());
        let survivor = store.survivor(|_| Fate::Kept);
        assert_eq!(survivor.watermark(RUN).unwrap(), durable, "{fate:?}");
        survivor.commit(put(4)).await.unwrap();
        assert_eq!(survivor.watermark(RUN).unwrap(), 4);
    }
}
