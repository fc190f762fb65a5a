//! Runs whose graph Step Functions drives, on a real interpreter of its language. The stand-ins' journal is the only
//! witness of what was done outside.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::alike::{Picture, contents};
use crate::aws::server::Server;
use crate::aws::{Aws, environment};
use crate::aws_deliver::written;
use crate::product::Products;
use crate::site::outside::Outside;
use crate::site::{Site, Told};

const WORKFLOW: &str = "workflows/product-sync.yaml";
const DRIVEN: [&str; 2] = ["--executor", "step_functions"];
/// As many as the real catalogue has.
const PRODUCTS: usize = 700;
/// How often the engine is killed.
const KILLS: usize = 10;
/// Longest time that anything of these stories may take.
const PATIENCE: Duration = Duration::from_mins(8);

/// A site whose product workflow may be driven by the Step Functions of this server. An engine that died is noticed
/// after three seconds.
fn site(endpoint: &str, outside: &Outside) -> Site {
    let mut site = Site::reaching(&outside.pim, &outside.shop);
    site.env.extend(environment(endpoint));
    let states = "\nconnections:\n  states: { use: step_functions, role: \"arn:aws:iam::000000000000:role/milepost\", \
                  heartbeat: 60s, patience: 5s }";
    site.edit("product-sync.yaml", &[("\nconnections:", states)]);
    site
}

/// The catalogue that the runs are about: `MILEPOST_TEST_PRODUCTS` names a real one, otherwise one is made that is like it.
fn catalogue(site: &Site) {
    let path = site.path("products.json");
    if let Some(real) = std::env::var_os("MILEPOST_TEST_PRODUCTS") {
        fs::copy(real, path).unwrap();
        return;
    }
    let mut products = Vec::new();
    Products::new(PRODUCTS as u64, 7, 0).write_array(&mut products).unwrap();
    fs::write(path, products).unwrap();
}

fn line<'a>(verb: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    verb.iter().chain(more).copied().collect()
}

const RUN: [&str; 4] = ["run", WORKFLOW, "--input", "source=products.json"];

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_catalogue_leaves_the_same_in_pim_and_shop_whoever_drives_the_graph() {
    let aws = Aws::shared();
    let outsides = [Outside::start(), Outside::start()];
    let sites = outsides.each_ref().map(|outside| site(aws.endpoint(), outside));
    sites.iter().for_each(catalogue);
    let begun = Instant::now();
    let told: [Told; 2] = [sites[0].milepost(&RUN), sites[1].milepost(&line(&RUN, &DRIVEN))];
    eprintln!("both after {:?}", begun.elapsed());
    for told in &told {
        assert_eq!(told.code, Some(0), "{told:?}");
    }
    let [embedded, driven] = sites.each_ref().map(Picture::of);
    assert_eq!(embedded.differences(&driven), Vec::<String>::new());
    let [embedded, driven] = outsides.each_ref().map(contents);
    for (system, (left, right)) in ["PIM", "shop"].into_iter().zip(embedded.into_iter().zip(driven)) {
        assert!(left.len() >= PRODUCTS, "{system}: {}", left.len());
        assert_eq!(left, right, "{system}");
    }
}

/// The effects that the run knows to be done, and how often the outside has seen each.
fn known(site: &Site, outside: &Outside) -> BTreeMap<(usize, String), u64> {
    let written = written(outside);
    let told = site.milepost(&["effects", "@latest", "--json", "--limit", "100000"]);
    let mut known = BTreeMap::new();
    for effect in told.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let system = ["pim", "medusa"].into_iter().position(|step| effect["step"] == step);
        if let Some(system) = system.filter(|_| effect["effect"] == "done") {
            let product = effect["item"].as_str().unwrap().to_owned();
            let count = written[system].get(&product).copied().unwrap_or_default();
            known.insert((system, product), count);
        }
    }
    known
}

fn wrote(outside: &Outside) -> usize {
    written(outside).iter().map(BTreeMap::len).sum()
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn an_engine_killed_ten_times_finishes_the_same_execution_and_repeats_nothing_that_it_knew_to_be_done() {
    let (aws, outside, begun) = (Aws::shared(), Outside::start(), Instant::now());
    let site = site(aws.endpoint(), &outside);
    site.edit("product-sync.yaml", &[("heartbeat: 60s", "heartbeat: 3s")]);
    catalogue(&site);
    let mut working = site.start(&line(&RUN, &DRIVEN));
    let run = working.run.clone();
    for kill in 1..=KILLS {
        // Spread over all that is to be written: the first one before anything is.
        let at = (kill - 1) * 2 * PRODUCTS / KILLS;
        while wrote(&outside) < at {
            assert!(begun.elapsed() < PATIENCE, "kill {kill}: only {} of {at} were written", wrote(&outside));
            std::thread::yield_now();
        }
        working.signal("KILL");
        working.wait();
        let before = known(&site, &outside);
        eprintln!("kill {kill} after {:?}: {} effects are known to be done", begun.elapsed(), before.len());
        working = site.start(&["resume", &run]);
        // The next kill finds what was known now, or more.
        let again = written(&outside);
        for ((system, product), count) in before {
            assert_eq!(again[system][&product], count, "{product}");
        }
    }
    let told = working.wait();
    eprintln!("done after {:?}", begun.elapsed());
    assert_eq!(told.code, Some(0), "{told:?}");
    for (system, counts) in ["PIM", "shop"].into_iter().zip(written(&outside)) {
        assert_eq!(counts.len(), PRODUCTS, "{system}");
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{system}: {twice:?}");
    }
    let shown = site.json(&["show", &run, "--json"]).remove(0);
    assert_eq!(shown["execution"], format!("{run}-1"), "it is still the first execution: {shown}");
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn a_server_that_dies_fails_the_run_with_a_reason_and_the_engine_finishes_it_alone() {
    let (mut server, outside) = (Server::start(), Outside::start());
    let site = site(server.aws().endpoint(), &outside);
    catalogue(&site);
    let working = site.start(&line(&RUN, &DRIVEN));
    let run = working.run.clone();
    let begun = Instant::now();
    while wrote(&outside) < PRODUCTS / 3 {
        assert!(begun.elapsed() < PATIENCE, "only {} were written", wrote(&outside));
        std::thread::yield_now();
    }
    server.kill();
    let told = working.wait();
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stdout.contains("ExecutorUnreachable: "), "{told:?}");
    assert!(told.stderr.contains(&format!("milepost resume {run} --executor embedded")), "{told:?}");
    let before = known(&site, &outside);
    assert!(!before.is_empty());
    let told = site.milepost(&["resume", &run, "--executor", "embedded"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let after = written(&outside);
    for (system, counts) in ["PIM", "shop"].into_iter().zip(&after) {
        assert_eq!(counts.len(), PRODUCTS, "{system}");
    }
    for ((system, product), count) in before {
        assert_eq!(after[system][&product], count, "{product} was known to be done");
    }
}
