//! The two halves of the product workflow, with the queue between them: what one machine puts there,
//! an open run takes from it, whatever happens to its engine.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site};

const INGEST: &str = "workflows/product-ingest.yaml";
const DELIVER: &str = "workflows/product-deliver.yaml";
const OUTSIDE: &[(&str, &str)] = &[
    ("pim: { use: sandbox }", "pim: { use: sandbox, url: \"${env:PIM_URL}\" }"),
    ("shop: { use: sandbox }", "shop: { use: sandbox, url: \"${env:SHOP_URL}\" }"),
];
const VALID: u64 = SAMPLE[1];

/// How often each product was written: PIM, shop.
fn written(outside: &Outside) -> [BTreeMap<String, u64>; 2] {
    let (pim, shop) = outside.calls();
    [pim, shop].map(|calls| {
        let mut counts = BTreeMap::new();
        for key in calls.into_iter().flat_map(|entry| entry.wrote) {
            *counts.entry(key).or_default() += 1;
        }
        counts
    })
}

fn each_once(outside: &Outside) -> bool {
    let once = |counts: &BTreeMap<String, u64>| counts.values().all(|count| *count == 1);
    written(outside).iter().all(|counts| counts.len() as u64 == VALID && once(counts))
}

#[test]
fn what_is_put_on_the_queue_is_delivered_by_the_next_open_run_and_not_again() {
    let site = Site::new();
    assert_eq!(site.milepost(&["run", INGEST]).code, Some(0));
    let told = site.milepost(&["run", DELIVER, "--json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let why = "no more items were taken in: nothing came for as long as 'idle' says";
    assert!(told.stderr.contains(why) && told.stderr.contains("milepost run "), "{}", told.stderr);
    let shown = &site.json(&["show", "@latest", "--json"])[0];
    assert_eq!((&shown["items"]["total"], &shown["items"]["succeeded"]), (&VALID.into(), &VALID.into()));
    assert_eq!(shown["source"]["uri"], "queue:product-deliveries");
    let held = &site.json(&["sandbox", "show", "--json"])[0];
    assert_eq!([&held["pim"]["products"], &held["shop"]["products"]], [&Value::from(VALID); 2]);
    // Items are known by their keys, also when their bodies are gone.
    let items = site.json(&["items", "@latest", "--json", "--limit", "3"]);
    let key = items[2]["item"].as_str().unwrap();
    assert!(key.starts_with("SHEIN-"), "{key}");
    let story = &site.json(&["items", "@latest", "--item", key, "--json"])[0];
    assert_eq!((&story["item"], &story["status"]), (&items[2]["item"], &"succeeded".into()));
    let again = site.milepost(&["run", DELIVER]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(site.json(&["show", "@latest", "--json"])[0]["items"]["total"], 0);
    let verified = site.milepost(&["state", "verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[test]
fn an_open_run_that_is_killed_goes_on_where_it_was() {
    // Each of them mostly waits.
    std::thread::scope(|scope| {
        for (moment, count) in [(Moment::Asked, 30), (Moment::Answering, 120), (Moment::Answered, 200)] {
            scope.spawn(move || is_killed_and_goes_on(moment, count));
        }
    });
}

fn is_killed_and_goes_on(moment: Moment, count: u64) {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let mut site = Site::new();
    site.env = vec![("PIM_URL", relay.pim.clone()), ("SHOP_URL", relay.shop.clone())];
    site.edit("product-deliver.yaml", OUTSIDE);
    assert_eq!(site.milepost(&["run", INGEST]).code, Some(0));
    relay.stop_at(moment, count);
    let working = site.start(&["run", DELIVER]);
    relay.reached();
    working.signal("KILL");
    let run = working.run.clone();
    working.wait();
    relay.go_on(true, false);
    let sound = site.milepost(&["state", "verify"]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    let plan = &site.json(&["resume", &run, "--plan", "--json"])[0];
    let doubts = plan["in_doubt"].as_array().unwrap().len();
    assert!(doubts > 0, "{moment:?}: a call was out: {plan}");
    let told = site.milepost(&["resume", &run]);
    assert_eq!(told.code, Some(0), "{moment:?}: {}\n{}", told.stdout, told.stderr);
    assert!(each_once(&outside), "{moment:?}: {:?}", written(&outside));
}

#[test]
fn an_open_run_that_was_stopped_takes_in_what_came_meanwhile_when_it_is_resumed() {
    let outside = Outside::start();
    let mut site = Site::new();
    site.env = vec![("PIM_URL", outside.pim.clone()), ("SHOP_URL", outside.shop.clone())];
    site.edit("product-deliver.yaml", OUTSIDE);
    site.edit("product-deliver.yaml", &[("idle: 2s", "idle: 60s")]);
    let waiting = site.start(&["run", DELIVER]);
    waiting.signal("INT");
    let run = waiting.run.clone();
    let stopped = waiting.wait();
    assert_eq!(stopped.code, Some(3), "{stopped:?}");
    assert_eq!(site.milepost(&["run", INGEST]).code, Some(0));
    let text = fs::read_to_string(site.path(DELIVER)).unwrap().replace("idle: 60s", "idle: 2s");
    fs::write(site.path(DELIVER), text).unwrap();
    let told = site.milepost(&["resume", &run, "--definition", "current"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(each_once(&outside), "{:?}", written(&outside));
}

#[test]
fn what_is_wrong_with_a_queue_as_the_source_is_said_before_the_run() {
    let site = Site::new();
    site.edit(
        "product-deliver.yaml",
        &[
            ("rotate: { items: 100000, age: 24h }", "rotate: { items: 0, age: soon, hours: 3 }"),
            ("wait: 1s", "wait: 1s\n        delete_after: nowhere\n        colour: blue"),
        ],
    );
    let told = site.milepost(&["check", DELIVER]);
    assert_eq!(told.code, Some(2));
    for said in [
        "unknown key 'colour' in 'source' of step 'receive'",
        "unknown key 'hours' in 'source.rotate' of step 'receive'",
        "'source.rotate.age' is not a duration",
        "'delete_after' names 'nowhere', which is not a step of this file",
    ] {
        assert!(told.stderr.contains(said) || told.stdout.contains(said), "{said}: {told:?}");
    }
    let site = Site::new();
    site.edit(
        "product-deliver.yaml",
        &[
            ("items: 100000", "items: 0"),
            ("      item_key:", "      on_invalid: fail\n      format: csv\n      item_key:"),
        ],
    );
    let told = site.milepost(&["check", DELIVER]);
    for said in ["'items' must be at least 1", "cannot fail at a gate", "'format' has no meaning for a queue"]
    {
        assert!(told.stderr.contains(said) || told.stdout.contains(said), "{said}: {told:?}");
    }
    let site = Site::new();
    site.edit(
        "product-deliver.yaml",
        &[
            ("    connection: bus\n", "    connection: files\n"),
            ("connections:\n", "connections:\n  files: { use: local }\n"),
        ],
    );
    let told = site.milepost(&["check", DELIVER]);
    let said = "what this connection reads is no queue";
    assert!(told.stderr.contains(said) || told.stdout.contains(said), "{told:?}");
}
