//! One case: a random workflow, lived through many lives of the engine until its run has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milepost::core::catalog::Role;
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::id::{RunId, Unit};
use milepost::core::letter::LetterFilter;
use milepost::core::plan::{DeleteAfter, Plan};
use milepost::core::progress::Progress;
use milepost::core::queue::{Only, Receive};
use milepost::core::run::{Run, Status};
use milepost::core::selection::Selection;
use milepost::core::time::Timestamp;
use milepost::engine::assembly::{Assembly, Conducted};
use milepost::engine::{Control, Ports, Resumption, drive, recover};
use milepost::ports::{Clock, Journal, Queue};
use milepost::store::{Fate as Write, MemoryStore};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::{InPlace, SimClock};
use crate::conducted::all_facts;
use crate::executor::{Manner, SimExecutor, Witness};
use crate::graphs;
use crate::mailbox::Mailbox;
use crate::planned::Planned;
use crate::world::{self, Temper, World};

/// Lives after which everything goes well, so that every case ends.
const ROUGH_LIVES: u32 = 9;

/// No life takes so long in simulated time, unless it hangs.
const LIFE_MAX: Duration = Duration::from_secs(1_000_000);

/// Who drives the graph in one life, and how well; none: the engine.
pub(crate) type Led = Option<(Arc<SimExecutor>, Manner)>;

pub(crate) struct Case {
    pub(crate) seed: u64,
    rng: StdRng,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) store: MemoryStore,
    pub(crate) world: Arc<World>,
    pub(crate) assembly: Arc<Assembly>,
    /// The same, driven by an executor, where there is one.
    pub(crate) conducted: Option<(Arc<Assembly>, Arc<SimExecutor>)>,
    pub(crate) leads: StdRng,
    pub(crate) run: RunId,
    count: u64,
    /// How the world is when it is not kind.
    temper: Temper,
    pub(crate) score: Score,
}

/// What was gone through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    /// Lives that a crash ended.
    pub(crate) crashes: u64,
    /// Resumes whose calls were held against their plan.
    pub(crate) plans: u64,
    /// Those of them that came to their end in a kind world: the calls are exactly the plan.
    pub(crate) exact: u64,
    /// Orders of old executions that were refused.
    pub(crate) refused: u64,
}

impl Score {
    pub(crate) fn add(&mut self, other: Self) {
        self.crashes += other.crashes;
        self.plans += other.plans;
        self.exact += other.exact;
        self.refused += other.refused;
    }
}

/// How a life of the engine goes.
#[derive(Clone, Debug)]
pub(crate) struct Fortune {
    /// Everything outside goes well.
    pub(crate) kind: bool,
    /// It dies at this write.
    pub(crate) cut: u64,
    /// What becomes of that write.
    pub(crate) last: Write,
    /// Somebody presses Ctrl-C after so long.
    pub(crate) stop_after: Option<Duration>,
    /// What the resume works on.
    pub(crate) selection: Selection,
}

/// `TRACE=1` tells why each life ended.
pub(crate) fn trace(what: &dyn std::fmt::Display) {
    if std::env::var_os("TRACE").is_some() {
        println!("{what}");
    }
}

pub(crate) fn new_run(id: RunId) -> Run {
    Run::queued(id, "simulated", "simulated.yaml", "d", Timestamp(1_000))
}

impl Drop for Case {
    fn drop(&mut self) {
        self.world.part();
    }
}

impl Case {
    /// The case of this seed; `items` asks for another number of items than its own.
    pub(crate) fn new(seed: u64, items: Option<u64>) -> Self {
        let mut case = Self::conducted(seed, items);
        case.conducted = None;
        case
    }

