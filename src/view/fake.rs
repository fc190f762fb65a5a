//! A journal in memory, just enough to look at, and a small workflow's names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::archive::{Archive, Names};
use crate::core::alert::Alert;
use crate::core::care::KeptDeadLetter;
use crate::core::catalog::Role;
use crate::core::cell::{Cell, Facts, SettleBy, SkipReason, State};
use crate::core::change::Change;
use crate::core::event::{Event, RunEvent};
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::plan::{Plan, PlanStep, Track};
use crate::core::progress::Progress;
use crate::core::retry::Retry;
use crate::core::run::{Run, Source, Status};
use crate::core::start::StartKey;
use crate::core::tally::{Calls, Tally};
use crate::core::time::Timestamp;
use crate::core::workflow::{Bounds, Tolerance};
use crate::ports::{Journal, StoreError};

/// 2026-03-01T10:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_772_359_200_000);

#[derive(Default)]
struct Records {
    runs: BTreeMap<RunId, Run>,
    progress: BTreeMap<(RunId, Unit), Progress>,
    tallies: BTreeMap<(RunId, &'static str), Tally>,
    events: BTreeMap<RunId, Vec<Event>>,
    kept: Vec<KeptDeadLetter>,
    alerts: Vec<Alert>,
    /// How many items each read brought.
    reads: Vec<usize>,
}

#[derive(Default)]
pub(crate) struct FakeJournal(Mutex<Records>);

fn track_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Run => "run",
        Unit::Closing(_) => "closing",
        Unit::Item(_) => "items",
    }
}

impl FakeJournal {
    pub(crate) fn put(&self, change: Change) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let records = &mut *records;
        match change {
            Change::Run(run) => drop(records.runs.insert(run.id, *run)),
            Change::Event(run, event) => records.events.entry(run).or_default().push(event),
            Change::Progress(run, unit, new) => {
                let old = records.progress.insert((run, unit), new.clone());
                records.tallies.entry((run, track_of(unit))).or_default().shift(old.as_ref(), &new);
            }
            Change::Calls(run, unit, step, calls) => {
                records.tallies.entry((run, track_of(unit))).or_default().add(step, calls);
            }
            Change::Alert { alert, .. } => records.alerts.extend(alert.map(|alert| *alert)),
            _ => {}
        }
    }

    /// How many items each read brought since the last time this was asked.
    pub(crate) fn take_reads(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).reads)
    }

    fn read<T>(&self, read: impl FnOnce(&Records) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Journal for FakeJournal {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        for change in changes {
            self.put(change);
        }
        Ok(())
    }

    fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.read(|records| records.runs.get(&run).cloned()))
    }

    fn runs_before(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError> {
        Ok(self.read(|records| {
            let older = records.runs.values().rev().filter(|run| before.is_none_or(|before| run.id < before));
            older.take(limit).cloned().collect()
        }))
    }

    fn started_under(&self, _: &str) -> Result<Option<StartKey>, StoreError> {
        Ok(None)
    }

    fn progress(&self, run: RunId, unit: Unit) -> Result<Option<Progress>, StoreError> {
        Ok(self.read(|records| records.progress.get(&(run, unit)).cloned()))
    }

    fn items(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError> {
        Ok(self.read(|records| {
            let range = (run, Unit::Item(from))..=(run, Unit::Item(u64::MAX));
            let items = records.progress.range(range).filter_map(|((_, unit), progress)| match unit {
                Unit::Item(position) => Some((*position, progress.clone())),
                _ => None,
            });
            items.take(limit).collect()
        }))
        .inspect(|found: &Vec<_>| {
            let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            records.reads.push(found.len());
        })
    }

    fn tally(&self, run: RunId, unit: Unit) -> Result<Tally, StoreError> {
        Ok(self.read(|records| records.tallies.get(&(run, track_of(unit))).cloned().unwrap_or_default()))
    }

    fn alerts(&self, of: Option<RunId>) -> Result<Vec<Alert>, StoreError> {
        let is_meant = |alert: &&Alert| of.is_none_or(|run| alert.run == run);
        Ok(self.read(|records| records.alerts.iter().filter(is_meant).cloned().collect()))
    }

    fn watermark(&self, _: RunId) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn kept_dead_letters(
        &self,
        after: Option<(RunId, u64)>,
        limit: usize,
    ) -> Result<Vec<KeptDeadLetter>, StoreError> {
        Ok(self.read(|records| {
            let behind = |letter: &&KeptDeadLetter| after.is_none_or(|at| (letter.run, letter.position) > at);
            records.kept.iter().filter(behind).take(limit).cloned().collect()
        }))
    }

    fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError> {
        let first = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.read(|records| {
            let events = records.events.get(&run).into_iter().flatten().enumerate();
            events.skip(first).take(limit).map(|(at, event)| (at as u64, event.clone())).collect()
        }))
    }
}

