//! The executor against a server of our own.

mod histories;
mod orders;
mod server;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::driver::{Driver, Task};
use super::line::Line;
use super::machine::Machine;
use super::route::Pace;
use super::switchboard::Switchboard;
use crate::core::execution::{Errand, Execution, Order};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::ports::{Executor, Heard};
use server::Server;

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(1);
const ROLE: &str = "arn:aws:iam::7:role/states";
const MACHINE: &str = "milepost-e1.orders.0123456789abcdef";

fn definition() -> Value {
    let task = |step: &str| json!({ "Type": "Task", "Resource": format!("arn:aws:states:R:A:activity:m-{step}"), "HeartbeatSeconds": 1 });
    json!({ "StartAt": "pim", "States": { "pim": task("pim"), "close": task("close") } })
}

async fn board(url: &str, patience: Duration) -> Arc<Switchboard> {
    Arc::new(Switchboard::new(Line::at(url, patience).await))
}

/// The executor of a run over a switchboard that others may share.
fn driver(board: &Arc<Switchboard>, run: RunId) -> Driver {
    let input = json!({ "run": run, "epoch": 0, "input": { "url": "" }, "steps": {} });
    let input = input.as_object().unwrap().clone();
    let machine = Machine { name: MACHINE.to_owned(), definition: definition() };
    let pace = Pace { quiet: Duration::from_millis(50), least: Duration::from_millis(10) };
    Driver::new(
        Arc::clone(board),
        Task { run, machine, role: ROLE.to_owned(), patience: board.line.patience, input },
        pace,
    )
}

fn execution(driver: &Driver, run: RunId) -> Execution {
    Execution::new(run, 2, "states", &driver.machine())
}

/// The input of an order of a run's Task.
fn input(run: RunId, rest: &Value) -> Value {
    let mut input = json!({ "run": run, "epoch": 2 });
    input.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    input
}

fn step(run: RunId) -> Value {
    input(run, &json!({ "do": "step", "step": "pim" }))
}

async fn next(driver: &Driver) -> Result<Heard, Fault> {
    timeout(HANGS, driver.next()).await.unwrap_or_else(|_| panic!("nothing is heard"))
}

/// The next order, whatever is heard of the history meanwhile.
async fn ordered(driver: &Driver) -> Order {
    loop {
        match next(driver).await.unwrap() {
            Heard::Ordered(order) => return order,
            Heard::History(_) => {}
            Heard::Over(fault) => panic!("over: {fault}"),
        }
    }
}

fn pim(skip: bool) -> Errand {
    Errand::Step { step: "pim".to_owned(), skip }
}
