//! A server is killed in the middle of a run and started again: how soon does the next call leave?

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::load::{Connection, order};
use crate::site::{Server, Site};

/// Products of the run that is killed.
const ITEMS: u64 = 3_000;
/// Calls that are answered before the kill.
const CALLS: usize = 300;

/// One measurement for each kill, in milliseconds, in ascending order; with so many runs that have ended.
pub(crate) fn measure(kills: u64, history: u64) -> anyhow::Result<Vec<u128>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut measured = Vec::new();
    for _ in 0..kills {
        measured.push(runtime.block_on(once(history))?.as_millis());
    }
    measured.sort_unstable();
    Ok(measured)
}

async fn once(history: u64) -> anyhow::Result<Duration> {
    let site = Site::new()?;
    site.has_history(history).await?;
    site.catalogues(1, ITEMS)?;
    let server = site.serve()?;
    Connection::to(&server.address, &site.token).await?.ask("POST", "/v1/runs", &order(0)).await?;
    while site.calls()? < CALLS {
        sleep(Duration::from_millis(1)).await;
    }
    server.kill()?;
    // What had left before the kill is answered meanwhile.
    sleep(Duration::from_millis(200)).await;
    let before = site.calls()?;
    let begun = Instant::now();
    let child = site.spawn()?;
    while site.calls()? == before {
        sleep(Duration::from_millis(1)).await;
    }
    let took = begun.elapsed();
    Server::of(child)?.kill()?;
    Ok(took)
}
