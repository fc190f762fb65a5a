//! Products as the source exports them, and what each of them must have become in the shop.
//!
//! `MILEPOST_TEST_PRODUCTS` names a file with other products of the same shape.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use super::known;
use crate::product::Products;

/// As many as the real catalogue has.
pub(crate) const PRODUCTS: u64 = 700;

/// The catalogue of the stories: all in stock, every third in several sizes.
pub(crate) fn all(seed: u64) -> Vec<Value> {
    match std::env::var("MILEPOST_TEST_PRODUCTS") {
        Ok(path) => serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap(),
        Err(_) => some(PRODUCTS, seed),
    }
}

/// So many generated products of the same kind.
pub(crate) fn some(count: u64, seed: u64) -> Vec<Value> {
    let products = Products::new(count, seed, 0);
    let made = (0..count).map(|at| {
        let mut product = products.product(at);
        product["in_stock"] = json!(true);
        if at % 3 == 0 {
            product["size"] = json!("S");
            product["all_available_sizes"] = json!(["S", "M", "L"]);
        }
        product
    });
    made.collect()
}

/// Raises the price of a product by so many cents.
pub(crate) fn raise(product: &mut Value, cents: i64) {
    let price: Decimal = product["final_price"].to_string().parse().unwrap();
    let raised = (price + Decimal::new(cents, 2)).normalize().to_string();
    product["final_price"] = serde_json::from_str(&raised).unwrap();
}

/// What is wrong with what the shop holds of these products; empty when it holds each of them once,
/// whole, and nothing else. `is_stocked`: whether each variant has an inventory item.
pub(crate) fn faults(held: &[Value], wanted: &[Value], is_stocked: bool) -> Vec<String> {
    let (mut faults, mut by_id) = (Vec::new(), BTreeMap::<&str, Vec<&Value>>::new());
    for product in held {
        by_id.entry(text(product, "external_id")).or_default().push(product);
    }
    let mut skus = BTreeSet::new();
    for product in wanted {
        let id = text(product, "product_id");
        match by_id.remove(id).as_deref() {
            None => faults.push(format!("{id}: absent")),
            Some([held]) => {
                let found = parts(held, product, is_stocked, &mut skus);
                faults.extend(found.into_iter().map(|fault| format!("{id}: {fault}")));
            }
            Some(several) => faults.push(format!("{id}: {} times", several.len())),
        }
    }
    faults.extend(by_id.keys().map(|id| format!("{id}: not wanted")));
    faults
}

/// Fails with what is wrong.
pub(crate) fn assert_whole(held: &[Value], wanted: &[Value], is_stocked: bool) {
    let faults = faults(held, wanted, is_stocked);
    let first: Vec<&String> = faults.iter().take(20).collect();
    assert!(faults.is_empty(), "{} faults in {} products: {first:#?}", faults.len(), wanted.len());
}

fn parts(held: &Value, wanted: &Value, is_stocked: bool, skus: &mut BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |is_so: bool, what: String| {
        if !is_so {
            faults.push(what);
        }
    };
    let (id, price) = (text(wanted, "product_id"), euros(wanted));
    must(held["status"] == "published", format!("status {}", held["status"]));
    must(text(held, "handle").ends_with(&format!("-{id}")), format!("handle {}", held["handle"]));
    let channels: Vec<&str> = list(held, "sales_channels").iter().map(|one| text(one, "id")).collect();
    must(channels == [known("MEDUSA_SALES_CHANNEL_ID")], format!("channels {channels:?}"));
    let profile = &held["shipping_profile"]["id"];
    must(*profile == known("MEDUSA_SHIPPING_PROFILE_ID").as_str(), format!("shipping profile {profile}"));
    must(!list(held, "categories").is_empty(), "no category".to_owned());
    let inactive = list(held, "categories").iter().any(|one| one["is_active"] != true);
    must(!inactive, format!("category {}", held["categories"]));
    must(urls(held) == pictures(wanted), format!("images {:?}", urls(held)));
    for key in ["content_hash", "source"] {
        must(held["metadata"][key].is_string(), format!("metadata {}", held["metadata"]));
    }
    let variants = list(held, "variants");
    let sizes = list(wanted, "all_available_sizes").len().max(1);
    must(variants.len() == sizes, format!("{} variants", variants.len()));
    for variant in variants {
        let sku = text(variant, "sku");
        must(sku.starts_with(&format!("SHEIN-{id}")), format!("SKU {sku}"));
        must(skus.insert(sku.to_owned()), format!("SKU {sku} twice"));
        let prices = list(variant, "prices");
        let found: Vec<(&str, String)> = prices.iter().map(amount).collect();
        must(found == [("eur", price.clone())], format!("prices {found:?}, not {price}"));
        let options = list(variant, "options").len();
        must(options == list(held, "options").len() && options > 0, format!("{options} options"));
        let items = list(variant, "inventory_items").len();
        must(items == usize::from(is_stocked), format!("{items} inventory items"));
    }
    faults
}

fn amount(price: &Value) -> (&str, String) {
    let amount: Decimal = price["amount"].to_string().parse().unwrap_or_default();
    (text(price, "currency_code"), amount.normalize().to_string())
}

/// What customers see of a product, or why they do not see what they should.
pub(crate) fn unseen(visible: &[Value], wanted: &[Value]) -> Vec<String> {
    let seen: BTreeMap<&str, &Value> = visible.iter().map(|one| (text(one, "external_id"), one)).collect();
    let mut faults = Vec::new();
    for product in wanted {
        let id = text(product, "product_id");
        let Some(seen) = seen.get(id) else {
            faults.push(format!("{id}: not visible"));
            continue;
        };
        let prices: Vec<String> = list(seen, "variants")
            .iter()
            .map(|variant| &variant["calculated_price"]["calculated_amount"])
            .map(|amount| amount.to_string().parse::<Decimal>().unwrap_or_default().normalize().to_string())
            .collect();
        if prices.is_empty() || prices.iter().any(|price| *price != euros(product)) {
            faults.push(format!("{id}: prices {prices:?}, not {}", euros(product)));
        }
        if urls(seen) != pictures(product) {
            faults.push(format!("{id}: images {:?}", urls(seen)));
        }
        if list(seen, "categories").is_empty() {
            faults.push(format!("{id}: no category"));
        }
    }
    faults
}

/// The price in euros, as the shipped rates have it.
fn euros(product: &Value) -> String {
    let rates = std::fs::read_to_string(shipped("rates.yaml")).unwrap();
    let currency = text(product, "currency");
    let line = rates.lines().find_map(|line| line.trim().strip_prefix(&format!("{currency}: ")));
    let rate = if currency == "EUR" { "1" } else { line.unwrap() };
    let price: Decimal = product["final_price"].to_string().parse().unwrap();
    let euros = price / rate.trim().parse::<Decimal>().unwrap();
    euros.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero).normalize().to_string()
}

fn shipped(file: &str) -> String {
    format!("{}/workflows/product-sync/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Every picture once, as many as the mapping takes, in the order of their addresses.
fn pictures(product: &Value) -> Vec<&str> {
    let mut pictures = Vec::new();
    let listed = list(product, "image_urls").iter().filter_map(Value::as_str);
    for url in product["main_image"].as_str().into_iter().chain(listed) {
        if !pictures.contains(&url) {
            pictures.push(url);
        }
    }
    pictures.truncate(30);
    pictures.sort_unstable();
    pictures
}

fn urls(held: &Value) -> Vec<&str> {
    let mut urls: Vec<&str> = list(held, "images").iter().map(|image| text(image, "url")).collect();
    urls.sort_unstable();
    urls
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
