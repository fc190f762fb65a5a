//! Kinds of fields, languages, publishing, and the two profiles, against the stand-in.

use milepost::connectors::sandbox::{API_KEY, Faults, PimProfile};
use milepost::core::retry::{Again, Probed};
use milepost::ports::{Effect, Worker};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::world::{World, call, client, done, effect, once, refused, worker};

/// A worker over a connection that also says this.
fn saying(world: &World, more: &Value, with: &Value) -> Arc<dyn Effect> {
    let mut settings = json!({ "url": world.sandbox.pim_url, "endpoint": "products", "api_key": API_KEY });
    for (name, value) in more.as_object().into_iter().flatten() {
        settings[name.as_str()] = value.clone();
    }
    let mut given = json!({ "mapping": "identity.yaml" });
    for (name, value) in with.as_object().into_iter().flatten() {
        given[name.as_str()] = value.clone();
    }
    match worker("pimcore.upsert", Some(("pimcore", settings)), &given) {
        Worker::Effect(effect) => effect,
        _ => panic!("not an effect"),
    }
}

async fn graphql(world: &World, query: &str) -> Value {
    let url = format!("{}/pimcore-graphql-webservices/products", world.sandbox.pim_url);
    let answer = client().post(url).header("apikey", API_KEY).json(&json!({ "query": query }));
    answer.send().await.unwrap().json().await.unwrap()
}

async fn events(world: &World, after: u64) -> Vec<Value> {
    let url = format!("{}/sandbox/events?after={after}", world.sandbox.pim_url);
    client().get(url).send().await.unwrap().json().await.unwrap()
}

fn rich() -> Value {
    json!({
        "sku": "R", "published": true,
        "weight": { "value": 1.5, "unit": "kg" },
        "mainCategory": { "type": "object", "fullpath": "/Categories/Garden" },
        "categories": [{ "type": "object", "id": "900001" }, { "id": 900_002 }],
        "mainImage": { "id": 101 },
        "gallery": { "images": [{ "id": 101 }, { "id": 102 }] },
        "availableFrom": "2026-11-22",
        "localized": { "name": { "en": "Cup", "de": "Tasse" }, "description": { "de": "Eine \"Tasse\"" } },
    })
}

#[tokio::test]
async fn fields_of_every_kind_arrive_and_a_repeat_changes_nothing() {
    for (collector, creates) in [(json!({}), 2), (json!({ "locale_collector": "*_translated" }), 1)] {
        let world = World::start().await;
        let pim = saying(&world, &collector, &json!({}));
        let wanted = call(&*pim, rich());
        assert_eq!(pim.probe(&wanted).await, Probed::Absent);
        let first = pim.call(std::slice::from_ref(&wanted)).await;
        assert_eq!(done(&first.outcomes[0])["action"], "created");
        assert_eq!(first.calls, 1 + creates);
        assert_eq!(done(&once(&*pim, &rich()).await)["action"], "updated");

        let read = "{ getProduct(fullpath: \"/Products/R\") { published availableFrom \
            en: name(language: \"en\") de: name(language: \"de\") description text: description(language: \"de\") \
            weight { value unit { abbreviation } toString } mainImage { id fullpath } mainCategory { id } \
            categories { id fullpath name(language: \"de\") } gallery { image { id } } } }";
        let held = &graphql(&world, read).await["data"]["getProduct"];
        let expected = json!({
            "published": true, "availableFrom": "2026-11-22T00:00:00Z", "en": "Cup", "de": "Tasse",
            "description": null, "text": "Eine \"Tasse\"",
            "weight": { "value": 1.5, "unit": { "abbreviation": "kg" }, "toString": "1.5 kg" },
            "mainImage": { "id": "101", "fullpath": "/Images/front.jpg" }, "mainCategory": { "id": "900003" },
            "categories": [
                { "id": "900001", "fullpath": "/Categories/Home", "name": "Wohnen" },
                { "id": "900002", "fullpath": "/Categories/Home/Kitchen", "name": "Küche" },
            ],
            // Twice written, and not four images.
            "gallery": [{ "image": { "id": "101" } }, { "image": { "id": "102" } }],
        });
        assert_eq!(held, &expected);
        assert_eq!(done_facts(pim.probe(&wanted).await)["action"], "found");
    }
}

