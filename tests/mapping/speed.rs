//! How fast the gate and the mapping are: `cargo test --release --test mapping -- --ignored
//! --nocapture`. No limits are asserted here; the benches do that.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::BufWriter;
use std::sync::Arc;
use std::time::Instant;

use milepost::ports::UniqueOf;
use serde_json::{Value, json};

use crate::product::Products;
use crate::stage::{Folder, scope, scope_of, shipped, source, workflows};

const COUNT: u64 = 100_000;
const SINGLE: u64 = 20_000;

#[test]
#[ignore = "a measurement, of use in a release build only"]
fn the_gate_and_the_mapping() {
    let folder = Folder::new();
    let path = folder.path().join("products.json");
    let begin = Watch::start();
    Products::new(COUNT, 5, 0).write_array(&mut BufWriter::new(File::create(&path).unwrap())).unwrap();
    begin.stop("generate", COUNT);

    let schema = "product-sync/product.schema.json";
    let files = [(schema.to_owned(), fs::read(workflows().join(schema)).unwrap())].into();
    let with = json!({"source": path, "schema": schema, "item_key": "${{ item.product_id }}"});
    let source = source(&with, &files, &workflows());
    let mapping = shipped("product-sync/mapping.yaml");
    let pin = |name: &str, unique: &UniqueOf<'_>| {
        let begin = Watch::start();
        let pinned = source.pin(&scope(Value::Null), &folder, unique).unwrap();
        begin.stop(name, COUNT);
        assert_eq!((pinned.source.count, pinned.rejected), (COUNT, 0));
        pinned
    };
    pin("gate alone", &|_, _| Vec::new());
    let pinned = pin("gate with unique", &|_, item| mapping.unique(&scope_of(Arc::clone(item))));
    // Everything that validating and transforming cost together, as the bench P2 has it.
    pin("gate and mapping", &|_, item| {
        let scope = scope_of(Arc::clone(item));
        black_box(mapping.apply(&scope).unwrap());
        mapping.unique(&scope)
    });

    let records = source.open(&pinned.source, &folder).unwrap();
    let begin = Watch::start();
    let scopes: Vec<_> =
        (0..SINGLE).map(|position| scope_of(records.record(position).value.unwrap())).collect();
    begin.stop("record(n)", SINGLE);
    let begin = Watch::start();
    for scope in &scopes {
        black_box(mapping.unique(scope));
    }
    begin.stop("unique", SINGLE);
    let begin = Watch::start();
    let products: Vec<_> = scopes.iter().map(|one| scope(mapping.apply(one).unwrap())).collect();
    begin.stop("map", SINGLE);
    for name in ["product-sync/pimcore.yaml", "product-sync/medusa.yaml"] {
        let mapping = shipped(name);
        let begin = Watch::start();
        for scope in &products {
            black_box(mapping.apply(scope).unwrap());
        }
        begin.stop(name.trim_start_matches("product-sync/"), SINGLE);
    }
    let begin = Watch::start();
    assert!(records.find("none").is_none());
    begin.stop("find", 1);
}

/// Wall time, and the time that processors spent: the second means something on a busy machine.
struct Watch {
    wall: Instant,
    ticks: f64,
}

impl Watch {
    fn start() -> Self {
        Self { wall: Instant::now(), ticks: ticks() }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn stop(self, name: &str, count: u64) {
        let wall = self.wall.elapsed().as_secs_f64() / count as f64;
        let cpu = (ticks() - self.ticks) / 100.0 / count as f64;
        println!(
            "{name:<17} {:>9.0}/s  {:>8.2} µs wall  {:>8.2} µs processor",
            1.0 / wall,
            wall * 1e6,
            cpu * 1e6
        );
    }
}

/// Hundredths of a second that this process has used.
fn ticks() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let numbers = stat.rsplit(')').next().unwrap().split_whitespace();
    numbers.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum()
}

#[test]
#[ignore = "tmp"]
fn fields_tmp() {
    let text = fs::read_to_string(workflows().join("product-sync/mapping.yaml")).unwrap();
    let files = milepost::mapping::names(&text)
        .into_iter()
        .map(|other| (other.clone(), fs::read(workflows().join(&other)).unwrap()))
        .collect();
    let (head, fields) = text.split_once("\nfields:\n").unwrap();
    let head = head.replace("unique:", "#");
    let products = Products::new(4000, 5, 0);
    let scopes: Vec<_> = (0..4000).map(|at| scope(products.product(at))).collect();
    let mut blocks: Vec<String> = Vec::new();
    for line in fields.lines() {
        if line.starts_with("  ") && !line.starts_with("   ") {
            blocks.push(format!("{line}\n"));
        } else if let Some(last) = blocks.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    blocks.push(fields.to_owned());
    for block in &blocks {
        let mapping =
            milepost::mapping::Mapping::compile(&format!("{head}\nfields:\n{block}"), "m", &files).unwrap();
        let mut best = f64::MAX;
        for _ in 0..8 {
            let begin = Instant::now();
            for scope in &scopes {
                black_box(mapping.apply(scope).unwrap());
            }
            best = best.min(begin.elapsed().as_secs_f64() * 1e6 / 4000.0);
        }
        println!("{best:>7.2} {}", block.lines().next().unwrap());
    }
}
