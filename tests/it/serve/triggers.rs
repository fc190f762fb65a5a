//! What a server starts by itself: files that appear, times that come, and the next run on a queue.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use milepost::core::time::Timestamp;
use milepost::core::trigger::name_of;
use milepost::ports::{Clock, Marks};
use milepost::store::Store;
use serde_json::{Value, json};

use super::server::{Server, until};
use crate::site::outside::Outside;
use crate::{SAMPLE, Site, WORKFLOW};

const HELLO: &str = "workflows/hello.yaml";
const INGEST: &str = "workflows/product-ingest.yaml";
const DELIVER: &str = "workflows/product-deliver.yaml";

/// All runs, the oldest first.
fn runs(server: &Server) -> Vec<Value> {
    let mut runs = server.read("/v1/runs")["runs"].as_array().unwrap().clone();
    runs.reverse();
    runs
}

/// Waits until there are so many runs, all of them ended, and returns how they ended.
fn until_ended(server: &Server, count: usize) -> Vec<Value> {
    until(|| {
        let runs = runs(server);
        let is_ended = |run: &Value| ["succeeded", "failed"].iter().any(|word| run["status"] == *word);
        assert!(runs.len() <= count, "{runs:#?}");
        (runs.len() == count && runs.iter().all(is_ended)).then_some(runs)
    })
}

/// A catalogue of a few products of the sample, as text.
fn catalogue(site: &Site, first: usize, count: usize) -> String {
    let sample = fs::read_to_string(site.path("workflows/product-sync/sample.json")).unwrap();
    let all: Vec<Value> = serde_json::from_str(&sample).unwrap();
    serde_json::to_string(&all[first..first + count]).unwrap()
}

