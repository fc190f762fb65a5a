//! State directories as earlier versions of Milepost left them. Each must open for good.

use std::path::PathBuf;

use milepost::core::cell::Facts;
use milepost::core::change::Change;
use milepost::core::id::RunId;
use milepost::core::run::Status;
use milepost::ports::{Journal, Queue, Receive};
use serde_json::json;

use super::{commit_of, open};

/// Where the directory is that `extend` works on.
const EXTEND: &str = "MILEPOST_FIXTURE";
/// The run that `extend` writes: what no workflow of ours leads to easily.
const EXTENDED: RunId = RunId(7 << 100);
const ITEMS: u64 = 20;

/// Adds records to a state directory that is to become a fixture: facts too long for a block, and
/// for a row; messages that were received and buried. Run once per fixture, by hand.
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
            progress.cells[1].facts.extend(facts);
        }
        store.commit(changes).await.unwrap();
    }
    let few = receive("q", 3, 1);
    assert_eq!(store.receive(&few).await.unwrap().len(), 3);
    let again = Receive { max: 2, visibility: std::time::Duration::from_secs(60), ..few };
    store.receive(&again).await.unwrap();
    store.commit(vec![Change::Watermark(EXTENDED, ITEMS)]).await.unwrap();
}

fn receive(queue: &str, max: usize, receives_max: u32) -> Receive {
    Receive {
        queue: queue.to_owned(),
        run: EXTENDED,
        max,
        wait: std::time::Duration::ZERO,
        visibility: std::time::Duration::ZERO,
        receives_max,
    }
}