    /// The same case; an executor in memory drives its run, most of its lives.
    pub(crate) fn conducted(seed: u64, items: Option<u64>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let clock = Arc::new(SimClock::new());
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let world = World::new(seed ^ 0x5eed, Arc::clone(&clock) as Arc<dyn Clock>);
        let run = RunId(u128::from(seed) + 1);
        // Now and then enough items for watermarks between them.
        let own = if rng.random_bool(0.05) { rng.random_range(65..=200) } else { rng.random_range(3..=24) };
        let count = items.unwrap_or(own);
        let mut twin = rng.clone();
        let assembly = Arc::new(graphs::random(&mut rng, &world, count));
        let executor = SimExecutor::new(&assembly.plan, Arc::clone(&clock) as Arc<dyn Clock>, seed ^ 0xe8ec);
        let conducted = Conducted {
            connection: "states".into(),
            executor: Arc::clone(&executor) as _,
            facts: all_facts(),
        };
        let conducted = Assembly { executor: Some(conducted), ..graphs::random(&mut twin, &world, count) };
        let conducted = Some((Arc::new(conducted), executor));
        let leads = StdRng::seed_from_u64(seed ^ 0x1ead);
        let temper = Temper {
            lies: rng.random_bool(0.15),
            loses_mail: rng.random_bool(0.2),
            shuffles_mail: rng.random_bool(0.5),
        };
        Self {
            seed,
            rng,
            clock,
            store,
            world,
            assembly,
            conducted,
            leads,
            run,
            count,
            temper,
            score: Score::default(),
        }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.assembly.plan
    }

    pub(crate) fn record(&self) -> Run {
        self.store.run(self.run).unwrap().unwrap()
    }

    /// Every unit with a record.
    pub(crate) fn units(&self) -> BTreeMap<Unit, Progress> {
        let items = self.store.items(self.run, 0, usize::MAX).unwrap();
        let items = items.into_iter().map(|(item, progress)| (Unit::Item(item), progress));
        let closings = (1..=self.record().closings).map(Unit::Closing);
        let others = closings.chain([Unit::Run]).filter_map(|unit| {
            let progress = self.store.progress(self.run, unit).unwrap();
            progress.map(|progress| (unit, progress))
        });
        items.chain(others).collect()
    }

    /// Lives until the run has ended, and holds every life against what happened outside.
    pub(crate) fn run_to_the_end(&mut self) {
        let changes = vec![Change::Run(Box::new(new_run(self.run)))];
        let store = self.store.clone();
        self.clock.runtime().block_on(async { store.commit(changes).await }).unwrap();
        for life in 0.. {
            let fortune = self.fortune(life);
            let planned = Planned::of(self, fortune.selection.clone());
            let (assembly, executor) = self.lead(&fortune);
            let complete = self.live(life, &fortune, planned.hash(), assembly, &executor);
            if let Some((executor, _)) = executor {
                self.check_conducted(&executor);
                self.score.refused = executor.refused();
            }
            self.check_ledger();
            self.check_tally();
            self.check_alerts();
            planned.check(self, complete, fortune.kind);
            self.score.plans += u64::from(planned.hash().is_some());
            self.score.exact += u64::from(planned.hash().is_some() && complete && fortune.kind);
            let run = self.record();
            let is_over = life >= ROUGH_LIVES && !self.is_let_down(&run);
            if run.status == Status::Succeeded || (run.status.is_ended() && is_over) {
                return self.check_end();
            }
            assert!(life <= ROUGH_LIVES + 3, "the run does not end: {run:?}");
        }
    }

    fn fortune(&mut self, life: u32) -> Fortune {
        let calm = life >= ROUGH_LIVES;
        let survives = calm || self.rng.random_bool(0.12);
        let most = if self.rng.random_bool(0.6) { 20 } else { 80.max(self.count * 4) };
        Fortune {
            kind: calm || self.rng.random_bool(0.25),
            cut: if survives { u64::MAX } else { self.rng.random_range(1..most) },
            last: if self.rng.random_bool(0.5) { Write::Lost } else { Write::Unheard },
            stop_after: (!calm && self.rng.random_bool(0.1))
                .then(|| Duration::from_millis(self.rng.random_range(0..2_000))),
            selection: if calm { Selection::All } else { self.selection() },
        }
    }

    /// Now and then a resume works on some items only.
    fn selection(&mut self) -> Selection {
        let run = self.record();
        let total = run.source.map_or(0, |source| source.count);
        if total == 0 || run.status == Status::Queued || self.rng.random_bool(0.8) {
            return Selection::All;
        }
        match self.rng.random_range(0..3) {
            0 => Selection::Failed,
            1 => Selection::DeadLettered(LetterFilter::default()),
            _ => Selection::Items((0..total).filter(|_| self.rng.random_bool(0.3)).collect()),
        }
    }

