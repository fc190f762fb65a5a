//! Open runs: the queue is the source, and outlives every engine. The engine dies at every commit in
//! turn; messages come twice, and again when their time is over. No message is lost, nothing is done
//! twice, and none goes before its item is finished.

mod outside;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::catalog::Role;
use milepost::core::cell::{Facts, SettleBy, State};
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::fault::Fault;
use milepost::core::id::{RunId, Unit};
use milepost::core::inflow::{Entrant, Intake, Rotation};
use milepost::core::plan::{DeleteAfter, Messages, Plan, PlanStep, Track};
use milepost::core::queue::{Delivery, Only, Receive, SHARED};
use milepost::core::retry::{Outcome, Probed};
use milepost::core::run::{Run, Status};
use milepost::core::scope::Scope;
use milepost::core::selection::Selection;
use milepost::core::workflow::{Bounds, Tolerance};
use milepost::engine::assembly::Assembly;
use milepost::engine::{Control, Ports, Resumption, drive, recover};
use milepost::ports::{
    Call, Clock, Effect, Journal, Keys, Pins, Prepare, Queue, Receiver, Stream, Verdicts, Worker,
};
use milepost::store::{Fate, MemoryStore};
use serde_json::{Value, json};

use crate::case::new_run;
use outside::Outside;

use crate::clock::{InPlace, SimClock};
use crate::graphs::{station, step};

const SECOND: Duration = Duration::from_secs(1);
/// The message whose body is not valid.
const BAD: u64 = 3;
/// After so many receives a message is left to the dead-letter queue.
const RECEIVES_MAX: u32 = 9;
/// The effect that nobody can look up.
const UNPROBED: usize = 2;

/// The queue as one life of the engine has it.
struct Source {
    outside: Arc<Outside>,
    rotation: Rotation,
}

impl Prepare for Source {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "source": "q" }))
    }
}

impl Receiver for Source {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.outside) as Arc<dyn Queue>
    }

    fn receive(&self, _: RunId) -> Receive {
        Receive {
            queue: "q".to_owned(),
            run: SHARED,
            only: Only::All,
            max: 10,
            wait: SECOND,
            visibility: 5 * SECOND,
            receives_max: RECEIVES_MAX,
            pollers: 2,
            content: true,
        }
    }
}

impl Stream for Source {
    fn rotation(&self) -> Rotation {
        self.rotation
    }

    fn item(&self, delivery: &Delivery) -> (Entrant, Vec<u8>) {
        let carried = delivery.carried.as_ref().unwrap();
        let n = carried.content["n"].as_u64().unwrap();
        let fault = (n == BAD).then(|| Fault::new("InvalidRecord", "not this one"));
        let (event_id, version) = (delivery.message.event_id, carried.version.clone());
        let entrant = Entrant { event_id, key: Some(format!("k{n}")), version, fault };
        (entrant, serde_json::to_vec(&*carried.content).unwrap())
    }
}

/// Carries something out once per call, and can say so, or not.
struct Doing {
    outside: Arc<Outside>,
    step: usize,
}

impl Prepare for Doing {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        // The version is that of the message, not of the run.
        assert_eq!(*scope.version, *scope.item["n"].to_string());
        Ok(scope.item.as_ref().clone())
    }
}

impl Doing {
    /// Items end at different times, each in a commit of its own.
    fn took(&self, n: u64) -> u32 {
        1 + u32::try_from((n * 7 + self.step as u64 * 5) % 11).unwrap()
    }
}

#[async_trait]
impl Effect for Doing {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::new();
        for call in calls {
            let n = call.request["n"].as_u64().unwrap();
            *self.outside.done.lock().unwrap().entry((self.step, n)).or_default() += 1;
            self.outside.clock.sleep_until(self.outside.clock.now().after(SECOND / 20 * self.took(n))).await;
            outcomes.push(Outcome::Done(Facts::from([("id".to_owned(), json!(n))])));
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, call: &Call) -> Probed {
        let n = call.request["n"].as_u64().unwrap();
        let is_done = self.outside.done.lock().unwrap().contains_key(&(self.step, n));
        if is_done { Probed::Done(Facts::new()) } else { Probed::Absent }
    }
}

