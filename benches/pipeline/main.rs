//! How fast products go through, and what that costs: `cargo bench --bench pipeline`.
//!
//! | variable | means |
//! | --- | --- |
//! | `MILEPOST_BENCH_ITEMS` | products to generate (default 100,000) |
//! | `MILEPOST_BENCH_RUNS` | runs of each case; the median is told (default 1) |
//! | `MILEPOST_BENCH_CASES` | only these cases, for example `P1,P2` |
//! | `MILEPOST_BENCH_JSON` | a file for the figures as JSON |
//!
//! Every case runs in a process of its own, so that its memory and processor time are its own, with
//! a new state directory. After a run every product must have succeeded.

mod case;
mod child;
mod floor;
#[path = "../parts/number.rs"]
mod number;
#[path = "../../examples/products/product.rs"]
mod product;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use case::{CASES, Case};
use child::Figures;
use floor::Floor;
use number::number;
use product::Products;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ITEMS_DEFAULT: u64 = 100_000;
const SEED: u64 = 1;
/// The argument that makes this program a child; what follows is case, items, directory, URLs.
const CHILD: &str = "--child";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, case, items, source, dir, pim, shop] = &arguments[..]
        && flag == CHILD
    {
        let case = Case::named(case).context("no such case")?;
        let dir = Path::new(dir);
        let file = case.write(dir, &[pim.clone(), shop.clone()])?;
        let figures = child::run(&file, Path::new(source), dir, items.parse()?)?;
        return Ok(serde_json::to_writer(std::io::stdout(), &figures)?);
    }
    let items = number("MILEPOST_BENCH_ITEMS", ITEMS_DEFAULT)?;
    let runs = number("MILEPOST_BENCH_RUNS", 1)?.max(1);
    let wanted = std::env::var("MILEPOST_BENCH_CASES").unwrap_or_default();
    let chosen = |case: &&Case| wanted.is_empty() || wanted.split(',').any(|name| name == case.name);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let source = generate(dir.path(), items)?;
    let floor = floor::measure(&source, dir.path())?;
    let mut results = Vec::new();
    for case in CASES.iter().filter(chosen) {
        let mut taken = Vec::new();
        for _ in 0..runs {
            taken.push(measure(case, dir.path(), items)?);
        }
        taken.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        results.push((case, taken.swap_remove(taken.len() / 2)));
    }
    tell(&mut std::io::stdout().lock(), &results, &floor)?;
    if let Some(path) = std::env::var_os("MILEPOST_BENCH_JSON") {
        let cases: serde_json::Map<_, _> = results
            .iter()
            .map(|(case, figures)| Ok((case.name.to_owned(), serde_json::to_value(figures)?)))
            .collect::<serde_json::Result<_>>()?;
        let all = serde_json::json!({ "cases": cases, "floor": floor });
        std::fs::write(path, serde_json::to_vec_pretty(&all)?)?;
    }
    Ok(())
}

/// Writes so many products, none invalid; once.
fn generate(dir: &Path, items: u64) -> anyhow::Result<PathBuf> {
    let path = dir.join(format!("products-{items}.json"));
    if path.exists() {
        return Ok(path);
    }
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
    Products::new(items, SEED, 0).write_array(&mut out)?;
    out.into_inner()?.sync_all()?;
    Ok(path)
}

/// One run of a case in a child process.
fn measure(case: &Case, sources: &Path, items: u64) -> anyhow::Result<Figures> {
    let items = case.items(items);
    let source = generate(sources, items)?;
    let dir = tempfile::tempdir_in(sources)?;
    let stand_ins = if case.sandbox { Some(StandIns::start(dir.path())?) } else { None };
    let urls = stand_ins.as_ref().map_or_else(Default::default, |running| running.urls.clone());
    let answer = Command::new(std::env::current_exe()?)
        .args([CHILD, case.name, &items.to_string()])
        .args([&source, dir.path()])
        .args(urls)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(answer.status.success(), "{}: the child ended with {}", case.name, answer.status);
    Ok(serde_json::from_slice(&answer.stdout)?)
}

/// `milepost sandbox` in a process of its own; ended when this is dropped.
struct StandIns {
    process: Child,
    urls: [String; 2],
}

impl StandIns {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_milepost"))
            .args(["sandbox", "--json", "--pim-port", "0", "--shop-port", "0", "--dir"])
            .arg(dir.join("stand-ins"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let told: serde_json::Value = serde_json::from_str(&line)?;
        let url = |system: &str| told[system]["url"].as_str().unwrap_or_default().to_owned();
        Ok(Self { process, urls: [url("pim"), url("shop")] })
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        // It may have ended by itself, which the run would have shown.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tell(out: &mut impl Write, results: &[(&Case, Figures)], floor: &Floor) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<11} {:>9} {:>11} {:>9} {:>11} {:>9} {:>11}  what",
        "case", "products", "products/s", "target", "CPU µs/each", "peak MB", "store B/each"
    )?;
    for (case, figures) in results {
        let target = case.target.map_or_else(|| "-".to_owned(), |target| target.to_string());
        writeln!(
            out,
            "{:<11} {:>9} {:>11.0} {:>9} {:>11.0} {:>9.0} {:>11.0}  {}",
            case.name,
            figures.items,
            figures.rate,
            target,
            figures.cpu_micros,
            figures.peak_mb,
            figures.store_bytes,
            case.what
        )?;
    }
    let rate =
        |name: &str| results.iter().find(|(case, _)| case.name == name).map(|(_, figures)| figures.rate);
    if let (Some(built_in), Some(python)) = (rate("P2"), rate("P2-python")) {
        writeln!(
            out,
            "a Python handler in place of the built-in steps: {:.2} of their products/s",
            python / built_in
        )?;
    }
    writeln!(
        out,
        "floor: {:.0} products/s parsed by one thread; sled, durable: {:.0} rows/s in batches of 500, {:.0} commits/s",
        floor.parsed, floor.rows, floor.commits
    )
}
