//! The same random changes into both stores: whatever is read from them is equal.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use crate::core::cell::{Cell, SkipReason, State};
use crate::core::change::Change;
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::progress::Progress;
use crate::core::queue::Receive;
use crate::core::run::Status;
use crate::core::tally::Calls;
use crate::core::time::Timestamp;
use crate::ports::Clock;
use crate::store::{Fate, MemoryStore, Store};

use super::{HandClock, LATER, Ports, RUN, START, ask, event, message, run_of};

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Small>),
    Receive(Receive),
    Advance(u64),
    Reopen,
}

/// A change in few numbers; the rest follows from what is there already.
#[derive(Clone, Debug)]
enum Small {
    Run(RunId, Status),
    Event(RunId, usize),
    Cell(RunId, Unit, usize, Cell),
    Calls(RunId, Unit, usize, Calls),
    Watermark(RunId, u64),
    Enqueue(RunId, Vec<u64>),
    Received(RunId, u64, u64),
    Hide(RunId, u64, u64),
    Delete(RunId, u64),
    Bury(RunId, u64),
}

/// Steps of each track; one of them takes several pages of everything.
fn steps(run: RunId, unit: Unit) -> usize {
    match unit {
        Unit::Run => 3 + 20 * usize::from(run == LATER),
        Unit::Closing(_) => 2,
        Unit::Item(_) => 7 + 30 * usize::from(run == LATER),
    }
}

fn runs() -> impl Strategy<Value = RunId> {
    prop_oneof![Just(RUN), Just(LATER)]
}

fn units() -> impl Strategy<Value = Unit> {
    prop_oneof![
        1 => Just(Unit::Run),
        1 => (1..4u32).prop_map(Unit::Closing),
        6 => prop_oneof![0..40u64, Just(1_000), Just(u64::MAX)].prop_map(Unit::Item),
    ]
}

fn cells() -> impl Strategy<Value = Cell> {
    let at = prop_oneof![Just(0), START..START + 90_000, Just(u64::MAX)].prop_map(Timestamp);
    let state = (0..12u8, at.clone()).prop_map(|(code, until)| match code {
        0 => State::Pending,
        1 => State::Running,
        2 => State::Backoff(until),
        3 => State::Waiting(until),
        4 => State::InDoubt(None),
        5 => State::InDoubt(Some(until)),
        6 | 7 => State::Succeeded,
        8 => State::Skipped(SkipReason::Condition),
        9 => State::Skipped(SkipReason::Stale),
        10 => State::DeadLettered,
        _ => State::Cancelled,
    });
    let length = prop_oneof![12 => 0..60usize, 3 => 200..900usize, 1 => 3_000..9_000usize];
    let facts = prop::collection::btree_map(
        "[a-c]{1,2}",
        prop_oneof![
            length.prop_map(|length| json!("z".repeat(length))),
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".prop_map(|text| json!(text)),
            any::<i32>().prop_map(|number| json!(number)),
        ],
        0..3,
    );
    let fault = prop::option::weighted(0.1, ".{0,300}".prop_map(|text| Fault::new("Refused", text)));
    let rare = prop_oneof![4 => Just((0, 0)), 1 => (0..3u32, 0..300u32)];
    let began = prop::option::weighted(0.2, (0..100_000u64).prop_map(Timestamp));
    let rare = (rare, (prop_oneof![9 => Just(0u32), 1 => 0..3u32], began));
    (state, 0..4u32, 0..3u32, 0..3u32, rare, at, facts, fault).prop_map(
        |(state, attempts, spent, looks, ((doubts, revision), (redone, began)), at, facts, fault)| Cell {
            state,
            attempts,
            spent,
            looks,
            doubts,
            redone,
            revision,
            at,
            began,
            facts,
            fault,
        },
    )
}

fn smalls() -> impl Strategy<Value = Small> {
    let statuses = prop_oneof![Just(Status::Running), Just(Status::Waiting), Just(Status::Failed)];
    let calls = (1..9u64, 0..9u64, 0..9u64, 0..9u64).prop_map(|(batches, calls, accepted, refused)| Calls {
        batches,
        calls,
        accepted,
        refused,
    });
    prop_oneof![
        1 => (runs(), statuses).prop_map(|(run, status)| Small::Run(run, status)),
        1 => (runs(), 0..6_000usize).prop_map(|(run, length)| Small::Event(run, length)),
        12 => (runs(), units(), 0..99usize, cells())
            .prop_map(|(run, unit, step, cell)| Small::Cell(run, unit, step, cell)),
        2 => (runs(), units(), 0..99usize, calls)
            .prop_map(|(run, unit, step, calls)| Small::Calls(run, unit, step, calls)),
        1 => (runs(), any::<u64>()).prop_map(|(run, position)| Small::Watermark(run, position)),
        3 => (runs(), prop::collection::vec(0..40u64, 1..20))
            .prop_map(|(run, numbers)| Small::Enqueue(run, numbers)),
        1 => (runs(), 0..40u64, 0..60_000u64).prop_map(|(run, number, ms)| Small::Received(run, number, ms)),
        1 => (runs(), 0..40u64, 0..60_000u64).prop_map(|(run, number, ms)| Small::Hide(run, number, ms)),
        2 => (runs(), 0..40u64).prop_map(|(run, number)| Small::Delete(run, number)),
        1 => (runs(), 0..40u64).prop_map(|(run, number)| Small::Bury(run, number)),
    ]
}

