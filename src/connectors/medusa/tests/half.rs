//! Changes that end half-way: what is said of them, and that the attempt after it makes them whole.

use std::sync::{Arc, Mutex};

use super::liar::Asked;
use super::*;
use crate::connectors::medusa::storefront::Storefront;
use crate::core::fault::Fault;

/// What a shop does wrong, and otherwise nothing.
type Wrong = dyn Fn(&Asked) -> Option<Reply> + Send + Sync;

/// A shop that holds the product `K0` and takes what it is told, but for what goes wrong.
struct Holding {
    liar: Liar,
    /// The product as the shop has it.
    held: Arc<Mutex<Value>>,
}

impl Holding {
    async fn start(product: Value, wrong: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let held = Arc::new(Mutex::new(product));
        let (inside, wrong): (_, Arc<Wrong>) = (Arc::clone(&held), Arc::new(wrong));
        let liar =
            Liar::start(move |asked| wrong(asked).or_else(|| taken(&mut inside.lock().unwrap(), asked)));
        Self { liar: liar.await, held }
    }

    /// The calls that change something, without the product's own part of the address.
    fn writes(&self) -> Vec<String> {
        let writes = self.liar.calls("").into_iter().map(|asked| asked.call);
        writes.filter(|call| !call.starts_with("GET") && !call.contains("/auth/")).collect()
    }

    fn held(&self) -> Value {
        self.held.lock().unwrap().clone()
    }
}

/// Carries out what is written, as far as these tests write.
fn taken(held: &mut Value, asked: &Asked) -> Option<Reply> {
    let told = match asked.call.as_str() {
        "GET /admin/products" => json!({ "products": [held] }),
        "GET /admin/stock-locations" => {
            let channels = json!([{ "id": "sc_1" }]);
            json!({ "stock_locations": [{ "id": "sloc_1", "name": "here", "sales_channels": channels }] })
        }
        "GET /admin/inventory-items" => json!({ "inventory_items": [held["item"]] }),
        "GET /store/products" => json!({ "products": [held] }),
        "POST /admin/products/batch" => {
            let update = asked.body["update"].as_array().into_iter().flatten();
            let title = update.filter_map(|product| product.get("title")).next_back()?;
            held["title"] = title.clone();
            json!({ "created": [], "updated": [] })
        }
        "POST /admin/products/prod_K0/variants/batch" => {
            held["variants"][0]["prices"] = asked.body["update"][0]["prices"].clone();
            json!({})
        }
        "POST /admin/inventory-items/location-levels/batch" => {
            held["item"]["location_levels"] = asked.body["create"].clone();
            json!({})
        }
        "DELETE /admin/inventory-items/iitem_0" => json!({}),
        _ => return None,
    };
    Some(Reply::Says(200, told))
}

/// The product with another title and another price.
fn older() -> Value {
    let mut product = dearer();
    product["title"] = json!("old");
    product
}

/// The product with another price.
fn dearer() -> Value {
    let mut product = whole("K0");
    product["variants"][0]["prices"][0]["amount"] = json!(2);
    product
}

fn says(status: u16, message: &'static str) -> Reply {
    Reply::Says(status, json!({ "type": "told", "message": message }))
}

/// The first call to this address goes wrong like this.
fn once(call: &'static str, reply: fn() -> Reply) -> impl Fn(&Asked) -> Option<Reply> + Send + Sync {
    move |asked| (asked.call == call && asked.before == 0).then(reply)
}

async fn attempt(trade: &Trade, call: Call) -> Outcome {
    batch::upsert(trade, &[call]).await.outcomes.remove(0)
}

/// The words of an outcome that is none: "later", "never" or "perhaps", and what is told.
fn told(outcome: &Outcome) -> (&'static str, &Fault) {
    match outcome {
        Outcome::Refused { fault, again: Again::Never } => ("never", fault),
        Outcome::Refused { fault, .. } => ("later", fault),
        Outcome::Unclear(fault) => ("perhaps", fault),
        other => panic!("nothing went wrong: {other:?}"),
    }
}

