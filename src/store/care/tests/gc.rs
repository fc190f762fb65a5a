//! Removing: exactly what was said, in an order in which every crash leaves a sound state.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::core::care::{Collection, KeptDeadLetter, RESUMABLE_FOR, may_go};
use crate::core::change::Change;
use crate::core::id::RunId;
use crate::core::run::Run;
use crate::core::start::{Fingerprint, KEEP, StartKey};
use crate::core::time::Timestamp;
use crate::ports::{Journal, OwnQueue, Pins, Queue, StoreError};
use crate::store::Store;
use crate::store::error::Error;
use crate::store::tests::{START, ask, event, message, run_of};

use super::super::{gc, walk};
use super::{DEAD, clock, fill, filled, inspect, open, plan};

const NOW: Timestamp = Timestamp(START);

fn retention(run: &Run, _: u64) -> Result<String, String> {
    may_go(run.status, run.ended_at, run.released, RESUMABLE_FOR, NOW)
}

fn letter(run: &Run, position: u64) -> KeptDeadLetter {
    KeptDeadLetter {
        run: run.id,
        workflow: run.workflow.clone(),
        item: Some(format!("SKU-{position}")),
        position,
        step: "write".to_owned(),
        fault: None,
        attempts: 3,
        at: NOW,
        record: json!({ "name": "a long product ".repeat(500) }),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as the application reads them")]
fn letters(run: &Run, from: u64, _: usize) -> Result<Vec<KeptDeadLetter>, StoreError> {
    Ok(if from <= DEAD { vec![letter(run, DEAD)] } else { Vec::new() })
}

async fn collect(store: &Store) -> Result<Collection, StoreError> {
    let collection = store.collection(&retention, NOW)?;
    store.collect(collection, &letters, NOW, None).await
}

/// All that a state holds: rows and files.
fn contents(dir: &Path) -> (BTreeMap<Vec<u8>, Vec<u8>>, Vec<String>) {
    let inspection = inspect(dir);
    let rows = walk::rows(&inspection.rows, b"").map(Result::unwrap);
    // Which batch the last one was is no matter here.
    let rows = rows.filter(|raw| *raw.key != *crate::store::keys::LAST);
    let rows = rows.map(|raw| (raw.key.to_vec(), raw.row.to_vec())).collect();
    let files = inspection.rows.files.all().unwrap().addresses;
    (rows, files.into_iter().map(|(address, _)| address).collect())
}

fn assert_sound(dir: &Path, when: &str) {
    let verified = inspect(dir).verify(&plan);
    assert!(verified.sound, "{when}: {:?}", verified.findings);
}

#[tokio::test]
async fn what_was_said_goes_and_nothing_else() {
    let (dir, old, new) = filled().await;
    let before = contents(dir.path());
    let store = open(dir.path());
    let said = store.collection(&retention, NOW).unwrap();
    let fates: Vec<(RunId, bool)> = said.runs.iter().map(|fate| (fate.run, fate.goes)).collect();
    assert_eq!(fates, [(old, true), (new, false)]);
    assert!(said.runs[0].why.contains("is kept for 30 days"), "{:?}", said.runs);
    assert_eq!((said.runs[0].dead_letters, said.expired_keys, said.done), (1, 0, false));
    drop(store);
    assert_eq!(contents(dir.path()), before, "saying changes nothing");

    let store = open(dir.path());
    let done = store.collect(said.clone(), &letters, NOW, None).await.unwrap();
    assert_eq!(done, Collection { done: true, ..said.clone() }, "it did what it had said");
    assert_eq!(store.runs().unwrap().iter().map(|run| run.id).collect::<Vec<_>>(), [new]);
    assert_eq!(store.receive(&ask("q", old, 9)).await.unwrap().deliveries, [], "its messages are gone");
    let kept = store.kept_dead_letters(None, 10).unwrap();
    assert_eq!(kept, [letter(&run_of(old), DEAD)], "the record too, however long");
    assert_eq!(store.kept_dead_letters(Some((old, DEAD)), 10).unwrap(), []);
    let again = collect(&store).await.unwrap();
    assert_eq!((again.rows, again.files), (0, 0), "there is nothing left to do");
    drop(store);
    let (rows, files) = contents(dir.path());
    let gone = before.0.keys().filter(|key| !rows.contains_key(*key)).count() as u64;
    assert_eq!(gone, said.rows);
    let gone = before.1.iter().filter(|address| !files.contains(address)).count() as u64;
    assert_eq!((gone, said.files), (2, 2), "its source; the definition is still in use");
    assert_sound(dir.path(), "after a collection");
}

#[tokio::test]
async fn a_start_key_outlives_its_run_for_as_long_as_it_is_to_be_remembered() {
    let (dir, old, _) = filled().await;
    let store = open(dir.path());
    let run = store.run(old).unwrap().unwrap();
    let asked = Fingerprint { definition: "d".to_owned(), input: "i".to_owned() };
    let key = StartKey { key: "nightly".to_owned(), run: old, asked, until: None };
    let named = Run { key: Some(key.key.clone()), ..run.clone() };
    store.commit(vec![Change::Run(Box::new(named)), Change::StartKey(key.clone())]).await.unwrap();
    // A collection just after its end, because a person let the run go.
    let ended = run.ended_at.unwrap();
    let soon = Timestamp(ended.0 + 1);
    let all = |run: &Run, _: u64| if run.id == old { Ok("let go".to_owned()) } else { Err(String::new()) };
    let said = store.collection(&all, soon).unwrap();
    store.collect(said, &letters, soon, None).await.unwrap();
    assert_eq!(store.run(old).unwrap(), None);
    let until = Some(ended.after(KEEP));
    assert_eq!(store.started_under("nightly").unwrap(), Some(StartKey { until, ..key }));
    drop(store);
    assert_sound(dir.path(), "with a key of a run that is gone");
    let store = open(dir.path());
    let late = ended.after(KEEP);
    let said = store.collection(&all, late).unwrap();
    assert_eq!(said.expired_keys, 1);
    store.collect(said, &letters, late, None).await.unwrap();
    assert_eq!(store.started_under("nightly").unwrap(), None);
}

#[tokio::test]
async fn the_start_key_of_a_run_that_never_ended_is_kept_from_when_it_was_let_go() {
    let (dir, old, _) = filled().await;
    let store = open(dir.path());
    let asked = Fingerprint { definition: "d".to_owned(), input: "i".to_owned() };
    let key = StartKey { key: "nightly".to_owned(), run: old, asked, until: None };
    let run = store.run(old).unwrap().unwrap();
    let named = Run { key: Some(key.key.clone()), ended_at: None, released: Some(NOW), ..run };
    store.commit(vec![Change::Run(Box::new(named)), Change::StartKey(key.clone())]).await.unwrap();
    collect(&store).await.unwrap();
    assert_eq!(store.run(old).unwrap(), None);
    let until = Some(NOW.after(KEEP));
    assert_eq!(store.started_under("nightly").unwrap(), Some(StartKey { until, ..key }));
}

#[tokio::test]
async fn a_kept_dead_letter_can_be_dropped_and_its_record_goes_too() {
    let (dir, old, _) = filled().await;
    let store = open(dir.path());
    collect(&store).await.unwrap();
    store.forget_dead_letter(old, DEAD).await.unwrap();
    assert_eq!(store.kept_dead_letters(None, 10).unwrap(), []);
    assert_eq!(collect(&store).await.unwrap().files, 1);
}

#[tokio::test]
async fn a_run_that_is_gone_is_forgotten_in_memory_too() {
    let (dir, old, _) = filled().await;
    let store = open(dir.path());
    // What the writer knows of it now would be written back with the next change of a neighbour.
    store.commit(vec![Change::Event(old, event("more")), Change::Watermark(old, 30)]).await.unwrap();
    store.send(vec![message("q", old, 1_000)]).await.unwrap();
    collect(&store).await.unwrap();
    fill(&store, old, START).await;
    drop(store);
    assert_sound(dir.path(), "after the same run was made again");
}

/// Fails the sync of one batch, as a disk would; the batch itself is applied.
fn failing_at(dir: &Path, number: u64) -> (Store, Arc<AtomicU64>) {
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&syncs);
    let store = Store::open_with(dir, clock(), move |_, mut sync| {
        Box::new(move || {
            sync()?;
            if counted.fetch_add(1, Ordering::Relaxed) + 1 == number {
                return Err(Error::io("sync")(std::io::Error::other("planted")));
            }
            Ok(())
        })
    });
    (store.unwrap(), syncs)
}

/// More events than fit into one batch of a removal.
async fn many_rows(dir: &Path, run: RunId) {
    let store = open(dir);
    let more = (0..1_000).map(|number| Change::Event(run, event(&format!("more {number}"))));
    store.commit(more.collect()).await.unwrap();
}

#[tokio::test]
async fn a_crash_after_any_batch_leaves_a_sound_state_that_is_collected_to_the_same_end() {
    let whole = {
        let (dir, old, _) = filled().await;
        many_rows(dir.path(), old).await;
        collect(&open(dir.path())).await.unwrap();
        contents(dir.path())
    };
    let mut cuts = 0;
    for number in 1.. {
        let (dir, old, _) = filled().await;
        many_rows(dir.path(), old).await;
        let (store, _) = failing_at(dir.path(), number);
        let ended = collect(&store).await;
        drop(store);
        assert_sound(dir.path(), &format!("cut after batch {number}"));
        let store = open(dir.path());
        let runs = store.runs().unwrap();
        assert!(runs.iter().all(|run| store.run(run.id).unwrap().is_some()));
        if ended.is_err() && !runs.iter().any(|run| run.id == old) {
            let said = store.collection(&retention, NOW).unwrap();
            assert!(said.rows == 0 || said.completed == [old], "{said:?}");
            let kept = store.kept_dead_letters(None, 9).unwrap();
            assert_eq!(kept.len(), 1, "the run is gone, its dead letter is kept");
        } else if ended.is_err() {
            assert_eq!(store.kept_dead_letters(None, 9).unwrap(), [], "the run itself tells of it");
        }
        collect(&store).await.unwrap();
        drop(store);
        assert_eq!(contents(dir.path()), whole, "cut after batch {number}");
        if ended.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 5, "dead letter, mark, three batches of rows: {cuts}");
}

/// The boundary between two batches can lie anywhere: a state is sound wherever it lies.
#[tokio::test]
async fn a_removal_cut_short_between_any_two_rows_is_no_damage() {
    let (dir, old, _) = filled().await;
    let inspection = inspect(dir.path());
    let begun = gc::removal(&inspection.rows, old).unwrap().unwrap();
    for (key, payload) in begun.put {
        let row = crate::store::codec::frame(&key, &payload, &inspection.rows.files).unwrap();
        inspection.rows.db.insert(key, row).unwrap();
    }
    inspection.rows.db.remove(&begun.remove[0]).unwrap();
    let rest = gc::removal(&inspection.rows, old).unwrap().unwrap().remove;
    assert!(rest.len() > 10 && rest.last().unwrap().starts_with(b"G"), "the mark goes last");
    for (number, key) in rest.iter().enumerate() {
        let verified = inspection.verify(&plan);
        assert!(verified.sound, "before row {number}: {:?}", verified.findings);
        assert_eq!(verified.collectable.rows, (rest.len() - number) as u64);
        inspection.rows.db.remove(key).unwrap();
    }
    assert_eq!(inspection.verify(&plan).collectable.rows, 0);
}

#[tokio::test]
async fn a_crash_between_any_two_files_leaves_a_sound_state() {
    let (dir, old, _) = filled().await;
    let store = open(dir.path());
    let run = store.run(old).unwrap().unwrap();
    let source = run.source.unwrap();
    store.put(b"put before a crash, named by nobody").unwrap();
    while let Some(sweep) = gc::removal(store.rows().unwrap(), old).unwrap() {
        store.0.writer.sweep(sweep).await.unwrap();
    }
    drop(store);
    let mut left = inspect(dir.path()).verify(&plan).collectable.files;
    assert!(left >= 3, "source, index, the stray one: {left}");
    for address in [&source.index, &source.records] {
        inspect(dir.path()).rows.files.remove(address, None).unwrap();
        assert_sound(dir.path(), "between two files");
        left -= 1;
        assert_eq!(inspect(dir.path()).verify(&plan).collectable.files, left);
    }
    assert_eq!(collect(&open(dir.path())).await.unwrap().files, left);
    assert_sound(dir.path(), "in the end");
}

#[tokio::test]
async fn a_damaged_state_is_not_collected() {
    let (dir, old, _) = filled().await;
    let store = open(dir.path());
    let key = crate::store::keys::event(old, 0);
    store.0.rows.db.insert(key, b"no row of ours").unwrap();
    let error = collect(&store).await.unwrap_err().to_string();
    assert!(error.contains("event 0 of") && error.contains("damaged"), "{error}");
    assert_eq!(store.runs().unwrap().len(), 2);
}