fn done_facts(probed: Probed) -> std::collections::BTreeMap<String, Value> {
    match probed {
        Probed::Done(facts) => facts.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_probe_sees_a_difference_in_every_kind() {
    let world = World::start().await;
    let pim = saying(&world, &json!({ "languages": ["en", "de"] }), &json!({}));
    done(&once(&*pim, &rich()).await);
    assert!(matches!(pim.probe(&call(&*pim, rich())).await, Probed::Done(_)));
    for (field, other) in [
        ("weight", json!({ "value": 1.5, "unit": "g" })),
        ("weight", json!({ "value": 2, "unit": "kg" })),
        ("mainCategory", json!({ "type": "object", "id": 900_001 })),
        ("categories", json!([{ "id": 900_001 }])),
        ("mainImage", json!({ "id": 102 })),
        ("gallery", json!({ "images": [{ "id": 102 }, { "id": 101 }] })),
        ("availableFrom", json!("2026-11-23")),
        ("localized", json!({ "name": { "de": "Becher" } })),
        ("published", json!(false)),
    ] {
        let mut wanted = rich();
        wanted[field] = other;
        assert_eq!(pim.probe(&call(&*pim, wanted)).await, Probed::Absent, "{field}");
    }
}

#[tokio::test]
async fn a_relation_to_nothing_may_be_there_later() {
    let world = World::start().await;
    let pim = world.pim();
    for field in ["mainCategory", "categories"] {
        let missing = json!({ "type": "object", "fullpath": "/Categories/Nowhere" });
        let value = if field == "categories" { json!([missing]) } else { missing };
        let outcome = once(&*pim, &json!({ "sku": "A", field: value })).await;
        let (again, message) = refused(&outcome);
        assert_eq!(again, Again::Later);
        assert!(message.contains("fullpath /Categories/Nowhere not found"), "{message}");
    }
}

#[tokio::test]
async fn what_is_published_is_so_with_the_last_language() {
    let world = World::start().await;
    let pim = saying(&world, &json!({ "languages": ["en", "de"] }), &json!({}));
    done(&once(&*pim, &rich()).await);
    let seen: Vec<(String, bool)> = events(&world, 0)
        .await
        .iter()
        .map(|event| &event["event"])
        .map(|event| {
            let name = event["general"]["eventName"].as_str().unwrap().rsplit('.').next().unwrap();
            (name.to_owned(), event["subject"]["published"].as_bool().unwrap())
        })
        .collect();
    let expected = [("postAdd", false), ("postUpdate", false), ("postUpdate", true)];
    assert!(seen.iter().map(|(name, published)| (name.as_str(), *published)).eq(expected), "{seen:?}");
    let unknown = json!({ "sku": "A", "localized": { "name": { "fr": "x" } } });
    let fault = pim.prepare(&crate::world::scope(unknown)).unwrap_err();
    assert!(fault.message.contains("the language 'fr'"), "{fault}");
}

/// Whether the object is published, as listings see it.
async fn is_published(world: &World, sku: &str) -> bool {
    let query =
        format!("{{ getProductListing(filter: \"{{\\\"sku\\\":\\\"{sku}\\\"}}\") {{ totalCount }} }}");
    graphql(world, &query).await["data"]["getProductListing"]["totalCount"] == 1
}

#[tokio::test]
async fn both_profiles_publish_take_back_and_keep() {
    for profile in [PimProfile::V1_8, PimProfile::V2026_2] {
        let world = World::playing(profile).await;
        let named = if profile == PimProfile::V1_8 { "1.8" } else { "2026.2" };
        let pim =
            |publish: &str| saying(&world, &json!({ "profile": named }), &json!({ "publish": publish }));
        let item = json!({ "sku": "P" });
        // The state after each write; the first one creates.
        for (publish, expected) in
            [("keep", false), ("true", true), ("keep", true), ("false", false), ("keep", false)]
        {
            let outcome = once(&*pim(publish), &item).await;
            let modified = &done(&outcome)["modified"];
            assert_eq!(modified.is_string(), profile == PimProfile::V2026_2, "{modified}");
            assert_eq!(is_published(&world, "P").await, expected, "{named} {publish}");
        }
        let mut own = item.clone();
        own["published"] = json!(true);
        done(&once(&*pim("false"), &own).await);
        assert!(is_published(&world, "P").await, "the mapping goes before the step");
    }
}

#[tokio::test]
async fn a_profile_that_the_endpoint_does_not_have_is_told_with_what_to_do() {
    let world = World::start().await;
    let pim = saying(&world, &json!({ "profile": "2026.2" }), &json!({ "publish": "true" }));
    done(&once(&*pim, &json!({ "sku": "A" })).await);
    let outcome = once(&*pim, &json!({ "sku": "A" })).await;
    let (again, message) = refused(&outcome);
    assert_eq!(again, Again::Never);
    assert!(message.contains("the endpoint is older than the profile"), "{message}");
}

#[tokio::test]
async fn half_a_create_is_completed_at_once() {
    let world = World::start().await;
    let half = Faults { half: vec!["H".to_owned()], ..Faults::default() };
    world.strike(&world.sandbox.pim_url, &half).await;
    let outcome = once(&*world.pim(), &json!({ "sku": "H", "name": "x" })).await;
    assert_eq!(done(&outcome)["action"], "updated");
    let calls: Vec<String> = world.pim_calls().into_iter().map(|entry| entry.call).collect();
    assert_eq!(calls, ["getProductListing", "createProduct", "getProductListing", "updateProduct"]);
    let names: Vec<Value> =
        events(&world, 0).await.iter().map(|event| event["event"]["general"]["eventName"].clone()).collect();
    assert_eq!(names[1], "pimcore.dataobject.postUpdateFailure");
}

#[tokio::test]
async fn the_output_cache_answers_the_same_request_until_something_is_saved() {
    let world = World::start().await;
    let create = "mutation { createProduct(key: \"K\", path: \"/Products\", input: { sku: \"C\" }) { success message } }";
    let refuse = Faults { refuse: vec!["C".to_owned()], ..Faults::default() };
    world.strike(&world.sandbox.pim_url, &refuse).await;
    assert_eq!(graphql(&world, create).await["data"]["createProduct"]["success"], false);
    world.strike(&world.sandbox.pim_url, &Faults::default()).await;
    assert_eq!(
        graphql(&world, create).await["data"]["createProduct"]["success"],
        false,
        "the cached failure"
    );
    done(&once(&*world.pim(), &json!({ "sku": "C" })).await);
    let message = &graphql(&world, create).await["data"]["createProduct"]["message"];
    assert!(
        message.as_str().unwrap().contains("Duplicate full path")
            || message == "creating failed: unique constraint violation"
    );
}

#[tokio::test]
async fn events_tell_every_save_and_survive_a_restart() {
    let world = World::start().await;
    done(&once(&*world.pim(), &json!({ "sku": "E", "published": true })).await);
    done(&once(&*world.pim(), &json!({ "sku": "E", "published": true })).await);
    graphql(&world, "mutation { deleteProduct(fullpath: \"/Products/E\") { success message } }").await;
    let before = events(&world, 0).await;
    let names: Vec<&str> = before
        .iter()
        .map(|event| event["event"]["general"]["eventName"].as_str().unwrap().rsplit('.').next().unwrap())
        .collect();
    assert_eq!(names, ["postAdd", "postUpdate", "postUpdate", "postDelete"]);
    let first = &before[0]["event"];
    assert_eq!(
        (&first["subject"]["SKU (sku)"], &first["subject"]["path"]),
        (&json!("E"), &json!("/Products/E"))
    );
    assert_eq!(
        (&first["general"]["versionOnly"], &first["subject"]["published"]),
        (&json!(false), &json!(true))
    );
    let world = world.restart().await;
    assert_eq!(events(&world, 0).await, before);
    assert_eq!(events(&world, 3).await, before[3..]);
}

#[tokio::test]
async fn changed_objects_are_listed_by_their_time_in_order() {
    let world = World::start().await;
    for sku in ["B", "A", "C"] {
        done(&once(&*world.pim(), &json!({ "sku": sku, "published": sku != "C" })).await);
    }
    let listing = |filter: &str, more: &str| {
        let filter = filter.replace('"', "\\\"");
        format!(
            "{{ getProductListing(filter: \"{filter}\" {more}) {{ totalCount edges {{ node {{ sku modificationDate }} }} }} }}"
        )
    };
    let skus = |answer: &Value| -> Vec<String> {
        let edges = answer["data"]["getProductListing"]["edges"].as_array().unwrap();
        edges.iter().map(|edge| edge["node"]["sku"].as_str().unwrap().to_owned()).collect()
    };
    let since = "{\"modificationDate\":{\"$gt\":\"5\"}}";
    let found = graphql(&world, &listing(since, "sortBy: [\"sku\"] sortOrder: [\"DESC\"]")).await;
    assert_eq!(skus(&found), ["B", "A"], "drafts are hidden");
    let found = graphql(&world, &listing(since, "published: false sortBy: \"sku\" first: 2 after: 1")).await;
    assert_eq!(skus(&found), ["B", "C"]);
    assert_eq!(found["data"]["getProductListing"]["totalCount"], 3);
    let found = graphql(&world, &listing("{\"modificationDate\":{\"$gt\":\"99999999999\"}}", "")).await;
    assert_eq!(skus(&found), [""; 0]);
    let broken = graphql(&world, &listing("{", "")).await;
    assert_eq!(broken["errors"][0]["message"], "unable to decode filter");
}

#[tokio::test]
async fn one_of_two_creates_of_a_path_at_once_wins() {
    let world = World::start().await;
    // Both arrive before either is worked on.
    world.strike(&world.sandbox.pim_url, &Faults { latency_ms: 100, ..Faults::default() }).await;
    let create = |sku: &str| {
        format!(
            "mutation {{ createProduct(key: \"K\", path: \"/Products\", input: {{ sku: \"{sku}\" }}) {{ success message }} }}"
        )
    };
    let (one, other) = (create("X"), create("Y"));
    let answers = tokio::join!(graphql(&world, &one), graphql(&world, &other));
    let mut ends: Vec<(bool, String)> = [answers.0, answers.1]
        .iter()
        .map(|answer| &answer["data"]["createProduct"])
        .map(|done| (done["success"].as_bool().unwrap(), done["message"].as_str().unwrap().to_owned()))
        .collect();
    ends.sort();
    assert_eq!(ends[0], (false, "creating failed: unique constraint violation".to_owned()));
    assert!(ends[1].0 && ends[1].1.starts_with("object created: "), "{ends:?}");
    world.strike(&world.sandbox.pim_url, &Faults::default()).await;
    // Whoever comes later is told by the check of the path.
    let late = graphql(&world, &create("Z")).await;
    let message = late["data"]["createProduct"]["message"].as_str().unwrap();
    assert_eq!(message, "creating failed: Duplicate full path [ /Products/K ] - cannot save object");
}

#[tokio::test]
async fn settings_that_are_wrong_are_named() {
    let world = World::start().await;
    // What the sandbox connection says of itself is enough.
    done(
        &once(
            &*effect("pimcore.upsert", "sandbox", json!({ "url": world.sandbox.pim_url })),
            &json!({ "sku": "S" }),
        )
        .await,
    );
    for (field, value) in [
        ("profile", json!("3.0")),
        ("languages", json!(["d e"])),
        ("locale_collector", json!("translated")),
        ("mode", json!("soap")),
        ("class", json!("Pro duct")),
    ] {
        let mut settings = json!({ "url": "http://x", "endpoint": "e", "api_key": "k" });
        settings[field] = value;
        let faults = crate::world::faults(
            "pimcore.upsert",
            ("pimcore", settings),
            &json!({ "mapping": "identity.yaml" }),
        );
        assert_eq!(faults[0].field.as_deref(), Some(field), "{faults:?}");
    }
}
