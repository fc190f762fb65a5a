//! A shop that dies while products are written, in the middle of creates that it takes several
//! steps for: at the end everything is there once, and whole.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::medusa::catalogue::{self, assert_whole};
use crate::medusa::server::Server;
use crate::medusa::{RUN, number, site, stocked};
use crate::site::{Site, Told};

/// What Medusa fills for a new product, in this order; each in its own transaction.
const STAGES: &[&str] = &[
    "product",
    "product_sales_channel",
    "product_shipping_profile",
    "product_variant",
    "inventory_item",
    "product_variant_inventory_item",
    "price_set",
    "product_variant_price_set",
];
/// Times that a run is resumed until all is well: after each of them fewer products are left.
const RESUMES_MAX: usize = 3;

fn chance() -> StdRng {
    let seed = number("MILEPOST_SEED", rand::random());
    println!("MILEPOST_SEED={seed} asks for the same again");
    StdRng::seed_from_u64(seed)
}

/// Resumes a run that has not succeeded, until it has.
fn finish(site: &Site, run: &str, mut told: Told) {
    for _ in 0..RESUMES_MAX {
        if told.code == Some(0) {
            break;
        }
        println!("{}", told.stderr.trim());
        told = site.milepost(&["resume", run]);
    }
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    let shown = site.json(&["show", run, "--json"]).remove(0);
    assert_eq!(shown["status"], "succeeded", "{shown}");
}

/// Nothing is left of what a create began and did not end.
fn assert_no_orphans(server: &Server, variants: usize) {
    let question = "select count(*) from inventory_item where deleted_at is null";
    assert_eq!(server.ask_database(question), variants.to_string(), "inventory items");
}

fn variants(products: &[Value]) -> usize {
    products.iter().map(|product| product["all_available_sizes"].as_array().map_or(1, Vec::len).max(1)).sum()
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn a_shop_killed_six_times_in_the_middle_of_creates_ends_with_every_product_whole() {
    const KILLS: usize = 6;
    let (mut chance, products) = (chance(), catalogue::all(11));
    let mut server = Server::start();
    let site = site(&server.url(), &products);
    stocked(&site);
    let working = site.start(RUN);
    for _ in 0..KILLS {
        let stage = STAGES.choose(&mut chance).unwrap();
        server.until_rows_are_added(stage);
        server.kill_medusa();
        let there = server.ask_database("select count(*) from product");
        println!("killed once there was something new in {stage}; {there} products are there, whole or not");
        server.start_medusa();
    }
    let run = working.run.clone();
    finish(&site, &run, working.wait());
    assert_whole(&server.shop().products(), &products, true);
    assert_no_orphans(&server, variants(&products));
}

/// A login that ends in the meantime cannot be renewed then, and what the shop says to that is not
/// that the login is wrong.
#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn a_database_stopped_hard_in_the_middle_of_creates_ends_with_every_product_whole() {
    const STOPS: usize = 3;
    let (mut chance, products) = (chance(), catalogue::all(12));
    let mut server = Server::with_logins_of("5s");
    let site = site(&server.url(), &products);
    stocked(&site);
    let working = site.start(RUN);
    for _ in 0..STOPS {
        let stage = STAGES.choose(&mut chance).unwrap();
        server.until_rows_are_added(stage);
        server.stop_database_hard();
        println!("stopped once there was something new in {stage}");
        // So long that whatever is tried meanwhile has its answer.
        let answers = server.requests().len();
        let more = chance.random_range(1..4);
        crate::aws::until(
            "requests without a database",
            || server.requests().len(),
            |now| *now >= answers + more,
        );
        server.start_database();
        server.until_it_answers();
    }
    let run = working.run.clone();
    finish(&site, &run, working.wait());
    assert_whole(&server.shop().products(), &products, true);
    assert_no_orphans(&server, variants(&products));
}
