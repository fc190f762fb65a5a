use milepost::connectors::sandbox::{self, API_KEY, Faults};
use milepost::core::fault::name;
use milepost::core::retry::{Again, Outcome, Probed};
use serde_json::{Value, json};

use crate::world::{World, call, client, done, effect, once, refused};

fn item(sku: &str, title: &str) -> Value {
    json!({ "sku": sku, "name": title, "price": 9.9, "description": "a \"quoted\"\nline \u{1}", "imageUrls": ["u"],
        "published": true })
}

/// Sends an operation to the stand-in as anybody could.
async fn graphql(world: &World, query: &str, variables: Value) -> Value {
    let url = format!("{}/pimcore-graphql-webservices/products", world.sandbox.pim_url);
    let body = json!({ "query": query, "variables": variables });
    let answer = client().post(url).header("apikey", API_KEY).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test]
async fn an_item_is_created_once_and_updated_after_that() {
    let world = World::start().await;
    let pim = world.pim();
    let first = once(&*pim, &item("A/1", "one")).await;
    assert_eq!(done(&first)["action"], "created");
    let again = once(&*pim, &item("A/1", "two")).await;
    assert_eq!(done(&again)["action"], "updated");
    assert_eq!(done(&first)["id"], done(&again)["id"]);
    let calls: Vec<String> = world.pim_calls().into_iter().map(|entry| entry.call).collect();
    assert_eq!(calls, ["getProductListing", "createProduct", "getProductListing", "updateProduct"]);

    let read = "{ getProduct(fullpath: \"/Products/A-1\") { sku name description published } }";
    let held = graphql(&world, read, Value::Null).await;
    let wanted =
        json!({ "sku": "A/1", "name": "two", "description": "a \"quoted\"\nline ", "published": true });
    assert_eq!(held["data"]["getProduct"], wanted);
    let contents = sandbox::contents(world.dir.path()).unwrap();
    assert_eq!((contents.pim.products, contents.pim.writes, contents.pim.writes_max), (1, 2, 2));
}

#[tokio::test]
async fn a_draft_is_found_and_not_made_twice() {
    let world = World::start().await;
    let pim = world.pim();
    let mut draft = item("D", "draft");
    draft["published"] = json!(false);
    done(&once(&*pim, &draft).await);
    assert_eq!(done(&once(&*pim, &draft).await)["action"], "updated");
    let listing = "query($f:String!){ getProductListing(filter:$f first:2) { totalCount } }";
    let hidden = graphql(&world, listing, json!({ "f": "{\"sku\":\"D\"}" })).await;
    assert_eq!(hidden["data"]["getProductListing"]["totalCount"], 0);
}

#[tokio::test]
async fn twenty_creates_of_one_sku_at_once_leave_one_product() {
    let world = World::start().await;
    let pim = world.pim();
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let pim = pim.clone();
            tokio::spawn(async move { once(&*pim, &item("R", "race")).await })
        })
        .collect();
    for attempt in attempts {
        done(&attempt.await.unwrap());
    }
    let contents = sandbox::contents(world.dir.path()).unwrap();
    assert_eq!((contents.pim.products, contents.pim.writes), (1, 20));
    let created = world
        .pim_calls()
        .iter()
        .filter(|entry| entry.call == "createProduct" && !entry.wrote.is_empty())
        .count();
    assert_eq!(created, 1);
}

#[tokio::test]
async fn a_key_that_another_sku_holds_is_refused_for_good() {
    let world = World::start().await;
    let pim = world.pim();
    done(&once(&*pim, &item("A/1", "slash")).await);
    let outcome = once(&*pim, &item("A-1", "dash")).await;
    let (again, message) = refused(&outcome);
    assert_eq!(again, Again::Never);
    assert!(message.contains("belongs to the object with SKU \"A/1\""), "{message}");
    // With a key of its own there is room for both.
    let mut keyed = item("A-1", "dash");
    keyed["key"] = json!("A-1 (dash)");
    assert_eq!(done(&once(&*pim, &keyed).await)["action"], "created");
    // The database compares without case, we do not.
    let outcome = once(&*pim, &item("a/1", "case")).await;
    let (again, message) = refused(&outcome);
    assert_eq!(again, Again::Never);
    assert!(message.contains("taken by the object with SKU 'A/1'"), "{message}");
}