const VARIANTS: &str = "POST /admin/products/prod_K0/variants/batch";

/// How a later part of a product can fail: what the shop does, and what is said of the product when that
/// part was all that there was to write, and when something was written before it.
type Failure = (fn() -> Reply, &'static str, &'static str);

const FAILURES: [Failure; 5] = [
    (|| says(409, "two transactions met"), "later", "perhaps"),
    (|| says(400, "Option value XXL does not exist for option Size"), "never", "never"),
    (|| says(404, "Product with id \"prod_K0\" not found"), "later", "perhaps"),
    (broken, "later", "perhaps"),
    (|| Reply::Dawdles, "perhaps", "perhaps"),
];

#[tokio::test]
async fn what_was_written_in_part_is_never_said_not_to_have_happened() {
    for (reply, alone, in_part) in FAILURES {
        for (product, expected, is_begun) in [(dearer(), alone, false), (older(), in_part, true)] {
            let shop = Holding::start(product, once(VARIANTS, reply)).await;
            let trade = trade_with(&shop.liar, login());
            let outcome = attempt(&trade, call("K0", 1)).await;
            let (said, fault) = told(&outcome);
            assert_eq!(said, expected, "{outcome:?}");
            assert_eq!(fault.message.starts_with("done in part: "), is_begun, "{outcome:?}");
            assert_eq!(shop.held()["title"], "t");
            assert_eq!(shop.held()["variants"][0]["prices"][0]["amount"], 2);

            // A look says that it is not whole; the attempt after it makes it whole, and writes nothing
            // that is there.
            assert_eq!(batch::probe(&trade, &request("K0")).await, Probed::Absent);
            let outcome = attempt(&trade, call("K0", 2)).await;
            assert!(matches!(&outcome, Outcome::Done(facts) if facts["action"] == "updated"), "{outcome:?}");
            assert_eq!(shop.held()["variants"][0]["prices"][0]["amount"], 1);
            let batches = if is_begun { vec!["POST /admin/products/batch"] } else { Vec::new() };
            assert_eq!(shop.writes(), [batches, vec![VARIANTS, VARIANTS]].concat());
        }
    }
}

#[tokio::test]
async fn whoever_comes_after_an_outage_is_in_doubt_only_if_part_of_it_is_written() {
    // Two products in one batch; the shop is gone when the variants of the first one follow.
    let held = |key: &str, product: Value| {
        let mut product = product;
        product["id"] = json!(format!("prod_{key}"));
        product["external_id"] = json!(key);
        product["handle"] = json!(format!("h-{key}"));
        product["variants"][0]["sku"] = json!(format!("{key}-1"));
        product
    };
    let products = json!([held("K0", older()), held("K1", older()), held("K2", dearer())]);
    let liar = Liar::start(move |asked| match asked.call.as_str() {
        "GET /admin/products" => Some(Reply::Says(200, json!({ "products": products }))),
        VARIANTS => Some(says(409, "two transactions met")),
        _ => None,
    });
    let liar = liar.await;
    let outcomes = batch::upsert(&trade_with(&liar, login()), &calls(3)).await.outcomes;
    let said: Vec<&str> = outcomes.iter().map(|outcome| told(outcome).0).collect();
    assert_eq!(said, ["perhaps", "perhaps", "later"], "{outcomes:?}");
    assert_eq!(liar.calls("POST /admin/products/prod_").len(), 1, "nothing more is sent");
}

