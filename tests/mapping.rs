use std::collections::BTreeMap;
use std::sync::Arc;
use milepost::core::id::{RunId, Unit};
use milepost::core::scope::Scope;
use milepost::core::time::Timestamp;
use milepost::mapping::Mapping;
use serde_json::Value;

fn load(name: &str) -> Mapping {
    let mut files = BTreeMap::new();
    let text = std::fs::read_to_string(format!("workflows/{name}")).unwrap();
    for other in milepost::mapping::names(&text) {
        files.insert(other.clone(), std::fs::read(format!("workflows/{other}")).unwrap());
    }
    Mapping::compile(&text, name, &files).unwrap_or_else(|faults| panic!("{faults:#?}"))
}
fn scope(item: Arc<Value>) -> Scope {
    Scope { run: RunId(1), started_at: Timestamp(0), unit: Unit::Item(0), input: Arc::new(Value::Null), item, steps: Arc::new(Value::Null) }
}
#[test]
fn trial() {
    let product = load("product-sync/mapping.yaml");
    let pim = load("product-sync/pimcore.yaml");
    let shop = load("product-sync/medusa.yaml");
    let text = std::fs::read(std::env::var("MILEPOST_REAL_PRODUCTS").unwrap()).unwrap();
    let records: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let mut unmapped = 0;
    let items: Vec<_> = records.into_iter().map(|r| scope(Arc::new(r))).collect();
    for (n, item) in items.iter().enumerate() {
        let p = product.apply(item).unwrap();
        if p["category"]["unmapped"] == true { unmapped += 1; println!("{}", p["category"]["source"]); }
        let s = scope(Arc::new(p));
        let a = pim.apply(&s).unwrap();
        let b = shop.apply(&s).unwrap();
        if n == 0 || n == 190 { println!("{:#}\n{a:#}\n{b:#}", s.item); }
    }
    println!("unmapped {unmapped}");
    let start = std::time::Instant::now();
    for _ in 0..20 { for item in &items { std::hint::black_box(product.apply(item).unwrap()); } }
    println!("apply {:?}", start.elapsed() / 14000);
    let start = std::time::Instant::now();
    for _ in 0..20 { for item in &items { std::hint::black_box(product.unique(item)); } }
    println!("unique {:?}", start.elapsed() / 14000);
}
