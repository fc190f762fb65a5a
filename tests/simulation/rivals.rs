//! Several runs over the same keys, at the same time and one after another, while the engine dies
//! at any commit (rule R6): an older version never lands after a newer one, under `once` nothing
//! lands twice, and the ledger of each run says what the outside saw of it.
//!
//! What nobody survives is left out: a call that lands after its claim has ended, so a claim has to
//! be longer than a call can take. And a key is free while it is not known whether the content of
//! another run landed: its engine died, or a harmless repeat left a doubt behind. What then follows
//! under that key is counted, and told, as the weakness that it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::catalog::Role;
use milepost::core::cell::{Facts, SettleBy, State};
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::fault::Fault;
use milepost::core::id::{RunId, Unit};
use milepost::core::ledger::{self, Verdict};
use milepost::core::plan::{Plan, Track};
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::core::run::{Run, Status};
use milepost::core::scope::Scope;
use milepost::core::selection::Selection;
use milepost::core::workflow::{IdempotencyMode, Tolerance};
use milepost::engine::assembly::{Assembly, Keyed};
use milepost::engine::{Control, Ports, Resumption, drive, recover};
use milepost::expr::Template;
use milepost::ports::{Call, Clock, Effect, Journal, Keys, Pins, Prepare, Verdicts, Worker};
use milepost::store::{Fate, MemoryStore};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use crate::case::{new_run, trace};
use crate::clock::{InPlace, SimClock};
use crate::graphs::{assembly, source, station, step};
use crate::world::{Life, Temper, Turn, World};

/// Lives after which everything goes well.
const ROUGH_LIVES: u32 = 5;
const ITEMS: u64 = 6;
/// The step that writes under a key.
const PUT: usize = 1;

/// One content that landed outside.
#[derive(Clone, Debug)]
struct Put {
    run: RunId,
    version: u64,
    content: char,
}

/// What the outside holds: everything that ever landed, by key, in its order.
#[derive(Default)]
struct Shelf {
    puts: Mutex<BTreeMap<String, Vec<Put>>>,
    /// Keys that were free while nobody knew yet of content that had landed.
    weak: Mutex<BTreeSet<String>>,
}

/// Writes the content of its run under a key.
struct Writer {
    world: Arc<World>,
    shelf: Arc<Shelf>,
    version: u64,
    content: char,
}

impl Prepare for Writer {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "content": self.content.to_string() }))
    }
}

impl Writer {
    fn land(&self, call: &Call) {
        let put = Put { run: call.run, version: self.version, content: self.content };
        self.shelf.puts.lock().unwrap().entry(call.key.clone()).or_default().push(put);
    }

    /// Notes a call that was granted while other content had landed of which there is no record yet.
    fn note_doubt(&self, call: &Call) {
        let puts = self.shelf.puts.lock().unwrap();
        let mut others = puts.get(&call.key).into_iter().flatten().filter(|put| put.version != self.version);
        if others.any(|put| !self.world.is_known(put.run, call.unit, PUT)) {
            self.shelf.weak.lock().unwrap().insert(call.key.clone());
        }
    }

    async fn one(&self, call: &Call) -> Outcome {
        self.world.pause(Duration::from_millis(40)).await;
        let turn = self.world.turn();
        trace(&format!("{} call of version {} under {}: {turn:?}", self.world.now(), self.version, call.key));
        match turn {
            Turn::Refused(_) | Turn::RefusedAndDone(_) => {
                Outcome::Refused { fault: Fault::new("Refused", "the world says no"), again: Again::Later }
            }
            Turn::LostOnTheWay => Outcome::Unclear(Fault::new("NoAnswer", "lost before it was done")),
            Turn::AnswerLost | Turn::Late => {
                self.land(call);
                Outcome::Unclear(Fault::new("NoAnswer", "lost after it was done"))
            }
            Turn::Hangs => std::future::pending().await,
            Turn::HeldAlready | Turn::Done => {
                self.land(call);
                Outcome::Done(Facts::from([("content".to_owned(), json!(self.content.to_string()))]))
            }
        }
    }
}

#[async_trait]
impl Effect for Writer {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::new();
        for call in calls {
            self.note_doubt(call);
        }
        for call in calls {
            outcomes.push(self.one(call).await);
        }
        self.world.pause(Duration::from_millis(40)).await;
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, call: &Call) -> Probed {
        self.world.pause(Duration::from_millis(40)).await;
        let puts = self.shelf.puts.lock().unwrap();
        trace(&format!("{} look of version {} under {}", self.world.now(), self.version, call.key));
        let landed = puts.get(&call.key).into_iter().flatten().any(|put| put.run == call.run);
        if landed { Probed::Done(Facts::new()) } else { Probed::Absent }
    }
}

/// One of the runs.
struct Rival {
    id: RunId,
    version: u64,
    content: char,
    /// The life in which it is started.
    begins: u32,
    settle: SettleBy,
}

struct Contest {
    rng: StdRng,
    clock: Arc<SimClock>,
    store: MemoryStore,
    world: Arc<World>,
    shelf: Arc<Shelf>,
    mode: IdempotencyMode,
    rivals: Vec<Rival>,
    crashes: u64,
}

