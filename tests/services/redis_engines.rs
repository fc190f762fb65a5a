//! Engines that share their keys in Redis. The stand-ins' journal is the only witness.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::redis::{passing, url};
use serde_json::{Value, json};

use crate::site::outside::{Outside, faults};
use crate::site::relay::{Moment, Relay};
use crate::site::{Site, Told};

const WORKFLOW: &str = "workflows/product-sync.yaml";
/// The products of the shipped sample that pass the gate.
const PRODUCTS: usize = 197;
/// The question which products are published, as the PIM's journal names it.
const LISTING: &str = "getProductListing";

/// A site whose keys are in Redis, apart from those of other tests.
fn site(pim: &str, shop: &str, redis: &str, prefix: &str) -> Site {
    let site = Site::reaching(pim, shop);
    let keys = format!("  keys: {{ use: redis, url: \"{redis}\", prefix: \"{prefix}\" }}\n\nprofiles:\n");
    site.edit(
        "product-sync.yaml",
        &[("\nprofiles:\n", &keys), ("  timeout: 30s\n", "  timeout: 30s\n  idempotency: { store: keys }\n")],
    );
    site
}

fn prefix() -> String {
    format!("milepost-test:{}:", uuid::Uuid::now_v7())
}

/// Writes so far, and products that were written: PIM, shop.
fn written(outside: &Outside) -> [(usize, usize); 2] {
    let (pim, shop) = outside.calls();
    [pim, shop].map(|calls| {
        let mut keys: Vec<String> = calls.into_iter().flat_map(|entry| entry.wrote).collect();
        let writes = keys.len();
        keys.sort();
        keys.dedup();
        (writes, keys.len())
    })
}

fn alerts(site: &Site) -> Vec<String> {
    let events = site.json(&["events", "@latest", "--json"]);
    let alerts = events.iter().filter_map(|event| event["message"].as_str());
    alerts.filter(|message| message.contains("idempotency keys")).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs a Redis; tests/services/run starts one"]
fn two_engines_at_once_write_each_product_once() {
    let (outside, prefix) = (Outside::start(), prefix());
    // A claim whose call ended nobody knows how stays with its engine until that has looked.
    faults(&outside.pim, &json!({ "drops": 0.1, "seed": 3 }));
    let sites = [(); 2].map(|()| site(&outside.pim, &outside.shop, &url(), &prefix));
    let working = sites.each_ref().map(|site| site.start(&["run", WORKFLOW]));
    let told: Vec<Told> = working.into_iter().map(crate::site::Working::wait).collect();
    assert!(told.iter().all(|told| told.code == Some(0)), "{told:?}");
    assert_eq!(written(&outside), [(PRODUCTS, PRODUCTS); 2]);
    // A third, later, has nothing to do but to learn that the products are published.
    let third = site(&outside.pim, &outside.shop, &url(), &prefix);
    let (pim, shop) = outside.calls();
    assert_eq!(third.milepost(&["run", WORKFLOW]).code, Some(0));
    let (pim_after, shop_after) = outside.calls();
    assert_eq!(shop.len(), shop_after.len(), "the shop was not even asked");
    let asked = &pim_after[pim.len()..];
    assert!(asked.iter().all(|entry| entry.call == LISTING && entry.wrote.is_empty()), "{asked:?}");
    assert!(asked.len() < 10, "a hundred of them at a time, and some answers drop: {}", asked.len());
}

#[test]
#[ignore = "needs a Redis; tests/services/run starts one"]
fn while_redis_is_down_nothing_is_sent_and_the_run_goes_on_when_it_is_back() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let site = site(&relay.pim, &relay.shop, &passing(&url(), &left), &prefix());
    relay.stop_at(Moment::Asked, 60);
    let working = site.start(&["run", WORKFLOW]);
    relay.reached();
    // The connection is cut and no other one comes about, while calls are out.
    left.store(0, Ordering::SeqCst);
    relay.go_on(false, false);
    for _ in 0..600 {
        if !alerts(&site).is_empty() && relay.open_calls() == 0 {
            break;
        }
        std::thread::yield_now();
    }
    let [said] = alerts(&site).try_into().unwrap();
    assert!(said.contains("Redis at 127.0.0.1:") && said.contains("nothing is sent"), "{said}");
    let (pim, shop) = outside.calls();
    let before = [pim.len(), shop.len()];
    // Each of these is a question to the engine, which meanwhile could do as it pleases.
    for _ in 0..20 {
        site.json(&["show", "@latest", "--json"]);
    }
    let (pim, shop) = outside.calls();
    assert_eq!([pim.len(), shop.len()], before, "something was sent without a key");
    left.store(usize::MAX, Ordering::SeqCst);
    let told = working.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(written(&outside), [(PRODUCTS, PRODUCTS); 2]);
    assert_eq!(alerts(&site).len(), 2, "down, and back");
}

#[test]
#[ignore = "needs a Redis; tests/services/run starts one"]
fn an_engine_that_dies_around_its_work_is_followed_by_one_that_writes_nothing_twice() {
    for (moment, count) in [(Moment::Asked, 40), (Moment::Answering, 90), (Moment::Answered, 130)] {
        let outside = Outside::start();
        let relay = Relay::to(&outside.pim, &outside.shop);
        let site = site(&relay.pim, &relay.shop, &url(), &prefix());
        relay.stop_at(moment, count);
        let working = site.start(&["run", WORKFLOW]);
        relay.reached();
        working.signal("KILL");
        let run = working.run.clone();
        working.wait();
        relay.go_on(true, false);
        let told = site.milepost(&["resume", &run]);
        assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
        assert_eq!(written(&outside), [(PRODUCTS, PRODUCTS); 2], "{moment:?}");
    }
}

/// Wherever the answers of Redis end, between a claim and the word that its effect is done: what
/// follows is one write of each product.
#[test]
#[ignore = "needs a Redis; tests/services/run starts one"]
fn an_engine_that_dies_without_an_answer_of_redis_is_followed_by_one_that_writes_nothing_twice() {
    for bytes in (0..=1_500).step_by(100) {
        let (outside, left) = (Outside::start(), Arc::new(AtomicUsize::new(bytes)));
        let site = site(&outside.pim, &outside.shop, &passing(&url(), &left), &prefix());
        fs::write(site.path("three.json"), three()).unwrap();
        let working = site.start(&["run", WORKFLOW, "--input", "source=three.json"]);
        while left.load(Ordering::SeqCst) > 0 && !has_ended(&site) {
            std::thread::yield_now();
        }
        working.signal("KILL");
        let run = working.run.clone();
        working.wait();
        left.store(usize::MAX, Ordering::SeqCst);
        if !has_ended(&site) {
            let told = site.milepost(&["resume", &run]);
            assert_eq!(told.code, Some(0), "{bytes}: {told:?}");
        }
        assert_eq!(written(&outside), [(3, 3); 2], "answers ended after {bytes} bytes");
    }
}

/// The first products of the shipped sample that pass the gate.
fn three() -> Vec<u8> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/workflows/product-sync/sample.json");
    let products: Vec<Value> = serde_json::from_slice(&fs::read(sample).unwrap()).unwrap();
    serde_json::to_vec(&products[..3]).unwrap()
}

fn has_ended(site: &Site) -> bool {
    site.json(&["show", "@latest", "--json"])[0]["status"] == "succeeded"
}