fn assembly(outside: &Arc<Outside>, rotation: Rotation) -> Assembly {
    let stream = || Worker::Stream(Arc::new(Source { outside: Arc::clone(outside), rotation }));
    let doing = |step| Worker::Effect(Arc::new(Doing { outside: Arc::clone(outside), step }));
    let of_queue = |role| PlanStep {
        messages: Messages::Bringing,
        delete_after: DeleteAfter::Last,
        ..step("source", role, vec![], SettleBy::Repeat)
    };
    let items = vec![
        of_queue(Role::Pure),
        step("put", Role::Effect { probes: true }, vec![0], SettleBy::Probe),
        step("tell", Role::Effect { probes: false }, vec![1], SettleBy::Person),
    ];
    Assembly {
        plan: Arc::new(Plan {
            workflow: "open".into(),
            run: Track::new(vec![of_queue(Role::Source)]),
            items: Track::new(items),
            closing: Track::default(),
            tolerate: Tolerance::Count(1_000),
            bounds: Bounds::default(),
            alerts: Vec::new(),
        }),
        run: vec![station(stream(), None)],
        items: vec![station(stream(), None), station(doing(1), None), station(doing(UNPROBED), None)],
        closing: Vec::new(),
        executor: None,
    }
}

/// One life of the engine; `None` when it died. Returns the writes it asked for, too.
fn live(
    (store, outside): (&mut MemoryStore, &Arc<Outside>),
    id: RunId,
    rotation: Rotation,
    fates: impl FnMut(u64) -> Fate + Send + 'static,
) -> (Option<Run>, u64) {
    let life = store.survivor(fates);
    *outside.journal.lock().unwrap() = Some((id, life.clone()));
    let run = store.run(id).unwrap().unwrap();
    let ports = Ports {
        journal: Arc::new(life.clone()) as Arc<dyn Journal>,
        keys: Arc::new(life.clone()) as Arc<dyn Keys>,
        clock: Arc::clone(&outside.clock) as Arc<dyn Clock>,
        pins: Arc::new(life.clone()) as Arc<dyn Pins>,
        compute: Arc::new(InPlace),
    };
    let assembly = Arc::new(assembly(outside, rotation));
    let limits = Limits { window: 16, patience: SECOND };
    let runtime = outside.clock.runtime();
    let ended = runtime.block_on(async {
        let resumption = if run.status == Status::Queued {
            None
        } else {
            let journal = ports.journal.as_ref();
            let plan = recover::plan(journal, &assembly.plan, &run, &Selection::All).ok()?.hash;
            let now = outside.clock.now();
            recover::revive(journal, &assembly.plan, &run, now, &Selection::All).await.ok()?;
            Some(Resumption::from(plan.as_str()))
        };
        let (_stop, control) = Control::new();
        let driven = drive(run, resumption, assembly, ports, control, limits, 1);
        tokio::time::timeout(Duration::from_hours(2), driven).await.expect("it waits for ever").ok()
    });
    outside.clock.keep(&runtime);
    drop(runtime);
    let writes = life.writes();
    *store = life.survivor(|_| Fate::Kept);
    (ended.or_else(|| store.run(id).unwrap().filter(|run| run.status.is_ended())), writes)
}

fn begin(store: &MemoryStore, outside: &Outside, id: RunId) {
    let run = Run { started_at: outside.clock.now(), ..new_run(id) };
    let runtime = outside.clock.runtime();
    runtime.block_on(store.commit(vec![Change::Run(Box::new(run))])).unwrap();
    outside.clock.keep(&runtime);
}

fn quiet(items: u64) -> Rotation {
    Rotation { items, age: Duration::from_hours(1), idle: Some(20 * SECOND) }
}

