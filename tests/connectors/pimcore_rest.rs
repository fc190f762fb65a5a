//! `mode: rest` against sites as somebody may have written them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use milepost::connectors::Health;
use milepost::core::fault::name;
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::ports::Effect;
use serde_json::{Value, json};

use crate::desk::{Asked, Desk, Reply};
use crate::world::{World, call, diagnosed, done, effect, once, refused};

fn item(sku: &str, title: &str) -> Value {
    json!({ "sku": sku, "name": title, "price": 9.9 })
}

fn settings(url: &str, rest: &Value) -> Value {
    json!({ "url": url, "mode": "rest", "api_key": "hush", "rest": rest })
}

fn over(desk: &Desk, rest: &Value) -> Arc<dyn Effect> {
    effect("pimcore.upsert", "pimcore", settings(&desk.url, rest))
}

/// How the site below is described.
fn described() -> Value {
    json!({
        "key_header": "X-Site-Key",
        "body": "product",
        "lookup": { "path": "/api/products?sku={sku}", "object": "items.0", "id": "id" },
        "update": { "method": "PUT", "path": "/api/products/{id}" },
        "id": "product.id",
        "statuses": { "409": "exists", "404": "gone", "423": "later" },
    })
}

/// A site that keeps products by id, in memory.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<BTreeMap<u64, Value>>>);

impl Shelf {
    fn answer(&self, asked: &Asked) -> (u16, Value) {
        let mut held = self.0.lock().unwrap();
        let body = asked.json();
        let product = body["product"].clone();
        if asked.headers.get("x-site-key").map(String::as_str) != Some("hush") {
            return (401, json!({ "message": "who are you" }));
        }
        let path = asked.path.strip_prefix("/api/products").unwrap();
        match (asked.method.as_str(), path.strip_prefix("?sku=")) {
            ("GET", Some(sku)) => {
                let sku = sku.replace("%2F", "/");
                let items: Vec<Value> = held
                    .iter()
                    .filter(|(_, product)| product["sku"] == sku.as_str())
                    .map(|(id, product)| {
                        let mut shown = product.clone();
                        shown["id"] = json!(id);
                        shown
                    })
                    .collect();
                (200, json!({ "items": items }))
            }
            ("POST", None) if held.values().any(|known| known["sku"] == product["sku"]) => {
                (409, json!({ "message": "the SKU exists" }))
            }
            ("POST", None) => {
                let id = held.len() as u64 + 1;
                held.insert(id, product);
                (201, json!({ "product": { "id": id } }))
            }
            _ => {
                let id = path.trim_start_matches('/').parse().unwrap();
                match held.get_mut(&id) {
                    Some(known) => {
                        *known = product;
                        (204, Value::Null)
                    }
                    None => (404, json!({ "message": "no such product" })),
                }
            }
        }
    }

    async fn open(&self) -> Desk {
        let held = self.clone();
        Desk::start(move |asked| {
            let (status, body) = held.answer(&asked);
            let body = if body.is_null() { String::new() } else { body.to_string() };
            std::future::ready(Some((status, body)))
        })
        .await
    }
}

#[tokio::test]
async fn a_site_with_a_lookup_is_created_in_updated_and_probed() {
    let shelf = Shelf::default();
    let desk = shelf.open().await;
    let pim = over(&desk, &described());
    let wanted = call(&*pim, item("A/1", "one"));
    assert_eq!(pim.probe(&wanted).await, Probed::Absent);
    let first = once(&*pim, &item("A/1", "one")).await;
    assert_eq!((&done(&first)["action"], &done(&first)["id"]), (&json!("created"), &json!("1")));
    assert!(matches!(pim.probe(&wanted).await, Probed::Done(_)));
    let again = once(&*pim, &item("A/1", "two")).await;
    assert_eq!((&done(&again)["action"], &done(&again)["id"]), (&json!("updated"), &json!("1")));
    assert_eq!(pim.probe(&wanted).await, Probed::Absent);
    assert_eq!(shelf.0.lock().unwrap()[&1], item("A/1", "two"));
    let keys: Vec<String> =
        desk.asked().into_iter().filter_map(|asked| asked.headers.get("idempotency-key").cloned()).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1], "one effect, one key");
}

#[tokio::test]
async fn who_is_faster_or_goes_away_is_looked_up_again() {
    let found = |id: u64| Some((200, json!({ "items": [{ "id": id, "sku": "A" }] }).to_string()));
    let none = || Some((200, json!({ "items": [] }).to_string()));
    let status = |status: u16| -> Reply { Some((status, "{}".to_owned())) };
    let desk = Desk::scripted(vec![none(), status(409), found(7), status(204)]).await;
    let outcome = once(&*over(&desk, &described()), &item("A", "x")).await;
    assert_eq!((&done(&outcome)["action"], &done(&outcome)["id"]), (&json!("updated"), &json!("7")));
    assert_eq!(desk.asked()[3].path, "/api/products/7");

    let desk = Desk::scripted(vec![found(7), status(404), none(), status(201)]).await;
    let outcome = once(&*over(&desk, &described()), &item("A", "x")).await;
    assert_eq!(done(&outcome)["action"], "created");

    let desk = Desk::scripted(vec![none(), status(409), none(), status(409)]).await;
    let outcome = once(&*over(&desk, &described()), &item("A", "x")).await;
    assert_eq!(refused(&outcome).0, Again::Later);
}

