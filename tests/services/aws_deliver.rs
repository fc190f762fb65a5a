//! More than one machine: engines with a state directory of their own deliver from one queue of AWS,
//! with Redis between them. One of them is killed for good in the middle. The stand-ins' journal is
//! the only witness.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use crate::aws::{Aws, Wiring, environment};
use crate::product::Products;
use crate::redis::url;
use crate::site::outside::Outside;
use crate::site::{Site, Told};

const INGEST: &str = "workflows/product-ingest.yaml";
const DELIVER: &str = "workflows/product-deliver.yaml";
const PRODUCTS: usize = 2_000;
/// Writes to the PIM after which one engine is killed.
const MIDDLE: usize = 700;
/// Longest time that anything of this test may take.
const PATIENCE: Duration = Duration::from_mins(5);

fn site(aws: &Aws, wiring: &Wiring, outside: &Outside, prefix: &str) -> Site {
    let mut site = Site::new();
    site.env = vec![("PIM_URL", outside.pim.clone()), ("SHOP_URL", outside.shop.clone())];
    site.env.extend(environment(aws.endpoint()));
    let keys = format!("keys: {{ use: redis, url: \"{}\", prefix: \"{prefix}\" }}", url());
    let bus = format!("bus: {{ use: aws, queue: {} }}", wiring.queue.name);
    site.edit(
        "product-deliver.yaml",
        &[
            ("bus: { use: embedded }", bus.as_str()),
            ("keys: { use: embedded }", keys.as_str()),
            ("pim: { use: sandbox }", "pim: { use: sandbox, url: \"${env:PIM_URL}\" }"),
            ("shop: { use: sandbox }", "shop: { use: sandbox, url: \"${env:SHOP_URL}\" }"),
            // What the killed engine had in hand is free after its time, and comes to the other.
            ("visibility_timeout: 30s", "visibility_timeout: 8s"),
            ("idle: 2s", "idle: 20s"),
            ("claim: 300s", "claim: 5s"),
            ("{ key: \"${{ item.sku }}\" }", "{ key: \"${{ item.sku }}\", claim: 5s }"),
        ],
    );
    site
}

/// Puts the products onto the bus, from where the rule takes them to the queue.
fn ingest(aws: &Aws, wiring: &Wiring) {
    let mut site = Site::new();
    site.env.extend(environment(aws.endpoint()));
    let embedded = "bus:\n    use: embedded\n    # All runs share the queue, so each message carries its \
                    product.\n    rules: [{ detail_type: ProductIngested, queue: product-deliveries, shared: true }]";
    let bus = format!("bus: {{ use: aws, event_bus: {} }}", wiring.bus);
    site.edit("product-ingest.yaml", &[(embedded, &bus)]);
    let mut products = Vec::new();
    Products::new(PRODUCTS as u64, 5, 0).write_array(&mut products).unwrap();
    fs::write(site.path("products.json"), products).unwrap();
    let told = site.milepost(&["run", INGEST, "--input", "source=products.json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
}

/// How often each product was written, by its number: PIM, shop.
pub(crate) fn written(outside: &Outside) -> [BTreeMap<String, u64>; 2] {
    let (pim, shop) = outside.calls();
    [pim, shop].map(|calls| {
        let mut counts = BTreeMap::new();
        for key in calls.into_iter().flat_map(|entry| entry.wrote) {
            *counts.entry(number(&key)).or_default() += 1;
        }
        counts
    })
}

/// Every system knows a product by a key that ends with its number.
fn number(key: &str) -> String {
    key.rsplit('-').next().unwrap().to_owned()
}

/// The products of whose effect at a step this engine cannot say whether it was done.
fn in_doubt(site: &Site, step: &str) -> BTreeSet<String> {
    let told = site.milepost(&["effects", "@latest", "--in-doubt", "--json", "--limit", "5000"]);
    let effects = serde_json::Deserializer::from_str(&told.stdout).into_iter::<serde_json::Value>();
    let of_step = effects.map(Result::unwrap).filter(|effect| effect["step"] == step);
    of_step.map(|effect| number(effect["item"].as_str().unwrap())).collect()
}

#[test]
#[ignore = "needs an AWS server and a Redis; tests/services/run aws starts both"]
fn of_two_engines_one_dies_for_good_and_every_product_is_delivered_once() {
    let (aws, outside, begun) = (Aws::shared(), Outside::start(), Instant::now());
    let wiring = aws.wiring("ProductIngested", 8, 10);
    ingest(&aws, &wiring);
    eprintln!("{PRODUCTS} published after {:?}", begun.elapsed());
    let prefix = format!("milepost-test:{}:", uuid::Uuid::now_v7());
    let sites = [(); 2].map(|()| site(&aws, &wiring, &outside, &prefix));
    let [dying, living] = sites.each_ref().map(|site| site.start(&["run", DELIVER]));
    while written(&outside)[0].len() < MIDDLE {
        assert!(begun.elapsed() < PATIENCE, "only {} were written", written(&outside)[0].len());
        std::thread::yield_now();
    }
    dying.signal("KILL");
    dying.wait();
    eprintln!("killed after {:?}", begun.elapsed());
    let told: Told = living.wait();
    eprintln!("done after {:?}", begun.elapsed());
    assert_eq!(told.code, Some(0), "{told:?}");
    let mut repeated = 0;
    for (step, counts) in ["pim", "medusa"].into_iter().zip(written(&outside)) {
        assert_eq!(counts.len(), PRODUCTS, "{step}");
        let doubts = in_doubt(&sites[0], step);
        for (product, count) in counts.iter().filter(|(_, count)| **count > 1) {
            assert!(*count == 2 && doubts.contains(product), "{step}: {product} was written {count} times");
            repeated += 1;
        }
        eprintln!("{step}: {} in doubt in the ledger of the engine that died", doubts.len());
    }
    eprintln!("{repeated} effects were done by both, each listed as in doubt");
    assert_eq!(aws.depth(&wiring.queue), 0, "messages are left");
    assert_eq!(aws.depth(&wiring.dead_letters), 0, "a message was given up");
    let taken =
        |site: &Site| site.json(&["show", "@latest", "--json"])[0]["items"]["total"].as_u64().unwrap();
    let (first, second) = (taken(&sites[0]), taken(&sites[1]));
    eprintln!("{first} items came to the one that died, {second} to the other");
    assert!(first > 0 && second > 0 && first + second >= PRODUCTS as u64);
}
