//! The real engine over simulated time, a simulated outside and a store that dies at any commit.
//!
//! Every case prints its seed when it fails. One case: `SEED=123 cargo test --test simulation`.
//! More of them: `CASES=100000`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops here")]
#![expect(clippy::print_stdout, reason = "seeds and traces are what this test says")]

mod clock;
mod graphs;
mod mailbox;
mod proof;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milepost::core::catalog::Role;
use milepost::core::cell::{SettleBy, State};
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::fault::{Fault, name};
use milepost::core::id::{RunId, Unit};
use milepost::core::plan::Plan;
use milepost::core::progress::Progress;
use milepost::core::resume::{Fate, fate};
use milepost::core::run::{Run, Status};
use milepost::core::tally::Tally;
use milepost::core::time::Timestamp;
use milepost::engine::{Control, Ports, drive, recover};
use milepost::ports::{Clock, Journal, Queue};
use milepost::store::{Fate as Write, MemoryStore};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use clock::{InPlace, SimClock};
use mailbox::Mailbox;
use world::World;

/// Lives after which everything goes well, so that every case ends.
const ROUGH_LIVES: u32 = 6;

/// No life takes so long in simulated time, unless it hangs.
const LIFE_MAX: Duration = Duration::from_secs(100_000);

struct Case {
    seed: u64,
    rng: StdRng,
    clock: Arc<SimClock>,
    store: MemoryStore,
    world: Arc<World>,
    assembly: Arc<milepost::engine::assembly::Assembly>,
    run: RunId,
    count: u64,
    crashes: u32,
}

/// `TRACE=1` tells why each life ended.
fn trace(error: &dyn std::fmt::Display) {
    if std::env::var_os("TRACE").is_some() {
        println!("a life ended: {error}");
    }
}

