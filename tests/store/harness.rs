//! A process that writes and is ended in the middle, and what is then there. Shared with the unit
//! tests of the store, which hold a store without syncs against it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use milepost::core::cell::{Cell, Facts, State};
use milepost::core::change::{Change, Message};
use milepost::core::event::{Event, RunEvent};
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::queue::{Only, Receive};
use milepost::core::time::Timestamp;
use milepost::ports::{Clock, Journal, Queue};
use milepost::store::Store;

use super::disk::{Disk, cut_power};

/// Tells the test binary that it is the child, and what to do.
const CHILD: &str = "MILEPOST_STORE_CHILD";
pub(crate) const WRITERS: u64 = 8;
/// Every so many items one is too long for a row and becomes a content-addressed file. Seldom: each
/// is synced, and what is synced may take a journal with it that is not.
const LONG_EVERY: u64 = 400;

/// Time that does not pass; nothing here waits for it.
pub(crate) struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_225_600_000)
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}

pub(crate) fn run_of(round: u64) -> RunId {
    RunId(1 << 100 | u128::from(round))
}

/// One commit that touches every kind of record: an item, an event, a message, run steps.
pub(crate) fn commit_of(run: RunId, writer: u64, number: u64) -> Vec<Change> {
    let item = number * WRITERS + writer;
    let mut facts = Facts::from([("id".to_owned(), json!(format!("{item:032x}")))]);
    if item.is_multiple_of(LONG_EVERY) {
        facts.insert("answer".to_owned(), json!("long ".repeat(1_000)));
    }
    let cell =
        |facts| Cell { state: State::Succeeded, attempts: 1, at: Still.now(), facts, ..Cell::default() };
    let message = Message {
        queue: "q".to_owned(),
        run,
        item: Some(item),
        event_id: u128::from(item),
        detail_type: "Stored".to_owned(),
        digest: format!("{item:064x}"),
    };
    vec![
        Change::Event(
            run,
            Event {
                at: Still.now(),
                what: RunEvent::Alert { message: item.to_string(), dead_letters: None },
            },
        ),
        Change::Progress(run, Unit::Item(item), Progress::of([cell(facts), cell(Facts::new())])),
        Change::Enqueue(vec![message]),
    ]
}

/// What a child process is to do: the number of its round, or another word, and where.
pub(crate) fn given() -> Option<(String, PathBuf)> {
    let task = std::env::var(CHILD).ok()?;
    let (task, dir) = task.split_once(' ')?;
    Some((task.to_owned(), PathBuf::from(dir)))
}

/// Writes until the process is ended, and says what was acknowledged.
pub(crate) fn write_on(store: &Store, run: RunId) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        runtime.spawn(async move {
            for number in 0.. {
                if let Err(error) = store.commit(commit_of(run, writer, number)).await {
                    return println!("\n{error}");
                }
                println!("acknowledged {}.", number * WRITERS + writer);
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for writer in writers {
        runtime.block_on(writer).unwrap();
    }
}

/// Starts this test binary as a child that executes the test `child`.
pub(crate) fn spawn(child: &str, task: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([child, "--exact", "--nocapture"])
        .env(CHILD, format!("{task} {}", dir.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends a writer after `lines` acknowledgements; all the items it said were acknowledged.
pub(crate) fn write_and_end(
    child: &str,
    dir: &Path,
    round: u64,
    lines: usize,
    end: impl FnOnce(&mut Child),
) -> Vec<u64> {
    let mut child = spawn(child, &round.to_string(), dir);
    let output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged =
        output.filter_map(|line| line.strip_prefix("acknowledged ")?.strip_suffix('.')?.parse().ok());
    let mut items: Vec<u64> = acknowledged.by_ref().take(lines).collect();
    assert_eq!(items.len(), lines, "the child ended by itself");
    end(&mut child);
    // What it had still said before its end; the full stop tells a whole line from a cut one.
    items.extend(acknowledged);
    child.wait().unwrap();
    items
}

/// Cuts the power under a child that writes; returns what was acknowledged.
pub(crate) fn write_and_cut(child: &str, disk: &Disk, state: &Path, round: u64, lines: usize) -> Vec<u64> {
    let acknowledged = write_and_end(child, state, round, lines, |child| {
        cut_power(&disk.path());
        // Its writes fail from now on; it may or may not have noticed.
        child.kill().unwrap();
    });
    disk.unmount();
    disk.mount();
    acknowledged
}

/// Items that were acknowledged and are not there as they were written.
pub(crate) fn missing(store: &Store, run: RunId, acknowledged: &[u64]) -> Vec<u64> {
    let items: BTreeMap<u64, Progress> = store.items(run, 0, usize::MAX).unwrap().into_iter().collect();
    let is_missing = |item: &u64| {
        let expected = commit_of(run, item % WRITERS, item / WRITERS);
        let Change::Progress(_, _, progress) = &expected[1] else { unreachable!() };
        items.get(item) != Some(progress)
    };
    acknowledged.iter().copied().filter(is_missing).collect()
}

/// What was acknowledged is there, and whatever else is there is whole.
pub(crate) async fn check(store: &Store, run: RunId, acknowledged: &[u64]) {
    let missing = missing(store, run, acknowledged);
    assert!(missing.is_empty(), "acknowledged, and not there: {missing:?}");
    let items: BTreeMap<u64, Progress> = store.items(run, 0, usize::MAX).unwrap().into_iter().collect();
    // One event, one message, one count for each item.
    let tally = store.tally(run, Unit::Item(0)).unwrap();
    assert_eq!(tally.units.total(), items.len() as u64);
    assert_eq!(tally.steps[0].units.succeeded, items.len() as u64);
    let events = store.events(run, 0, usize::MAX).unwrap();
    let mut told: Vec<u64> = events
        .iter()
        .map(|(_, event)| match &event.what {
            RunEvent::Alert { message, .. } => message.parse().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    assert!(told.iter().eq(items.keys()), "events and items are of the same commits");
    let receive = Receive {
        queue: "q".to_owned(),
        run,
        only: Only::All,
        max: usize::MAX,
        wait: Duration::ZERO,
        visibility: Duration::ZERO,
        receives_max: 100,
        pollers: 1,
        content: false,
    };
    let deliveries = store.receive(&receive).await.unwrap().deliveries;
    let mut sent: Vec<u64> = deliveries.iter().filter_map(|delivery| delivery.message.item).collect();
    sent.sort_unstable();
    assert!(sent.iter().eq(items.keys()), "messages and items are of the same commits");
}
