use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use milepost::core::retry::Outcome;
use milepost::ports::Effect;
use serde_json::{Value, json};

use crate::world::{World, call};

const PRODUCTS: usize = 700;

fn description() -> String {
    "A sentence about a product that somebody wrote. ".repeat(45)
}

fn for_pim(number: usize) -> Value {
    json!({ "sku": format!("S{number}"), "name": "n", "price": 1.5, "description": description() })
}

fn for_shop(number: usize) -> Value {
    json!({
        "external_id": format!("S{number}"), "handle": format!("s{number}"), "title": "t",
        "description": description(), "options": [{ "title": "Size", "values": ["one"] }],
        "variants": [{
            "title": "v", "sku": format!("S{number}"), "options": { "Size": "one" },
            "prices": [{ "currency_code": "eur", "amount": 1.5 }],
        }],
    })
}

/// Sends all products in batches, so many batches at a time; returns products per second.
async fn rate(effect: &Arc<dyn Effect>, item: fn(usize) -> Value, batch: usize, at_once: usize) -> f64 {
    let calls: Vec<_> = (0..PRODUCTS).map(|number| call(&**effect, item(number))).collect();
    let calls = Arc::new(calls);
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let lanes: Vec<_> = (0..at_once)
        .map(|_| {
            let (effect, calls, next) = (Arc::clone(effect), Arc::clone(&calls), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let from = next.fetch_add(batch, Ordering::Relaxed);
                    if from >= calls.len() {
                        return;
                    }
                    let verdicts = effect.call(&calls[from..(from + batch).min(calls.len())]).await;
                    assert!(verdicts.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(_))));
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let products = PRODUCTS as f64;
    products / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run with --release --ignored --nocapture"]
async fn products_per_second() {
    let world = World::start().await;
    for round in ["create", "update"] {
        let pim = rate(&world.pim(), for_pim, 1, 8).await;
        let shop = rate(&world.shop(), for_shop, 50, 1).await;
        eprintln!("{round}: PIM stand-in {pim:.0} products/s, shop stand-in {shop:.0} products/s");
    }
}
