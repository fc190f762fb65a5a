//! How fast events go out and messages come in, against a bare loop over the same SDK on the same
//! server, in turns: `tests/services/run bench` starts the server and runs this.
//!
//! | variable | means |
//! | --- | --- |
//! | `MILEPOST_TEST_AWS` | the endpoint of the server; needed |
//! | `MILEPOST_BENCH_ITEMS` | messages in each turn (default 2,000) |
//! | `MILEPOST_BENCH_RUNS` | turns; the median is told (default 3) |
//!
//! The bare loop does what anybody would write who wants no more than to be fast: as many calls in
//! flight as the engine has, full batches, nothing recorded, nothing checked.

mod bare;
#[path = "../parts/number.rs"]
mod number;
#[path = "../../examples/products/product.rs"]
mod product;
mod site;
#[path = "../parts/turns.rs"]
mod turns;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use number::number;
use product::Products;
use site::Site;
use turns::rate;

const ITEMS_DEFAULT: u64 = 2_000;
const RUNS_DEFAULT: u64 = 3;
const SEED: u64 = 1;
/// What the engine must reach of the bare loop, in percent.
const TARGET: u32 = 80;

/// What is measured.
#[derive(Clone, Copy)]
enum Case {
    /// Events go to the bus, and are answered for.
    Publish,
    /// As well, their messages are received from a queue and deleted.
    PublishAndConsume,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::PublishAndConsume => "publish, consume",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let endpoint = std::env::var("MILEPOST_TEST_AWS")
        .context("MILEPOST_TEST_AWS is not set; run: tests/services/run bench")?;
    let items = number("MILEPOST_BENCH_ITEMS", ITEMS_DEFAULT)?;
    let count = f64::from(u32::try_from(items)?);
    let runs = number("MILEPOST_BENCH_RUNS", RUNS_DEFAULT)?.max(1);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let source = dir.path().join("products.json");
    let mut file = std::fs::File::create(&source)?;
    Products::new(items, SEED, 0).write_array(&mut file)?;
    let products: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&source)?)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<18} {:>9} {:>13} {:>13} {:>8} {:>8}",
        "case", "messages", "bare /s", "milepost /s", "ratio", "target"
    )?;
    for case in [Case::Publish, Case::PublishAndConsume] {
        let (mut bare, mut engine) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let site = Site::new(&endpoint).await?;
            bare.push(bare::run(&site, case, &products).await?);
            let site = Site::new(&endpoint).await?;
            engine.push(milepost(&site, case, dir.path(), &source)?);
        }
        let (bare, engine) = (rate(count, &mut bare), rate(count, &mut engine));
        writeln!(
            out,
            "{:<18} {items:>9} {bare:>13.0} {engine:>13.0} {:>7.0}% {TARGET:>7}%",
            case.name(),
            100.0 * engine / bare
        )?;
    }
    Ok(())
}

/// One run of the binary, from its start to its end.
fn milepost(site: &Site, case: Case, dir: &Path, source: &Path) -> anyhow::Result<Duration> {
    let work = tempfile::tempdir_in(dir)?;
    let file = work.path().join("bench.yaml");
    std::fs::write(&file, site.workflow(case, source))?;
    turns::milepost(&file).context(case.name())
}
