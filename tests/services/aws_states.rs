//! Step Functions drives: an execution is begun once, its orders are kept alive and answered, and whatever happens to
//! the engine or to the server is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost::connectors::{Commission, Executors};
use milepost::core::execution::{Answer, Entry, Errand, Execution, Order};
use milepost::core::fault::{Fault, name};
use milepost::core::id::RunId;
use milepost::ports::{Begun, Executor, Heard};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::aws::machine::definition;
use crate::aws::server::Server;
use crate::aws::{Aws, HANGS, environment, unique, until};

/// Seconds without a sign of life after which an order is given again: so many that no busy machine is taken for a
/// dead engine.
const HEARTBEAT: u64 = 60;
/// The same, where a story waits for the end of it.
const SHORT_HEARTBEAT: u64 = 10;
/// Set in the process that drives an execution whose server dies.
const VICTIM: &str = "MILEPOST_TEST_STATES_VICTIM";

/// One run and its executor, in an engine of its own.
struct Driven {
    runtime: Runtime,
    executor: Arc<dyn Executor>,
    execution: Execution,
    /// What was heard of the history.
    history: BTreeMap<u64, Entry>,
    /// The server, for what the engine does not ask it.
    aws: Aws,
}

impl Driven {
    fn new(machine: &str, run: RunId, heartbeat: u64) -> Self {
        Self::patient(machine, run, heartbeat, "30s")
    }

    /// It bears this long that the server is not there.
    fn patient(machine: &str, run: RunId, heartbeat: u64, patience: &str) -> Self {
        let settings = json!({ "role": "arn:aws:iam::000000000000:role/states", "patience": patience });
        let input = json!({ "run": run, "epoch": 0, "input": {}, "steps": {} });
        let commission = Commission {
            kind: "step_functions",
            settings: settings.as_object().unwrap(),
            run,
            machine: machine.to_owned(),
            definition: definition(machine, heartbeat),
            input: input.as_object().unwrap().clone(),
        };
        let executor = Executors::default().of(commission).unwrap();
        let execution = Execution::new(run, 1, "states", &executor.machine());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let aws = Aws::at(&std::env::var("AWS_ENDPOINT_URL").unwrap());
        Self { runtime, executor, execution, history: BTreeMap::new(), aws }
    }

    fn begin(&self) -> Begun {
        self.runtime.block_on(self.executor.begin(&self.execution)).unwrap()
    }

    fn next(&mut self) -> Result<Heard, Fault> {
        let next = self.executor.next();
        let heard = self.runtime.block_on(async { tokio::time::timeout(HANGS, next).await });
        let heard = heard.expect("nothing is heard");
        if let Ok(Heard::History(entries)) = &heard {
            self.note(entries);
        }
        heard
    }

    fn note(&mut self, entries: &[Entry]) {
        for entry in entries {
            let before = self.history.insert(entry.number, entry.clone());
            assert!(before.is_none() && entry.number > self.execution.mirrored, "told before: {entry:?}");
        }
    }

    /// The next order, as soon as it may be answered. LocalStack (2026.3) hands an order out before it listens for the
    /// answer; one that comes too early is noticed only when a heartbeat is missed. It refuses signs of life until it
    /// listens, so they tell.
    fn ordered(&mut self) -> Order {
        let order = loop {
            match self.next().unwrap() {
                Heard::Ordered(order) => break order,
                Heard::History(_) => {}
                Heard::Over(fault) => panic!("over: {fault}"),
            }
        };
        let (sfn, token) = (self.aws.sfn(), &order.receipt.0);
        let beat = || self.aws.wait(sfn.send_task_heartbeat().task_token(token).send());
        until("the sign of life of an order", beat, Result::is_ok).unwrap();
        order
    }

    fn over(&mut self) -> Fault {
        loop {
            match self.next().unwrap() {
                Heard::Over(fault) => return fault,
                Heard::History(_) => {}
                Heard::Ordered(order) => panic!("{order:?}"),
            }
        }
    }

