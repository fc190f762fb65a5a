//! Idempotency keys (rule R6): what is not written again, what is not written any more, and who
//! goes first. The stand-ins' journal is the only witness.

use std::fs;

use milepost::app::{Engine, Start};
use milepost::config::Options;
use milepost::connectors::sandbox::Entry;
use serde_json::Value;

use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site, WORKFLOW, product};

fn writes(calls: &[Entry]) -> usize {
    calls.iter().map(|entry| entry.wrote.len()).sum()
}

/// A file of a few products, each price raised by so much.
fn products(site: &Site, count: usize, raised: f64) {
    let made = product::Products::new(count as u64, 7, 0);
    let mut list: Vec<Value> = (0..count as u64).map(|at| made.product(at)).collect();
    for product in &mut list {
        let price = product["final_price"].as_f64().unwrap() + raised;
        product["final_price"] = Value::from((price * 100.0).round() / 100.0);
    }
    fs::write(site.path("products.json"), serde_json::to_vec(&list).unwrap()).unwrap();
}

/// The states of the items of the last run, with the reason where there is one.
fn states(site: &Site) -> Vec<(String, String)> {
    let items = site.json(&["items", "@latest", "--json"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut states: Vec<_> =
        items.iter().map(|item| (text(&item["status"]), text(&item["reason"]))).collect();
    states.dedup();
    states
}

#[test]
fn the_same_file_again_is_not_written_again_and_later_steps_still_know_the_ids() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    products(&site, 20, 0.0);
    let line = ["run", WORKFLOW, "--input", "source=products.json"];
    assert_eq!(site.milepost(&line).code, Some(0));
    let (pim, shop) = outside.calls();
    assert_eq!([writes(&pim), writes(&shop)], [20, 20]);

    let told = site.milepost(&line);
    assert_eq!(told.code, Some(0), "{told:?}");
    let (pim_again, shop_again) = outside.calls();
    assert_eq!(shop_again.len(), shop.len(), "nobody was even asked");
    // But for what is published: of many products at once, and nothing else.
    assert_eq!(writes(&pim_again), writes(&pim));
    assert!(pim_again.len() < pim.len() + 20, "{} calls after {}", pim_again.len(), pim.len());
    assert_eq!(states(&site), [("skipped".to_owned(), "already_applied".to_owned())]);
    for item in site.json(&["items", "@latest", "--json"]) {
        assert!(item["facts"]["pim"]["id"].is_string() || item["facts"]["pim"]["id"].is_number(), "{item}");
    }
}

#[test]
fn a_to_b_to_a_is_written_three_times_and_an_older_version_not_at_all() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    site.edit(
        "product-sync.yaml",
        &[
            (
                "default: product-sync/sample.json }",
                "default: product-sync/sample.json }\n  version: { type: number, default: 0 }",
            ),
            ("{ key: \"${{ item.sku }}\"", "{ key: \"${{ item.sku }}\", version: \"${{ input.version }}\""),
        ],
    );
    let run = |raised: f64, version: &str| {
        products(&site, 5, raised);
        let version = format!("version={version}");
        let told = site.milepost(&["run", WORKFLOW, "--input", "source=products.json", "--input", &version]);
        assert_eq!(told.code, Some(0), "{told:?}");
        let (pim, shop) = outside.calls();
        (writes(&pim), writes(&shop))
    };
    // An update of the shop takes more than one write, one of the PIM does not.
    assert_eq!(run(0.0, "8"), (5, 5));
    assert_eq!(run(10.0, "9").0, 10);
    let before = run(0.0, "10");
    assert_eq!(before.0, 15);
    assert_eq!(run(20.0, "9"), before, "it comes late");
    assert_eq!(states(&site), [("skipped".to_owned(), "stale".to_owned())]);
    assert_eq!(run(20.0, "11").0, 20);
}

#[test]
fn two_runs_at_once_write_each_product_once() {
    let outside = Outside::start();
    let site = Site::new();
    let to = |system: &str, url: &str| {
        (format!("{system}: {{ use: sandbox }}"), format!("{system}: {{ use: sandbox, url: \"{url}\" }}"))
    };
    let (pim, shop) = (to("pim", &outside.pim), to("shop", &outside.shop));
    site.edit("product-sync.yaml", &[(&pim.0, &pim.1), (&shop.0, &shop.1)]);
    products(&site, 60, 0.0);
    let start = || Start {
        file: site.path(WORKFLOW),
        input: vec![("source".to_owned(), site.path("products.json").to_string_lossy().into_owned())],
        profile: None,
        by: None,
        driven_by: milepost::core::execution::DrivenBy::Embedded,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Engine::open(&Options::new(site.path("state"))).await.unwrap();
        let mut runs = [engine.start(start()).await.unwrap(), engine.start(start()).await.unwrap()];
        for run in &mut runs {
            assert_eq!(run.finished().await.unwrap().status.word(), "succeeded");
        }
    });
    let (pim, shop) = outside.calls();
    assert_eq!([writes(&pim), writes(&shop)], [60, 60]);
    let creates = |calls: &[Entry]| {
        let mut keys: Vec<String> = calls.iter().flat_map(|entry| entry.wrote.clone()).collect();
        keys.sort();
        keys.dedup();
        keys.len()
    };
    assert_eq!([creates(&pim), creates(&shop)], [60, 60], "each of them once");
}

#[test]
fn an_engine_that_died_after_the_work_leaves_keys_that_tell_the_truth() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Answering, 150);
    let working = site.start(&["run", WORKFLOW]);
    relay.reached();
    working.signal("KILL");
    working.wait();
    relay.go_on(true, false);
    let told = site.milepost(&["resume", "@failed"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let (pim, shop) = outside.calls();
    let each = usize::try_from(SAMPLE[1]).unwrap();
    assert_eq!([writes(&pim), writes(&shop)], [each, each]);

    // What was found done by looking is known under its key as well.
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(0));
    let (pim_again, shop_again) = outside.calls();
    assert_eq!([writes(&pim_again), shop_again.len()], [writes(&pim), shop.len()]);
    assert!(pim_again.len() < pim.len() + each / 2, "asked once for many: what is published");
}
