//! The store across processes, power cuts and disks that refuse: what a writer had acknowledged is
//! there, whole; a second process is told who holds the directory.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and figures are told"
)]

mod disk;
mod fixtures;
mod full;
mod power_cut;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use milepost::core::cell::{Cell, Facts, State};
use milepost::core::change::{Change, Message};
use milepost::core::id::{RunId, Unit};
use milepost::core::progress::Progress;
use milepost::core::run::{Event, RunEvent};
use milepost::core::time::Timestamp;
use milepost::ports::{Clock, Journal, Queue, Receive};
use milepost::store::{OpenError, Store};

/// Tells the test binary that it is the child, and what to do.
const CHILD: &str = "MILEPOST_STORE_CHILD";
const WRITERS: u64 = 8;
const ROUNDS: u64 = 8;
/// Every so many items one is too long for a row and becomes a content-addressed file.
const LONG_EVERY: u64 = 50;

/// Time that does not pass; nothing here waits for it.
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_225_600_000)
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}

fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, Arc::new(Still))
}

fn run_of(round: u64) -> RunId {
    RunId(1 << 100 | u128::from(round))
}

/// One commit that touches every kind of record: an item, an event, a message, run steps.
fn commit_of(run: RunId, writer: u64, number: u64) -> Vec<Change> {
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
        Change::Event(run, Event { at: Still.now(), what: RunEvent::Alert { message: item.to_string() } }),
        Change::Progress(run, Unit::Item(item), Progress { cells: vec![cell(facts), cell(Facts::new())] }),
        Change::Enqueue(vec![message]),
    ]
}

/// Runs only as the child: writes until it is killed, and says what was acknowledged.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (round, dir) = task.split_once(' ').unwrap();
    let store = open(Path::new(dir)).unwrap();
    if round == "hold" {
        writeln!(std::io::stdout(), "\nheld").unwrap();
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let run = run_of(round.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        runtime.spawn(async move {
            for number in 0.. {
                if let Err(error) = store.commit(commit_of(run, writer, number)).await {
                    return writeln!(std::io::stdout(), "\n{error}").unwrap();
                }
                writeln!(std::io::stdout(), "acknowledged {}.", number * WRITERS + writer).unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for writer in writers {
        runtime.block_on(writer).unwrap();
    }
}

fn spawn(task: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, format!("{task} {}", dir.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends a writer after `lines` acknowledgements; all the items it said were acknowledged.
fn write_and_end(dir: &Path, round: u64, lines: usize, end: impl FnOnce(&mut Child)) -> Vec<u64> {
    let mut child = spawn(&round.to_string(), dir);
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

async fn check(store: &Store, run: RunId, acknowledged: &[u64]) {
    let items: BTreeMap<u64, Progress> = store.items(run, 0, usize::MAX).unwrap().into_iter().collect();
    for item in acknowledged {
        let expected = commit_of(run, item % WRITERS, item / WRITERS);
        let Change::Progress(_, _, progress) = &expected[1] else { unreachable!() };
        assert_eq!(items.get(item), Some(progress), "item {item}");
    }
    // Whatever else is there is whole: one event, one message, one count for each item.
    let tally = store.tally(run, Unit::Item(0)).unwrap();
    assert_eq!(tally.units.total(), items.len() as u64);
    assert_eq!(tally.steps[0].units.succeeded, items.len() as u64);
    let events = store.events(run, 0, usize::MAX).unwrap();
    let mut told: Vec<u64> = events
        .iter()
        .map(|(_, event)| match &event.what {
            RunEvent::Alert { message } => message.parse().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    assert!(told.iter().eq(items.keys()), "events and items are of the same commits");
    let receive = Receive {
        queue: "q".to_owned(),
        run,
        items: None,
        max: usize::MAX,
        wait: Duration::ZERO,
        visibility: Duration::ZERO,
        receives_max: 100,
    };
    let deliveries = store.receive(&receive).await.unwrap();
    let mut sent: Vec<u64> = deliveries.iter().filter_map(|delivery| delivery.message.item).collect();
    sent.sort_unstable();
    assert!(sent.iter().eq(items.keys()), "messages and items are of the same commits");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let lines = rand::random_range(1..1_500);
        let acknowledged = write_and_end(dir.path(), round, lines, |child| child.kill().unwrap());
        let store = open(dir.path()).unwrap();
        check(&store, run_of(round), &acknowledged).await;
        rounds.push((round, acknowledged));
    }
    let store = open(dir.path()).unwrap();
    for (round, acknowledged) in rounds {
        let items = store.items(run_of(round), 0, usize::MAX).unwrap();
        assert!(items.len() >= acknowledged.len(), "round {round} after the later ones");
    }
}

#[test]
fn another_process_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn("hold", dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "held"));
    let Err(error) = open(dir.path()) else { panic!("two processes hold one directory") };
    let OpenError::Held { holder, .. } = &error else { panic!("{error}") };
    assert_eq!(holder.unwrap().pid, child.id());
    assert!(error.to_string().contains(&format!("(process {})", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    open(dir.path()).unwrap();
}