#[tokio::test]
async fn an_orphan_that_was_removed_is_part_of_the_change() {
    let mut product = dearer();
    product["item"] = json!({ "id": "iitem_0", "sku": "K0-1", "variants": [] });
    let shop = Holding::start(product, |asked| match (asked.call.as_str(), asked.before) {
        (VARIANTS, 0) => Some(says(400, "Inventory item with sku: K0-1, already exists.")),
        (VARIANTS, 1) => Some(says(409, "two transactions met")),
        _ => None,
    });
    let shop = shop.await;
    let trade = trade_with(&shop.liar, login());
    let outcome = attempt(&trade, call("K0", 1)).await;
    let (said, fault) = told(&outcome);
    assert_eq!(said, "perhaps");
    assert!(fault.message.starts_with("done in part: "), "{fault}");
    let outcome = attempt(&trade, call("K0", 2)).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(shop.writes(), [VARIANTS, "DELETE /admin/inventory-items/iitem_0", VARIANTS, VARIANTS]);
}

#[tokio::test]
async fn a_product_without_its_stock_is_done_in_part() {
    const LEVELS: &str = "POST /admin/inventory-items/location-levels/batch";
    let stocked = |attempt: u32| {
        let mut call = call("K0", attempt);
        call.request["variants"][0]["stock"] = json!(5);
        call
    };
    let with_item = |mut product: Value| {
        product["item"] = json!({ "id": "iitem_1", "sku": "K0-1", "location_levels": [] });
        product
    };
    for (reply, alone, in_part) in [FAILURES[0], FAILURES[1], FAILURES[4]] {
        for (product, expected, is_begun) in [(whole("K0"), alone, false), (older(), in_part, true)] {
            let shop = Holding::start(with_item(product), once(LEVELS, reply)).await;
            let trade = trade_with(&shop.liar, login());
            let outcome = attempt(&trade, stocked(1)).await;
            let (said, fault) = told(&outcome);
            assert_eq!(said, expected, "{outcome:?}");
            assert_eq!(fault.message.starts_with("done in part: "), is_begun, "{outcome:?}");
            assert_eq!(batch::probe(&trade, &stocked(1).request).await, Probed::Absent);
            let outcome = attempt(&trade, stocked(2)).await;
            assert!(matches!(&outcome, Outcome::Done(facts) if facts["action"] == "updated"), "{outcome:?}");
            assert_eq!(shop.held()["item"]["location_levels"][0]["stocked_quantity"], 5);
            assert!(matches!(batch::probe(&trade, &stocked(2).request).await, Probed::Done(_)));
        }
    }
}

#[tokio::test]
async fn a_product_that_buyers_do_not_see_is_done_in_part_and_a_look_does_not_call_it_done() {
    // And whether a look finds out more than that it can not be found out.
    let cases: [(Failure, bool); 3] = [
        ((|| says(503, "busy"), "later", "perhaps"), false),
        ((|| Reply::Says(200, json!({ "products": [] })), "never", "never"), true),
        ((|| says(400, "no region"), "never", "never"), false),
    ];
    for ((reply, alone, in_part), is_known) in cases {
        for (product, expected, is_begun) in [(whole("K0"), alone, false), (older(), in_part, true)] {
            let seen = |asked: &Asked| asked.call == "GET /store/products";
            let shop =
                Holding::start(product, move |asked| (seen(asked) && asked.before < 2).then(reply)).await;
            let second = Duration::from_secs(1);
            let mut trade = trade_with(&shop.liar, login());
            trade.storefront = Some(Storefront::new(&shop.liar.url, "pk", None, second).unwrap());
            let mut wanted = call("K0", 1);
            wanted.request["status"] = json!("published");
            shop.held.lock().unwrap()["status"] = json!("published");

            let outcome = attempt(&trade, wanted.clone()).await;
            let (said, fault) = told(&outcome);
            assert_eq!(said, expected, "{outcome:?}");
            assert_eq!(fault.message.starts_with("done in part: "), is_begun, "{outcome:?}");
            let probed = batch::probe(&trade, &wanted.request).await;
            assert_eq!(matches!(probed, Probed::Absent), is_known, "{probed:?}");
            assert_eq!(matches!(probed, Probed::Unknown(_)), !is_known, "{probed:?}");
            assert!(matches!(batch::probe(&trade, &wanted.request).await, Probed::Done(_)));
        }
    }
}