#[tokio::test]
async fn what_the_site_refuses_is_refused_for_good() {
    let world = World::start().await;
    let pim = world.pim();
    world
        .strike(&world.sandbox.pim_url, &Faults { refuse: vec!["BAD".to_owned()], ..Faults::default() })
        .await;
    let outcome = once(&*pim, &item("BAD", "x")).await;
    assert_eq!(refused(&outcome).0, Again::Never);
    done(&once(&*pim, &item("GOOD", "x")).await);

    let outcome = once(&*pim, &json!({ "sku": "X", "colour": "red" })).await;
    let (again, message) = refused(&outcome);
    assert_eq!(again, Again::Never);
    assert!(message.contains("\"colour\" is not defined by type"), "{message}");
    let outcome = once(&*pim, &json!({ "sku": "X", "price": "9.90" })).await;
    assert_eq!(refused(&outcome).0, Again::Never);
}

#[tokio::test]
async fn a_dropped_answer_is_a_doubt_and_the_probe_settles_it() {
    let world = World::start().await;
    let pim = world.pim();
    let first = call(&*pim, item("A", "one"));
    assert_eq!(pim.probe(&first).await, Probed::Absent);
    world.strike(&world.sandbox.pim_url, &Faults { drop_next: 1, ..Faults::default() }).await;
    let outcome = pim.call(std::slice::from_ref(&first)).await.outcomes.remove(0);
    let Outcome::Unclear(fault) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.name, name::NO_ANSWER);
    let Probed::Done(facts) = pim.probe(&first).await else { panic!("not found") };
    assert_eq!(facts["version"], 2);
    // Other content under the same SKU is not there.
    assert_eq!(pim.probe(&call(&*pim, item("A", "two"))).await, Probed::Absent);
    assert!(world.pim_calls().iter().any(|entry| entry.call == "createProduct" && !entry.answered));
}

#[tokio::test]
async fn an_outage_is_refused_while_reading_and_told_to_wait_is_obeyed() {
    let world = World::start().await;
    let pim = world.pim();
    let url = world.sandbox.pim_url.clone();
    world.strike(&url, &Faults { outage: true, ..Faults::default() }).await;
    // Only the lookup was tried, so surely nothing was done.
    assert_eq!(refused(&once(&*pim, &item("A", "x")).await).0, Again::Later);
    assert!(matches!(pim.probe(&call(&*pim, item("A", "x"))).await, Probed::Unknown(_)));
    world.strike(&url, &Faults { outage: true, retry_after_s: Some(7), ..Faults::default() }).await;
    let outcome = once(&*pim, &item("A", "x")).await;
    assert_eq!(refused(&outcome).0, Again::After(std::time::Duration::from_secs(7)));

    let World { dir: _dir, sandbox } = world;
    sandbox.shutdown().await;
    let outcome = once(&*pim, &item("A", "x")).await;
    let Outcome::Refused { fault, again: Again::Later } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.name, name::UNREACHABLE);
}

#[tokio::test]
async fn an_error_of_the_server_while_writing_is_a_doubt() {
    let world = World::start().await;
    let pim = world.pim();
    // With this seed the lookup passes and the create meets the 500.
    for seed in 0..64 {
        world
            .strike(&world.sandbox.pim_url, &Faults { errors: 0.5, seed: Some(seed), ..Faults::default() })
            .await;
        match once(&*pim, &item("A", "x")).await {
            Outcome::Unclear(fault) => {
                assert_eq!(fault.name, name::STATUS);
                return;
            }
            Outcome::Refused { again, .. } => assert_eq!(again, Again::Later),
            _ => {}
        }
    }
    panic!("no seed of 64 failed the write alone");
}

#[tokio::test]
async fn a_wrong_key_or_endpoint_stops_for_good_and_no_secret_is_told() {
    let world = World::start().await;
    let url = &world.sandbox.pim_url;
    for (endpoint, api_key) in [("products", "hush-hush"), ("nowhere", API_KEY)] {
        let settings = json!({ "url": url, "endpoint": endpoint, "api_key": api_key });
        let pim = effect("pimcore.upsert", "pimcore", settings);
        let outcome = once(&*pim, &item("A", "x")).await;
        assert_eq!(refused(&outcome).0, Again::Never);
        assert!(!format!("{outcome:?}").contains("hush-hush"));
    }
    let real =
        json!({ "url": format!("{url}/"), "endpoint": "products", "api_key": API_KEY, "path": "/Nowhere" });
    let outcome = once(&*effect("pimcore.upsert", "pimcore", real), &item("A", "x")).await;
    assert_eq!(refused(&outcome), (Again::Never, "unable to resolve parent"));
}