    /// One life of the engine. Returns whether it came to the end of its work.
    pub(crate) fn live(
        &mut self,
        life: u32,
        fortune: &Fortune,
        plan: Option<String>,
        assembly: Arc<Assembly>,
        led: &Led,
    ) -> bool {
        trace(&format!("seed {} life {life}: {fortune:?}", self.seed));
        self.world.set_temper((!fortune.kind).then_some(self.temper));
        let &Fortune { cut, last, stop_after, .. } = fortune;
        let selection = fortune.selection.clone();
        self.store = self.store.survivor(move |number| if number < cut { Write::Kept } else { last });
        let store = Arc::new(self.store.clone());
        if let Some((executor, manner)) = led {
            let journal = Arc::clone(&store) as Arc<dyn Journal>;
            executor.meet(*manner, Some(Witness { journal, run: self.run, is_choosy: !selection.is_all() }));
        }
        let mut steps = self.plan().items.steps.iter();
        let served_by = if led.is_some() {
            // No message is kept over a barrier.
            steps.position(|step| step.role == Role::Receive)
        } else {
            steps.find_map(|step| match step.delete_after {
                DeleteAfter::Step(after) => Some(after),
                DeleteAfter::Taken | DeleteAfter::Last => None,
            })
        };
        let mailbox = Mailbox::new(store.clone(), Arc::clone(&self.world), served_by.unwrap_or(0));
        let (queue, journal) = (store.clone(), store.clone());
        self.world.meet(world::Life { queue, inbox: Arc::new(mailbox), journal });
        let limits = Limits { window: self.rng.random_range(2..30), patience: Duration::from_millis(300) };
        let ports = self.ports(store);
        let run = self.record();
        let seed = self.rng.random();
        let clock = Arc::clone(&self.clock);
        let runtime = self.clock.runtime();
        let ended = runtime.block_on(async move {
            let resumption = match plan {
                Some(plan) => {
                    let (journal, plan_of) = (ports.journal.as_ref(), &assembly.plan);
                    let revived = recover::revive(journal, plan_of, &run, clock.now(), &selection).await;
                    let recover::Revived { chosen, anew } = revived.ok()?;
                    let chosen = chosen.map(Arc::new);
                    Some(Resumption { plan, by: None, chosen, told: Vec::new(), anew })
                }
                None => None,
            };
            let (stop, control) = Control::new();
            if let Some(after) = stop_after {
                tokio::spawn(async move {
                    clock.sleep_until(clock.now().after(after)).await;
                    stop.stop();
                });
            }
            let driven = drive(run, resumption, assembly, ports, control, limits, seed);
            let ended = tokio::time::timeout(LIFE_MAX, driven).await;
            assert!(ended.is_ok(), "the engine waits for something that never comes");
            ended.ok()?.inspect_err(|error| trace(error)).ok()
        });
        self.clock.keep(&runtime);
        // Everything that was under way dies here, wherever it was.
        drop(runtime);
        self.store = self.store.survivor(|_| Write::Kept);
        self.settle_mail();
        self.score.crashes += u64::from(ended.is_none());
        // One that works on some items only leaves the run open when others are unfinished.
        let leaves_open = !fortune.selection.is_all() && stop_after.is_none();
        ended.is_some_and(|run| (run.status.is_ended() || leaves_open) && !self.is_let_down(&run))
    }

    fn ports(&self, store: Arc<MemoryStore>) -> Ports {
        Ports {
            journal: Arc::clone(&store) as Arc<dyn Journal>,
            keys: Arc::clone(&store) as Arc<dyn milepost::ports::Keys>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            pins: store as Arc<dyn milepost::ports::Pins>,
            compute: Arc::new(InPlace),
        }
    }

    /// A message that the queue took while it died was sent, even if nobody was told.
    fn settle_mail(&self) {
        let all = Receive {
            queue: "q".into(),
            run: self.run,
            only: Only::All,
            max: usize::MAX,
            wait: Duration::ZERO,
            visibility: Duration::ZERO,
            receives_max: u32::MAX,
            pollers: 1,
            content: false,
        };
        let copy = self.store.survivor(|_| Write::Kept);
        let there = self.clock.runtime().block_on(copy.receive(&all)).unwrap();
        let is_there = |unit| {
            there.deliveries.iter().any(|delivery| delivery.message.item.map(Unit::Item) == Some(unit))
        };
        self.world.book().settle_mail(|(unit, _)| is_there(unit));
    }
}
