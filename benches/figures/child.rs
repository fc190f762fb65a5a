//! A case in a process of its own, so that its memory and its processor time are its own, through the
//! library exactly as the command line does it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use milepost::app::{Engine, Start};
use milepost::config::Options;
use milepost::core::execution::DrivenBy;
use milepost::core::run::Status;
use serde::{Deserialize, Serialize};

use crate::case::{CPU, Case, PEAK, RATE, Readings, SECONDS, STORE, Work};
use crate::process::{as_float, cpu_seconds, peak_mb, store_bytes};
use crate::workflows::{Flow, Ground, Records};
use crate::{many, scattered};

/// What a child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The name of the case.
    pub(crate) case: String,
    /// Items, steps or runs.
    pub(crate) size: u64,
    /// Where it may write.
    pub(crate) dir: PathBuf,
    /// The file with the records.
    pub(crate) source: PathBuf,
    /// Of PIM and shop, where the case has stand-ins.
    pub(crate) urls: [String; 2],
}

impl Order {
    /// The log of the effects.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("effects.log")
    }

    /// Writes a workflow into this folder, over the log of the case.
    pub(crate) fn write(&self, flow: &Flow, folder: &str) -> anyhow::Result<PathBuf> {
        let ground = Ground { size: self.size, log: &self.log(), urls: &self.urls };
        flow.write(&self.dir.join(folder), &ground)
    }

    /// What starts a run of a workflow file.
    pub(crate) fn start(&self, flow: &Flow, file: &Path) -> Start {
        let source = ("source".to_owned(), self.source.to_string_lossy().into_owned());
        Start {
            file: file.to_owned(),
            input: if flow.records == Records::Nothing { Vec::new() } else { vec![source] },
            profile: None,
            by: None,
            driven_by: DrivenBy::Embedded,
        }
    }
}

/// Does what is ordered, and says what it came to.
pub(crate) fn work(order: &Order) -> anyhow::Result<Readings> {
    let case = Case::named(&order.case).context("no such case")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut readings = match &case.work {
        Work::Run(flow) | Work::Outside(flow) => run(runtime, order, flow, "run")?,
        Work::Keys(with, without) => {
            let kept = run(runtime, order, with, "with")?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let bare = run(runtime, order, without, "without")?;
            Readings::from([(STORE.to_owned(), kept[STORE] - bare[STORE])])
        }
        Work::Scattered(flow) => scattered::run(runtime, order, flow)?,
        Work::AtOnce(layer, flow) => runtime.block_on(many::at_once(order, *layer, flow))?,
        Work::InTurn(layer, flow) => runtime.block_on(many::in_turn(order, *layer, flow))?,
        Work::Killed(_) | Work::Started(_) | Work::Idle(_) | Work::Binary => {
            bail!("{} is measured from outside", case.name)
        }
    };
    readings.insert(PEAK.to_owned(), peak_mb()?);
    let units = order.size * units_of(&case.work);
    readings.insert(CPU.to_owned(), cpu_seconds()? * 1e6 / as_float(units));
    if let Some(seconds) = readings.get(SECONDS) {
        readings.insert(RATE.to_owned(), as_float(units) / seconds);
    }
    Ok(readings)
}

/// How many units are counted of each item, step or run: of small records each step counts.
fn units_of(work: &Work) -> u64 {
    match work {
        Work::Run(flow) if flow.records == Records::Small => flow.effects,
        _ => 1,
    }
}

/// One run over a new state directory.
fn run(
    runtime: tokio::runtime::Runtime,
    order: &Order,
    flow: &Flow,
    folder: &str,
) -> anyhow::Result<Readings> {
    let file = order.write(flow, folder)?;
    let state = order.dir.join(folder).join("state");
    let seconds = runtime.block_on(drive(order, flow, &file, &state))?;
    // The store is closed with the runtime's last task; only then its size is final.
    drop(runtime);
    let bytes = as_float(store_bytes(&state)?) / as_float(order.size);
    Ok(Readings::from([(SECONDS.to_owned(), seconds), (STORE.to_owned(), bytes)]))
}

async fn drive(order: &Order, flow: &Flow, file: &Path, state: &Path) -> anyhow::Result<f64> {
    let engine = Engine::open(&Options::new(state)).await?;
    let began = Instant::now();
    let mut running = engine.start(order.start(flow, file)).await?;
    let id = running.id;
    let run = running.finished().await?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(run.status == Status::Succeeded, "the run ended as {:?}: {:?}", run.status, run.fault);
    let expected = if flow.records == Records::Nothing { 0 } else { order.size };
    let Ok(view) = engine.archive().show(&id.to_string()) else { bail!("the run cannot be read") };
    let items = &view.items;
    ensure!((items.total, items.succeeded) == (expected, expected), "not every item succeeded: {items:?}");
    Ok(seconds)
}
