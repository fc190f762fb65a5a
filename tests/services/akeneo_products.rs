//! Products into an API of somebody else with `http.upsert`: each is there once and as it should be,
//! and what is there as it should be is not written.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::akeneo::{self, NATIVE, Product, Request, SOURCE, Server, UPSERT, expected, put, records, site};
use crate::site::{Site, Told, Working};

/// Records of a story.
const RECORDS: u32 = 60;
/// Records that change.
const CHANGED: usize = 5;

/// Runs the site's records through a workflow.
fn run(site: &Site, workflow: &str) -> Told {
    site.milepost(&["run", &akeneo::file(workflow), "--input", &format!("source={SOURCE}")])
}

fn succeeds(site: &Site, workflow: &str) {
    let told = run(site, workflow);
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
}

/// How many writes there were, by method and status.
fn counted(writes: &[Request]) -> BTreeMap<(&str, u16), usize> {
    let mut counted = BTreeMap::new();
    for write in writes {
        *counted.entry((write.method.as_str(), write.status)).or_insert(0) += 1;
    }
    counted
}

/// Gives the first few records another name.
fn rename(records: &mut [Value]) {
    for record in records.iter_mut().take(CHANGED) {
        record["name"] = json!(format!("{} mit Henkel", record["name"].as_str().unwrap()));
    }
}

#[test]
#[ignore = "needs akeneo-mock-server; tests/services/run akeneo installs and starts it"]
fn products_are_created_a_second_run_writes_nothing_and_five_changes_write_five() {
    let (server, mut records) = (Server::start(), records(RECORDS));
    let first = site(&server, &records);
    succeeds(&first, UPSERT);
    assert_eq!(server.products(), expected(UPSERT, &records));
    assert_eq!(counted(&server.writes()), BTreeMap::from([(("POST", 201), records.len())]));

    // The same engine again; and one that knows nothing, which has to ask.
    for site in [&first, &site(&server, &records)] {
        succeeds(site, UPSERT);
        assert_eq!(server.writes().len(), records.len(), "{:?}", server.writes());
    }

    rename(&mut records);
    put(&first, &records);
    succeeds(&first, UPSERT);
    assert_eq!(server.products(), expected(UPSERT, &records));
    let writes = server.writes();
    assert_eq!(counted(&writes[records.len()..]), BTreeMap::from([(("PATCH", 204), CHANGED)]));
}

#[test]
#[ignore = "needs akeneo-mock-server; tests/services/run akeneo installs and starts it"]
fn an_upsert_of_the_api_itself_writes_what_this_engine_has_not_written() {
    let (server, mut records) = (Server::start(), records(RECORDS));
    let first = site(&server, &records);
    succeeds(&first, NATIVE);
    assert_eq!(server.products(), expected(NATIVE, &records));
    assert_eq!(counted(&server.writes()), BTreeMap::from([(("PATCH", 204), records.len())]));

    // Nothing is looked up, so it is the engine's own keys that say what was written.
    succeeds(&first, NATIVE);
    assert_eq!(server.writes().len(), records.len(), "{:?}", server.writes());
    rename(&mut records);
    put(&first, &records);
    succeeds(&first, NATIVE);
    assert_eq!(server.products(), expected(NATIVE, &records));
    assert_eq!(server.writes().len(), records.len() + CHANGED, "{:?}", server.writes());

    // Another engine writes everything once more, which changes nothing.
    succeeds(&site(&server, &records), NATIVE);
    assert_eq!(server.products(), expected(NATIVE, &records));
    assert_eq!(server.writes().len(), 2 * records.len() + CHANGED);
}