impl Contest {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let clock = Arc::new(SimClock::new());
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let world = World::new(seed ^ 0x5eed, Arc::clone(&clock) as Arc<dyn Clock>);
        let once = rng.random_bool(0.3);
        let rivals = (1..=rng.random_range(2..=4)).map(|number: u64| Rival {
            id: RunId(u128::from(number)),
            version: number,
            content: if once || rng.random_bool(0.5) { 'A' } else { 'B' },
            begins: rng.random_range(0..4),
            // A repeat may land twice, which `once` cannot hold against anybody.
            settle: if once || rng.random_bool(0.6) { SettleBy::Probe } else { SettleBy::Repeat },
        });
        let rivals = rivals.collect();
        let mode = if once { IdempotencyMode::Once } else { IdempotencyMode::Latest };
        Self { rng, clock, store, world, shelf: Arc::default(), mode, rivals, crashes: 0 }
    }

    fn assembly(&self, rival: &Rival) -> Arc<Assembly> {
        let mut put = step("put", Role::Effect { probes: true }, vec![0], rival.settle);
        put.keyed = true;
        put.batch_max = 3;
        let steps = vec![step("source", Role::Pure, vec![], SettleBy::Repeat), put];
        let writer = Writer {
            world: Arc::clone(&self.world),
            shelf: Arc::clone(&self.shelf),
            version: rival.version,
            content: rival.content,
        };
        let mut keyed = station(Worker::Effect(Arc::new(writer)), None);
        let template = |text: &str| Template::parse(&Value::String(text.to_owned())).unwrap();
        keyed.key = Some(Keyed {
            key: template("${{ item.n }}"),
            version: Some(template("${{ input.version }}")),
            mode: self.mode,
            claim: Duration::from_mins(30),
            keep: Duration::from_hours(24 * 14),
            scope: "shop".into(),
            store: None,
        });
        let stations = vec![station(source(&self.world, ITEMS), None), keyed];
        let mut made = assembly(&self.world, (Track::new(steps), stations), ITEMS);
        // Only the record that is a dead letter from the start.
        made.plan = Arc::new(Plan { tolerate: Tolerance::Count(1), ..Plan::clone(&made.plan) });
        Arc::new(made)
    }

    fn record(&self, rival: &Rival) -> Option<Run> {
        self.store.run(rival.id).unwrap()
    }

    /// One life in which every run works that is not through.
    fn live(&mut self, life: u32) {
        let calm = life >= ROUGH_LIVES;
        self.world.set_temper((!calm).then(Temper::default));
        let cut = if calm { u64::MAX } else { self.rng.random_range(1..60) };
        let last = if self.rng.random_bool(0.5) { Fate::Lost } else { Fate::Unheard };
        trace(&format!("life {life} dies at write {cut}: {last:?}"));
        self.store = self.store.survivor(move |write| if write < cut { Fate::Kept } else { last });
        let store = Arc::new(self.store.clone());
        self.world.meet(Life { queue: store.clone(), inbox: store.clone(), journal: store.clone() });
        let ports = Ports {
            journal: Arc::clone(&store) as Arc<dyn Journal>,
            keys: Arc::clone(&store) as Arc<dyn Keys>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            pins: Arc::clone(&store) as Arc<dyn Pins>,
            compute: Arc::new(InPlace),
        };
        let seed = self.rng.random();
        let begun = self.rivals.iter().filter(|rival| rival.begins <= life);
        let open = begun.filter(|rival| self.record(rival).is_none_or(|run| run.status != Status::Succeeded));
        let work: Vec<_> = open
            .map(|rival| {
                let mut fresh = new_run(rival.id);
                fresh.input = Map::from_iter([("version".to_owned(), json!(rival.version))]);
                (self.record(rival).unwrap_or(fresh), self.assembly(rival), seed)
            })
            .collect();
        let runtime = self.clock.runtime();
        runtime.block_on(async {
            let runs: Vec<_> =
                work.into_iter().map(|run| tokio::spawn(drive_one(ports.clone(), run))).collect();
            for run in runs {
                run.await.unwrap();
            }
        });
        self.clock.keep(&runtime);
        drop(runtime);
        self.crashes += u64::from(store.writes() >= cut);
        self.store = self.store.survivor(|_| Fate::Kept);
    }

    /// Notes the keys under which something landed of which there is no record at the end of a life.
    fn note_doubts(&self) {
        for (key, puts) in self.shelf.puts.lock().unwrap().iter() {
            let item = Unit::Item(key.parse().unwrap());
            let is_open = |put: &Put| {
                let progress = self.store.progress(put.run, item).unwrap();
                progress.is_none_or(|progress| {
                    let cell = &progress.cells[PUT];
                    cell.is_doubtful() || cell.state == State::Running
                })
            };
            if puts.iter().any(is_open) {
                self.shelf.weak.lock().unwrap().insert(key.clone());
            }
        }
    }

    /// What must hold after every life.
    fn check(&self) {
        let weak = self.shelf.weak.lock().unwrap();
        for (key, puts) in self.shelf.puts.lock().unwrap().iter() {
            for pair in puts.windows(2) {
                let in_order = pair[0].version <= pair[1].version || weak.contains(key);
                assert!(in_order, "key {key}: old content over new: {puts:?}");
            }
            let once = self.mode == IdempotencyMode::Once;
            assert!(!once || puts.len() <= 1, "key {key} is for one effect: {puts:?}");
        }
        for rival in &self.rivals {
            let track = &self.assembly(rival).plan.items;
            for (item, progress) in self.store.items(rival.id, 0, usize::MAX).unwrap() {
                let cell = &progress.cells[PUT];
                let told = ledger::entry(&track.steps[PUT], cell, false);
                let doubts = told.map_or(0, |told| told.doubts as usize);
                let landed = self.landed(rival, item);
                let (least, most) = match told.map(|told| told.verdict) {
                    Some(Verdict::Done) => (1, 1 + doubts),
                    Some(Verdict::InDoubt) => (0, 1 + doubts),
                    Some(Verdict::NotNeeded) => (0, doubts),
                    Some(Verdict::Refused) | None => (0, 0),
                    Some(Verdict::Intended) => panic!("item {item}: intended, and no engine lives"),
                };
                let agrees = (least..=most).contains(&landed);
                assert!(
                    agrees,
                    "the ledger contradicts the outside: item {item} is {told:?}, and landed {landed} times: {cell:?}"
                );
            }
        }
    }

    fn landed(&self, rival: &Rival, item: u64) -> usize {
        let all = self.shelf.puts.lock().unwrap();
        all.get(&item.to_string()).into_iter().flatten().filter(|put| put.run == rival.id).count()
    }

    /// Once all are through, the newest version is what is there.
    fn check_end(&self) {
        let newest = self.rivals.last().unwrap();
        // The last record of the source is a dead letter.
        for item in 0..ITEMS - 1 {
            let all = self.shelf.puts.lock().unwrap();
            let puts = all.get(&item.to_string()).unwrap();
            if self.shelf.weak.lock().unwrap().contains(&item.to_string()) {
                continue;
            }
            let last = puts.last();
            assert_eq!(last.map(|put| put.content), Some(newest.content), "key {item}: {all:?}");
        }
        for rival in &self.rivals {
            for (item, progress) in self.store.items(rival.id, 0, usize::MAX).unwrap() {
                let passed = progress.cells[PUT].state.is_passed();
                let dead_at_once = progress.cells[0].state == State::DeadLettered;
                assert!(passed || dead_at_once, "item {item} of {}: {progress:?}", rival.id);
            }
        }
    }
}

