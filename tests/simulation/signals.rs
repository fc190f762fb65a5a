//! Items wait for signals, which come during the effect before the wait, twice, late, or only before the
//! effect; and the engine dies at any commit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::catalog::Role;
use milepost::core::cell::{SettleBy, State};
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::fault::{Fault, name};
use milepost::core::id::{RunId, Unit};
use milepost::core::plan::{Plan, Track};
use milepost::core::queue::{Only, Receive};
use milepost::core::retry::Probed;
use milepost::core::run::Status;
use milepost::core::scope::Scope;
use milepost::core::selection::Selection;
use milepost::core::signal::{self, Signal};
use milepost::core::time::Timestamp;
use milepost::core::workflow::Tolerance;
use milepost::engine::assembly::Assembly;
use milepost::engine::{Control, Ports, Resumption, drive, recover};
use milepost::ports::{Call, Clock, Effect, Journal, Prepare, Queue, Receiver, Signals, Verdicts, Worker};
use milepost::store::{Fate, MemoryStore};
use serde_json::{Value, json};

use crate::case::new_run;
use crate::clock::{InPlace, SimClock};
use crate::effects::SimEffect;
use crate::graphs::{assembly, effect, source, station, step};
use crate::world::{Life, World};

const RUN: RunId = RunId(7);
/// The last one is a dead letter from the start.
const ITEMS: u64 = 9;

/// What becomes of the signal of an item.
fn comes_late(item: u64) -> bool {
    item % 3 == 2
}

fn comes_during_the_wait(item: u64) -> bool {
    item % 3 == 1
}

fn signal(clock: &SimClock, item: u64, id: &str) -> Signal {
    let at = clock.now();
    Signal {
        name: "published".to_owned(),
        key: item.to_string(),
        id: id.to_owned(),
        at,
        version: None,
        workflow: None,
        payload: Value::Null,
        by: None,
        until: at.after(Duration::from_hours(24)),
    }
}

/// The PIM: it tells of what it publishes, at once or after a while, and twice.
struct Webhook {
    inner: SimEffect,
    store: MemoryStore,
    clock: Arc<SimClock>,
}

impl Prepare for Webhook {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.inner.prepare(scope)
    }
}

#[async_trait]
impl Effect for Webhook {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let verdicts = self.inner.call(calls).await;
        for call in calls {
            let Unit::Item(item) = call.unit else { continue };
            if comes_late(item) {
                continue;
            }
            let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
            let tell = async move {
                for _ in 0..2 {
                    // An engine that has died does not hear it.
                    let _ = store.take_in(vec![signal(&clock, item, "told")]).await;
                }
            };
            if comes_during_the_wait(item) {
                let clock = Arc::clone(&self.clock);
                tokio::spawn(async move {
                    clock.sleep_until(clock.now().after(Duration::from_secs(20))).await;
                    tell.await;
                });
            } else {
                tell.await;
            }
        }
        verdicts
    }

    async fn probe(&self, call: &Call) -> Probed {
        self.inner.probe(call).await
    }
}

/// Waits for the signal about the item's number.
struct Wait(MemoryStore);

impl Prepare for Wait {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "signal": "published", "key": scope.item["n"].to_string() }))
    }
}

impl Receiver for Wait {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.0.clone())
    }

    fn receive(&self, run: RunId) -> Receive {
        Receive {
            queue: signal::queue("published"),
            run,
            only: Only::All,
            max: 10,
            wait: Duration::from_secs(1),
            visibility: Duration::from_secs(30),
            receives_max: u32::MAX,
            pollers: 1,
            content: true,
        }
    }
}

fn workflow(world: &Arc<World>, store: &MemoryStore, clock: &Arc<SimClock>) -> Assembly {
    let steps = vec![
        step("source", Role::Pure, vec![], SettleBy::Repeat),
        step("pim", Role::Effect { probes: true }, vec![0], SettleBy::Probe),
        step("published", Role::Listen, vec![1], SettleBy::Repeat),
        step("shop", Role::Effect { probes: true }, vec![2], SettleBy::Probe),
    ];
    let inner = SimEffect { world: Arc::clone(world), step: 1, sends: false };
    let (store, clock) = (store.clone(), Arc::clone(clock));
    let pim = Webhook { inner, store: store.clone(), clock };
    let stations = vec![
        station(source(world, ITEMS), None),
        station(Worker::Effect(Arc::new(pim)), None),
        station(Worker::Receiver(Arc::new(Wait(store))), None),
        station(effect(world, 3, false), None),
    ];
    let made = assembly(world, (Track::new(steps), stations), ITEMS);
    let plan = Plan { tolerate: Tolerance::Count(1), ..Plan::clone(&made.plan) };
    Assembly { plan: Arc::new(plan), ..made }
}

