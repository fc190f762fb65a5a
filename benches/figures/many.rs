//! Many runs of one engine: at once, and one after the other.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use milepost::app::{Begins, Desk, Engine, Finds, News, Pace, Start, Watched, Watching};
use milepost::config::Options;
use milepost::core::run::{Run, Status};
use tokio::task::JoinSet;

use crate::case::{Layer, P50, P99, Readings, SECONDS};
use crate::child::Order;
use crate::turns::at;
use crate::workflows::Flow;

/// So many runs, all asked for at once, to the end of the last.
pub(crate) async fn at_once(order: &Order, layer: Layer, flow: &Flow) -> anyhow::Result<Readings> {
    let file = order.write(flow, "run")?;
    let engine = Arc::new(Engine::open(&Options::new(order.dir.join("state"))).await?);
    let start = || order.start(flow, &file);
    let seconds = match layer {
        Layer::Engine => {
            let (began, mut runs) = (Instant::now(), JoinSet::new());
            for _ in 0..order.size {
                let (engine, start) = (Arc::clone(&engine), start());
                runs.spawn(async move { directly(&engine, start).await });
            }
            while let Some(run) = runs.join_next().await {
                run??;
            }
            began.elapsed()
        }
        Layer::Desk => {
            let mut served = Served::open(&engine, &file, order.size)?;
            let (began, mut asking) = (Instant::now(), JoinSet::new());
            for _ in 0..order.size {
                let (desk, start) = (served.desk.clone(), start());
                asking.spawn(async move { desk.start(start, None).await.map(drop) });
            }
            while let Some(asked) = asking.join_next().await {
                asked??;
            }
            for _ in 0..order.size {
                served.ended().await?;
            }
            let took = began.elapsed();
            served.close().await?;
            took
        }
    };
    Ok(Readings::from([(SECONDS.to_owned(), seconds.as_secs_f64())]))
}

/// So many runs, each asked for when the one before has ended.
pub(crate) async fn in_turn(order: &Order, layer: Layer, flow: &Flow) -> anyhow::Result<Readings> {
    let file = order.write(flow, "run")?;
    let engine = Arc::new(Engine::open(&Options::new(order.dir.join("state"))).await?);
    let mut times: Vec<Duration> = Vec::new();
    match layer {
        Layer::Engine => {
            for _ in 0..order.size {
                let began = Instant::now();
                directly(&engine, order.start(flow, &file)).await?;
                times.push(began.elapsed());
            }
        }
        Layer::Desk => {
            let mut served = Served::open(&engine, &file, 1)?;
            for _ in 0..order.size {
                let began = Instant::now();
                served.desk.start(order.start(flow, &file), None).await?;
                served.ended().await?;
                times.push(began.elapsed());
            }
            served.close().await?;
        }
    }
    Ok(Readings::from([(P50.to_owned(), at(0.5, &mut times)), (P99.to_owned(), at(0.99, &mut times))]))
}

async fn directly(engine: &Engine, start: Start) -> anyhow::Result<()> {
    let mut running = engine.start(start).await?;
    succeeded(&running.finished().await?)
}

fn succeeded(run: &Run) -> anyhow::Result<()> {
    ensure!(run.status == Status::Succeeded, "{} ended as {:?}: {:?}", run.id, run.status, run.fault);
    Ok(())
}

/// A workflow that is served, as by `milepost serve --concurrency N --queue N`, but for the API.
struct Served {
    watching: Watching,
    desk: Desk,
}

impl Served {
    fn open(engine: &Arc<Engine>, file: &Path, runs: u64) -> anyhow::Result<Self> {
        let watched = Watched::read(engine, file, None).map_err(|report| anyhow!("{report:?}"))?;
        let runs = usize::try_from(runs)?;
        let pace =
            Pace { concurrency: runs, waiting_max: runs, finds: Finds::Everything, begins: Begins::AtOnce };
        let watching = Watching::begin(engine, vec![watched], pace);
        let desk = watching.desk();
        Ok(Self { watching, desk })
    }

    /// Returns when the next run has succeeded.
    async fn ended(&mut self) -> anyhow::Result<()> {
        loop {
            match self.watching.news.recv().await.context("the loop has ended")? {
                News::Ended { run } => return succeeded(&run),
                News::Stuck { run, error } => bail!("{run} cannot go on: {error}"),
                News::Broken { run, error } => bail!("{run} cannot go on: {error}"),
                _ => {}
            }
        }
    }

    async fn close(self) -> anyhow::Result<()> {
        self.watching.stop();
        Ok(self.watching.ended().await?)
    }
}