/// Each message is one item; each item is done once, or is in doubt; its message is gone, its body too.
fn check(store: &MemoryStore, outside: &Outside, id: RunId, messages: u64, place: &str) {
    assert_eq!(*outside.wrong.lock().unwrap(), Vec::<String>::new(), "{place}");
    let entrants = store.entrants(id, 0, usize::MAX).unwrap();
    assert_eq!(entrants.len() as u64, messages, "{place}: each message is one item");
    assert_eq!(store.run(id).unwrap().unwrap().source.unwrap().count, messages, "{place}");
    let done = outside.done.lock().unwrap();
    for (position, entrant) in entrants {
        let (n, item) = (u64::try_from(entrant.event_id).unwrap(), store.progress(id, Unit::Item(position)));
        let item = item.unwrap().unwrap_or_else(|| panic!("{place}: {n} was lost"));
        let body = store.body(id, position).unwrap();
        if n == BAD {
            assert_eq!(item.cells[0].state, State::DeadLettered, "{place}");
            assert!(body.is_some(), "{place}: a dead letter keeps its body");
            continue;
        }
        assert_eq!((done.get(&(1, n)), item.cells[1].state), (Some(&1), State::Succeeded), "{place}: {n}");
        let told = done.get(&(UNPROBED, n)).copied().unwrap_or(0);
        match item.cells[UNPROBED].state {
            State::Succeeded => assert_eq!((told, body.is_some()), (1, false), "{place}: {n}"),
            State::InDoubt(None) => assert_eq!((told <= 1, body.is_some()), (true, true), "{place}: {n}"),
            other => panic!("{place}: {n} is {other:?}"),
        }
    }
    assert!(outside.queue.lock().unwrap().is_empty(), "{place}: every message has gone");
    let dead = outside.dead.lock().unwrap();
    assert!(!dead.is_empty() && dead.iter().all(|event| *event == BAD), "{place}: {dead:?}");
}

#[test]
fn killed_at_any_commit_of_an_open_run_no_message_is_lost_and_nothing_is_done_twice() {
    const MESSAGES: u64 = 12;
    let mut tried = 0;
    for fate in [Fate::Lost, Fate::Unheard] {
        for cut in 1.. {
            let clock = Arc::new(SimClock::new());
            let outside = Outside::with_copies(&clock, MESSAGES);
            let (mut store, id) = (MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>), RunId(1));
            begin(&store, &outside, id);
            let place = format!("dead at write {cut}, {fate:?}");
            let fates = move |write| if write < cut { Fate::Kept } else { fate };
            let (first, writes) = live((&mut store, &outside), id, quiet(1_000), fates);
            let ended = first.or_else(|| live((&mut store, &outside), id, quiet(1_000), |_| Fate::Kept).0);
            let run = ended.unwrap_or_else(|| panic!("{place}: it did not end"));
            assert_eq!(run.source.as_ref().unwrap().intake, Some(Intake::Quiet), "{place}");
            check(&store, &outside, id, MESSAGES, &place);
            if writes < cut {
                assert!(cut > 20, "there were only {writes} writes to die at");
                assert_eq!(run.status, Status::Succeeded, "nothing is in doubt without a crash");
                break;
            }
            tried += 1;
        }
    }
    println!("{tried} deaths");
}

#[test]
fn an_open_run_rotates_while_its_items_work_and_the_next_ones_take_the_rest() {
    const MESSAGES: u64 = 11;
    let clock = Arc::new(SimClock::new());
    let outside = Outside::with(&clock, MESSAGES);
    let mut store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let mut told = Vec::new();
    for id in (1..=4).map(RunId) {
        begin(&store, &outside, id);
        let (run, _) = live((&mut store, &outside), id, quiet(4), |_| Fate::Kept);
        let (run, dead) = (run.unwrap(), store.tally(id, Unit::Item(0)).unwrap().units.dead_lettered);
        let source = run.source.unwrap();
        told.push((run.status, source.intake.unwrap(), source.count, dead));
    }
    let counts: Vec<u64> = told.iter().map(|(_, _, count, _)| *count).collect();
    assert!(told.iter().all(|(status, ..)| *status == Status::Succeeded), "{told:?}");
    assert!(counts[..2] == [4, 4] && told[0].1 == Intake::Full, "{told:?}");
    assert_eq!(told[3].1, Intake::Quiet, "{told:?}");
    // The dead letter comes once more in each run, until the redrive policy has it.
    let dead: u64 = told.iter().map(|(.., dead)| dead).sum();
    assert_eq!(counts.iter().sum::<u64>() - dead, MESSAGES - 1, "{told:?}");
    let done = outside.done.lock().unwrap();
    assert!((0..MESSAGES).filter(|n| *n != BAD).all(|n| done[&(1, n)] == 1), "{done:?}");
    assert_eq!(*outside.wrong.lock().unwrap(), Vec::<String>::new());
}
