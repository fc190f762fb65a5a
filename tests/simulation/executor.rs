//! An executor in memory: it drives a plan's graph, knows nothing of items, and lives outside of the
//! engine, so that it survives every crash of it.
//!
//! Steps are ordered in any order that the graph allows, several at once. While it is rough it forgets
//! that somebody works on an order, and orders anew; says things twice; is away; ends by itself; closes
//! early; does not hear that it is to stop.

#[path = "executor/running.rs"]
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::execution::{Answer, Errand, Execution, Order, Receipt};
use milepost::core::fault::{Fault, name};
use milepost::core::id::{RunId, Unit};
use milepost::core::plan::Plan;
use milepost::core::progress::Progress;
use milepost::ports::{Begun, Clock, Executor, Heard, Journal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Notify;

use running::{At, Node, Running, nodes};

/// After so long without anything to say it looks whether it gives something up.
const HEARTBEAT: Duration = Duration::from_secs(40);

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Everything that is told of in the head of this file.
    pub(crate) is_rough: bool,
    /// It is out of reach.
    pub(crate) is_away: bool,
}

/// What is held against the engine in its present life.
#[derive(Clone)]
pub(crate) struct Witness {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) run: RunId,
    /// Only some items are worked on.
    pub(crate) is_choosy: bool,
}

struct State {
    chance: StdRng,
    manner: Manner,
    executions: BTreeMap<String, Running>,
    heard: Option<String>,
    receipts: u64,
    witness: Option<Witness>,
    /// Steps that were ordered in the present life of the engine.
    ordered: BTreeSet<String>,
    /// Orders of executions that others had followed, and how many of them were refused.
    stale: (BTreeSet<Receipt>, u64),
    /// Answers, in the order in which they came.
    answers: Vec<(String, Answer)>,
    wrong: Vec<String>,
}

/// The executor.
pub(crate) struct SimExecutor {
    plan: Arc<Plan>,
    nodes: Vec<Node>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    bell: Notify,
}

impl SimExecutor {
    pub(crate) fn new(plan: &Arc<Plan>, clock: Arc<dyn Clock>, seed: u64) -> Arc<Self> {
        let state = State {
            chance: StdRng::seed_from_u64(seed),
            manner: Manner::default(),
            executions: BTreeMap::new(),
            heard: None,
            receipts: 0,
            witness: None,
            ordered: BTreeSet::new(),
            stale: (BTreeSet::new(), 0),
            answers: Vec::new(),
            wrong: Vec::new(),
        };
        let (nodes, plan) = (nodes(plan), Arc::clone(plan));
        Arc::new(Self { plan, nodes, clock, state: Mutex::new(state), bell: Notify::new() })
    }

    /// A new life of the engine begins.
    pub(crate) fn meet(&self, manner: Manner, witness: Option<Witness>) {
        self.set(manner);
        let mut state = self.lock();
        state.witness = witness;
        state.ordered.clear();
        state.answers.clear();
        state.heard = None;
    }

    pub(crate) fn set(&self, manner: Manner) {
        self.lock().manner = manner;
        self.bell.notify_one();
    }

    pub(crate) fn ordered(&self) -> BTreeSet<String> {
        self.lock().ordered.clone()
    }

    pub(crate) fn answers(&self) -> Vec<(String, Answer)> {
        self.lock().answers.clone()
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.lock().wrong.clone()
    }

    /// How many orders of executions that others had followed were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.lock().stale.1
    }

    /// Whether it closed the run that it drives before its last step.
    pub(crate) fn closed_early(&self) -> bool {
        let state = self.lock();
        let heard = state.heard.as_ref().and_then(|name| state.executions.get(name));
        heard.is_some_and(|running| running.fault.is_some())
    }

    /// The executions that are under way.
    pub(crate) fn under_way(&self) -> Vec<String> {
        let state = self.lock();
        state
            .executions
            .iter()
            .filter(|(_, running)| running.at != At::Over)
            .map(|(name, _)| name.clone())
            .collect()
    }

    pub(crate) fn begun(&self) -> usize {
        self.lock().executions.len()
    }

    /// Somebody ends an execution.
    pub(crate) fn end_it(&self, name: &str, fault: Fault) {
        if let Some(running) = self.lock().executions.get_mut(name) {
            running.over(fault);
        }
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn moment(&self) {
        let millis = self.lock().chance.random_range(1..30);
        self.clock.sleep_until(self.clock.now().after(Duration::from_millis(millis))).await;
    }

    fn reach(&self) -> Result<(), Fault> {
        let mut state = self.lock();
        let is_away = state.manner.is_away || state.rough(0.003);
        if is_away { Err(Fault::new("Unreachable", "nobody is there")) } else { Ok(()) }
    }

    /// What there is to say now.
    fn say(&self) -> Option<Heard> {
        let mut state = self.lock();
        if let Some(stale) = state.stale_order() {
            return Some(stale);
        }
        let name = state.heard.clone()?;
        let now = self.clock.now().0;
        let State { chance, manner, executions, receipts, ordered, .. } = &mut *state;
        let running = executions.get_mut(&name)?;
        running.go_on(&self.nodes, self.plan.closing.steps.len(), chance, manner.is_rough, receipts, now);
        if chance.random_bool(0.5) && running.to_say.len() > 1 {
            running.to_say.rotate_left(1);
        }
        let said = running.to_say.pop_front();
        if let Some(Heard::Ordered(order)) = &said {
            if let Errand::Step { step, .. } = &order.errand {
                ordered.insert(step.clone());
            }
            if manner.is_rough && chance.random_bool(0.05) {
                running.to_say.extend(said.clone());
            }
        }
        said
    }

    /// What is said to be done must be so on record.
    fn check_done(&self, step: &str, witness: &Witness) -> Option<String> {
        let at = self.plan.items.position(step)?;
        let run = witness.journal.run(witness.run).ok()??;
        let total = run.source.map_or(0, |source| source.count);
        let track = &self.plan.items;
        let undone = (0..total).find(|item| {
            let Ok(progress) = witness.journal.progress(witness.run, Unit::Item(*item)) else { return false };
            !progress.unwrap_or_else(|| Progress::new(track)).is_settled(track, at)
        });
        undone.map(|item| {
            format!(
                "'{step}' is said to be done, and item {item} is not: {:?}",
                witness.journal.progress(witness.run, Unit::Item(item))
            )
        })
    }
}