async fn drive_one(ports: Ports, (run, assembly, seed): (Run, Arc<Assembly>, u64)) {
    let journal = ports.journal.as_ref();
    let resumption = if run.status == Status::Queued {
        if journal.commit(vec![Change::Run(Box::new(run.clone()))]).await.is_err() {
            return;
        }
        None
    } else {
        let Ok(plan) = recover::plan(journal, &assembly.plan, &run, &Selection::All) else { return };
        if recover::revive(journal, &assembly.plan, &run, ports.clock.now(), &Selection::All).await.is_err() {
            return;
        }
        Some(Resumption::from(plan.hash.as_str()))
    };
    let limits = Limits { window: 10, patience: Duration::from_millis(300) };
    let (_handle, control) = Control::new();
    let driven = drive(run, resumption, assembly, ports, control, limits, seed);
    let ended = tokio::time::timeout(Duration::from_secs(1_000_000), driven).await;
    assert!(ended.is_ok(), "the engine waits for something that never comes");
}

/// Lives through one contest. Returns how often the engine died, and how many keys
/// were free while nobody knew yet of content that had landed.
fn contest(seed: u64) -> (u64, u64) {
    let mut contest = Contest::new(seed);
    for life in 0..=ROUGH_LIVES + 2 {
        contest.live(life);
        contest.note_doubts();
        contest.check();
    }
    contest.check_end();
    let weak = contest.shelf.weak.lock().unwrap().len() as u64;
    (contest.crashes, weak)
}

#[test]
fn runs_that_share_keys_never_put_old_content_over_new_wherever_the_engine_dies() {
    let base = crate::number("SEED").unwrap_or(20_261_122);
    let cases = if crate::number("SEED").is_some() { 1 } else { crate::number("CONTESTS").unwrap_or(150) };
    let (mut crashes, mut weak) = (0, 0);
    for seed in base..base + cases {
        let lived = std::panic::catch_unwind(|| contest(seed));
        let replay = format!("SEED={seed} cargo test --test simulation runs_that_share");
        let score =
            lived.unwrap_or_else(|panic| panic!("{}\nreplay: {replay}", crate::words(panic.as_ref())));
        crashes += score.0;
        weak += score.1;
    }
    println!(
        "{cases} contests, {crashes} crashes; keys that were free while a landing was in doubt: {weak} of {}",
        cases * (ITEMS - 1)
    );
    assert!(cases == 1 || crashes * 4 > cases, "crashes happened");
}
