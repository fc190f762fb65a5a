//! Run control with the real engine over simulated time: pauses by people and by itself, cancelling,
//! deadlines, limits of connections, alerts. Nothing waits in real time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]

#[path = "../simulation/clock.rs"]
mod clock;
mod conducted;
mod counted;
#[path = "../simulation/executor.rs"]
mod executor;
mod limits;
mod open;
mod outage;
mod outside;
mod queue;
mod steer;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use milepost::core::catalog::Role;
use milepost::core::cell::Facts;
use milepost::core::cell::SettleBy;
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::event::RunEvent;
use milepost::core::id::{RunId, Unit};
use milepost::core::outlet::Terms;
use milepost::core::plan::{DeleteAfter, Messages, Plan, PlanStep, Track};
use milepost::core::retry::Retry;
use milepost::core::run::{Run, Status};
use milepost::core::selection::Selection;
use milepost::core::tally::Tally;
use milepost::core::time::Timestamp;
use milepost::core::workflow::{Bounds, Tolerance};
use milepost::engine::assembly::{Assembly, Conducted, Station};
use milepost::engine::{Control, Handle, Ports, Resumption, drive, recover};
use milepost::ports::{Clock, Journal, Worker};
use milepost::store::{Fate, MemoryStore};
use tokio::task::JoinHandle;

use clock::{InPlace, SimClock};
use executor::{Manner, SimExecutor, Witness};
use open::Pool;
use outside::{Items, Outside};
use queue::Road;

const RUN: RunId = RunId(7);

/// A workflow `source → pim → shop` with one step in `on_failure`, and what stands around it.
pub(crate) struct Place {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) pim: Arc<Outside>,
    pub(crate) shop: Arc<Outside>,
    /// What `on_failure` calls.
    pub(crate) bell: Arc<Outside>,
    pub(crate) bounds: Bounds,
    pub(crate) tolerate: Tolerance,
    pub(crate) items: u64,
    pub(crate) window: usize,
    /// `pim` and `shop` are one system behind one connection.
    pub(crate) one_connection: bool,
    /// In the place of `pim`: a bus, and a queue that items get messages from.
    road: Option<Arc<Road>>,
    /// In the place of the source and `pim`: a queue that brings the items.
    pub(crate) pool: Option<Arc<Pool>>,
    /// An executor drives the graph in the next life.
    pub(crate) is_conducted: bool,
    executor: RefCell<Option<Arc<SimExecutor>>>,
    /// What the last engine left behind.
    store: RefCell<MemoryStore>,
}

/// An engine at work on the run.
pub(crate) struct Life {
    pub(crate) handle: Handle,
    pub(crate) store: MemoryStore,
    clock: Arc<SimClock>,
    driven: JoinHandle<Run>,
}

impl Place {
    pub(crate) fn new(items: u64) -> Self {
        let clock = Arc::new(SimClock::new());
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let run = blank();
        clock.runtime().block_on(store.commit(vec![Change::Run(Box::new(run))])).unwrap();
        let outside = || Outside::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let (pim, shop, bell) = (outside(), outside(), outside());
        let (bounds, tolerate) = (Bounds::default(), Tolerance::Count(0));
        Self {
            pim,
            shop,
            bell,
            bounds,
            tolerate,
            items,
            window: 64,
            one_connection: false,
            road: None,
            pool: None,
            is_conducted: false,
            executor: RefCell::default(),
            store: RefCell::new(store),
            clock,
        }
    }

    /// Items go over a bus and a queue, and then to `shop`.
    pub(crate) fn over_a_queue(&mut self) {
        self.road = Some(Road::new(Arc::clone(&self.clock) as _, self.store.borrow().clone()));
    }

    pub(crate) fn road(&self) -> Arc<Road> {
        Arc::clone(self.road.as_ref().unwrap())
    }

    /// What the connections `pim` and `shop` bear.
    pub(crate) fn terms(&mut self, connection: &str, terms: Terms) {
        self.bounds.connections.insert(connection.to_owned(), terms);
    }

    /// One life of an engine, as the story tells it. Afterwards that engine is dead, wherever it
    /// was.
    pub(crate) fn life<T>(&self, story: impl AsyncFnOnce(Life) -> T) -> T {
        let runtime = self.clock.runtime();
        let told = runtime.block_on(async {
            let life = self.begin().await;
            story(life).await
        });
        self.clock.keep(&runtime);
        told
    }

    async fn begin(&self) -> Life {
        let store = self.store.borrow().survivor(|_| Fate::Kept);
        self.store.replace(store.clone());
        if let Some(road) = &self.road {
            road.survive(store.clone());
        }
        let shared = Arc::new(store.clone());
        let ports = Ports {
            journal: Arc::clone(&shared) as _,
            keys: Arc::clone(&shared) as _,
            clock: Arc::clone(&self.clock) as _,
            pins: shared,
            compute: Arc::new(InPlace),
        };
        let mut assembly = self.assembly();
        if self.is_conducted {
            assembly.executor = Some(self.conducted(&assembly.plan));
        }
        let assembly = Arc::new(assembly);
        let run = store.run(RUN).unwrap().unwrap();
        let mut plan = None;
        if run.status != Status::Queued {
            let planned = recover::plan(&store, &assembly.plan, &run, &Selection::All).unwrap();
            plan = Some(Resumption::from(planned.hash.as_str()));
            recover::revive(&store, &assembly.plan, &run, self.clock.now(), &Selection::All).await.unwrap();
        }
        let (handle, control) = Control::new();
        let limits = Limits { window: self.window, patience: Duration::from_secs(1) };
        let driven =
            tokio::spawn(
                async move { drive(run, plan, assembly, ports, control, limits, 11).await.unwrap() },
            );
        Life { handle, store, clock: Arc::clone(&self.clock), driven }
    }

