//! How a server stands up to many: clients that read while runs are at work, and how soon after a kill
//! the next effect leaves. `cargo bench --bench serve`.
//!
//! | variable | means |
//! | --- | --- |
//! | `MILEPOST_BENCH_SECONDS` | how long the load lasts (default 30) |
//! | `MILEPOST_BENCH_CLIENTS` | clients that read at once (default 200) |
//! | `MILEPOST_BENCH_PAUSE_MS` | what a client waits between two reads (default 250; 0: none) |
//! | `MILEPOST_BENCH_ITEMS` | products in each run (default 500) |
//! | `MILEPOST_BENCH_KILLS` | how often the server is killed (default 5) |
//! | `MILEPOST_BENCH_HISTORY` | runs that have ended before the server is killed (default 0) |
//! | `MILEPOST_BENCH_PAGE` | items of the run whose pages are looked at (default 100000; 0: none) |
//! | `MILEPOST_TEST_CHROMIUM` | the browser that looks at them, too |
//!
//! Everything is on one machine: clients, server and stand-ins share its processors.

#[expect(dead_code, clippy::unwrap_used, reason = "the browser of the page's stories, which do more with it")]
#[path = "../../tests/services/page/browser.rs"]
mod browser;
mod load;
mod page;
#[expect(dead_code, reason = "each run has a catalogue of its own, not all products in one")]
#[path = "../../examples/products/product.rs"]
mod product;
mod revival;
mod site;

use std::io::Write;
use std::time::Duration;

/// Runs at work at once.
const RUNS: u64 = 20;

fn main() -> anyhow::Result<()> {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text.parse::<u64>().map_err(anyhow::Error::from),
        Err(_) => Ok(default),
    };
    let mut out = std::io::stdout();
    let revived = revival::measure(number("MILEPOST_BENCH_KILLS", 5)?, number("MILEPOST_BENCH_HISTORY", 0)?)?;
    writeln!(out, "from the start of the process to the first call after a kill -9, in ms: {revived:?}")?;
    let load = load::Load {
        clients: number("MILEPOST_BENCH_CLIENTS", 200)?,
        pause: Duration::from_millis(number("MILEPOST_BENCH_PAUSE_MS", 250)?),
        runs: RUNS,
        items: number("MILEPOST_BENCH_ITEMS", 500)?,
        lasts: Duration::from_secs(number("MILEPOST_BENCH_SECONDS", 30)?),
    };
    if !load.lasts.is_zero() {
        writeln!(out, "{}", load::measure(&load)?)?;
    }
    let items = number("MILEPOST_BENCH_PAGE", 100_000)?;
    if items > 0 {
        write!(out, "{}", page::measure(items)?)?;
    }
    Ok(())
}