#[test]
fn a_file_that_is_still_being_written_starts_nothing_while_another_one_does() {
    let site = Site::new();
    let incoming = site.path("workflows/product-sync/incoming");
    site.edit("product-sync.yaml", &[("suffix: .json }", "suffix: .json, settle: 3s }")]);
    let whole = catalogue(&site, 10, 5);
    let server = Server::start(&site, &[WORKFLOW]);
    let mut grows = fs::File::create(incoming.join("grows.json")).unwrap();
    let mut beside = fs::File::create(incoming.join("whole.json")).unwrap();
    beside.write_all(catalogue(&site, 30, 2).as_bytes()).unwrap();
    // It is not its age that lets it go first.
    let written = beside.metadata().unwrap().modified().unwrap();
    beside.set_modified(written + Duration::from_hours(1)).unwrap();
    // What is between the values of a catalogue is as long as somebody goes on writing it.
    let first = until(|| {
        grows.write_all(b" ").unwrap();
        runs(&server).into_iter().find(|run| run["status"] == "succeeded")
    });
    assert_eq!(first["items"]["succeeded"], 2, "that is the whole one: {first:#}");
    assert_eq!(runs(&server).len(), 1, "half a file has started nothing");
    grows.write_all(whole.as_bytes()).unwrap();
    drop(grows);
    let both = until_ended(&server, 2);
    assert_eq!((&both[1]["status"], &both[1]["items"]["succeeded"]), (&json!("succeeded"), &json!(5)));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_file_that_appears_starts_one_run_for_each_content() {
    let site = Site::new();
    let incoming = site.path("workflows/product-sync/incoming");
    site.edit("product-sync.yaml", &[("suffix: .json }", "suffix: .json, settle: 50ms }")]);
    let whole = catalogue(&site, 10, 5);
    let server = Server::start(&site, &[WORKFLOW]);
    // Half of it under another name, then the rest, then its name.
    let part = incoming.join("autumn.json.part");
    fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    fs::write(incoming.join(".hidden.json"), &whole[..9]).unwrap();
    fs::write(&part, &whole).unwrap();
    fs::rename(&part, incoming.join("autumn.json")).unwrap();
    let first = &until_ended(&server, 1)[0];
    assert_eq!((&first["status"], &first["items"]["succeeded"]), (&json!("succeeded"), &json!(5)));
    let shown = server.read(&format!("/v1/runs/{}", first["run"].as_str().unwrap()));
    assert_eq!(shown["source"]["uri"], incoming.join("autumn.json").to_str().unwrap());
    let told = server.kill();
    assert!(told.stdout.contains("started by incoming: /"), "{told:?}");

    // The next server knows it; what came meanwhile is new, and so is other content under the same name.
    fs::write(incoming.join("winter.json"), catalogue(&site, 30, 2)).unwrap();
    let server = Server::start(&site, &[WORKFLOW]);
    assert_eq!(until_ended(&server, 2)[1]["items"]["succeeded"], 2);
    fs::write(incoming.join("autumn.json"), catalogue(&site, 40, 3)).unwrap();
    assert_eq!(until_ended(&server, 3)[2]["items"]["succeeded"], 3);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_time_that_passed_while_nobody_served_is_made_up_for_once() {
    struct Still;
    #[async_trait::async_trait]
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        async fn sleep_until(&self, _: Timestamp) {}
    }
    let site = Site::new();
    let yearly = "triggers:\n  yearly:\n    uses: schedule\n    with: { cron: \"0 0 1 1 *\", \
                  time_zone: Europe/Berlin }\n    input: name\nsteps:\n";
    site.edit("hello.yaml", &[("steps:\n", yearly)]);
    let marks = || {
        let store = Store::open(&site.path("state"), Arc::new(Still)).unwrap();
        let of = name_of("hello", None, "yearly");
        (store.marks(&of).unwrap(), store, of)
    };
    // As if it had been served before, and stopped in January 2020.
    let (_, store, of) = marks();
    let long_ago = BTreeMap::from([("last".to_owned(), Some("1580000000000".to_owned()))]);
    tokio::runtime::Runtime::new().unwrap().block_on(store.mark(&of, long_ago)).unwrap();
    drop(store);

    let server = Server::start(&site, &[HELLO]);
    until_ended(&server, 1);
    let told = server.stop();
    assert!(told.stdout.contains("started by yearly: 20"), "{told:?}");
    assert!(told.stderr.contains("yearly: passed over: "), "{told:?}");
    assert!(told.stderr.contains(" times have passed, 2021-01-01T00:00:00+01:00 to "), "{told:?}");
    let (remembered, store, _) = marks();
    assert!(remembered["last"].parse::<u64>().unwrap() > 1_767_000_000_000, "{remembered:?}");
    drop(store);
    let server = Server::start(&site, &[HELLO]);
    assert_eq!(until_ended(&server, 1).len(), 1);
    server.stop();
}

#[test]
fn the_next_open_run_begins_when_one_has_taken_in_enough() {
    let outside = Outside::start();
    let mut site = Site::new();
    site.env = vec![("PIM_URL", outside.pim.clone()), ("SHOP_URL", outside.shop.clone())];
    site.edit(
        "product-deliver.yaml",
        &[
            ("pim: { use: sandbox }", "pim: { use: sandbox, url: \"${env:PIM_URL}\" }"),
            ("shop: { use: sandbox }", "shop: { use: sandbox, url: \"${env:SHOP_URL}\" }"),
            ("items: 100000", "items: 80"),
            ("idle: 2s ", "# "),
        ],
    );
    let server = Server::start(&site, &[INGEST, DELIVER]);
    server.start_run(&json!({ "workflow": "product-ingest" }));
    let delivered = || -> u64 {
        let (_, shop) = outside.calls();
        shop.iter().map(|entry| entry.wrote.len() as u64).sum()
    };
    until(|| (delivered() >= SAMPLE[1]).then_some(()));
    assert_eq!(delivered(), SAMPLE[1], "each product once");
    let queue = until(|| {
        let deliver = runs(&server).into_iter().filter(|run| run["workflow"] == "product-deliver");
        let deliver: Vec<Value> = deliver.collect();
        (deliver.len() == 3 && deliver[1]["status"] == "succeeded").then_some(deliver)
    });
    let items: Vec<u64> = queue.iter().map(|run| run["items"]["total"].as_u64().unwrap()).collect();
    assert_eq!((items.iter().sum::<u64>(), items[0] >= 80), (SAMPLE[1], true), "{items:?}");
    assert!(!["succeeded", "failed"].contains(&queue[2]["status"].as_str().unwrap()), "it is open");
    assert_eq!(server.stop().code, Some(3));
}
