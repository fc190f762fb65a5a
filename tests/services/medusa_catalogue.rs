//! A catalogue in a real shop: what customers see of it, and that nothing is written which is there.

use std::time::Instant;

use serde_json::Value;

use crate::medusa::catalogue::{self, assert_whole, raise};
use crate::medusa::server::Server;
use crate::medusa::witness::{Witness, sent};
use crate::medusa::{RUN, Shop, put, site};
use crate::site::Site;

const SEED: u64 = 5;
/// Products whose price changes.
const CHANGED: usize = 50;

/// Runs the products of a site to the end. Returns the seconds that it took.
fn run(site: &Site) -> f64 {
    let begun = Instant::now();
    let told = site.milepost(RUN);
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    begun.elapsed().as_secs_f64()
}

fn writes(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.is_write()).count()
}

fn assert_visible(shop: &Shop, products: &[Value]) {
    let visible = shop.visible();
    let unseen = catalogue::unseen(&visible, products);
    let first: Vec<&String> = unseen.iter().take(20).collect();
    assert!(unseen.is_empty(), "{} faults: {first:#?}", unseen.len());
    assert_eq!(visible.len(), products.len());
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn a_catalogue_is_visible_a_second_run_writes_nothing_and_changed_prices_write_what_changed() {
    println!("seed {SEED}");
    let (server, mut products) = (Server::start(), catalogue::all(SEED));
    let (shop, witness) = (server.shop(), Witness::before(&server.url()));
    let first = site(&witness.url, &products);
    println!("{} products for the first time: {:.1} s", products.len(), run(&first));
    assert_whole(&shop.products(), &products, false);
    assert_visible(&shop, &products);

    // The same engine again; and one that knows nothing, which has to ask the shop.
    for (who, site) in [("same engine", &first), ("another engine", &site(&witness.url, &products))] {
        let (before, asked) = (writes(&server), witness.asked());
        let took = run(site);
        println!("the same again, {who}: {} calls, {took:.1} s", witness.asked() - asked);
        assert_eq!(writes(&server), before, "{who} wrote something: {:?}", server.requests());
    }

    let step = products.len() / CHANGED;
    for product in products.iter_mut().step_by(step).take(CHANGED) {
        raise(product, 123);
    }
    put(&first, &products);
    witness.forget();
    println!("{CHANGED} changed prices: {:.1} s", run(&first));
    let sent = sent(&witness.writes());
    assert_eq!(sent.len(), CHANGED, "{sent:?}");
    assert_whole(&shop.products(), &products, false);
    assert_visible(&shop, &products);
}
