//! Random workflows for the simulation, as plans with simulated workers.

use std::sync::Arc;
use std::time::Duration;

use milepost::core::catalog::Role;
use milepost::core::cell::SettleBy;
use milepost::core::fault::Fault;
use milepost::core::plan::{DeleteAfter, Messages, Plan, PlanStep, Track};
use milepost::core::retry::{Jitter, Retry};
use milepost::core::run;
use milepost::core::scope::Scope;
use milepost::core::workflow::{Bounds, IdempotencyMode, Tolerance};
use milepost::engine::assembly::{Assembly, Keyed, Station};
use milepost::expr::{Expression, Template};
use milepost::ports::{Interest, Pinned, Pins, Prepare, Record, Records, Source, SurveyOf, Unread, Worker};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::effects::{SimEffect, SimPure, SimReceiver, SimTimer};
use crate::world::World;

/// A source of `count` records; the last one is a dead letter from the start.
pub(crate) struct SimSource {
    pub(crate) world: Arc<World>,
    pub(crate) count: u64,
}

impl Prepare for SimSource {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({}))
    }
}

impl Source for SimSource {
    fn pin(&self, _: &Scope, _: &dyn Pins, _: &SurveyOf<'_>, _: &Interest) -> Result<Pinned, Unread> {
        self.world.book().pinned += 1;
        let source = run::Source {
            uri: "sim".into(),
            records: "r".into(),
            index: "i".into(),
            count: self.count,
            intake: None,
            origin: None,
        };
        Ok(Pinned { source, rejected: 1, remarks: Vec::new() })
    }

    fn open(&self, source: &run::Source, _: &dyn Pins) -> Result<Arc<dyn Records>, Fault> {
        Ok(Arc::new(SimRecords { count: source.count }))
    }
}

struct SimRecords {
    count: u64,
}

impl Records for SimRecords {
    fn content(&self, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn record(&self, position: u64) -> Record {
        let value = if position + 1 == self.count {
            Err(Fault::new("InvalidRecord", "the last one"))
        } else {
            Ok(Arc::new(json!({ "n": position, "flag": !position.is_multiple_of(3) })))
        };
        Record { version: None, key: Some(position.to_string()), value }
    }

    fn find(&self, key: &str) -> Option<u64> {
        key.parse().ok()
    }
}

pub(crate) fn step(name: &str, role: Role, needs: Vec<usize>, settle: SettleBy) -> PlanStep {
    PlanStep {
        name: name.to_owned(),
        role,
        needs,
        implied: Vec::new(),
        leaves_record: false,
        follows: Vec::new(),
        retry: Retry {
            attempts: 3,
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(1),
            jitter: Jitter::Full,
        },
        timeout: Duration::from_mins(1),
        batch_max: 1,
        linger: Duration::ZERO,
        concurrency: 4,
        connection: None,
        settle,
        keyed: false,
        tolerant: false,
        messages: match role {
            Role::Receive => Messages::About,
            Role::Listen => Messages::Signals,
            _ => Messages::None,
        },
        delete_after: DeleteAfter::Taken,
        revision: 0,
        asked: milepost::core::plan::Asked::Open,
    }
}

pub(crate) fn station(worker: Worker, when: Option<&str>) -> Station {
    let when = when.map(|text| Expression::parse(text).expect("a plain path"));
    Station { worker, when, key: None, item_from: None }
}

/// A random workflow: now and then run steps, a source, two to six item steps in a random graph,
/// now and then with a publish and a receive among them, and now and then steps of `on_failure`.
pub(crate) fn random(rng: &mut StdRng, world: &Arc<World>, count: u64) -> Assembly {
    let items = random_items(rng, world, count);
    let mut made = assembly(world, items, count);
    let (mut run, closing) = (Steps::default(), rng.random_bool(0.3));
    for at in 0..if rng.random_bool(0.25) { rng.random_range(1..=2) } else { 0 } {
        let needs = (0..at).collect();
        run.effect(rng, world, "before", needs);
    }
    let needs = (0..run.steps.len()).collect();
    run.push(step("source", Role::Source, needs, SettleBy::Repeat), source(world, count), None);
    let mut plan = Plan::clone(&made.plan);
    if closing {
        let mut steps = Steps::default();
        for at in 0..rng.random_range(1..=3_usize) {
            steps.effect(rng, world, "on_failure", at.checked_sub(1).into_iter().collect());
        }
        for step in &mut steps.steps {
            step.tolerant = true;
        }
        (plan.closing, made.closing) = steps.track();
    }
    if closing || rng.random_bool(0.3) {
        plan.tolerate = Tolerance::Count(rng.random_range(0..4));
    }
    (plan.run, made.run) = run.track();
    made.plan = Arc::new(plan);
    made
}

/// A track that is being made.
#[derive(Default)]
struct Steps {
    steps: Vec<PlanStep>,
    stations: Vec<Station>,
}

impl Steps {
    fn push(&mut self, step: PlanStep, worker: Worker, when: Option<&str>) {
        self.steps.push(step);
        self.stations.push(station(worker, when));
    }

    fn effect(&mut self, rng: &mut StdRng, world: &Arc<World>, name: &str, needs: Vec<usize>) {
        let at = self.steps.len();
        let (settle, probes) = match rng.random_range(0..3) {
            0 => (SettleBy::Probe, true),
            1 => (SettleBy::Repeat, false),
            _ => (SettleBy::Person, false),
        };
        let made = step(&format!("{name}[{at}]"), Role::Effect { probes }, needs, settle);
        self.push(made, effect(world, at, false), None);
    }