/// Names of a workflow `validate → publish → pim` with one step in `on_failure`.
pub(crate) struct FakeNames;

impl Names for FakeNames {
    fn plan(&self, run: &Run) -> Result<Arc<Plan>, StoreError> {
        let effect = Role::Effect { probes: true };
        Ok(Arc::new(Plan {
            workflow: run.workflow.clone(),
            run: Track { steps: vec![step("validate", Role::Source, &[])] },
            items: Track {
                steps: vec![
                    step("validate", Role::Pure, &[]),
                    step("publish", effect, &[0]),
                    step("pim", effect, &[1]),
                ],
            },
            closing: Track { steps: vec![step("on_failure[0]", effect, &[])] },
            tolerate: Tolerance::Count(0),
            bounds: Bounds::default(),
            alerts: Vec::new(),
        }))
    }

    fn key(&self, _: &Run, position: u64) -> Option<String> {
        (position != 4).then(|| format!("K{position}"))
    }

    fn position(&self, _: &Run, key: &str) -> Option<u64> {
        key.strip_prefix('K')?.parse().ok()
    }

    fn called(&self, run: &Run, text: &str) -> Vec<u64> {
        let count = run.source.as_ref().map_or(0, |source| source.count);
        let called = |at: &u64| self.key(run, *at).is_some_and(|key| key.contains(&text.to_uppercase()));
        (0..count).filter(called).collect()
    }

    fn made(&self, _: &Run, position: u64, _: &Progress) -> Vec<(String, Result<Value, Fault>)> {
        let made = match position {
            4 => Err(Fault::new("MappingError", "/title: is missing")),
            _ => Ok(json!({ "title": format!("Product {position}") })),
        };
        vec![("transform".to_owned(), made)]
    }

    fn definition(&self, run: &Run) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        Ok(vec![
            (run.file.clone(), b"name: product-sync\nsteps: []\n".to_vec()),
            ("schema.json".to_owned(), vec![0xff, 0xfe]),
        ])
    }

    fn record(&self, _: &Run, position: u64) -> Option<Value> {
        Some(json!({ "title": format!("product {position}"), "price": 120_000 }))
    }

    fn effect_keys(&self, _: &Run, unit: Unit, _: &Progress, steps: &[usize]) -> Vec<Option<String>> {
        steps.iter().map(|step| (unit != Unit::Item(1)).then(|| format!("sku-{unit}-{step}"))).collect()
    }
}