fn new_run(id: RunId) -> Run {
    Run {
        id,
        workflow: "simulated".into(),
        file: "simulated.yaml".into(),
        definition: "d".into(),
        files: BTreeMap::new(),
        input: serde_json::Map::new(),
        profile: None,
        status: Status::Queued,
        started_at: Timestamp(1_000),
        ended_at: None,
        source: None,
        epoch: 0,
        closings: 0,
        fault: None,
        key: None,
        connections: BTreeMap::new(),
        revisions: BTreeMap::new(),
        released: None,
    }
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let clock = Arc::new(SimClock::new());
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let world = World::new(seed ^ 0x5eed, Arc::clone(&clock) as Arc<dyn Clock>);
        let run = RunId(u128::from(seed) + 1);
        // Now and then enough items for watermarks between them.
        let count = if rng.random_bool(0.05) { rng.random_range(65..=200) } else { rng.random_range(3..=24) };
        let assembly = Arc::new(graphs::random(&mut rng, &world, run, count));
        Self { seed, rng, clock, store, world, assembly, run, count, crashes: 0 }
    }

    /// One life of the engine. Returns whether the run closed.
    fn live(&mut self, life: u32) -> bool {
        let calm = life >= ROUGH_LIVES;
        *self.world.kind.lock().unwrap() = calm;
        let cut = if calm { u64::MAX } else { self.rng.random_range(1..80.max(self.count * 4)) };
        let last = if self.rng.random_bool(0.5) { Write::Lost } else { Write::Unheard };
        self.store = self.store.survivor(move |number| if number < cut { Write::Kept } else { last });
        let store = Arc::new(self.store.clone());
        *self.world.queue.lock().unwrap() = Some(Arc::clone(&store) as Arc<dyn Queue>);
        *self.world.journal.lock().unwrap() = Some(Arc::clone(&store) as Arc<dyn Journal>);
        let served_by = self.plan().items.steps.iter().find_map(|step| step.delete_after);
        let mailbox = Mailbox::new(store.clone(), Arc::clone(&self.world), served_by.unwrap_or(0));
        let limits = Limits { window: self.rng.random_range(2..30), patience: Duration::from_millis(300) };
        let ports = Ports {
            journal: Arc::clone(&store) as Arc<dyn Journal>,
            queue: Arc::new(mailbox),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            pins: store as Arc<dyn milepost::ports::Pins>,
            compute: Arc::new(InPlace),
        };
        let run = self.store.run(self.run).unwrap().unwrap();
        let plan = (run.status != Status::Queued)
            .then(|| recover::plan(&self.store, &self.assembly.plan, &run).unwrap().hash);
        let (seed, case) = (self.rng.random(), self.seed);
        let (assembly, now) = (Arc::clone(&self.assembly), self.clock.now());
        let runtime = self.clock.runtime();
        let ended = runtime.block_on(async move {
            if plan.is_some()
                && recover::revive(ports.journal.as_ref(), &assembly.plan, &run, now).await.is_err()
            {
                return None;
            }
            let (_stop, control) = Control::new();
            let driven = drive(run, plan.as_deref().map(Into::into), assembly, ports, control, limits, seed);
            let ended = tokio::time::timeout(LIFE_MAX, driven).await;
            assert!(ended.is_ok(), "the engine waits for something that never comes\nreplay: SEED={case}");
            ended.ok()?.inspect_err(|error| trace(error)).ok()
        });
        self.clock.keep(&runtime);
        // Everything that was under way dies here, wherever it was.
        drop(runtime);
        self.store = self.store.survivor(|_| Write::Kept);
        self.crashes += u32::from(ended.is_none());
        // The last commit may have been kept without anybody hearing of it.
        self.store.run(self.run).unwrap().unwrap().status.is_ended()
    }

    fn items(&self) -> Vec<(u64, Progress)> {
        self.store.items(self.run, 0, usize::MAX).unwrap()
    }

    fn plan(&self) -> &Plan {
        &self.assembly.plan
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{what}\nreplay: SEED={} cargo test --test simulation", self.seed)
    }

    /// What the ledger says must agree with what happened outside.
    fn check_ledger(&self) {
        if let Some(what) = self.world.book.lock().unwrap().premature.first() {
            self.fail(&format!("premature: {what}"));
        }
        for (item, progress) in self.items() {
            for (step, known) in self.plan().items.steps.iter().enumerate() {
                if !matches!(known.role, Role::Effect { .. }) {
                    continue;
                }
                let applied = self.world.applied(step, Unit::Item(item));
                let state = progress.cells[step].state;
                // A harmless repeat, or a message, may have settled what nobody could look up.
                let perhaps = known.settle != SettleBy::Probe
                    && self.world.book.lock().unwrap().unclear.contains_key(&(step, Unit::Item(item)));
                if state == State::Succeeded && applied == 0 && !perhaps {
                    self.fail(&format!("item {item} step {step} is recorded as done, but never happened"));
                }
                // A repeat that is harmless may be refused after an unclear attempt that was carried out.
                let known_not = matches!(state, State::Pending | State::Skipped(_));
                if known_not && applied > 0 && known.settle != SettleBy::Repeat {
                    self.fail(&format!("item {item} step {step} happened, but is recorded as {state:?}"));
                }
                let repeats_allowed = known.settle == SettleBy::Repeat;
                if applied > 1 && !repeats_allowed {
                    self.fail(&format!("item {item} step {step} was done {applied} times"));
                }
            }
        }
    }

    /// Counts are those of the records.
    fn check_tally(&self) {
        let mut fresh = Tally::default();
        for (_, progress) in self.items() {
            fresh.shift(None, &progress);
        }
        let kept = self.store.tally(self.run, Unit::Item(0)).unwrap();
        let same = kept.units == fresh.units
            && kept
                .steps
                .iter()
                .zip(&fresh.steps)
                .all(|(a, b)| a.units == b.units && a.attempts == b.attempts);
        if !same {
            self.fail(&format!("the tally {kept:?}\nis not that of the records {fresh:?}"));
        }
    }

    /// What may be called in the next life: everything whose fate is not to stay as it is.
    fn untouchable(&self) -> Vec<(usize, Unit)> {
        let track = &self.plan().items;
        let in_doubt =
            |progress: &Progress, step: usize| fate(track, progress, step) == Fate::InDoubt(SettleBy::Person);
        // A message can settle what only a person could otherwise; then the steps behind it go on.
        let message_may_settle = |progress: &Progress| {
            track.steps.iter().any(|known| {
                known.role == Role::Receive && known.needs.iter().any(|need| in_doubt(progress, *need))
            })
        };
        let kept = |progress: &Progress, step: usize| match fate(track, progress, step) {
            Fate::Reuse | Fate::GivenUp | Fate::LeftOut | Fate::InDoubt(SettleBy::Person) => true,
            Fate::Stays | Fate::Blocked => !message_may_settle(progress),
            Fate::Failed
            | Fate::OutOfDate
            | Fate::NeverRan
            | Fate::GoesOn
            | Fate::SentAgain
            | Fate::InDoubt(_) => false,
        };
        let items = self.items();
        let pairs = items.iter().flat_map(|(item, progress)| {
            (0..track.steps.len()).filter(|step| kept(progress, *step)).map(|step| (step, Unit::Item(*item)))
        });
        pairs.collect()
    }

    fn run_to_the_end(&mut self) {
        let changes = vec![Change::Run(Box::new(new_run(self.run)))];
        let store = self.store.clone();
        self.clock.runtime().block_on(async { store.commit(changes).await }).unwrap();
        let mut life = 0;
        loop {
            let untouchable = self.untouchable();
            self.world.book.lock().unwrap().asked.clear();
            let closed = self.live(life);
            for pair in untouchable {
                if self.world.book.lock().unwrap().asked.contains_key(&pair) {
                    self.fail(&format!(
                        "life {life}: {pair:?} was called again, though nothing was to be done"
                    ));
                }
            }
            self.check_ledger();
            self.check_tally();
            if closed && life >= ROUGH_LIVES {
                return self.check_end();
            }
            if closed && self.store.run(self.run).unwrap().unwrap().status == Status::Succeeded {
                return self.check_end();
            }
            life += 1;
            if life > ROUGH_LIVES + 3 {
                self.fail("the run does not end");
            }
        }
    }

    fn check_end(&self) {
        let run = self.store.run(self.run).unwrap().unwrap();
        let total = run.source.as_ref().map_or(0, |source| source.count);
        let items = self.items();
        if items.len() as u64 != total {
            self.fail(&format!("{} of {total} items have a record at the end", items.len()));
        }
        for (item, progress) in items {
            // The simulated queue never loses a message, so none may be given up as lost.
            let lost = |fault: &Fault| fault.name == name::MESSAGE_LOST;
            if progress
                .cells
                .iter()
                .any(|cell| cell.state == State::DeadLettered && cell.fault.as_ref().is_some_and(lost))
            {
                self.fail(&format!("item {item} gave up a message that was there: {progress:?}"));
            }
            if !progress.is_at_rest(&self.plan().items) {
                self.fail(&format!("item {item} is not at rest: {progress:?}"));
            }
            for known in self.plan().items.steps.iter().filter(|known| known.role == Role::Receive) {
                for need in &known.needs {
                    let doubt = matches!(progress.cells[*need].state, State::InDoubt(_));
                    if doubt && self.world.applied(*need, Unit::Item(item)) > 0 {
                        self.fail(&format!("item {item}: its message did not settle the publish"));
                    }
                }
            }
        }
    }
}

#[test]
fn any_crash_anywhere_loses_nothing_and_repeats_nothing_that_is_known_to_be_done() {
    let one: Option<u64> = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let cases: u64 = std::env::var("CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_500);
    let base = one.unwrap_or(20_261_122);
    let mut crashes = 0;
    for seed in base..base + if one.is_some() { 1 } else { cases } {
        trace(&format!("seed {seed}"));
        let mut case = Case::new(seed);
        case.run_to_the_end();
        crashes += case.crashes;
    }
    println!("seeds {base}..; {crashes} crashes");
    assert!(one.is_some() || u64::from(crashes) > cases, "crashes happened");
}
