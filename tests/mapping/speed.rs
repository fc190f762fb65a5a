//! How fast the gate and the mapping are: `cargo test --release --test mapping -- --ignored
//! --nocapture`. No limits are asserted here; the benches do that.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::BufWriter;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::product::Products;
use crate::stage::{Folder, scope, scope_of, shipped, source, workflows};

const COUNT: u32 = 100_000;

#[test]
#[ignore = "a measurement, of use in a release build only"]
fn the_gate_and_the_mapping() {
    let folder = Folder::new();
    let path = folder.path().join("products.json");
    let begin = Instant::now();
    Products::new(COUNT.into(), 5, 0).write_array(&mut BufWriter::new(File::create(&path).unwrap())).unwrap();
    let bytes = fs::metadata(&path).unwrap().len();
    println!("generate          {:>9.0} products/s, {} bytes each", rate(begin), bytes / u64::from(COUNT));

    let schema = "product-sync/product.schema.json";
    let files = [(schema.to_owned(), fs::read(workflows().join(schema)).unwrap())].into();
    let with = json!({"source": path, "schema": schema, "item_key": "${{ item.product_id }}"});
    let source = source(&with, &files, &workflows());
    let mapping = shipped("product-sync/mapping.yaml");
    let (pim, shop) = (shipped("product-sync/pimcore.yaml"), shipped("product-sync/medusa.yaml"));

    let mut pinned = None;
    for (name, with_mapping) in [("gate alone", false), ("gate with unique", true)] {
        let unique = |_: u64, item: &Arc<Value>| {
            if with_mapping { mapping.unique(&scope_of(Arc::clone(item))) } else { Vec::new() }
        };
        let begin = Instant::now();
        let done = source.pin(&scope(Value::Null), &folder, &unique).unwrap();
        println!("{name:<17} {:>9.0} products/s", rate(begin));
        assert_eq!((done.source.count, done.rejected), (COUNT.into(), 0));
        pinned = Some(done);
    }
    // Everything the transform costs at the gate: both at once, as the bench P2 will do it.
    let unique = |_: u64, item: &Arc<Value>| {
        let scope = scope_of(Arc::clone(item));
        black_box(mapping.apply(&scope).unwrap());
        mapping.unique(&scope)
    };
    let begin = Instant::now();
    source.pin(&scope(Value::Null), &folder, &unique).unwrap();
    println!("gate and mapping  {:>9.0} products/s", rate(begin));

    let records = source.open(&pinned.unwrap().source, &folder).unwrap();
    let begin = Instant::now();
    let items: Vec<_> = (0..20_000).map(|position| records.record(position).value.unwrap()).collect();
    println!("record(n)         {:>9.2} µs", begin.elapsed().as_secs_f64() * 1e6 / 20_000.0);
    let scopes: Vec<_> = items.into_iter().map(scope_of).collect();
    let each = |name: &str, work: &dyn Fn(usize)| {
        let begin = Instant::now();
        (0..scopes.len()).for_each(work);
        println!("{name:<17} {:>9.2} µs", begin.elapsed().as_secs_f64() * 1e6 / 20_000.0);
    };
    each("map", &|at| drop(black_box(mapping.apply(&scopes[at]))));
    each("unique", &|at| drop(black_box(mapping.unique(&scopes[at]))));
    let products: Vec<_> = scopes.iter().map(|one| scope(mapping.apply(one).unwrap())).collect();
    each("to PIM", &|at| drop(black_box(pim.apply(&products[at]))));
    each("to shop", &|at| drop(black_box(shop.apply(&products[at]))));
    let begin = Instant::now();
    assert!(records.find("none").is_none());
    println!("find in {COUNT}    {:>9.2} ms", begin.elapsed().as_secs_f64() * 1e3);
}

fn rate(begin: Instant) -> f64 {
    f64::from(COUNT) / begin.elapsed().as_secs_f64()
}

#[test]
#[ignore = "tmp"]
fn fields_tmp() {
    let text = fs::read_to_string(workflows().join("product-sync/mapping.yaml")).unwrap();
    let files = milepost::mapping::names(&text).into_iter().map(|other| (other.clone(), fs::read(workflows().join(&other)).unwrap())).collect();
    let (head, fields) = text.split_once("\nfields:\n").unwrap();
    let head = head.replace("unique:", "#");
    let products = Products::new(4000, 5, 0);
    let scopes: Vec<_> = (0..4000).map(|at| scope(products.product(at))).collect();
    let mut blocks: Vec<String> = Vec::new();
    for line in fields.lines() {
        if line.starts_with("  ") && !line.starts_with("   ") { blocks.push(format!("{line}\n")); }
        else if let Some(last) = blocks.last_mut() { last.push_str(line); last.push('\n'); }
    }
    blocks.push(fields.to_owned());
    for block in &blocks {
        let mapping = milepost::mapping::Mapping::compile(&format!("{head}\nfields:\n{block}"), "m", &files).unwrap();
        let mut best = f64::MAX;
        for _ in 0..8 {
            let begin = Instant::now();
            for scope in &scopes { black_box(mapping.apply(scope).unwrap()); }
            best = best.min(begin.elapsed().as_secs_f64() * 1e6 / 4000.0);
        }
        println!("{best:>7.2} {}", block.lines().next().unwrap());
    }
}