fn step(name: &str, role: Role, needs: &[usize]) -> PlanStep {
    PlanStep {
        name: name.to_owned(),
        role,
        needs: needs.to_vec(),
        implied: Vec::new(),
        leaves_record: false,
        follows: Vec::new(),
        retry: Retry::default(),
        timeout: Duration::from_secs(30),
        batch_max: 25,
        linger: Duration::ZERO,
        concurrency: 1,
        connection: None,
        settle: SettleBy::Probe,
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

pub(crate) fn run(id: u128, status: Status) -> Run {
    Run {
        input: [("source".to_owned(), json!("sample.json"))].into_iter().collect(),
        status,
        ended_at: status.is_ended().then(|| START.after(Duration::from_millis(3_200))),
        source: Some(Source {
            uri: "product-sync/sample.json".into(),
            records: "sha256:r0".into(),
            index: "sha256:i0".into(),
            count: 6,
            intake: None,
            origin: None,
        }),
        epoch: 1,
        closings: u32::from(status == Status::Failed),
        fault: (status == Status::Failed)
            .then(|| Fault::new("ToleranceExceeded", "2 of 6 items are dead letters, 0 are tolerated")),
        ..Run::queued(RunId(id), "product-sync", "workflows/product-sync.yaml", "sha256:d0", START)
    }
}

fn cell(state: State, attempts: u32, fault: Option<Fault>, facts: &[(&str, Value)]) -> Cell {
    let facts: Facts = facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Cell { state, attempts, spent: attempts, at: START, facts, fault, ..Cell::default() }
}

/// Six items: two through, one refused by the PIM, one invalid, one in a call, one untouched.
pub(crate) fn fill(journal: &FakeJournal, run: &Run) {
    journal.put(Change::Run(Box::new(run.clone())));
    let done = || cell(State::Succeeded, 0, None, &[]);
    let sent = |id: &str| cell(State::Succeeded, 1, None, &[("event_id", json!(id))]);
    let pending = Cell::default;
    let refused = Fault::new("Refused", "/price: must be at most 99999 but is 120000");
    let invalid = Fault::new("InvalidRecord", "/title: is missing");
    let items = [
        vec![done(), sent("e0"), cell(State::Succeeded, 1, None, &[("id", json!(17))])],
        vec![done(), sent("e1"), cell(State::Succeeded, 2, None, &[("id", json!(18))])],
        vec![done(), sent("e2"), cell(State::DeadLettered, 3, Some(refused), &[])],
        vec![done(), cell(State::Running, 0, None, &[]), pending()],
        vec![cell(State::DeadLettered, 0, Some(invalid), &[]), pending(), pending()],
    ];
    journal.put(Change::Progress(run.id, Unit::Run, Progress::of([done()])));
    for (position, cells) in (0u64..).zip(items) {
        journal.put(Change::Progress(run.id, Unit::Item(position), Progress::of(cells)));
    }
    let calls = Calls { batches: 1, calls: 1, accepted: 3, refused: 0 };
    journal.put(Change::Calls(run.id, Unit::Item(0), 1, calls));
    for what in [
        RunEvent::Started,
        RunEvent::Pinned { source: run.source.clone().expect("the fake run has a source"), rejected: 1 },
        RunEvent::Setback {
            step: "pim".into(),
            item: Some(2),
            state: "dead_lettered".into(),
            attempt: 3,
            fault: Fault::new("Refused", "/price: must be at most 99999 but is 120000"),
        },
    ] {
        journal.put(Change::Event(run.id, Event { at: START, what }));
    }
}

/// An archive of one failed and one running run, the running one the newest; `live` says whether
/// an engine works.
pub(crate) fn archive(live: bool) -> Archive {
    let journal = Arc::new(FakeJournal::default());
    fill(&journal, &run(1 << 100, Status::Failed));
    fill(&journal, &run(2 << 100, Status::Running));
    Archive::new(journal, Arc::new(FakeNames)).with_live(move |_| live)
}

/// An interrupted run in which every kind of knowledge about an effect occurs: its items at `pim`
/// are, in order: done; done and perhaps done before; refused; given up and perhaps done; in a call
/// whose engine is gone; left to a person; between attempts; not needed; not begun.
pub(crate) fn doubtful() -> Archive {
    let journal = Arc::new(FakeJournal::default());
    let mut run = run(3 << 100, Status::Running);
    run.closings = 1;
    run.source.as_mut().expect("the fake run has a source").count = 9;
    journal.put(Change::Run(Box::new(run.clone())));
    let done = || cell(State::Succeeded, 0, None, &[]);
    let sent = || cell(State::Succeeded, 1, None, &[("event_id", json!("e"))]);
    let timeout = || Some(Fault::new("Timeout", "no answer within 30 s"));
    let id = [("id", json!(17))];
    let later = START.after(Duration::from_mins(1));
    let pim = [
        cell(State::Succeeded, 1, None, &id),
        Cell { doubts: 1, ..cell(State::Succeeded, 2, timeout(), &id) },
        cell(State::DeadLettered, 1, Some(Fault::new("Refused", "/price: too high")), &[]),
        Cell { doubts: 2, ..cell(State::DeadLettered, 3, timeout(), &[]) },
        cell(State::Running, 1, timeout(), &[]),
        cell(State::InDoubt(None), 1, timeout(), &[]),
        cell(State::Backoff(later), 1, Some(Fault::new("HttpStatus", "HTTP 503")), &[]),
        cell(State::Skipped(SkipReason::AlreadyApplied), 0, None, &[]),
        Cell::default(),
    ];
    for (position, pim) in (0u64..).zip(pim) {
        let progress = Progress::of([done(), sent(), pim]);
        journal.put(Change::Progress(run.id, Unit::Item(position), progress));
    }
    let told = cell(State::Succeeded, 1, None, &[]);
    journal.put(Change::Progress(run.id, Unit::Closing(1), Progress::of([told])));
    Archive::new(journal, Arc::new(FakeNames))
}

/// An archive of one run with two dead letters, and of so many that outlived theirs.
pub(crate) fn with_gone(count: u64) -> Archive {
    let journal = FakeJournal::default();
    fill(&journal, &run(1 << 100, Status::Failed));
    let kept = |position| KeptDeadLetter {
        run: RunId(1 << 90),
        workflow: "product-sync".into(),
        item: Some(format!("G{position}")),
        position,
        step: "pim".into(),
        fault: None,
        attempts: 3,
        at: START,
        record: Value::Null,
    };
    journal.0.lock().unwrap_or_else(PoisonError::into_inner).kept = (0..count).map(kept).collect();
    Archive::new(Arc::new(journal), Arc::new(FakeNames))
}

/// A run of so many items, each done at every step at once.
pub(crate) fn large(count: u64) -> (Archive, Arc<FakeJournal>) {
    let journal = Arc::new(FakeJournal::default());
    let mut run = run(1 << 100, Status::Succeeded);
    run.source.as_mut().expect("the fake run has a source").count = count;
    journal.put(Change::Run(Box::new(run.clone())));
    let cells = [0, 1, 1].map(|attempts| cell(State::Succeeded, attempts, None, &[]));
    for position in 0..count {
        let progress = Progress::of(cells.clone());
        journal.put(Change::Progress(run.id, Unit::Item(position), progress));
    }
    (Archive::new(Arc::clone(&journal) as _, Arc::new(FakeNames)), journal)
}