    /// The executor, which outlives every engine.
    pub(crate) fn executor(&self) -> Arc<SimExecutor> {
        Arc::clone(self.executor.borrow().as_ref().unwrap())
    }

    fn conducted(&self, plan: &Arc<Plan>) -> Conducted {
        let make = || SimExecutor::new(plan, Arc::clone(&self.clock) as _, 5);
        let executor = Arc::clone(self.executor.borrow_mut().get_or_insert_with(make));
        let journal = Arc::new(self.store.borrow().clone());
        executor.meet(Manner::default(), Some(Witness { journal, run: RUN, is_choosy: false }));
        let facts = Arc::new(|_: &str, facts: &Facts| facts.clone().into_iter().collect());
        Conducted { connection: "states".to_owned(), executor: executor as _, facts }
    }

    fn assembly(&self) -> Assembly {
        let effect = |name: &str, needs: Vec<usize>, batch_max| PlanStep {
            connection: Some(name.to_owned()),
            batch_max,
            linger: Duration::from_millis(20),
            ..step(name, Role::Effect { probes: true }, needs)
        };
        let source = || Worker::Source(Arc::new(Items(self.items)));
        let mut shop = effect("shop", vec![1], 50);
        if self.one_connection {
            shop = PlanStep { name: "again".to_owned(), ..effect("pim", vec![1], 1) };
        }
        let items = vec![step("source", Role::Pure, vec![]), effect("pim", vec![0], 1), shop];
        let works = |outside: &Arc<Outside>| station(Worker::Effect(Arc::clone(outside) as _));
        let mut stations = vec![
            station(source()),
            works(&self.pim),
            works(if self.one_connection { &self.pim } else { &self.shop }),
        ];
        let mut items = items;
        if let Some(road) = &self.road {
            (items, stations) = road.steps(&self.shop, self.items);
        }
        let mut gate = Track::new(vec![step("source", Role::Source, vec![])]);
        let mut gates = vec![station(source())];
        if let Some(pool) = &self.pool {
            (gate, items, stations) = pool.steps(&self.shop);
            gates = vec![pool.station()];
        }
        Assembly {
            plan: Arc::new(Plan {
                workflow: "w".to_owned(),
                run: gate,
                items: Track::new(items),
                closing: Track::new(vec![PlanStep { tolerant: true, ..effect("bell", vec![], 1) }]),
                tolerate: self.tolerate,
                bounds: self.bounds.clone(),
                alerts: Vec::new(),
            }),
            run: gates,
            items: stations,
            closing: vec![works(&self.bell)],
            executor: None,
        }
    }

    pub(crate) fn run(&self) -> Run {
        self.store.borrow().run(RUN).unwrap().unwrap()
    }

    pub(crate) fn tally(&self) -> Tally {
        self.store.borrow().tally(RUN, Unit::Item(0)).unwrap()
    }

    pub(crate) fn events(&self) -> Vec<RunEvent> {
        events(&self.store.borrow())
    }

    pub(crate) fn second(&self, timestamp: Timestamp) -> u64 {
        timestamp.since(self.run().started_at).as_secs()
    }
}

impl Life {
    /// Waits until the run, as it is on disk, is like this.
    pub(crate) async fn until(&self, is_so: impl Fn(&Run, &Tally) -> bool) -> Run {
        // Simulated time: this costs nothing.
        for _ in 0..1_000_000 {
            let run = self.store.run(RUN).unwrap().unwrap();
            if is_so(&run, &self.store.tally(RUN, Unit::Item(0)).unwrap()) {
                return run;
            }
            self.pass(Duration::from_millis(10)).await;
        }
        panic!("it never came to that")
    }

    /// Lets simulated time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.now().after(time)).await;
    }

    /// Waits for the end of the run, but not for ever.
    pub(crate) async fn end(self) -> Run {
        tokio::time::timeout(Duration::from_hours(24), self.driven).await.expect("it hangs").unwrap()
    }
}

fn events(store: &MemoryStore) -> Vec<RunEvent> {
    store.events(RUN, 0, usize::MAX).unwrap().into_iter().map(|(_, event)| event.what).collect()
}

fn station(worker: Worker) -> Station {
    Station { worker, when: None, key: None, item_from: None }
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
        timeout: Duration::from_mins(1),
        batch_max: 1,
        linger: Duration::ZERO,
        concurrency: 8,
        connection: None,
        settle: SettleBy::Probe,
        tolerant: false,
        messages: match role {
            Role::Receive => Messages::About,
            Role::Listen => Messages::Signals,
            _ => Messages::None,
        },
        delete_after: DeleteAfter::Taken,
        keyed: false,
        revision: 0,
        asked: milepost::core::plan::Asked::Open,
    }
}

fn blank() -> Run {
    Run::queued(RUN, "w", "w.yaml", "d", Timestamp(1_000_000))
}
