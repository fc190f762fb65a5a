//! `http.upsert` against a server that does what the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost::connectors::http::upsert::DESCRIPTOR;
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::ports::{Effect, Worker};
use serde_json::{Value, json};

use crate::rest::{Asked, Rest, Told};
use crate::world::{call, done, once, refused, worker};

fn upsert(rest: &Rest, with: &Value) -> Arc<dyn Effect> {
    let settings =
        json!({ "url": rest.url, "bearer": "secret", "headers": { "Accept": "application/json" } });
    match worker("http.upsert", Some(("http", settings)), with) {
        Worker::Effect(effect) => effect,
        _ => panic!("not an effect"),
    }
}

/// Lookup by a filter, create, update by the found ID.
fn listed() -> Value {
    json!({
        "body": { "sku": "${{ item.sku }}", "price": "${{ item.price }}" },
        "lookup": {
            "url": "/items?sku=${{ item.sku }}", "at": "/data", "key": "/sku", "equals": "${{ item.sku }}",
        },
        "create": { "url": "/items" },
        "update": {
            "url": "/items/${{ found.id }}",
            "headers": { "If-Match": "v${{ found.version }}" },
            "body": { "id": "${{ found.id }}", "price": "${{ item.price }}" },
        },
        "compare": ["/price"],
        "id": "/id",
    })
}

/// A shop of one table, whose filter may be ignored.
fn shop(ignores_filter: bool) -> impl Fn(usize, &Asked) -> Told + Send + Sync {
    let rows =
        Mutex::new(BTreeMap::from([(1, json!({ "id": 1, "sku": "OTHER", "price": 1, "version": 9 }))]));
    move |_, asked| {
        let mut rows = rows.lock().unwrap();
        let (method, path) = asked.line.split_once(' ').unwrap();
        let by_sku = |sku: &Value| rows.values().any(|row| row["sku"] == *sku);
        match method {
            "GET" => {
                let sku = path.split_once('=').unwrap().1;
                let data: Vec<&Value> =
                    rows.values().filter(|row| ignores_filter || row["sku"] == sku).collect();
                (200, "", json!({ "data": data }))
            }
            "POST" if by_sku(&asked.body["sku"]) => (409, "", json!({ "message": "sku is taken" })),
            "POST" => {
                let id = rows.len() + 1;
                let mut row = asked.body.clone();
                row["id"] = id.into();
                row["version"] = 1.into();
                rows.insert(id, row.clone());
                (201, "", json!({ "data": row }))
            }
            _ => {
                let id: usize = path.rsplit('/').next().unwrap().parse().unwrap();
                let Some(row) = rows.get_mut(&id) else { return (404, "", Value::Null) };
                row["price"] = asked.body["price"].clone();
                (200, "", json!({ "data": row }))
            }
        }
    }
}

#[tokio::test]
async fn an_item_is_created_then_left_alone_then_updated_by_the_id_that_was_found() {
    for ignores_filter in [false, true] {
        let rest = Rest::start(shop(ignores_filter));
        let upsert = upsert(&rest, &listed());
        let created = once(&*upsert, &json!({ "sku": "A", "price": 19.99 })).await;
        assert_eq!(done(&created)["action"], "created");
        assert_eq!(done(&created)["id"], 2);
        let again = once(&*upsert, &json!({ "sku": "A", "price": 19.99 })).await;
        assert_eq!((&done(&again)["action"], &done(&again)["id"]), (&json!("unchanged"), &json!(2)));
        let changed = once(&*upsert, &json!({ "sku": "A", "price": 20.00 })).await;
        assert_eq!((&done(&changed)["action"], &done(&changed)["id"]), (&json!("updated"), &json!(2)));
        let lines =
            ["GET /items?sku=A", "POST /items", "GET /items?sku=A", "GET /items?sku=A", "PATCH /items/2"];
        assert_eq!(rest.lines(), lines);
        let update = rest.asked().pop().unwrap();
        assert_eq!(update.body, json!({ "id": 2, "price": 20.00 }));
        for header in [("if-match", "v1"), ("authorization", "Bearer secret"), ("accept", "application/json")]
        {
            assert!(update.headers.contains(&(header.0.to_owned(), header.1.to_owned())), "{update:?}");
        }
    }
}

#[tokio::test]
async fn prices_travel_digit_for_digit() {
    let rest = Rest::start(shop(false));
    let upsert = upsert(&rest, &listed());
    for (at, digits) in ["19.99", "0.3", "12345678901234567.89", "1e21", "20.00"].iter().enumerate() {
        let price: Value = serde_json::from_str(digits).unwrap();
        assert_eq!(
            done(&once(&*upsert, &json!({ "sku": format!("P{at}"), "price": price })).await)["status"],
            201
        );
        let sent = rest.asked().pop().unwrap().body["price"].to_string();
        // JSON has two ways to write an exponent.
        assert_eq!(sent.replace("e+", "e"), *digits);
    }
}

#[tokio::test]
async fn a_rival_that_was_faster_makes_an_update_of_the_create() {
    let rest = Rest::start(|number, _| match number {
        0 => (200, "", json!({ "data": [] })),
        1 => (409, "", json!({ "message": "taken" })),
        2 => (200, "", json!({ "data": [{ "sku": "A", "id": 5, "version": 1, "price": 1 }] })),
        _ => (200, "", Value::Null),
    });
    let outcome = once(&*upsert(&rest, &listed()), &json!({ "sku": "A", "price": 2 })).await;
    assert_eq!(done(&outcome)["action"], "updated");
    assert_eq!(rest.lines()[3], "PATCH /items/5");
}

