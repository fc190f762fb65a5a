//! The main job: products of a file into both systems.

use std::fs;

use serde_json::Value;

use super::{SAMPLE, Site, WORKFLOW, amounts, held, product, summary, talk};

#[test]
fn the_sample_ends_in_both_systems_and_three_products_are_dead_letters_with_reasons() {
    let site = Site::new();
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.starts_with("run_"), "the ID is the first line");
    insta::assert_snapshot!(summary(&site, &told), @r#"
RUN
RUN  product-sync  succeeded
  file     SITE/workflows/product-sync.yaml
  source   SITE/workflows/product-sync/sample.json
  time     started TIME, took TIME
  items    200: 197 succeeded, 3 dead_lettered

dead letters
items  step      first     error
    1  validate  31000232  InvalidRecord: /final_price: -3 is less than the minimum of 0
    1  validate  31000698  InvalidRecord: /product_name: null is not of type "string"
    1  validate  31001160  InvalidRecord: /currency: "US Dollar" does not match "^[A-Z]{3}$"
"#);
    insta::assert_snapshot!(talk(&site, &told), @r#"next: milepost dead-letters list --run RUN"#);
    assert_eq!(amounts(&held(&site)), [SAMPLE[1]; 4]);
}

#[test]
fn the_same_file_again_makes_no_second_product_of_any() {
    let site = Site::new();
    for _ in 0..2 {
        assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(0));
    }
    let held = held(&site);
    assert_eq!(held["pim"]["products"], SAMPLE[1]);
    assert_eq!(held["shop"]["products"], SAMPLE[1]);
    let runs = site.json(&["list", "--json"]).remove(0);
    assert_eq!(runs.as_array().unwrap().len(), 2);
}

/// As many as a real export has, with its quirks: titles longer than the shop takes, one title
/// twice.
#[test]
fn seven_hundred_products_with_long_and_equal_titles_all_arrive() {
    let site = Site::new();
    let products = product::Products::new(700, 3, 0);
    let mut file = Vec::new();
    products.write_array(&mut file).unwrap();
    fs::write(site.path("products.json"), &file).unwrap();
    let listed: Vec<Value> = serde_json::from_slice(&file).unwrap();
    let mut titles: Vec<&str> =
        listed.iter().map(|product| product["product_name"].as_str().unwrap()).collect();
    assert!(titles.iter().any(|title| title.len() > 255), "no title is too long");
    titles.sort_unstable();
    titles.dedup();
    assert!(titles.len() < 700, "no title occurs twice");

    let told = site.milepost(&["run", WORKFLOW, "--input", "source=products.json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(amounts(&held(&site)), [700; 4]);
}

#[test]
fn lines_instead_of_an_array_are_as_good() {
    let site = Site::new();
    let products = product::Products::new(30, 5, 0);
    let lines: Vec<String> = (0..30).map(|position| products.product(position).to_string()).collect();
    fs::write(site.path("products.ndjson"), lines.join("\n")).unwrap();
    let told = site.milepost(&["run", WORKFLOW, "--input", "source=products.ndjson"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(amounts(&held(&site)), [30; 4]);
}
