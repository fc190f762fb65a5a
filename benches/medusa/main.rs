//! How fast new products get into a real shop, against a bare loop that makes the same calls in the
//! same order on the same server, in turns: `tests/services/run bench` starts the server and runs this.
//!
//! | variable | means |
//! | --- | --- |
//! | `MEDUSA_URL`, `MEDUSA_EMAIL`, `MEDUSA_PASSWORD` | the shop and its login; needed |
//! | `MEDUSA_DATABASE_URL` | its database, from which products are taken away between turns; needed |
//! | `MILEPOST_BENCH_ITEMS` | products in each turn (default 1,000) |
//! | `MILEPOST_BENCH_RUNS` | turns; the median is told (default 5) |
//!
//! The bare loop is the engine's own traffic, written down in a turn that is not counted and sent
//! again byte by byte over one connection: the same lookups, the same batches of 50, and between two
//! calls nothing at all.

#[path = "../parts/number.rs"]
mod number;
#[path = "../../examples/products/product.rs"]
mod product;
mod tape;
#[path = "../parts/turns.rs"]
mod turns;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use number::number;
use product::Products;
use tape::Recorder;
use turns::rate;

const ITEMS_DEFAULT: u64 = 1_000;
const RUNS_DEFAULT: u64 = 5;
const SEED: u64 = 1;
/// What the engine must reach of the bare loop, in percent.
const TARGET: u32 = 95;
/// What products are made of; categories stay, so that every turn finds the same.
const WIPE: &str = "truncate product, product_option, inventory_item, price_set, product_sales_channel, \
    product_shipping_profile, product_variant_price_set, product_variant_inventory_item cascade";

/// The shop that is measured.
struct Shop {
    url: String,
    database: String,
}

fn main() -> anyhow::Result<()> {
    let shop = Shop { url: needed("MEDUSA_URL")?, database: needed("MEDUSA_DATABASE_URL")? };
    let items = number("MILEPOST_BENCH_ITEMS", ITEMS_DEFAULT)?;
    let count = f64::from(u32::try_from(items)?);
    let runs = number("MILEPOST_BENCH_RUNS", RUNS_DEFAULT)?.max(1);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let source = dir.path().join("products.json");
    Products::new(items, SEED, 0).write_array(&mut std::fs::File::create(&source)?)?;

    // The first turn makes the categories; the second one is written down.
    milepost(&shop.url, dir.path(), &source)?;
    shop.wipe()?;
    let recorder = Recorder::before(&shop.url)?;
    milepost(recorder.url(), dir.path(), &source)?;
    let tape = recorder.tape();
    ensure!(shop.products()? == items, "a turn that was written down left other products");

    let (mut bare, mut engine) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        shop.wipe()?;
        let begun = Instant::now();
        tape::play(&shop.url, &tape)?;
        bare.push(begun.elapsed());
        ensure!(shop.products()? == items, "the bare loop left other products");
        shop.wipe()?;
        engine.push(milepost(&shop.url, dir.path(), &source)?);
        ensure!(shop.products()? == items, "the engine left other products");
    }
    let (bare, engine) = (rate(count, &mut bare), rate(count, &mut engine));
    writeln!(
        std::io::stdout(),
        "{:<18} {:>9} {:>7} {:>13} {:>13} {:>8} {:>8}\n{:<18} {items:>9} {:>7} {bare:>13.1} {engine:>13.1} {:>7.0}% {TARGET:>7}%",
        "case",
        "products",
        "calls",
        "bare /s",
        "milepost /s",
        "ratio",
        "target",
        "new products",
        tape.len(),
        100.0 * engine / bare
    )?;
    Ok(())
}

fn needed(variable: &str) -> anyhow::Result<String> {
    std::env::var(variable).with_context(|| format!("{variable} is not set; run: tests/services/run bench"))
}

impl Shop {
    fn ask(&self, question: &str) -> anyhow::Result<String> {
        let output = Command::new("psql")
            .args(["-qXAt", "-v", "ON_ERROR_STOP=1", "-d", &self.database, "-c", question])
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{question}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn wipe(&self) -> anyhow::Result<()> {
        self.ask(WIPE).map(drop)
    }

    fn products(&self) -> anyhow::Result<u64> {
        Ok(self.ask("select count(*) from product where deleted_at is null")?.trim().parse()?)
    }
}

/// One run of the binary from its start to its end, with the shipped mappings and no PIM.
fn milepost(url: &str, dir: &Path, source: &Path) -> anyhow::Result<Duration> {
    let work = tempfile::tempdir_in(dir)?;
    let file = work.path().join("bench.yaml");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/product-sync");
    let made = Command::new("cp").arg("-r").arg(&shipped).arg(work.path()).status()?;
    ensure!(made.success(), "failed to copy {}", shipped.display());
    std::fs::write(&file, workflow(url, source))?;
    turns::milepost(&file)
}

fn workflow(url: &str, source: &Path) -> String {
    format!(
        "workflow: bench\n\
         input:\n  source: {{ type: uri, default: \"{}\" }}\n\
         connections:\n  files: {{ use: local }}\n  \
         shop: {{ use: medusa, url: \"{url}\", email: \"${{env:MEDUSA_EMAIL}}\", password: \"${{env:MEDUSA_PASSWORD}}\" }}\n\
         steps:\n  validate:\n    uses: json.validate\n    connection: files\n    \
         with: {{ source: \"${{{{ input.source }}}}\", item_key: \"${{{{ item.product_id }}}}\" }}\n  \
         transform:\n    needs: [validate]\n    uses: map\n    with: {{ mapping: product-sync/mapping.yaml }}\n  \
         medusa:\n    needs: [transform]\n    uses: medusa.upsert\n    connection: shop\n    timeout: 60s\n    \
         batch: {{ max: 50, linger: 50ms }}\n    with: {{ mapping: product-sync/medusa.yaml }}\n",
        source.display()
    )
}
