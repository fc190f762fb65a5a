//! Engines that die while they write to a real shop, and engines that write to it at once.

use std::collections::BTreeSet;

use milepost::app::{Engine, Start};
use milepost::config::Options;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::medusa::catalogue::{self, assert_whole, raise};
use crate::medusa::server::Server;
use crate::medusa::witness::Witness;
use crate::medusa::{RUN, WORKFLOW, number, site, stocked};
use crate::redis::url;
use crate::site::relay::Moment;
use crate::site::{Site, Working};

/// Products that two engines write at once.
const SHARED: u64 = 100;

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn an_engine_killed_twenty_times_among_its_writes_ends_with_every_product_whole() {
    let seed = number("MILEPOST_SEED", rand::random());
    println!("MILEPOST_SEED={seed} asks for the same again");
    let mut chance = StdRng::seed_from_u64(seed);
    let (server, products) = (Server::start(), catalogue::all(13));
    let witness = Witness::before(&server.url());
    let site = site(&witness.url, &products);
    stocked(&site);
    // 35 writes at least, of which the engines that die see fewer.
    site.edit(
        "product-sync.yaml",
        &[("batch: { max: 50, linger: 50ms }", "batch: { max: 20, linger: 50ms }")],
    );
    let mut counts = [[1; 12].as_slice(), &[2; 8]].concat();
    counts.shuffle(&mut chance);
    let mut run = String::new();
    for (kill, count) in counts.into_iter().enumerate() {
        let moment = *[Moment::Asked, Moment::Answering, Moment::Answered].choose(&mut chance).unwrap();
        // What is out arrives after the engine is dead, or never.
        let loses = chance.random_bool(0.3);
        witness.stop_at(moment, count);
        let resume = ["resume", run.as_str()];
        let working = site.start(if kill == 0 { RUN } else { &resume });
        witness.reached();
        working.signal("KILL");
        run.clone_from(&working.run);
        working.wait();
        // The next engine begins while the shop may still work on what the dead one had asked.
        witness.go_on(loses);
        let writes = witness.writes();
        let lost = writes.iter().filter(|write| write.status.is_none()).count();
        println!(
            "kill {:>2}: {moment:?}, loses {loses}; {} writes, {lost} without an answer",
            kill + 1,
            writes.len()
        );
    }
    let told = site.milepost(&["resume", &run]);
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    assert_whole(&server.shop().products(), &products, true);
    let items = server.ask_database("select count(*) from inventory_item where deleted_at is null");
    let variants =
        products.iter().map(|product| product["all_available_sizes"].as_array().map_or(1, Vec::len));
    assert_eq!(items, variants.sum::<usize>().to_string(), "inventory items");
}

/// Two sources for the same products at once: each has its own prices, and metadata that the other
/// one does not have.
fn rivals(server: &Server, products: &[Value]) -> (Site, Vec<Value>) {
    let site = site(&server.url(), products);
    let mut raised = products.to_vec();
    for product in &mut raised {
        raise(product, 500);
    }
    std::fs::write(site.path("workflows/raised.json"), serde_json::to_vec(&raised).unwrap()).unwrap();
    std::fs::copy(site.path(WORKFLOW), site.path("workflows/other.yaml")).unwrap();
    let mapping = site.path("workflows/product-sync/medusa.yaml");
    let text = std::fs::read_to_string(&mapping).unwrap();
    let marked = |mark: &str| {
        text.replace(
            "      brand: brand\n",
            &format!("      {mark}: {{ value: \"yes\" }}\n      brand: brand\n"),
        )
    };
    assert_ne!(marked("left"), text);
    std::fs::write(&mapping, marked("left")).unwrap();
    std::fs::write(site.path("workflows/product-sync/other.yaml"), marked("right")).unwrap();
    site.edit(
        "other.yaml",
        &[
            ("product-sync/medusa.yaml", "product-sync/other.yaml"),
            ("workflow: product-sync\n", "workflow: other\n"),
        ],
    );
    (site, raised)
}

/// The items of the last run of a workflow that came too late: newer content was there (rule R6).
fn stale(site: &Site, state: &str, workflow: &str) -> BTreeSet<String> {
    let runs = site.json(&["list", "--json", "--state", state]).remove(0);
    let run = runs.as_array().unwrap().iter().find(|run| run["workflow"] == workflow).unwrap();
    let items = site.json(&["items", run["run"].as_str().unwrap(), "--json", "--state", state]);
    let late = items.iter().filter(|item| item["reason"] == "stale");
    late.map(|item| item["item"].as_str().unwrap().to_owned()).collect()
}

