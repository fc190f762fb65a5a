//! A plan that counts what is finished says what a plan that reads it says, and reads little.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use milepost::core::catalog::Role;
use milepost::core::cell::{Cell, SkipReason, State};
use milepost::core::change::Change;
use milepost::core::event::Event;
use milepost::core::id::{RunId, Unit};
use milepost::core::letter::LetterFilter;
use milepost::core::plan::{Plan, PlanStep, Track};
use milepost::core::progress::Progress;
use milepost::core::run::{Run, Source};
use milepost::core::selection::{Positions, Selection};
use milepost::core::start::StartKey;
use milepost::core::tally::Tally;
use milepost::core::time::Timestamp;
use milepost::core::workflow::{Bounds, Tolerance};
use milepost::engine::recover;
use milepost::ports::{Journal, StoreError};
use milepost::store::MemoryStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::SimClock;
use crate::{blank, step};

const AT: Timestamp = Timestamp(1_000_000);

/// A journal that counts how many items are read; `forgetful`: it has no watermark, so that every item is.
struct Reading {
    kept: MemoryStore,
    forgetful: bool,
    items: AtomicU64,
}

#[async_trait]
impl Journal for Reading {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.kept.commit(changes).await
    }

    fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        self.kept.run(run)
    }

    fn runs_before(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.kept.runs_before(before, limit)
    }

    fn started_under(&self, key: &str) -> Result<Option<StartKey>, StoreError> {
        self.kept.started_under(key)
    }

    fn progress(&self, run: RunId, unit: Unit) -> Result<Option<Progress>, StoreError> {
        self.kept.progress(run, unit)
    }

    fn items(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError> {
        let items = self.kept.items(run, from, limit)?;
        self.items.fetch_add(items.len() as u64, Ordering::Relaxed);
        Ok(items)
    }

    fn tally(&self, run: RunId, unit: Unit) -> Result<Tally, StoreError> {
        self.kept.tally(run, unit)
    }

    fn watermark(&self, run: RunId) -> Result<u64, StoreError> {
        if self.forgetful { Ok(0) } else { self.kept.watermark(run) }
    }

    fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        self.kept.events(run, from, limit)
    }
}

fn plan_of(revision: u32) -> Plan {
    let effect = |name: &str, needs| step(name, Role::Effect { probes: true }, needs);
    let shop = PlanStep { revision, ..effect("shop", vec![1]) };
    Plan {
        workflow: "w".to_owned(),
        run: Track::new(vec![step("read", Role::Source, vec![])]),
        items: Track::new(vec![step("read", Role::Source, vec![]), effect("pim", vec![0]), shop]),
        closing: Track::default(),
        alerts: Vec::new(),
        tolerate: Tolerance::Count(0),
        bounds: Bounds::default(),
    }
}

fn at(states: [State; 3]) -> Progress {
    let cell = |state| Cell { state, attempts: 1, spent: 1, at: AT, ..Cell::default() };
    Progress::of(states.map(cell))
}

fn passed(rng: &mut StdRng) -> Progress {
    let skipped = State::Skipped(SkipReason::AlreadyApplied);
    let state = if rng.random_bool(0.2) { skipped } else { State::Succeeded };
    at([State::Succeeded, State::Succeeded, state])
}

/// How the items that are not finished are found.
fn unfinished(rng: &mut StdRng) -> Progress {
    let state = match rng.random_range(0..5) {
        0 => State::Running,
        1 => State::Backoff(AT),
        2 => State::DeadLettered,
        3 => State::InDoubt(None),
        _ => State::Pending,
    };
    at([State::Succeeded, State::Succeeded, state])
}

/// An interrupted run over 3,000 items: `finished` of them to the watermark, then a window of both kinds.
async fn interrupted(rng: &mut StdRng, finished: u64) -> (MemoryStore, Run) {
    let store = MemoryStore::new(Arc::new(SimClock::new()));
    let source = Source {
        uri: "sim".into(),
        records: "r".into(),
        index: "i".into(),
        count: 3_000,
        intake: None,
        origin: None,
    };
    let run = Run { source: Some(source), epoch: 2, ..blank() };
    let mut changes = vec![Change::Run(Box::new(run.clone())), Change::Watermark(run.id, finished)];
    let items = (0..finished).map(|_| passed(rng)).collect::<Vec<_>>();
    let window = (0..64).map(|_| if rng.random_bool(0.5) { passed(rng) } else { unfinished(rng) });
    let records = items.into_iter().chain(window.collect::<Vec<_>>());
    changes.extend(records.zip(0..).map(|(it, position)| Change::Progress(run.id, Unit::Item(position), it)));
    store.commit(changes).await.unwrap();
    (store, run)
}