fn histories() -> impl Strategy<Value = Vec<Step>> {
    let queue = prop_oneof![3 => Just("q"), 1 => Just("q.dlq")];
    let receives = (runs(), queue, 0..12usize, 0..40_000u64).prop_map(|(run, queue, max, ms)| Receive {
        visibility: Duration::from_millis(ms),
        ..ask(queue, run, max)
    });
    let step = prop_oneof![
        6 => prop::collection::vec(smalls(), 1..12).prop_map(Step::Commit),
        2 => receives.prop_map(Step::Receive),
        1 => (0..40_000u64).prop_map(Step::Advance),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

/// The full change; progress and attempts only ever grow, as the core sees to it.
fn full(
    small: Small,
    model: &MemoryStore,
    ahead: &mut Vec<(RunId, Unit, Progress)>,
    now: Timestamp,
) -> Change {
    let receipt = |run, number| message("q", run, number).receipt();
    let until = |ms| now.after(Duration::from_millis(ms));
    match small {
        Small::Run(run, status) => Change::Run(Box::new(crate::core::run::Run { status, ..run_of(run) })),
        Small::Event(run, length) => Change::Event(run, event(&"e".repeat(length))),
        Small::Cell(run, unit, step, mut cell) => {
            use crate::ports::Journal;
            let place = ahead.iter().position(|(of, known, _)| (*of, *known) == (run, unit));
            let mut progress = match place {
                Some(place) => ahead.swap_remove(place).2,
                None => model
                    .progress(run, unit)
                    .unwrap()
                    .unwrap_or_else(|| Progress::of(vec![Cell::default(); steps(run, unit)])),
            };
            let step = step % progress.cells.len();
            cell.attempts += progress.cells[step].attempts;
            *progress.cell_mut(step) = cell;
            ahead.push((run, unit, progress.clone()));
            Change::Progress(run, unit, progress)
        }
        Small::Calls(run, unit, step, calls) => Change::Calls(run, unit, step % steps(run, unit), calls),
        Small::Watermark(run, position) => Change::Watermark(run, position),
        Small::Enqueue(run, numbers) => {
            Change::Enqueue(numbers.into_iter().map(|number| message("q", run, number)).collect())
        }
        Small::Received(run, number, ms) => {
            Change::Received { receipt: receipt(run, number), until: until(ms) }
        }
        Small::Hide(run, number, ms) => Change::Hide { receipt: receipt(run, number), until: until(ms) },
        Small::Delete(run, number) => Change::Delete(receipt(run, number)),
        Small::Bury(run, number) => Change::Bury(receipt(run, number)),
    }
}

fn assert_equal(model: &dyn Ports, store: &dyn Ports) {
    assert_eq!(model.runs().unwrap(), store.runs().unwrap());
    assert_eq!(model.unended().unwrap(), store.unended().unwrap());
    for run in [RUN, LATER] {
        assert_eq!(model.run(run).unwrap(), store.run(run).unwrap());
        assert_eq!(model.watermark(run).unwrap(), store.watermark(run).unwrap());
        assert_eq!(model.events(run, 1, 50).unwrap(), store.events(run, 1, 50).unwrap());
        assert_eq!(model.items(run, 0, 99).unwrap(), store.items(run, 0, 99).unwrap());
        assert_eq!(model.outlines(run, 0, 99).unwrap(), store.outlines(run, 0, 99).unwrap());
        assert_eq!(model.items(run, 17, 3).unwrap(), store.items(run, 17, 3).unwrap());
        for unit in [Unit::Run, Unit::Closing(1), Unit::Closing(2), Unit::Closing(3), Unit::Item(7)] {
            assert_eq!(model.progress(run, unit).unwrap(), store.progress(run, unit).unwrap(), "{unit}");
            assert_eq!(model.tally(run, unit).unwrap(), store.tally(run, unit).unwrap(), "{unit}");
        }
    }
}

async fn play(history: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock::default());
    let mut model = MemoryStore::new(clock.clone());
    let mut store = Store::open(dir.path(), clock.clone()).unwrap();
    for step in history {
        match step {
            Step::Commit(smalls) => {
                let mut ahead = Vec::new();
                let changes: Vec<Change> =
                    smalls.into_iter().map(|small| full(small, &model, &mut ahead, clock.now())).collect();
                let (one, other): (&dyn Ports, &dyn Ports) = (&model, &store);
                one.commit(changes.clone()).await.unwrap();
                other.commit(changes).await.unwrap();
            }
            Step::Receive(receive) => {
                let (one, other): (&dyn Ports, &dyn Ports) = (&model, &store);
                let expected = one.receive(&receive).await.unwrap().deliveries;
                assert_eq!(expected, other.receive(&receive).await.unwrap().deliveries);
            }
            Step::Advance(ms) => clock.advance(Duration::from_millis(ms)),
            Step::Reopen => {
                drop(store);
                store = Store::open(dir.path(), clock.clone()).unwrap();
                model = model.survivor(|_| Fate::Kept);
            }
        }
        assert_equal(&model, &store);
    }
}

#[test]
fn both_stores_tell_the_same_story() {
    let seed = std::env::var("MILEPOST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let cases = std::env::var("MILEPOST_CASES").map_or(32, |cases| cases.parse().unwrap());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let outcome = TestRunner::new_with_rng(config, chance).run(&histories(), |history| {
        runtime.block_on(play(history));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("again with MILEPOST_SEED={seed}; the shortest history that shows it: {error}");
    }
}
