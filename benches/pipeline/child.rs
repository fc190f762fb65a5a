//! One case in a process of its own, through the library exactly as the command line does it.

use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, io};

use anyhow::{Context, bail, ensure};
use milepost::app::{Engine, Start};
use milepost::config::Options;
use milepost::core::execution::DrivenBy;
use milepost::core::run::Status;
use serde::{Deserialize, Serialize};

/// What one run of a case came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Products that went through.
    pub(crate) items: u64,
    /// From the start of the run to its end.
    pub(crate) seconds: f64,
    /// Products per second.
    pub(crate) rate: f64,
    /// Processor time of the process, user and system, per product.
    pub(crate) cpu_micros: f64,
    /// Most memory the process held.
    pub(crate) peak_mb: f64,
    /// What the store takes on disk per product, pins apart.
    pub(crate) store_bytes: f64,
}

/// Runs a workflow file with a new state directory below `dir`.
pub(crate) fn run(file: &Path, source: &Path, dir: &Path, items: u64) -> anyhow::Result<Figures> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let state = dir.join("state");
    let seconds = runtime.block_on(drive(file, source, &state, items))?;
    // The store is closed with the runtime's last task; only then its size is final.
    drop(runtime);
    let products = as_float(items);
    Ok(Figures {
        items,
        seconds,
        rate: products / seconds,
        cpu_micros: cpu_seconds()? * 1e6 / products,
        peak_mb: peak_kb()? / 1024.0,
        store_bytes: as_float(store_bytes(&state)?) / products,
    })
}

async fn drive(file: &Path, source: &Path, state: &Path, items: u64) -> anyhow::Result<f64> {
    let engine = Engine::open(&Options::new(state)).await?;
    let began = Instant::now();
    let start = Start {
        file: PathBuf::from(file),
        input: vec![("source".to_owned(), source.to_string_lossy().into_owned())],
        profile: None,
        by: None,
        driven_by: DrivenBy::Embedded,
    };
    let mut running = engine.start(start).await?;
    let id = running.id;
    let run = running.finished().await?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(run.status == Status::Succeeded, "the run ended as {:?}: {:?}", run.status, run.fault);
    let Ok(view) = engine.archive().show(&id.to_string()) else { bail!("the run cannot be read") };
    ensure!(
        (view.items.total, view.items.succeeded) == (items, items),
        "not every item succeeded: {:?}",
        view.items
    );
    Ok(seconds)
}

/// User and system time of this process, from the clock ticks that the kernel tells.
fn cpu_seconds() -> anyhow::Result<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has no name")?;
    // Counted behind the name: user time is the twelfth field, system time the next.
    let ticks: f64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}

fn peak_kb() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// The bytes of all files of a state directory but the pinned ones.
fn store_bytes(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let known = entry.metadata()?;
        if known.is_file() {
            sum += known.len();
        } else if entry.file_name() != "pins" {
            sum += store_bytes(&entry.path())?;
        }
    }
    Ok(sum)
}

/// A count as a number to divide.
pub(crate) fn as_float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
