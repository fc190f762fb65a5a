//! The worst case of a store that keeps items in blocks: those in flight all lie in different ones.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use milepost::app::Engine;
use milepost::config::Options;
use milepost::core::run::Status;
use milepost::view::Sent;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::case::{Readings, SECONDS, STORE, WAITING};
use crate::child::Order;
use crate::process::{as_float, store_bytes};
use crate::workflows::{Flow, GROUP};

/// How often is looked whether all wait.
const LOOKS: Duration = Duration::from_millis(50);

/// Every item does its first step, waits, is woken by a signal for its group, and does its second.
pub(crate) fn run(runtime: Runtime, order: &Order, flow: &Flow) -> anyhow::Result<Readings> {
    let file = order.write(flow, "run")?;
    let state = order.dir.join("state");
    let mut readings = runtime.block_on(drive(order, flow, &file, &state))?;
    // The store is closed with the runtime's last task; only then its size is final.
    drop(runtime);
    let bytes = as_float(store_bytes(&state)?) / as_float(order.size);
    readings.insert(STORE.to_owned(), bytes);
    Ok(readings)
}

async fn drive(order: &Order, flow: &Flow, file: &Path, state: &Path) -> anyhow::Result<Readings> {
    let engine = Engine::open(&Options::new(state)).await?;
    let began = Instant::now();
    let mut running = engine.start(order.start(flow, file)).await?;
    let (id, archive) = (running.id.to_string(), engine.archive());
    loop {
        let view = archive.show(&id).map_err(|problem| anyhow!("{problem:?}"))?;
        ensure!(!view.status.is_ended(), "it ended as {:?} before anybody was woken", view.status);
        if view.items.waiting == order.size {
            break;
        }
        sleep(LOOKS).await;
    }
    let waiting = as_float(store_bytes(state)?) / as_float(order.size);
    for group in 0..(order.size / GROUP).max(1) {
        engine.signal(go(group)).await.map_err(|problem| anyhow!("{problem:?}"))?;
    }
    let run = running.finished().await?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(run.status == Status::Succeeded, "the run ended as {:?}: {:?}", run.status, run.fault);
    Ok(Readings::from([(SECONDS.to_owned(), seconds), (WAITING.to_owned(), waiting)]))
}

fn go(group: u64) -> Sent {
    Sent {
        signal: "go".to_owned(),
        key: group.to_string(),
        id: format!("go-{group}"),
        workflow: None,
        version: None,
        payload: Value::Null,
        keep: None,
        by: "bench".to_owned(),
    }
}