impl State {
    fn rough(&mut self, share: f64) -> bool {
        self.manner.is_rough && self.chance.random_bool(share)
    }

    /// An execution that was followed by another one may not have heard of it.
    fn stale_order(&mut self) -> Option<Heard> {
        let heard = self.heard.clone()?;
        let of = self.executions.iter().find(|(name, other)| **name != heard && other.at != At::Over);
        let epoch = of.map(|(_, running)| running.execution.epoch)?;
        if !self.chance.random_bool(0.05) {
            return None;
        }
        self.receipts += 1;
        let receipt = Receipt(format!("stale-{}", self.receipts));
        self.stale.0.insert(receipt.clone());
        let errand = Errand::Close { fault: None };
        Some(Heard::Ordered(Order { receipt, epoch, errand }))
    }
}

#[async_trait]
impl Executor for SimExecutor {
    fn machine(&self) -> String {
        "m".to_owned()
    }

    async fn begin(&self, execution: &Execution) -> Result<Begun, Fault> {
        self.moment().await;
        self.reach()?;
        let mut state = self.lock();
        state.heard = Some(execution.name.clone());
        let State { executions, receipts, .. } = &mut *state;
        if let Some(known) = executions.get_mut(&execution.name) {
            if known.at == At::Over {
                return Ok(Begun::Over);
            }
            // Whoever worked on what is out is dead.
            known.give_up(&self.nodes, self.plan.closing.steps.len(), receipts);
            return Ok(Begun::UnderWay);
        }
        let running = Running::new(execution, self.nodes.len());
        executions.insert(execution.name.clone(), running);
        // Nobody hears that it was begun.
        if state.rough(0.02) {
            return Err(Fault::new("Timeout", "no answer"));
        }
        Ok(Begun::UnderWay)
    }

    async fn next(&self) -> Result<Heard, Fault> {
        loop {
            self.moment().await;
            self.reach()?;
            if let Some(heard) = self.say() {
                return Ok(heard);
            }
            tokio::select! {
                () = self.bell.notified() => {}
                () = self.clock.sleep_until(self.clock.now().after(HEARTBEAT)) => {}
            }
        }
    }

    async fn answer(&self, receipt: &Receipt, answer: Answer) -> Result<(), Fault> {
        self.moment().await;
        self.reach()?;
        let mut state = self.lock();
        if state.stale.0.remove(receipt) {
            let is_refused = matches!(&answer, Answer::Failed(fault) if fault.name == name::SUPERSEDED);
            if !is_refused {
                state.wrong.push(format!("an order of an old execution was answered {answer:?}"));
            }
            state.stale.1 += 1;
            return Ok(());
        }
        let catches = state.chance.random_bool(0.5);
        let taken = state
            .executions
            .values_mut()
            .filter(|running| running.at != At::Over)
            .find_map(|running| running.take(receipt, &answer, &self.nodes, catches));
        if let Some(what) = taken {
            if let (Answer::Done { .. }, Some(witness)) = (&answer, state.witness.clone())
                && !witness.is_choosy
            {
                state.wrong.extend(self.check_done(&what, &witness));
            }
            state.answers.push((what, answer));
        }
        drop(state);
        self.bell.notify_one();
        // It was taken, and nobody hears of it.
        if self.lock().rough(0.003) { Err(Fault::new("Timeout", "no answer")) } else { Ok(()) }
    }

    async fn stop(&self, execution: &Execution, why: &Fault) -> Result<(), Fault> {
        self.moment().await;
        self.reach()?;
        let mut state = self.lock();
        if state.rough(0.3) {
            return Err(Fault::new("Unreachable", "nobody is there"));
        }
        drop(state);
        self.end_it(&execution.name, why.clone());
        Ok(())
    }
}