/// One life. What the PIM has published it tells again first: it does not know who heard it.
fn live(clock: &Arc<SimClock>, store: &MemoryStore, world: &Arc<World>) {
    let shared = Arc::new(store.clone());
    world.meet(Life { queue: shared.clone(), inbox: shared.clone(), journal: shared.clone() });
    let ports = Ports {
        journal: Arc::clone(&shared) as Arc<dyn Journal>,
        keys: Arc::clone(&shared) as Arc<dyn milepost::ports::Keys>,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        pins: shared,
        compute: Arc::new(InPlace),
    };
    let limits = Limits { window: 4, patience: Duration::from_secs(1) };
    let assembly = Arc::new(workflow(world, store, clock));
    let runtime = clock.runtime();
    let published = |item: &u64| !comes_late(*item) && world.entry((Unit::Item(*item), 1)).applied > 0;
    let published: Vec<u64> = (0..ITEMS - 1).filter(published).collect();
    let (store, time) = (store.clone(), Arc::clone(clock));
    let _ended = runtime.block_on(async move {
        let run = store.run(RUN).ok()??;
        let began = run.status != Status::Queued;
        for item in published {
            store.take_in(vec![signal(&time, item, "told")]).await.ok()?;
        }
        let resumption = if began {
            let all = Selection::All;
            recover::revive(ports.journal.as_ref(), &assembly.plan, &run, time.now(), &all).await.ok()?;
            Some(Resumption::from("plan"))
        } else {
            None
        };
        let (_stop, control) = Control::new();
        drive(run, resumption, assembly, ports, control, limits, 1).await.ok()
    });
    clock.keep(&runtime);
}

fn states(store: &MemoryStore, item: u64) -> Vec<State> {
    let progress = store.progress(RUN, Unit::Item(item)).unwrap().unwrap();
    progress.cells.iter().map(|cell| cell.state).collect()
}

#[test]
fn whoever_waits_for_a_signal_gets_it_once_whenever_it_comes_and_wherever_the_engine_dies() {
    for cut in 1.. {
        let clock = Arc::new(SimClock::new());
        let world = World::new(11, Arc::clone(&clock) as Arc<dyn Clock>);
        let first = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        clock.runtime().block_on(async {
            first.commit(vec![Change::Run(Box::new(new_run(RUN)))]).await.unwrap();
            // Of an earlier publication: it is older than every effect of this run.
            let before = Timestamp(clock.now().0 - 1);
            let old = (0..ITEMS).map(|item| Signal { at: before, ..signal(&clock, item, "old") }).collect();
            first.take_in(old).await.unwrap();
        });
        let mut store = first.survivor(move |write| if write < cut { Fate::Kept } else { Fate::Lost });
        live(&clock, &store, &world);
        let writes = store.writes();
        // Nobody told of some of them: they gave up, and the run failed.
        for _ in 0..4 {
            store = store.survivor(|_| Fate::Kept);
            if store.run(RUN).unwrap().unwrap().status == Status::Failed {
                break;
            }
            live(&clock, &store, &world);
        }
        assert_eq!(store.run(RUN).unwrap().unwrap().status, Status::Failed, "after death at write {cut}");
        for item in (0..ITEMS - 1).filter(|item| !comes_late(*item)) {
            assert_eq!(states(&store, item), [State::Succeeded; 4], "item {item} after death at write {cut}");
        }
        for item in (0..ITEMS - 1).filter(|item| comes_late(*item)) {
            let progress = store.progress(RUN, Unit::Item(item)).unwrap().unwrap();
            let fault = progress.cells[2].fault.as_ref().map(|fault| fault.name.as_str());
            assert_eq!(fault, Some(name::SIGNAL_MISSING), "item {item} after death at write {cut}");
            assert_eq!(world.entry((Unit::Item(item), 3)).applied, 0, "an older signal does not count");
            clock.runtime().block_on(store.take_in(vec![signal(&clock, item, "late")])).unwrap();
        }
        store = store.survivor(|_| Fate::Kept);
        live(&clock, &store, &world);
        store = store.survivor(|_| Fate::Kept);
        assert_eq!(store.run(RUN).unwrap().unwrap().status, Status::Succeeded, "after death at write {cut}");
        for item in 0..ITEMS - 1 {
            assert_eq!(states(&store, item), [State::Succeeded; 4], "item {item} after death at write {cut}");
            for step in [1, 3] {
                assert_eq!(world.entry((Unit::Item(item), step)).applied, 1, "item {item} at step {step}");
            }
        }
        if writes < cut {
            assert!(cut > 10, "there were {writes} writes to die at");
            return;
        }
    }
}