    fn track(self) -> (Track, Vec<Station>) {
        (Track::new(self.steps), self.stations)
    }
}

pub(crate) fn effect(world: &Arc<World>, step: usize, sends: bool) -> Worker {
    Worker::Effect(Arc::new(SimEffect { world: Arc::clone(world), step, sends }))
}

pub(crate) fn source(world: &Arc<World>, count: u64) -> Worker {
    Worker::Source(Arc::new(SimSource { world: Arc::clone(world), count }))
}

fn random_items(rng: &mut StdRng, world: &Arc<World>, count: u64) -> (Track, Vec<Station>) {
    let mut made = Steps::default();
    made.push(step("source", Role::Pure, vec![], SettleBy::Repeat), source(world, count), None);
    let wanted = rng.random_range(2..=6);
    let publish_at = rng.random_bool(0.5).then(|| rng.random_range(1..=wanted));
    while made.steps.len() <= wanted {
        let at = made.steps.len();
        let name = format!("s{at}");
        let mut needs: Vec<usize> = (0..at).filter(|_| rng.random_bool(0.4)).collect();
        if needs.is_empty() {
            needs.push(rng.random_range(0..at));
        }
        if publish_at == Some(at) {
            let settle = if rng.random_bool(0.3) { SettleBy::Person } else { SettleBy::Repeat };
            let publish = step(&name, Role::Effect { probes: false }, needs, settle);
            made.push(publish, effect(world, at, true), None);
            let mut receive = step(&format!("s{}", at + 1), Role::Receive, vec![at], SettleBy::Repeat);
            receive.delete_after = DeleteAfter::Step(at + 1);
            made.push(receive, Worker::Receiver(Arc::new(SimReceiver { world: Arc::clone(world) })), None);
            continue;
        }
        let when = rng.random_bool(0.15).then_some("item.flag");
        let (step, worker) = random_step(rng, world, &name, at, needs);
        made.push(step, worker, when);
    }
    hold_longer(rng, &mut made.steps);
    for (step, station) in made.steps.iter_mut().zip(&mut made.stations) {
        declare_key(rng, step, station);
    }
    made.track()
}

/// Now and then an effect declares a key; now and then two items have the same one.
fn declare_key(rng: &mut StdRng, step: &mut PlanStep, station: &mut Station) {
    if !matches!(step.role, Role::Effect { .. }) || rng.random_bool(0.4) {
        return;
    }
    let (mode, key) = match rng.random_range(0..4) {
        0 => (IdempotencyMode::Once, "${{ item.n }}"),
        1 => (IdempotencyMode::Latest, "${{ $floor(item.n / 2) }}"),
        _ => (IdempotencyMode::Latest, "${{ item.n }}"),
    };
    step.keyed = true;
    station.key = Some(Keyed {
        key: Template::parse(&Value::from(key)).expect("an expression"),
        version: None,
        mode,
        claim: Duration::from_millis(rng.random_range(20..5_000)),
        keep: Duration::from_hours(1),
        scope: step.name.clone(),
        store: None,
    });
}

/// A workflow with these item steps behind its gate.
pub(crate) fn assembly(world: &Arc<World>, (items, stations): (Track, Vec<Station>), count: u64) -> Assembly {
    let gate = Track::new(vec![step("source", Role::Source, vec![], SettleBy::Repeat)]);
    Assembly {
        plan: Arc::new(Plan {
            workflow: "simulated".into(),
            run: gate,
            items,
            closing: Track::default(),
            tolerate: Tolerance::Count(1_000_000),
            bounds: Bounds::default(),
            alerts: crate::alerts::everything_to_ops(),
        }),
        run: vec![station(source(world, count), None)],
        items: stations,
        closing: Vec::new(),
        executor: None,
    }
}

/// Now and then a message is held until a later step is passed.
fn hold_longer(rng: &mut StdRng, steps: &mut [PlanStep]) {
    let Some(receive) = steps.iter().position(|step| step.role == Role::Receive) else { return };
    let mut behind = vec![receive];
    for (at, step) in steps.iter().enumerate() {
        if step.needs.iter().any(|need| behind.contains(need)) {
            behind.push(at);
        }
    }
    steps[receive].delete_after = DeleteAfter::Step(behind[rng.random_range(0..behind.len())]);
}

fn random_step(
    rng: &mut StdRng,
    world: &Arc<World>,
    name: &str,
    at: usize,
    needs: Vec<usize>,
) -> (PlanStep, Worker) {
    let effect = || effect(world, at, false);
    match rng.random_range(0..10) {
        0..=1 => {
            let refuses = rng.random_bool(0.3).then(|| rng.random_range(0..10));
            (step(name, Role::Pure, needs, SettleBy::Repeat), Worker::Pure(Arc::new(SimPure { refuses })))
        }
        2 => (step(name, Role::Timer, needs, SettleBy::Repeat), Worker::Pure(Arc::new(SimTimer))),
        3..=6 => {
            let mut made = step(name, Role::Effect { probes: true }, needs, SettleBy::Probe);
            made.batch_max = rng.random_range(1..=5);
            made.linger = Duration::from_millis(rng.random_range(0..20));
            made.concurrency = rng.random_range(1..=4);
            (made, effect())
        }
        7..=8 => (step(name, Role::Effect { probes: false }, needs, SettleBy::Repeat), effect()),
        _ => (step(name, Role::Effect { probes: false }, needs, SettleBy::Person), effect()),
    }
}