#[tokio::test]
async fn a_conflict_that_the_lookup_cannot_see_is_refused_with_the_servers_words() {
    let rest = Rest::start(|_, asked| {
        if asked.line.starts_with("GET") {
            (200, "", json!({ "data": [] }))
        } else {
            (400, "", json!({ "errors": [{ "message": "not unique", "code": "UNIQUE" }] }))
        }
    });
    let mut with = listed();
    with["answers"] =
        json!({ "conflict": { "status": 400, "says": "UNIQUE" }, "message": "/errors/0/message" });
    let outcome = once(&*upsert(&rest, &with), &json!({ "sku": "A", "price": 2 })).await;
    let words = "HTTP 400: not unique, but the lookup finds nothing with this key";
    assert_eq!(refused(&outcome), (Again::Later, words));
    assert_eq!(rest.lines().len(), 3, "looked again, and did not write again");
}

#[tokio::test]
async fn what_went_away_between_lookup_and_update_is_created() {
    let rest = Rest::start(|number, _| match number {
        0 => (200, "", json!({ "data": [{ "sku": "A", "id": 5, "version": 1 }] })),
        1 => (410, "", Value::Null),
        2 => (200, "", json!({ "data": [] })),
        _ => (201, "", json!({ "id": 6 })),
    });
    let outcome = once(&*upsert(&rest, &listed()), &json!({ "sku": "A", "price": 2 })).await;
    assert_eq!((&done(&outcome)["action"], &done(&outcome)["id"]), (&json!("created"), &json!(6)));
}

#[tokio::test]
async fn refusals_waits_and_doubts_are_told_apart() {
    for (status, headers, expected) in [
        (422, "", Some(Again::Never)),
        (429, "retry-after: 7\r\n", Some(Again::After(Duration::from_secs(7)))),
        (503, "retry-after: 7\r\n", Some(Again::After(Duration::from_secs(7)))),
        (423, "", Some(Again::Later)),
        (301, "location: http://127.0.0.1:1/\r\n", Some(Again::Never)),
        (500, "", None),
        (0, "", None),
    ] {
        let rest = Rest::start(move |_, asked| {
            if asked.line.starts_with("GET") {
                (404, "", Value::Null)
            } else {
                (status, headers, json!({ "message": "words of the server" }))
            }
        });
        let mut with = listed();
        with["answers"] = json!({ "retry": 423, "message": "/message" });
        let outcome = once(&*upsert(&rest, &with), &json!({ "sku": "A", "price": 2 })).await;
        match expected {
            Some(again) => {
                assert_eq!(
                    refused(&outcome),
                    (again, format!("HTTP {status}: words of the server").as_str())
                );
            }
            None => assert!(matches!(outcome, Outcome::Unclear(_)), "{status}: {outcome:?}"),
        }
    }
    // A lookup changes nothing, so however it fails nothing was done.
    for status in [500, 0] {
        let rest = Rest::start(move |_, _| (status, "", Value::Null));
        let outcome = once(&*upsert(&rest, &listed()), &json!({ "sku": "A", "price": 2 })).await;
        assert_eq!(refused(&outcome).0, Again::Later, "{outcome:?}");
    }
}

#[tokio::test]
async fn the_probe_says_done_only_for_the_same_content() {
    let rest = Rest::start(shop(true));
    let upsert = upsert(&rest, &listed());
    let (wanted, other) = (json!({ "sku": "A", "price": 2 }), json!({ "sku": "A", "price": 3 }));
    assert_eq!(upsert.probe(&call(&*upsert, wanted.clone())).await, Probed::Absent);
    once(&*upsert, &wanted).await;
    let Probed::Done(facts) = upsert.probe(&call(&*upsert, wanted.clone())).await else { panic!("not done") };
    assert_eq!((&facts["action"], &facts["id"]), (&json!("found"), &json!(2)));
    assert_eq!(upsert.probe(&call(&*upsert, other)).await, Probed::Absent);
    assert!(rest.lines()[3..].iter().all(|line| line.starts_with("GET")), "a probe changes nothing");
}

#[tokio::test]
async fn a_native_upsert_is_one_request() {
    let rest = Rest::start(|_, _| (204, "", Value::Null));
    let with = json!({
        "body": { "family": "x" },
        "create": {
            "method": "PATCH", "url": "/products/${{ item.sku }}",
            "headers": { "Content-Type": "application/merge-patch+json" },
        },
    });
    let outcome = once(&*upsert(&rest, &with), &json!({ "sku": "A/1 ü?x=${{ found.id }}" })).await;
    assert_eq!(done(&outcome)["action"], "written");
    let asked = rest.asked().remove(0);
    assert_eq!(asked.line, "PATCH /products/A%2F1%20%C3%BC%3Fx%3D%24%7B%7B%20found.id%20%7D%7D");
    let types: Vec<_> = asked.headers.iter().filter(|(name, _)| name == "content-type").collect();
    assert_eq!(types, [&("content-type".to_owned(), "application/merge-patch+json".to_owned())]);
    // The address standard reads these as steps, encoded or not.
    let outcome = once(&*upsert(&rest, &with), &json!({ "sku": ".." })).await;
    assert_eq!(refused(&outcome), (Again::Never, "the address /products/.. would lead elsewhere"));
    assert_eq!(rest.lines().len(), 1);
}

#[test]
fn with_a_lookup_the_step_probes_and_without_it_does_not() {
    let with = listed();
    assert!(DESCRIPTOR.probes(with.as_object().unwrap()));
    let native = json!({ "create": { "url": "/x" } });
    assert!(!DESCRIPTOR.probes(native.as_object().unwrap()));
}