/// Two engines at once, in whose sources each product is twice; the second one has other names.
fn at_once(workflow: &str) -> Vec<Request> {
    let server = Server::start();
    let twice = |records: Vec<Value>| -> Vec<Value> {
        let again = records.clone();
        let rows = records.into_iter().zip(again).flat_map(|(one, other)| [one, other]).enumerate();
        rows.map(|(row, mut record)| {
            record["row"] = json!(format!("row-{row}"));
            record
        })
        .collect()
    };
    let (one, mut other) = (records(RECORDS), records(RECORDS));
    for record in &mut other {
        record["name"] = json!("Becher");
    }
    let sites = [&one, &other].map(|records| {
        let site = site(&server, &twice(records.clone()));
        let by_row = ("item_key: \"${{ item.sku }}\"", "item_key: \"${{ item.row }}\"");
        site.edit(workflow, &[by_row]);
        site
    });
    let (file, source) = (akeneo::file(workflow), format!("source={SOURCE}"));
    let working = sites.each_ref().map(|site| site.start(&["run", &file, "--input", &source]));
    for told in working.map(Working::wait) {
        assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    }
    let held = server.products();
    let (one, other) = (expected(workflow, &one), expected(workflow, &other));
    assert!(held.keys().eq(one.keys()), "{held:#?}");
    let is_of = |wanted: &BTreeMap<String, Product>| {
        let are = held.iter().filter(|(sku, product)| wanted[*sku] == **product);
        are.count()
    };
    let (of_one, of_other) = (is_of(&one), is_of(&other));
    println!("{workflow}: {of_one} are as the one wanted, {of_other} as the other");
    assert_eq!(of_one + of_other, held.len(), "something is as nobody wanted: {held:#?}");
    server.writes()
}

#[test]
#[ignore = "needs akeneo-mock-server; tests/services/run akeneo installs and starts it"]
fn two_engines_at_once_with_each_product_twice_create_each_once() {
    let writes = at_once(UPSERT);
    let counted = counted(&writes);
    println!("{counted:?}");
    assert_eq!(counted[&("POST", 201)], RECORDS as usize, "{counted:?}");
    // Whoever came second was told, and looked again.
    assert!(counted.contains_key(&("POST", 409)), "nobody came second: {counted:?}");
    let known = [("POST", 201), ("POST", 409), ("PATCH", 204)];
    assert!(counted.keys().all(|kind| known.contains(kind)), "{counted:?}");
}

#[test]
#[ignore = "needs akeneo-mock-server; tests/services/run akeneo installs and starts it"]
fn two_engines_at_once_with_the_upsert_of_the_api_leave_each_product_once() {
    let writes = at_once(NATIVE);
    let counted = counted(&writes);
    println!("{counted:?}");
    assert!(counted.keys().eq([&("PATCH", 204)]), "{counted:?}");
}

#[test]
#[ignore = "needs akeneo-mock-server; tests/services/run akeneo installs and starts it"]
fn what_the_api_refuses_costs_that_item_and_is_told_in_its_words() {
    let (server, mut records) = (Server::start(), records(RECORDS));
    let nul = records[17]["sku"].as_str().unwrap().to_owned();
    let perhaps = records[40]["sku"].as_str().unwrap().to_owned();
    records[17]["name"] = json!("Tas\0se");
    records[40]["enabled"] = json!("perhaps");
    let site = site(&server, &records);
    let told = run(&site, UPSERT);
    println!("{told:?}");
    let items = site.json(&["items", "@latest", "--json"]);
    let dead = items.iter().filter(|item| item["status"] == "dead_lettered");
    let dead: BTreeMap<&str, String> =
        dead.map(|item| (item["item"].as_str().unwrap(), item["error"].to_string())).collect();
    println!("{dead:#?}");
    assert!(dead.keys().eq([&nul, &perhaps]), "{dead:#?}");
    assert!(dead[&*nul].contains("HTTP 422: Unprocessable Entity"), "{dead:#?}");
    assert!(dead[&*perhaps].contains("HTTP 422") && dead[&*perhaps].contains("valid boolean"), "{dead:#?}");
    // Each was sent once: content that is at fault does not get better.
    let refused = server.writes().iter().filter(|write| write.status == 422).count();
    assert_eq!(refused, 2, "{:?}", server.writes());
    records.retain(|record| record["sku"] != nul && record["sku"] != perhaps);
    assert_eq!(server.products(), expected(UPSERT, &records));
}
