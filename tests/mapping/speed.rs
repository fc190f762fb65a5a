//! How fast the gate and the mapping are: `cargo test --release --test mapping -- --ignored
//! --nocapture`. No limits are asserted here; the benches do that.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::BufWriter;
use std::sync::Arc;
use std::time::Instant;

use milepost::core::survey::Survey;
use milepost::ports::{Interest, SurveyOf};
use serde_json::{Value, json};

use crate::product::Products;
use crate::stage::{Folder, scope, scope_of, shipped, source, workflows};

const COUNT: u64 = 100_000;
const SINGLE: u64 = 20_000;
const WARM: u64 = 50;

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
    let pin = |name: &str, survey: &SurveyOf<'_>| {
        let begin = Watch::start();
        let pinned = source.pin(&scope(Value::Null), &folder, survey, &Interest::default()).unwrap();
        begin.stop(name, COUNT);
        assert_eq!((pinned.source.count, pinned.rejected), (COUNT, 0));
        pinned
    };
    pin("gate alone", &|_, _| Survey::default());
    let pinned = pin("gate with survey", &|_, item| mapping.survey(&scope_of(Arc::clone(item))));
    // Everything that validating and transforming cost together, as the bench P2 has it.
    pin("gate and mapping", &|_, item| {
        let scope = scope_of(Arc::clone(item));
        black_box(mapping.apply(&scope).unwrap());
        mapping.survey(&scope)
    });

    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());

    let records = source.open(&pinned.source, &folder).unwrap();
    let begin = Watch::start();
    let item = |position: u64| scope_of(records.record(position).value.unwrap());
    for position in 0..SINGLE {
        black_box(item(position));
    }
    begin.stop("record(n)", SINGLE);
    let begin = Watch::start();
    for position in 0..SINGLE {
        black_box(mapping.apply(&item(position)).unwrap());
    }
    begin.stop("record(n) and map", SINGLE);
    // Few enough to stay in the processor's cache, as a record does between parsing and mapping.
    let scopes: Vec<_> = (0..WARM).map(item).collect();
    let products: Vec<_> = scopes.iter().map(|one| scope(mapping.apply(one).unwrap())).collect();
    let warm = |name: &str, work: &dyn Fn(usize)| {
        let begin = Watch::start();
        for _ in 0..SINGLE / WARM {
            (0..scopes.len()).for_each(work);
        }
        begin.stop(name, SINGLE);
    };
    warm("survey", &|at| drop(black_box(mapping.survey(&scopes[at]))));
    warm("map", &|at| drop(black_box(mapping.apply(&scopes[at]).unwrap())));
    for name in ["product-sync/pimcore.yaml", "product-sync/medusa.yaml"] {
        let mapping = shipped(name);
        let name = name.trim_start_matches("product-sync/");
        warm(name, &|at| drop(black_box(mapping.apply(&products[at]).unwrap())));
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