#[tokio::test]
async fn a_site_without_a_lookup_gets_one_request_and_a_doubt_stays_one() {
    let statuses =
        json!({ "statuses": { "409": "exists", "202": "done", "418": "refused", "299": "unclear" } });
    let end = async |status: u16, body: &str| {
        let desk = Desk::scripted(vec![Some((status, body.to_owned()))]).await;
        let outcome = once(&*over(&desk, &statuses), &item("A", "x")).await;
        let asked = desk.asked();
        assert_eq!((asked.len(), asked[0].method.as_str()), (1, "POST"));
        assert_eq!((asked[0].path.as_str(), asked[0].json()), ("/api/products", item("A", "x")));
        assert_eq!(asked[0].headers["x-api-key"], "hush");
        outcome
    };
    assert_eq!(done(&end(202, "{\"id\":5}").await)["id"], "5");
    assert_eq!(done(&end(204, "").await).get("id"), None);
    assert_eq!(refused(&end(409, "{}").await).0, Again::Never);
    assert_eq!(refused(&end(418, "{}").await).0, Again::Never);
    assert_eq!(refused(&end(401, "{}").await).0, Again::Never);
    assert_eq!(refused(&end(422, "{}").await).0, Again::Never);
    assert_eq!(refused(&end(429, "{}").await).0, Again::Later);
    assert!(matches!(end(299, "{}").await, Outcome::Unclear(_)));
    assert!(matches!(end(500, "{}").await, Outcome::Unclear(_)));
    let Outcome::Unclear(fault) = end(200, "<html>Sign in</html>").await else {
        panic!("a page is no answer")
    };
    assert_eq!(fault.name, name::NO_ANSWER);

    let desk = Desk::scripted(vec![None]).await;
    let pim = over(&desk, &statuses);
    let outcome = once(&*pim, &item("A", "x")).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
    assert!(matches!(pim.probe(&call(&*pim, item("A", "x"))).await, Probed::Unknown(_)));
}

#[tokio::test]
async fn a_lookup_that_fails_has_changed_nothing() {
    for (status, body, again) in
        [(500, "{}", Again::Later), (401, "{}", Again::Never), (200, "<html>", Again::Later)]
    {
        let desk = Desk::scripted(vec![Some((status, body.to_owned()))]).await;
        let outcome = once(&*over(&desk, &described()), &item("A", "x")).await;
        assert_eq!(refused(&outcome).0, again, "{status}");
        assert_eq!(desk.asked().len(), 1);
        assert!(!format!("{outcome:?}").contains("hush"));
    }
}

#[tokio::test]
async fn the_doctor_asks_what_changes_nothing() {
    let desk = Shelf::default().open().await;
    let health = async |settings: Value| {
        let found = diagnosed("pimcore.upsert", "pimcore", settings).await;
        assert!(!format!("{found:?}").contains("hush"));
        (found[0].health, found[0].what.clone())
    };
    let (found, _) = health(settings(&desk.url, &described())).await;
    assert_eq!((found, desk.asked().len(), desk.asked()[0].method.as_str()), (Health::Good, 1, "GET"));
    let mut other_key = settings(&desk.url, &described());
    other_key["api_key"] = json!("wrong");
    assert_eq!(health(other_key).await.0, Health::Wrong);
    let (found, what) = health(settings(&desk.url, &json!({}))).await;
    assert_eq!((found, desk.asked().len()), (Health::Unknown, 2));
    assert!(what.contains("describes no lookup"), "{what}");
    assert_eq!(health(settings(&desk.url, &json!("x"))).await.0, Health::Wrong);

    let world = World::start().await;
    let graphql = |key: &str| json!({ "url": world.sandbox.pim_url, "endpoint": "products", "api_key": key });
    assert_eq!(health(graphql("sandbox-key")).await.0, Health::Good);
    assert_eq!(health(graphql("wrong")).await.0, Health::Wrong);
    assert_eq!(health(json!({ "url": world.sandbox.pim_url, "api_key": "k" })).await.0, Health::Wrong);
}

#[test]
fn what_belongs_to_the_other_mode_is_refused() {
    let with = json!({ "mapping": "identity.yaml", "publish": "true" });
    let faults = crate::world::faults("pimcore.upsert", ("pimcore", settings("http://x", &json!({}))), &with);
    assert_eq!(faults[0].field.as_deref(), Some("publish"));
    let wrong = settings("http://x", &json!({ "lookup": { "id": "id" } }));
    let faults =
        crate::world::faults("pimcore.upsert", ("pimcore", wrong), &json!({ "mapping": "identity.yaml" }));
    assert_eq!(faults[0].field.as_deref(), Some("rest"));
}
