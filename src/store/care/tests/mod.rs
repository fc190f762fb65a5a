//! Care for a state that holds everything there can be.

#![expect(clippy::print_stdout, reason = "seeds and figures are told")]

mod backup;
mod gc;
mod journal;
mod keys;
mod verify;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::core::catalog::Role;
use crate::core::cell::{SettleBy, State as S};
use crate::core::change::Change;
use crate::core::id::{RunId, Unit};
use crate::core::plan::{Plan, PlanStep, Track};
use crate::core::progress::Progress;
use crate::core::retry::Retry;
use crate::core::run::{Run, Source, Status};
use crate::core::tally::Calls;
use crate::core::time::Timestamp;
use crate::core::workflow::{Bounds, Tolerance};
use crate::ports::{Journal, Pins, Queue};
use crate::store::Store;
use crate::store::tests::{HandClock, START, ask, cell, event, failed_cell, item, message, run_of};

use super::Inspection;

const ITEMS: u64 = 40;
/// A dead letter.
const DEAD: u64 = 5;
/// The first item that is not at rest.
const OPEN: u64 = 30;

fn clock() -> Arc<HandClock> {
    Arc::new(HandClock::default())
}

fn open(dir: &Path) -> Store {
    Store::open(dir, clock()).unwrap()
}

fn inspect(dir: &Path) -> Inspection {
    Inspection::open(dir, &*clock()).unwrap()
}

fn step(name: &str, role: Role, needs: Vec<usize>) -> PlanStep {
    PlanStep {
        name: name.to_owned(),
        role,
        needs,
        implied: Vec::new(),
        leaves_record: false,
        follows: Vec::new(),
        retry: Retry::default(),
        timeout: Duration::from_secs(30),
        batch_max: 1,
        linger: Duration::ZERO,
        concurrency: 1,
        connection: None,
        settle: SettleBy::Person,
        keyed: false,
        tolerant: false,
        messages: match role {
            Role::Receive => crate::core::plan::Messages::About,
            _ => crate::core::plan::Messages::None,
        },
        delete_after: crate::core::plan::DeleteAfter::Taken,
        revision: 0,
        asked: crate::core::plan::Asked::Open,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as definitions are read")]
fn plan(_: &Run) -> Result<Arc<Plan>, String> {
    let effect = Role::Effect { probes: false };
    let items = Track { steps: vec![step("read", Role::Pure, vec![]), step("write", effect, vec![0])] };
    Ok(Arc::new(Plan {
        workflow: "product-sync".to_owned(),
        run: Track { steps: vec![step("read", Role::Source, vec![])] },
        items,
        closing: Track::default(),
        tolerate: Tolerance::Count(0),
        bounds: Bounds::default(),
        alerts: Vec::new(),
    }))
}

fn long(bytes: usize) -> Progress {
    let answer = [("answer", json!("long ".repeat(bytes / 5)))];
    Progress::of([cell(S::Succeeded, &[]), cell(S::Succeeded, &answer)])
}

/// A failed run with every kind of record. Its definition is shared with all others; its source is
/// its own.
async fn fill(store: &Store, id: RunId, ended_at: u64) -> Run {
    let put = |text: &str| store.put(text.as_bytes()).unwrap();
    let source = Source {
        uri: "products.json".to_owned(),
        records: put(&format!("records of {id}")),
        index: put(&format!("index of {id}")),
        count: ITEMS,
        intake: None,
        origin: None,
    };
    let run = Run {
        definition: put("definition"),
        files: [("schema.json".to_owned(), put("schema"))].into(),
        source: Some(source),
        status: Status::Failed,
        ended_at: Some(Timestamp(ended_at)),
        ..run_of(id)
    };
    let mut changes = vec![
        Change::Run(Box::new(run.clone())),
        Change::Progress(id, Unit::Run, item(&[S::Succeeded; 10])),
        Change::Calls(id, Unit::Run, 9, Calls { calls: 3, ..Calls::default() }),
        Change::Progress(id, Unit::Closing(1), item(&[S::Succeeded])),
        Change::Calls(id, Unit::Item(0), 1, Calls { calls: 40, ..Calls::default() }),
        Change::Enqueue((0..ITEMS).map(|number| message("q", id, number)).collect()),
    ];
    changes.extend((0..5).map(|number| Change::Event(id, event(&format!("event {number}")))));
    for position in 0..ITEMS {
        let progress = match position {
            DEAD => Progress::of([cell(S::Succeeded, &[]), failed_cell()]),
            9 => long(600),
            17 => long(6_000),
            OPEN => item(&[S::Succeeded, S::Running]),
            _ => item(&[S::Succeeded, S::Succeeded]),
        };
        changes.push(Change::Progress(id, Unit::Item(position), progress));
    }
    changes.push(Change::Watermark(id, OPEN));
    store.commit(changes).await.unwrap();
    store.receive(&ask("q", id, 7)).await.unwrap();
    run
}

/// A directory with two runs: an old one and one that has just ended.
async fn filled() -> (tempfile::TempDir, RunId, RunId) {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (RunId(7 << 64), RunId(9 << 64));
    let store = open(dir.path());
    fill(&store, old, 1_000).await;
    fill(&store, new, START).await;
    (dir, old, new)
}