fn selections(rng: &mut StdRng) -> [Selection; 4] {
    let chosen: Positions = (0..50).map(|_| rng.random_range(0..3_000)).collect();
    let letters = Selection::DeadLettered(LetterFilter::default());
    [Selection::All, Selection::Failed, letters, Selection::Items(chosen)]
}

/// Plans by counting and by reading everything; they say the same. Returns how many items the first one read.
fn read_for_a_plan(store: &MemoryStore, run: &Run, plan: &Plan, selection: &Selection, of: &str) -> u64 {
    let journal = |forgetful| Reading { kept: store.clone(), forgetful, items: AtomicU64::new(0) };
    let (counting, reading) = (journal(false), journal(true));
    let counted = recover::plan(&counting, plan, run, selection).unwrap();
    let read = recover::plan(&reading, plan, run, selection).unwrap();
    assert_eq!(counted, read, "{of}, {selection:?}");
    assert_eq!(
        recover::records(&counting, plan, run).unwrap(),
        recover::records(&reading, plan, run).unwrap(),
        "{of}"
    );
    counting.items.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_plan_reads_what_is_not_finished_and_counts_the_rest() {
    for seed in 0..40_u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let finished = rng.random_range(1_000..2_000);
        let (store, run) = interrupted(&mut rng, finished).await;
        for selection in selections(&mut rng) {
            let items = read_for_a_plan(&store, &run, &plan_of(0), &selection, &format!("seed {seed}"));
            assert!(items <= 4 * 64, "seed {seed}: {items} items were read");
        }
    }
}

#[tokio::test]
async fn where_the_counts_do_not_prove_it_every_item_is_read() {
    for seed in 0..40_u64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (store, run) = interrupted(&mut rng, 1_500).await;
        let below = rng.random_range(0..1_500);
        let hurt = match seed % 3 {
            // At rest, and not finished.
            0 => at([State::Succeeded, State::DeadLettered, State::Pending]),
            1 => at([State::Succeeded, State::Cancelled, State::Pending]),
            // Recorded before the last step was added to the workflow.
            _ => Progress { cells: at([State::Succeeded; 3]).cells[..2].into() },
        };
        if seed % 3 == 2 {
            // A record never gets shorter, so these are of a run of its own.
            let shorter = MemoryStore::new(Arc::new(SimClock::new()));
            let mut changes = vec![Change::Run(Box::new(run.clone())), Change::Watermark(run.id, 1_500)];
            changes.extend((0..1_500).map(|at| Change::Progress(run.id, Unit::Item(at), hurt.clone())));
            shorter.commit(changes).await.unwrap();
            for selection in selections(&mut rng) {
                read_for_a_plan(&shorter, &run, &plan_of(0), &selection, &format!("seed {seed}, short"));
            }
            continue;
        }
        store.commit(vec![Change::Progress(run.id, Unit::Item(below), hurt)]).await.unwrap();
        for selection in selections(&mut rng) {
            read_for_a_plan(&store, &run, &plan_of(0), &selection, &format!("seed {seed}, below"));
        }
        // Done under an earlier revision: to be done anew.
        let outdated = recover::plan(&store, &plan_of(1), &run, &Selection::All).unwrap();
        assert_eq!(outdated.done, 0, "seed {seed}");
        read_for_a_plan(&store, &run, &plan_of(1), &Selection::All, &format!("seed {seed}, revised"));
    }
}

#[tokio::test]
async fn a_dead_letter_behind_many_finished_items_is_revived_without_reading_them() {
    let mut rng = StdRng::seed_from_u64(5);
    let (store, run) = interrupted(&mut rng, 2_000).await;
    let all = |forgetful| Reading { kept: store.clone(), forgetful, items: AtomicU64::new(0) };
    let counting = all(false);
    let revived = recover::revive(&counting, &plan_of(0), &run, AT, &Selection::Failed).await.unwrap();
    let items = counting.items.load(Ordering::Relaxed);
    assert!(items <= 3 * 64, "{items} items were read");
    assert!(revived.chosen.is_some_and(|chosen| !chosen.is_empty() && chosen.next_from(0) >= Some(2_000)));
    let left = recover::plan(&counting, &plan_of(0), &run, &Selection::All).unwrap();
    let again = recover::plan(&all(true), &plan_of(0), &run, &Selection::All).unwrap();
    assert_eq!(left, again);
}
