//! Random workflows for the simulation, as plans with simulated workers.

use std::sync::Arc;
use std::time::Duration;

use milepost::core::catalog::Role;
use milepost::core::cell::SettleBy;
use milepost::core::fault::Fault;
use milepost::core::id::RunId;
use milepost::core::plan::{Plan, PlanStep, Track};
use milepost::core::retry::{Jitter, Retry};
use milepost::core::run;
use milepost::core::scope::Scope;
use milepost::core::workflow::Tolerance;
use milepost::engine::assembly::{Assembly, Station};
use milepost::expr::Expression;
use milepost::ports::{Pinned, Pins, Prepare, Record, Records, Source, SurveyOf, Worker};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::world::{SimEffect, SimPure, SimReceiver, SimTimer, World};

/// A source of `count` records; the last one is a dead letter from the start.
pub(crate) struct SimSource {
    pub(crate) count: u64,
}

impl Prepare for SimSource {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({}))
    }
}

impl Source for SimSource {
    fn pin(&self, _: &Scope, _: &dyn Pins, _: &SurveyOf<'_>) -> Result<Pinned, Fault> {
        let source =
            run::Source { uri: "sim".into(), records: "r".into(), index: "i".into(), count: self.count };
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
        Record { key: Some(position.to_string()), value }
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
        settle,
        tolerant: false,
        delete_after: None,
        revision: 0,
    }
}

pub(crate) fn station(worker: Worker, when: Option<&str>) -> Station {
    let when = when.map(|text| Expression::parse(text).expect("a plain path"));
    Station { worker, when, key: None, item_from: None }
}

/// A random workflow: a source, then two to six item steps in a random graph, now and then with a
/// publish and a receive among them.
pub(crate) fn random(rng: &mut StdRng, world: &Arc<World>, run: RunId, count: u64) -> Assembly {
    let mut steps = vec![step("source", Role::Pure, vec![], SettleBy::Repeat)];
    let mut stations = vec![station(Worker::Source(Arc::new(SimSource { count })), None)];
    let wanted = rng.random_range(2..=6);
    let publish_at = rng.random_bool(0.5).then(|| rng.random_range(1..=wanted));
    while steps.len() <= wanted {
        let at = steps.len();
        let name = format!("s{at}");
        let mut needs: Vec<usize> = (0..at).filter(|_| rng.random_bool(0.4)).collect();
        if needs.is_empty() {
            needs.push(rng.random_range(0..at));
        }
        if publish_at == Some(at) {
            let effect = SimEffect { world: Arc::clone(world), step: at, sends: Some(run) };
            let settle = if rng.random_bool(0.3) { SettleBy::Person } else { SettleBy::Repeat };
            steps.push(step(&name, Role::Effect { probes: false }, needs, settle));
            stations.push(station(Worker::Effect(Arc::new(effect)), None));
            let mut receive = step(&format!("s{}", at + 1), Role::Receive, vec![at], SettleBy::Repeat);
            receive.delete_after = Some(at + 1);
            steps.push(receive);
            stations.push(station(Worker::Pure(Arc::new(SimReceiver)), None));
            continue;
        }
        let when = rng.random_bool(0.15).then_some("item.flag");
        let (made, worker) = random_step(rng, world, &name, at, needs);
        steps.push(made);
        stations.push(station(worker, when));
    }
    hold_longer(rng, &mut steps);
    let items = Track::new(steps);
    assembly(items, stations, count)
}

/// A workflow with these item steps behind its gate.
pub(crate) fn assembly(items: Track, stations: Vec<Station>, count: u64) -> Assembly {
    let gate = Track::new(vec![step("source", Role::Source, vec![], SettleBy::Repeat)]);
    Assembly {
        plan: Arc::new(Plan {
            workflow: "simulated".into(),
            run: gate,
            items,
            closing: Track::default(),
            tolerate: Tolerance::Count(1_000_000),
        }),
        run: vec![station(Worker::Source(Arc::new(SimSource { count })), None)],
        items: stations,
        closing: Vec::new(),
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
    steps[receive].delete_after = Some(behind[rng.random_range(0..behind.len())]);
}

fn random_step(
    rng: &mut StdRng,
    world: &Arc<World>,
    name: &str,
    at: usize,
    needs: Vec<usize>,
) -> (PlanStep, Worker) {
    let effect = || Worker::Effect(Arc::new(SimEffect { world: Arc::clone(world), step: at, sends: None }));
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