/// Each product is there once, with one price for each variant, of one of the two, and with the
/// metadata of both, but for what came too late to be written.
fn assert_both(server: &Server, site: &Site, states: [&str; 2], one: &[Value], other: &[Value]) {
    let held = server.shop().products();
    let is_whole = |wanted: &[Value]| {
        let faults = catalogue::faults(&held, wanted, false);
        faults.iter().map(|fault| fault.split(':').next().unwrap().to_owned()).collect::<BTreeSet<String>>()
    };
    let (not_one, not_other) = (is_whole(one), is_whole(other));
    let neither: Vec<&String> = not_one.intersection(&not_other).collect();
    println!(
        "{} products have the prices of the one, {} of the other",
        one.len() - not_one.len(),
        one.len() - not_other.len()
    );
    assert!(neither.is_empty(), "neither of both: {neither:?}\n{:#?}", catalogue::faults(&held, one, false));
    for ((mark, workflow), state) in [("left", "product-sync"), ("right", "other")].iter().zip(states) {
        let late = stale(site, state, workflow);
        let has_it = |product: &&Value| product["metadata"][mark] == "yes";
        println!("{workflow}: {} products came too late", late.len());
        assert!(held.iter().any(|product| has_it(&product)), "nobody has the metadata of {workflow}");
        let lacking = held.iter().filter(|product| !has_it(product));
        let lost = lacking.filter(|product| !late.contains(product["external_id"].as_str().unwrap()));
        let lost: Vec<_> = lost.map(|product| (&product["external_id"], &product["metadata"])).collect();
        assert!(lost.is_empty(), "metadata of {workflow} was lost: {lost:#?}");
    }
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn two_runs_at_once_in_one_engine_leave_one_price_and_the_metadata_of_both() {
    let (server, products) = (Server::start(), catalogue::some(SHARED, 14));
    let (site, raised) = rivals(&server, &products);
    let start = |workflow: &str, source: &str| Start {
        file: site.path("workflows").join(workflow),
        input: vec![(
            "source".to_owned(),
            site.path("workflows").join(source).to_string_lossy().into_owned(),
        )],
        profile: None,
        by: None,
        driven_by: milepost::core::execution::DrivenBy::Embedded,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Twice: products that are not there, and products that are.
    for round in 0..2 {
        let (first, second) =
            if round == 0 { ("products.json", "raised.json") } else { ("raised.json", "products.json") };
        runtime.block_on(async {
            let engine = Engine::open(&Options::new(site.path("state"))).await.unwrap();
            let mut runs = [
                engine.start(start("product-sync.yaml", first)).await.unwrap(),
                engine.start(start("other.yaml", second)).await.unwrap(),
            ];
            for run in &mut runs {
                assert_eq!(run.finished().await.unwrap().status.word(), "succeeded");
            }
        });
        assert_both(&server, &site, ["state"; 2], &products, &raised);
    }
}

#[test]
#[ignore = "needs Medusa and a Redis; tests/services/run medusa starts both"]
fn two_engines_with_redis_leave_one_price_and_the_metadata_of_both() {
    let (server, products) = (Server::start(), catalogue::some(SHARED, 15));
    let (site, raised) = rivals(&server, &products);
    let prefix = format!("milepost-test:{}:", uuid::Uuid::now_v7());
    for workflow in ["product-sync.yaml", "other.yaml"] {
        let keys =
            format!("  keys: {{ use: redis, url: \"{}\", prefix: \"{prefix}\" }}\n\nprofiles:\n", url());
        site.edit(
            workflow,
            &[
                ("\nprofiles:\n", &keys),
                ("  timeout: 30s\n", "  timeout: 30s\n  idempotency: { store: keys }\n"),
                // Each engine has a PIM of its own, so what the other one did there is not done here.
                ("    idempotency: { key: \"${{ item.sku }}\", claim: 300s }\n", ""),
            ],
        );
    }
    for round in 0..2 {
        let sources =
            if round == 0 { ["products.json", "raised.json"] } else { ["raised.json", "products.json"] };
        let working: Vec<Working> = ["product-sync.yaml", "other.yaml"]
            .iter()
            .zip(sources)
            .map(|(workflow, source)| {
                let (file, source) = (format!("workflows/{workflow}"), format!("source=workflows/{source}"));
                site.start(&["run", &file, "--input", &source, "--state", workflow])
            })
            .collect();
        for told in working.into_iter().map(Working::wait) {
            assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
        }
        assert_both(&server, &site, ["product-sync.yaml", "other.yaml"], &products, &raised);
    }
}