    /// Works for longer than an order lives without a sign of life, and is given no other one.
    fn take_time(&mut self) {
        let until = Instant::now() + Duration::from_secs(2 * SHORT_HEARTBEAT);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let next = self.executor.next();
            match self.runtime.block_on(async { tokio::time::timeout(left, next).await }) {
                Ok(Ok(Heard::History(entries))) => self.note(&entries),
                Ok(other) => panic!("{other:?}"),
                Err(_) => return,
            }
        }
    }

    /// Hears until the history has an entry of this kind.
    fn until(&mut self, kind: &str) {
        while !self.history.values().any(|entry| entry.kind == kind) {
            match self.next().unwrap() {
                Heard::History(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn answer(&self, order: &Order, answer: Answer) {
        self.runtime.block_on(self.executor.answer(&order.receipt, answer)).unwrap();
    }

    fn done(&self, order: &Order) {
        self.answer(order, done(json!({ "of": order.receipt.0.len() })));
    }

    /// Answers both steps that are ordered at once.
    fn do_both(&mut self) {
        let orders = [self.ordered(), self.ordered()];
        let mut steps = orders.each_ref().map(step_of);
        steps.sort();
        assert_eq!(steps, ["left", "right"]);
        for order in &orders {
            self.done(order);
        }
    }

    /// The engine dies: nothing of it is said to anybody.
    fn die(self) {
        let Self { runtime, executor, .. } = self;
        runtime.shutdown_background();
        drop(executor);
    }

    /// The kinds of all entries about a state.
    fn kinds(&self, state: &str) -> Vec<&str> {
        let about = |entry: &&Entry| entry.state.as_deref() == Some(state);
        self.history.values().filter(about).map(|entry| entry.kind.as_str()).collect()
    }
}

fn done(facts: Value) -> Answer {
    let Value::Object(facts) = facts else { panic!("no facts: {facts}") };
    Answer::Done { facts }
}

fn step_of(order: &Order) -> String {
    match &order.errand {
        Errand::Step { step, skip: false } => step.clone(),
        other => panic!("{other:?}"),
    }
}

fn run() -> RunId {
    RunId(uuid::Uuid::now_v7().as_u128())
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn an_execution_is_begun_once_and_driven_to_its_end() {
    Aws::shared();
    let mut driven = Driven::new(&unique("machine"), run(), SHORT_HEARTBEAT);
    assert_eq!(driven.begin(), Begun::UnderWay);
    assert_eq!(driven.begin(), Begun::UnderWay, "the same once more");
    driven.do_both();
    let order = driven.ordered();
    assert_eq!(step_of(&order), "after");
    driven.take_time();
    driven.done(&order);
    let close = driven.ordered();
    assert_eq!(close.errand, Errand::Close { fault: None });
    driven.answer(&close, Answer::Done { facts: Map::new() });
    driven.until("ExecutionSucceeded");
    let kinds =
        ["TaskStateEntered", "ActivityScheduled", "ActivityStarted", "ActivitySucceeded", "TaskStateExited"];
    assert_eq!(driven.kinds("after"), kinds);
    let numbers: Vec<u64> = driven.history.keys().copied().collect();
    assert_eq!(numbers, (1..=driven.history.len() as u64).collect::<Vec<_>>(), "every entry is told");
    assert_eq!(driven.begin(), Begun::Over);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn the_orders_of_an_engine_that_died_come_to_the_next_one() {
    Aws::shared();
    let (machine, run) = (unique("machine"), run());
    let mut first = Driven::new(&machine, run, SHORT_HEARTBEAT);
    first.begin();
    first.do_both();
    let order = first.ordered();
    let mirrored = first.history.keys().next_back().copied().unwrap_or(0);
    first.die();

    let mut second = Driven::new(&machine, run, SHORT_HEARTBEAT);
    second.execution.mirrored = mirrored;
    assert_eq!(second.begin(), Begun::UnderWay);
    let anew = second.ordered();
    assert_eq!(step_of(&anew), "after");
    assert_ne!(anew.receipt, order.receipt);
    second.done(&anew);
    let close = second.ordered();
    second.answer(&close, Answer::Done { facts: Map::new() });
    second.until("ExecutionSucceeded");
    assert!(second.history.values().any(|entry| entry.kind == "ActivityTimedOut"), "{:#?}", second.history);
    assert_eq!(second.history.keys().next(), Some(&(mirrored + 1)), "it goes on where the first one ended");
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_failed_attempt_is_repeated_and_a_failure_leads_to_the_close() {
    Aws::shared();
    let mut driven = Driven::new(&unique("machine"), run(), HEARTBEAT);
    driven.begin();
    driven.do_both();
    let fault = Fault::new("ShelfEmpty", "nothing \"there\"");
    for _ in 0..2 {
        let order = driven.ordered();
        assert_eq!(step_of(&order), "after");
        driven.answer(&order, Answer::Again(fault.clone()));
    }
    let last = driven.ordered();
    assert_eq!(step_of(&last), "after");
    driven.answer(&last, Answer::Failed(fault.clone()));
    let close = driven.ordered();
    assert_eq!(close.errand, Errand::Close { fault: Some(fault.clone()) });
    driven.answer(&close, Answer::Failed(Fault::new(name::NOT_TOLERATED, "too many")));
    let over = driven.over();
    assert_eq!(over.name, name::EXECUTION);
    assert!(over.message.contains("ToleranceExceeded: too many"), "{over}");
    let failed = driven.history.values().filter(|entry| entry.kind == "ActivityFailed");
    let failed: Vec<&Fault> = failed.filter_map(|entry| entry.fault.as_ref()).collect();
    let names: Vec<&str> = failed.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["Milepost.Again", "Milepost.Again", "ShelfEmpty", "ToleranceExceeded"]);
    assert_eq!(failed[0].message, "ShelfEmpty: nothing \"there\"");
    assert_eq!(driven.begin(), Begun::Over);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn orders_of_a_run_that_is_not_driven_wait_until_it_is() {
    Aws::shared();
    let machine = unique("machine");
    let (here, away) = (run(), run());
    let mut left = Driven::new(&machine, away, HEARTBEAT);
    left.begin();
    let taken = [left.ordered(), left.ordered()];
    // It is driven no longer, in an engine that lives: its orders are given back at once.
    let Driven { runtime, executor, .. } = left;
    runtime.block_on(async { drop(executor) });
    let mut driven = Driven::new(&machine, here, HEARTBEAT);
    driven.begin();
    driven.do_both();
    let mut again = Driven::new(&machine, away, HEARTBEAT);
    again.begin();
    let anew = [again.ordered(), again.ordered()];
    assert!(anew.iter().all(|order| taken.iter().all(|before| before.receipt != order.receipt)));
    again.until("ActivityFailed");
    let away = again
        .history
        .values()
        .filter_map(|entry| entry.fault.as_ref())
        .find(|fault| fault.name == "Milepost.Away");
    assert!(away.is_some(), "{:#?}", again.history);
    drop(runtime);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_stopped_execution_is_over_and_stopping_it_again_is_no_error() {
    Aws::shared();
    let mut driven = Driven::new(&unique("machine"), run(), HEARTBEAT);
    let why = Fault::new("Cancelled", "a person said so");
    let stop = |driven: &Driven| driven.runtime.block_on(driven.executor.stop(&driven.execution, &why));
    assert_eq!(stop(&driven), Ok(()), "there is none yet");
    driven.begin();
    let orders = [driven.ordered(), driven.ordered()];
    assert_eq!(stop(&driven), Ok(()));
    // An answer comes too late, and that is no error.
    for order in &orders {
        driven.done(order);
    }
    let over = driven.over();
    assert_eq!(over.name, name::EXECUTION);
    assert!(over.message.starts_with("the execution was stopped"), "{over}");
    assert_eq!(stop(&driven), Ok(()));
    assert_eq!(driven.begin(), Begun::Over);
}

/// Its other half is this very test in another process, because a process finds its server by its environment.
#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_server_that_dies_is_told_within_the_patience() {
    if std::env::var_os(VICTIM).is_some() {
        return lose_the_server();
    }
    let mut server = Server::start();
    let test = "aws_states::a_server_that_dies_is_told_within_the_patience";
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .envs(environment(server.aws().endpoint()))
        .env(VICTIM, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ordered"), "the other half did not get that far");
    server.kill();
    let told: Vec<String> = lines.collect();
    assert!(victim.wait().unwrap().success(), "{told:#?}");
}

fn lose_the_server() {
    let mut driven = Driven::patient(&unique("machine"), run(), HEARTBEAT, "2s");
    driven.begin();
    let order = driven.ordered();
    println!("\nordered");
    let fault = loop {
        match driven.next() {
            Ok(Heard::History(_) | Heard::Ordered(_)) => {}
            Ok(Heard::Over(fault)) => panic!("over: {fault}"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.name, name::EXECUTOR);
    let asked = Instant::now();
    let answered = driven.runtime.block_on(driven.executor.answer(&order.receipt, done(json!({}))));
    assert_eq!(answered.unwrap_err().name, name::EXECUTOR);
    assert!(asked.elapsed() >= Duration::from_secs(2), "it was tried for {:?} only", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(30), "it was tried for {:?}", asked.elapsed());
}
