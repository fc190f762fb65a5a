//! State directories as earlier versions of Milepost left them. Each must open for good.

use std::fs;
use std::path::{Path, PathBuf};

use milepost::core::cell::{Facts, State};
use milepost::core::change::Change;
use milepost::core::id::{RunId, Unit};
use milepost::core::queue::{Only, Receive};
use milepost::core::run::Status;
use milepost::ports::{Journal, Pins, Queue};
use serde_json::json;

use super::{commit_of, open};

/// Where the directory is that `extend` works on.
const EXTEND: &str = "MILEPOST_FIXTURE";
/// The run that `extend` writes: what no workflow of ours leads to easily.
const EXTENDED: RunId = RunId(7 << 100);
const ITEMS: u64 = 20;

/// Adds records to a state directory that is to become a fixture: facts too long for a block, and
/// for a row; messages that were received. Run once per fixture, by hand.
#[tokio::test]
#[ignore = "writes a part of a fixture; see fixtures/README.md"]
async fn extend() {
    let dir = PathBuf::from(std::env::var_os(EXTEND).unwrap());
    let store = open(&dir).unwrap();
    let mut run = store
        .runs()
        .unwrap()
        .into_iter()
        .find(|run| run.source.is_some() && run.status == Status::Succeeded)
        .unwrap();
    let (_, done) = store.items(run.id, 0, 1).unwrap().remove(0);
    (run.id, run.status) = (EXTENDED, Status::Interrupted);
    store.commit(vec![Change::Run(Box::new(run))]).await.unwrap();
    for item in 0..ITEMS {
        let mut changes = commit_of(EXTENDED, item % super::WRITERS, item / super::WRITERS);
        let Change::Progress(_, _, progress) = &mut changes[1] else { unreachable!() };
        *progress = done.clone();
        if let Some(length) = [0, 300, 2_000, 5_000].get((item % 7) as usize) {
            let facts = Facts::from([("answer".to_owned(), json!("long ".repeat(length / 5)))]);
            progress.cell_mut(1).facts.extend(facts);
        }
        store.commit(changes).await.unwrap();
    }
    let few = receive("q", 3, 1);
    assert_eq!(store.receive(&few).await.unwrap().deliveries.len(), 3);
    let again = Receive { max: 2, visibility: std::time::Duration::from_mins(1), ..few };
    store.receive(&again).await.unwrap();
    store.commit(vec![Change::Watermark(EXTENDED, ITEMS)]).await.unwrap();
}

fn receive(queue: &str, max: usize, receives_max: u32) -> Receive {
    Receive {
        queue: queue.to_owned(),
        run: EXTENDED,
        only: Only::All,
        max,
        wait: std::time::Duration::ZERO,
        visibility: std::time::Duration::ZERO,
        receives_max,
        pollers: 1,
        content: false,
    }
}

/// A copy of a stored state directory.
fn copy_of(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/fixtures").join(name), dir.path());
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

/// What every one of them holds: see `fixtures/README.md`.
async fn reads(name: &str) {
    let dir = copy_of(name);
    let store = open(dir.path()).unwrap();
    let runs = store.runs().unwrap();
    let told: Vec<(&str, Status)> = runs.iter().map(|run| (run.workflow.as_str(), run.status)).collect();
    let product = |status| ("product-sync", status);
    let running = product(Status::Running);
    let expected =
        [running, ("hello", Status::Succeeded), product(Status::Failed), product(Status::Succeeded)];
    assert_eq!(told, [&expected[..], &[product(Status::Interrupted)]].concat());
    let counts = |run: RunId| store.tally(run, Unit::Item(0)).unwrap().units;
    let (killed, failed, good) = (runs[0].id, runs[2].id, runs[3].id);
    assert_eq!((counts(failed).succeeded, counts(failed).dead_lettered), (20, 3));
    assert_eq!((counts(good).succeeded, counts(good).total()), (20, 20));
    assert!(counts(killed).running > 0, "intents without outcome");
    for run in &runs {
        let items = store.items(run.id, 0, usize::MAX).unwrap();
        assert_eq!(items.len() as u64, counts(run.id).total(), "{}", run.id);
        assert!(
            !store.events(run.id, 0, usize::MAX).unwrap().is_empty() && store.get(&run.definition).is_ok()
        );
        for (_, progress) in items.iter().filter(|(_, item)| item.standing().state == State::Succeeded) {
            assert!(progress.cells.iter().any(|cell| !cell.facts.is_empty()), "IDs were returned");
        }
    }
    let long = store.items(EXTENDED, 0, usize::MAX).unwrap();
    let answer = |at: usize| long[at].1.cells[1].facts["answer"].as_str().unwrap().len();
    assert_eq!([0, 1, 2, 3].map(answer), [0, 300, 2_000, 5_000]);
    // Five were received once; what was received as often as it may be is buried.
    assert_eq!(store.receive(&receive("q", 99, 1)).await.unwrap().deliveries.len() as u64, ITEMS - 5);
    assert_eq!(store.receive(&receive("q.dlq", 99, 9)).await.unwrap().deliveries.len(), 5);
}

#[tokio::test]
async fn a_state_of_format_1_is_read() {
    reads("format-1").await;
}

#[tokio::test]
async fn a_state_of_format_2_is_read() {
    reads("format-2").await;
}

#[tokio::test]
async fn a_state_of_format_3_is_read() {
    reads("format-3").await;
}

#[tokio::test]
async fn a_state_of_format_4_is_read() {
    reads("format-4").await;
}
