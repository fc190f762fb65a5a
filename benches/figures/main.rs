//! All figures of Milepost in one table, each beside its floor of the same turn and its target:
//! `cargo bench --bench figures`. `docs/performance.md` says how they are made.
//!
//! | variable | means |
//! | --- | --- |
//! | `MILEPOST_BENCH_CASES` | only these, for example `W1,W2`; without it all but `P1-sandbox` and `P2-python` |
//! | `MILEPOST_BENCH_RUNS` | turns of each case, of which medians are told (default 3) |
//! | `MILEPOST_BENCH_DIVISOR` | sizes divided by that, for a quick look (default 1) |
//! | `MILEPOST_BENCH_GROWTH` | 1: and what twice the items cost, up to 4 million |
//! | `MILEPOST_BENCH_DIR` | where sources and state directories lie (default below `target`) |
//! | `MILEPOST_BENCH_JSON` | a file for the results as JSON |
//! | `MILEPOST_BENCH_MARKDOWN` | a file for the table as Markdown |
//!
//! `cargo bench --bench figures -- --count LOG` counts the log of another engine.

mod binary;
mod case;
mod cases;
mod child;
mod floor;
mod growth;
mod killed;
mod many;
#[path = "../parts/number.rs"]
mod number;
mod process;
#[path = "../../examples/products/product.rs"]
mod product;
mod scattered;
mod stand_ins;
mod table;
mod turns;
mod witness;
mod workflows;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::ensure;
use case::{Case, Readings, Work};
use cases::CASES;
use child::Order;
use number::number;
use stand_ins::StandIns;
use table::{Line, Results};
use witness::Witness;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The argument that makes this program a child; the order follows.
const CHILD: &str = "--child";
/// The argument that makes it count a log.
const COUNT: &str = "--count";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, order] if flag == CHILD => {
            let readings = child::work(&serde_json::from_str(order)?)?;
            Ok(serde_json::to_writer(std::io::stdout(), &readings)?)
        }
        [flag, log, ..] if flag == COUNT => {
            let witness = Witness::of(Path::new(log))?;
            let (effects, repeated) = (witness.effects(), witness.repeated().len());
            Ok(writeln!(std::io::stdout(), "{effects} effects, {repeated} of them more than once")?)
        }
        _ => suite(),
    }
}

/// Measures what is asked for, and tells it.
fn suite() -> anyhow::Result<()> {
    let runs = number("MILEPOST_BENCH_RUNS", 3)?.max(1);
    let bench = Bench { dir: directory()?, divisor: number("MILEPOST_BENCH_DIVISOR", 1)?.max(1) };
    let names = std::env::var("MILEPOST_BENCH_CASES").unwrap_or_default();
    let chosen: Vec<&Case> = CASES.iter().filter(|case| case.is_chosen(&names)).collect();
    ensure!(!chosen.is_empty(), "no case is called {names}");
    let mut turns: BTreeMap<&str, Vec<Readings>> = BTreeMap::new();
    let mut machine = Vec::new();
    // Turn about, so that what changes on the machine meanwhile changes for all.
    for run in 1..=runs {
        machine.push(floor::machine(&bench.dir.path().join("machine"))?);
        for case in &chosen {
            say(&format!("{run} of {runs}: {}", case.name));
            let size = bench.size(case);
            let readings = bench.measure(case, size)?;
            turns.entry(case.name).or_default().push(readings);
        }
    }
    let of = |case: &&Case| table::lines(case, turns.get(case.name).map_or(&[], Vec::as_slice));
    let mut lines: Vec<Line> = chosen.iter().flat_map(of).collect();
    if number("MILEPOST_BENCH_GROWTH", 0)? > 0 {
        lines.extend(growth::lines(bench.divisor, |case, size| {
            say(&format!("growth: {} with {size}", case.name));
            let readings = bench.measure(case, size)?;
            bench.forget(case, size)?;
            Ok(readings)
        })?);
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let results = Results { runs, divisor: bench.divisor, processors, lines, machine };
    results.tell(&mut std::io::stdout().lock())?;
    if let Some(path) = std::env::var_os("MILEPOST_BENCH_MARKDOWN") {
        results.tell_in_markdown(&mut BufWriter::new(File::create(path)?))?;
    }
    if let Some(path) = std::env::var_os("MILEPOST_BENCH_JSON") {
        let all = serde_json::json!({ "results": results, "turns": turns });
        std::fs::write(path, serde_json::to_vec_pretty(&all)?)?;
    }
    Ok(())
}

/// A new directory, which goes with the bench.
fn directory() -> anyhow::Result<tempfile::TempDir> {
    let below = std::env::var_os("MILEPOST_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&below)?;
    Ok(tempfile::tempdir_in(std::path::absolute(below)?)?)
}

fn say(what: &str) {
    // Whoever does not read it does not want to know.
    let _ = writeln!(std::io::stderr(), "{what}");
}

struct Bench {
    dir: tempfile::TempDir,
    divisor: u64,
}

impl Bench {
    fn size(&self, case: &Case) -> u64 {
        (case.size / self.divisor).max(1)
    }

    /// Removes the records of such a case: those of all sizes together would fill a disk.
    fn forget(&self, case: &Case, size: u64) -> anyhow::Result<()> {
        let records = case.flow().map(|flow| flow.records);
        let source = records.map(|records| records.write(self.dir.path(), size)).transpose()?;
        Ok(source.map(std::fs::remove_file).transpose().map(drop)?)
    }

    /// One turn of a case, with its floor. Every effect must have been carried out once.
    fn measure(&self, case: &'static Case, size: u64) -> anyhow::Result<Readings> {
        let own = tempfile::tempdir_in(self.dir.path())?;
        let stand_ins = match case.work {
            Work::Outside(_) => Some(StandIns::start(own.path())?),
            _ => None,
        };
        let records = case.flow().map(|flow| flow.records);
        let source = records.map(|records| records.write(self.dir.path(), size)).transpose()?;
        let order = Order {
            case: case.name.to_owned(),
            size,
            dir: own.path().to_owned(),
            source: source.unwrap_or_default(),
            urls: stand_ins.as_ref().map_or_else(Default::default, |running| running.urls.clone()),
        };
        let mut readings = match &case.work {
            Work::Killed(flow) => killed::measure(&order, flow)?,
            Work::Started(flow) => binary::started(&order, flow)?,
            Work::Idle(flow) => binary::idle(&order, flow)?,
            Work::Binary => binary::size()?,
            work => {
                let readings = in_a_child(&order)?;
                Witness::of(&order.log())?.holds(effects(work, size), &BTreeMap::new())?;
                readings
            }
        };
        readings.extend(floor::measure(&case.floor, &order.source, &own.path().join("floor"))?);
        Ok(readings)
    }
}

/// How many effects a case in a child leaves in its log.
fn effects(work: &Work, size: u64) -> u64 {
    match work {
        Work::Keys(with, without) => size * (with.effects + without.effects),
        Work::Run(flow)
        | Work::Outside(flow)
        | Work::Scattered(flow)
        | Work::AtOnce(_, flow)
        | Work::InTurn(_, flow) => size * flow.effects,
        Work::Killed(_) | Work::Started(_) | Work::Idle(_) | Work::Binary => 0,
    }
}

fn in_a_child(order: &Order) -> anyhow::Result<Readings> {
    let answer = Command::new(std::env::current_exe()?)
        .args([CHILD, &serde_json::to_string(order)?])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(answer.status.success(), "{}: the child ended with {}", order.case, answer.status);
    Ok(serde_json::from_slice(&answer.stdout)?)
}
