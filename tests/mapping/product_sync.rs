//! The shipped mapping and sample.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use milepost::core::run;
use milepost::ports::{Interest, Records};
use serde_json::{Value, json};

use crate::product::Products;
use crate::stage::{Folder, products, scope, scope_of, shipped, source, workflows};

#[test]
fn every_product_becomes_a_canonical_product() {
    let mapping = shipped("product-sync/mapping.yaml");
    let (mut skus, mut handles, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let products = products();
    for record in &products {
        let scope = scope(record.clone());
        let product = mapping.apply(&scope).unwrap();
        assert_eq!(product, mapping.apply(&scope).unwrap(), "the same record, the same product");
        let title = product["title"].as_str().unwrap();
        assert!(title.chars().count() <= 255 && !title.contains("  "), "{title}");
        assert_eq!(product["price"]["currency"], "EUR");
        let amount = product["price"]["amount"].as_str().unwrap();
        assert_eq!(amount.split_once('.').map(|(_, cents)| cents.len()), Some(2), "{amount}");
        for list in ["images", "variants"] {
            assert!(!product[list].as_array().unwrap().is_empty(), "{list}: {product}");
        }
        assert!(product["attributes"].is_array());
        assert!(!product["category"]["path"].as_array().unwrap().is_empty());
        assert!(!product["description"].as_str().unwrap().contains('✓'));
        let unique: BTreeMap<_, _> = mapping.survey(&scope).unique.into_iter().collect();
        assert_eq!(
            (unique["sku"].as_str(), unique["handle"].as_str()),
            (product["sku"].as_str().unwrap(), product["handle"].as_str().unwrap())
        );
        titles.insert(title.to_owned());
        assert!(skus.insert(unique["sku"].clone()) && handles.insert(unique["handle"].clone()), "{unique:?}");
    }
    assert!(titles.len() < products.len(), "products that share a title are among them");
}

#[test]
fn every_product_passes_the_gate() {
    let folder = Folder::new();
    let products = products();
    let path = folder.write("products.json", serde_json::to_vec_pretty(&products).unwrap());
    let schema = "product-sync/product.schema.json";
    let files = [(schema.to_owned(), fs::read(workflows().join(schema)).unwrap())].into();
    let with = json!({"source": path, "schema": schema, "item_key": "${{ item.product_id }}"});
    let source = source(&with, &files, &workflows());
    let mapping = shipped("product-sync/mapping.yaml");
    let survey = |_: u64, item: &Arc<Value>| mapping.survey(&scope_of(Arc::clone(item)));
    let pinned = source.pin(&scope(Value::Null), &folder, &survey, &Interest::default()).unwrap();
    assert_eq!((pinned.source.count, pinned.rejected), (products.len() as u64, 0));
    let records = source.open(&pinned.source, &folder).unwrap();
    for (position, product) in (0..).zip(&products) {
        assert_eq!(*records.record(position).value.unwrap(), *product);
    }
}

#[test]
fn pim_and_shop_get_what_they_take() {
    let mapping = shipped("product-sync/mapping.yaml");
    let (pim, shop) = (shipped("product-sync/pimcore.yaml"), shipped("product-sync/medusa.yaml"));
    for record in products() {
        let product = mapping.apply(&scope(record)).unwrap();
        let scope = scope(product.clone());
        let (pim, shop) = (pim.apply(&scope).unwrap(), shop.apply(&scope).unwrap());
        assert_eq!(pim["sku"], product["sku"]);
        assert!(pim["name"].as_str().unwrap().chars().count() <= 190);
        assert_eq!(shop["external_id"], product["id"]);
        assert_eq!(shop["images"].as_array().unwrap().len(), product["images"].as_array().unwrap().len());
        let options: BTreeMap<&str, &Value> = shop["options"]
            .as_array()
            .unwrap()
            .iter()
            .map(|option| (option["title"].as_str().unwrap(), &option["values"]))
            .collect();
        for variant in shop["variants"].as_array().unwrap() {
            let price = &variant["prices"][0];
            assert_eq!(price["currency_code"], "eur");
            assert!(price["amount"].is_number(), "{price}");
            for (name, value) in variant["options"].as_object().unwrap() {
                assert!(options[name.as_str()].as_array().unwrap().contains(value));
            }
        }
    }
}

#[test]
fn prices_reach_the_shop_digit_by_digit() {
    let mapping = shipped("product-sync/mapping.yaml");
    let shop = shipped("product-sync/medusa.yaml");
    let mut record = Products::new(1, 3, 0).product(0);
    for (price, currency, amount) in
        [("48", "EUR", "48"), ("10.20", "EUR", "10.2"), ("0.07", "USD", "0.06"), ("1011.2", "USD", "933.53")]
    {
        record["final_price"] = serde_json::from_str(price).unwrap();
        record["currency"] = json!(currency);
        let product = mapping.apply(&scope(record.clone())).unwrap();
        let shop = shop.apply(&scope(product)).unwrap();
        assert_eq!(shop["variants"][0]["prices"][0]["amount"].to_string(), amount, "{price} {currency}");
    }
}

#[test]
fn the_sample_is_what_the_generator_writes() {
    let mut bytes = Vec::new();
    Products::new(200, 7, 3).write_array(&mut bytes).unwrap();
    let sample = fs::read(workflows().join("product-sync/sample.json")).unwrap();
    assert!(
        bytes == sample,
        "run: cargo run --release --example products -- 200 --seed 7 > workflows/product-sync/sample.json"
    );
    assert!(bytes.len() / 200 >= 2800, "{} bytes a record", bytes.len() / 200);
    let long = sample.split(|byte| *byte == b'\n').filter(|line| line.len() > 4096).count();
    assert!(long >= 20, "{long} records over 4 KB");
}

#[test]
fn the_sample_has_three_invalid_products_and_two_of_one_title() {
    let folder = Folder::new();
    let schema = "product-sync/product.schema.json";
    let files = [(schema.to_owned(), fs::read(workflows().join(schema)).unwrap())].into();
    let with =
        json!({"source": "product-sync/sample.json", "schema": schema, "item_key": "${{ item.product_id }}"});
    let source = source(&with, &files, &workflows());
    let mapping = shipped("product-sync/mapping.yaml");
    let survey = |_: u64, item: &Arc<Value>| mapping.survey(&scope_of(Arc::clone(item)));
    let pinned = source.pin(&scope(Value::Null), &folder, &survey, &Interest::default()).unwrap();
    assert_eq!((pinned.source.count, pinned.rejected), (200, 3));
    let records = source.open(&pinned.source, &folder).unwrap();
    let reasons: Vec<String> = (0..200)
        .filter_map(|position| records.record(position).value.err())
        .map(|fault| fault.to_string())
        .collect();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    InvalidRecord: /final_price: -3 is less than the minimum of 0
    InvalidRecord: /product_name: null is not of type "string"
    InvalidRecord: /currency: "US Dollar" does not match "^[A-Z]{3}$"
    "#);
    twins(&pinned.source, records.as_ref(), &mapping);
}

fn twins(source: &run::Source, records: &dyn Records, mapping: &milepost::mapping::Mapping) {
    let mut by_title: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in (0..source.count).filter_map(|position| records.record(position).value.ok()) {
        let product = mapping.apply(&scope_of(item)).unwrap();
        let handle = product["handle"].as_str().unwrap().to_owned();
        by_title.entry(product["title"].as_str().unwrap().to_owned()).or_default().insert(handle);
    }
    let shared: Vec<_> = by_title.values().filter(|handles| handles.len() > 1).collect();
    assert_eq!(shared.len(), 1);
    assert_eq!(shared[0].len(), 2);
}
