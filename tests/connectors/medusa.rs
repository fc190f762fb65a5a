use milepost::connectors::sandbox::{self, EMAIL, Faults, PASSWORD};
use milepost::core::fault::name;
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::ports::{Call, Effect, Worker};
use serde_json::{Value, json};

use crate::world::{World, call, client, done, effect, once, refused, worker};

fn item(key: &str, title: &str, amount: &str) -> Value {
    json!({
        "external_id": key,
        "handle": format!("handle-{}", key.to_lowercase()),
        "title": title,
        "status": "published",
        "options": [{ "title": "Size", "values": ["one"] }],
        "variants": [{
            "title": "one", "sku": format!("{key}-1"), "options": { "Size": "one" },
            "prices": [{ "currency_code": "eur", "amount": amount }],
        }],
        "metadata": { "hash": format!("{title}{amount}") },
    })
}

fn batch(shop: &dyn Effect, count: usize) -> Vec<Call> {
    (0..count).map(|number| call(shop, item(&format!("K{number}"), "t", "1.00"))).collect()
}

/// Reads from the stand-in as anybody could.
async fn product(world: &World, key: &str) -> Value {
    let url = &world.sandbox.shop_url;
    let login = json!({ "email": EMAIL, "password": PASSWORD });
    let login = client().post(format!("{url}/auth/user/emailpass")).json(&login).send().await.unwrap();
    let token = login.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let list = client().get(format!("{url}/admin/products?external_id={key}")).bearer_auth(token);
    list.send().await.unwrap().json::<Value>().await.unwrap()["products"][0].take()
}

#[tokio::test]
async fn a_batch_is_one_write_and_a_second_run_writes_nothing() {
    let world = World::start().await;
    let shop = world.shop();
    let calls = batch(&*shop, 50);
    let verdicts = shop.call(&calls).await;
    // Login, what the shop is run with (4), lookups by external ID and by handle, batch.
    assert_eq!(verdicts.calls, 8);
    for (number, outcome) in verdicts.outcomes.iter().enumerate() {
        assert_eq!(done(outcome)["action"], "created");
        // The answer is not in our order; the facts are.
        assert_eq!(done(outcome)["handle"], format!("handle-k{number}"));
    }
    let verdicts = shop.call(&calls).await;
    assert_eq!(verdicts.calls, 1, "they are there, and have their handles");
    assert!(verdicts.outcomes.iter().all(|outcome| done(outcome)["action"] == "unchanged"));
    let contents = sandbox::contents(world.dir.path()).unwrap();
    assert_eq!((contents.shop.products, contents.shop.writes, contents.shop.writes_max), (50, 50, 1));
}

#[tokio::test]
async fn a_changed_price_and_a_new_variant_arrive_and_no_variant_is_lost() {
    let world = World::start().await;
    let shop = world.shop();
    let mut wanted = item("A", "one", "10.00");
    wanted["options"][0]["values"] = json!(["one", "two"]);
    done(&once(&*shop, &wanted).await);
    let mut changed = wanted.clone();
    changed["title"] = json!("renamed");
    changed["variants"][0]["prices"][0]["amount"] = json!("12.50");
    let mut second = changed["variants"][0].clone();
    second["sku"] = json!("A-2");
    second["title"] = json!("two");
    second["options"]["Size"] = json!("two");
    changed["variants"] = json!([second, changed["variants"][0]]);
    done(&once(&*shop, &changed).await);
    let held = product(&world, "A").await;
    assert_eq!(held["title"], "renamed");
    let variants = held["variants"].as_array().unwrap();
    let amounts: Vec<_> = variants.iter().map(|one| (&one["sku"], &one["prices"][0]["amount"])).collect();
    assert_eq!(amounts, [(&json!("A-1"), &json!(12.5)), (&json!("A-2"), &json!(12.5))]);
    // Without the second variant in the request, it stays.
    done(&once(&*shop, &wanted).await);
    assert_eq!(product(&world, "A").await["variants"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn one_bad_product_does_not_spoil_the_other_forty_nine() {
    let world = World::start().await;
    let shop = world.shop();
    world
        .strike(&world.sandbox.shop_url, &Faults { refuse: vec!["K17".to_owned()], ..Faults::default() })
        .await;
    let mut calls = batch(&*shop, 50);
    calls[31].request["categories"] = json!([{ "id": "pcat_unknown" }]);
    calls[40].request["colour"] = json!("red");
    let verdicts = shop.call(&calls).await;
    for (number, outcome) in verdicts.outcomes.iter().enumerate() {
        match number {
            17 => assert!(refused(outcome).1.contains("told to refuse K17"), "{outcome:?}"),
            31 => assert!(
                refused(outcome).1.contains("no such entity")
                    || refused(outcome).1.contains("such entity does not exist")
            ),
            40 => assert!(refused(outcome).1.contains("Unrecognized fields: 'colour'")),
            _ => assert_eq!(done(outcome)["action"], "created"),
        }
        if matches!(number, 17 | 31 | 40) {
            assert_eq!(refused(outcome).0, Again::Never);
        }
    }
    assert_eq!(sandbox::contents(world.dir.path()).unwrap().shop.products, 47);
}

#[tokio::test]
async fn a_handle_of_another_product_is_refused_and_our_own_is_updated() {
    let world = World::start().await;
    let shop = world.shop();
    done(&once(&*shop, &item("A", "one", "1")).await);
    let mut other = item("B", "two", "1");
    other["handle"] = json!("handle-a");
    let outcome = once(&*shop, &other).await;
    assert_eq!(refused(&outcome).0, Again::Never);
    assert!(
        refused(&outcome).1.contains("the handle 'handle-a' of the product 'B' belongs to"),
        "{outcome:?}"
    );
    assert!(refused(&outcome).1.ends_with("has the external_id 'A'"), "{outcome:?}");

    // Twice in one batch: never both in one write, and the later stays.
    let twice = [call(&*shop, item("C", "x", "1")), call(&*shop, item("C", "y", "1"))];
    let verdicts = shop.call(&twice).await;
    let actions: Vec<_> = verdicts.outcomes.iter().map(|outcome| &done(outcome)["action"]).collect();
    assert_eq!(actions, ["created", "updated"]);
    assert_eq!(product(&world, "C").await["title"], "y");
    let held = sandbox::contents(world.dir.path()).unwrap().shop;
    assert_eq!(held.products, 2);
}

#[tokio::test]
async fn equal_titles_and_long_ones_are_no_trouble_and_a_duplicate_sku_is() {
    let world = World::start().await;
    let shop = world.shop();
    let title = "long ".repeat(100);
    let mut calls = vec![
        call(&*shop, item("A", &title, "1")),
        call(&*shop, item("B", &title, "1")),
        call(&*shop, item("C", &title, "1")),
    ];
    calls[2].request["variants"][0]["sku"] = json!("A-1");
    let verdicts = shop.call(&calls).await;
    done(&verdicts.outcomes[0]);
    done(&verdicts.outcomes[1]);
    assert_eq!(refused(&verdicts.outcomes[2]).0, Again::Never);
    assert!(refused(&verdicts.outcomes[2]).1.contains("Product variant with sku: A-1, already exists."));
}

#[tokio::test]
async fn a_dropped_answer_is_a_doubt_for_the_whole_batch_and_the_probe_settles_each() {
    let world = World::start().await;
    let shop = world.shop();
    let calls = batch(&*shop, 3);
    world.strike(&world.sandbox.shop_url, &Faults { drop_next: 1, ..Faults::default() }).await;
    let verdicts = shop.call(&calls).await;
    for outcome in &verdicts.outcomes {
        let Outcome::Unclear(fault) = outcome else { panic!("{outcome:?}") };
        assert_eq!(fault.name, name::NO_ANSWER);
    }
    let before = world.shop_calls().len();
    let (absent, changed) = (call(&*shop, item("K9", "t", "1.00")), call(&*shop, item("K0", "t", "2.00")));
    let probed = tokio::join!(
        shop.probe(&calls[0]),
        shop.probe(&calls[1]),
        shop.probe(&calls[2]),
        shop.probe(&absent),
    );
    for probed in [probed.0, probed.1, probed.2] {
        let Probed::Done(facts) = probed else { panic!("not found: {probed:?}") };
        assert_eq!(facts["action"], "found");
    }
    assert_eq!(probed.3, Probed::Absent);
    let looks = world.shop_calls().len() - before;
    assert!(looks <= 5, "four doubts share their looks: {looks}");
    // What was seen agrees with what is seen now, so this one need not wait again.
    assert_eq!(shop.probe(&changed).await, Probed::Absent, "it has another price");
}

#[tokio::test]
async fn content_that_the_server_chokes_on_is_told_from_an_outage() {
    let world = World::start().await;
    let shop = world.shop();
    let mut calls = batch(&*shop, 12);
    // The database chokes on it; `prepare` would have refused it.
    calls[4].request["description"] = json!("nul \0");
    let verdicts = shop.call(&calls).await;
    for (number, outcome) in verdicts.outcomes.iter().enumerate() {
        match number {
            4 => {
                assert_eq!(refused(outcome).0, Again::Later, "once may be chance");
                assert!(refused(outcome).1.ends_with("with 500: An unknown error occurred."), "{outcome:?}");
            }
            _ => assert_eq!(done(outcome)["action"], "created"),
        }
    }
    calls[4].attempt = 2;
    let verdicts = shop.call(&calls[4..5]).await;
    assert_eq!(refused(&verdicts.outcomes[0]).0, Again::Never, "twice is the product");
}

/// Calls the stand-in as anybody could.
async fn post(world: &World, path: &str, body: &Value) -> Value {
    let url = &world.sandbox.shop_url;
    let login = json!({ "email": EMAIL, "password": PASSWORD });
    let login = client().post(format!("{url}/auth/user/emailpass")).json(&login).send().await.unwrap();
    let token = login.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let answer =
        client().post(format!("{url}/admin/{path}")).bearer_auth(token).json(body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn what_a_dead_create_left_is_made_whole_and_then_left_alone() {
    let world = World::start().await;
    let shop = world.shop();
    let wanted = |key: &str| {
        let mut item = item(key, "t", "1.00");
        item["variants"][0]["manage_inventory"] = json!(true);
        item
    };
    let calls: Vec<Call> = ["A", "B", "C", "D"].map(|key| call(&*shop, wanted(key))).into();
    // A has no variants. B has one without prices. C and D have none, and the inventory item of one
    // that they had owns the SKU.
    for (number, call) in calls.iter().enumerate() {
        let mut body = call.request.clone();
        match number {
            0 => body["variants"] = json!([]),
            1 => body["variants"][0]["prices"] = json!([]),
            _ => {}
        }
        let made = post(&world, "products", &body).await;
        if number > 1 {
            let path = format!("products/{}", made["product"]["id"].as_str().unwrap());
            post(&world, &path, &json!({ "variants": [] })).await;
        }
    }
    let verdicts = shop.call(&calls).await;
    for outcome in &verdicts.outcomes {
        assert_eq!(done(outcome)["action"], "repaired");
    }
    let verdicts = shop.call(&calls).await;
    assert_eq!(verdicts.calls, 1);
    for (outcome, key) in verdicts.outcomes.iter().zip(["A", "B", "C", "D"]) {
        assert_eq!(done(outcome)["action"], "unchanged");
        let variant = product(&world, key).await["variants"][0].take();
        assert_eq!(variant["prices"][0]["amount"], 1);
        assert_eq!(variant["inventory_items"].as_array().unwrap().len(), 1);
    }
    // The item of a variant that is sold stands in nobody's way to be removed.
    let mut thief = wanted("E");
    thief["variants"][0]["sku"] = json!("A-1");
    let outcome = once(&*shop, &thief).await;
    assert!(refused(&outcome).1.contains("Product variant with sku: A-1, already exists."), "{outcome:?}");
}

#[tokio::test]
async fn a_new_option_value_comes_before_the_variant_that_has_it() {
    let world = World::start().await;
    let shop = world.shop();
    let mut wanted = item("A", "one", "10.00");
    done(&once(&*shop, &wanted).await);
    let mut second = wanted["variants"][0].clone();
    second["sku"] = json!("A-2");
    second["title"] = json!("two");
    second["options"]["Size"] = json!("two");
    wanted["variants"].as_array_mut().unwrap().push(second);
    wanted["options"][0]["values"] = json!(["one", "two"]);
    assert_eq!(done(&once(&*shop, &wanted).await)["action"], "updated");
    let held = product(&world, "A").await;
    assert_eq!(held["variants"].as_array().unwrap().len(), 2);
    assert_eq!(done(&once(&*shop, &wanted).await)["action"], "unchanged");

    // What nobody wants any more stays, unless the step says otherwise.
    wanted["variants"].as_array_mut().unwrap().pop();
    assert_eq!(done(&once(&*shop, &wanted).await)["action"], "unchanged");
    let settings = json!({ "url": world.sandbox.shop_url });
    let with = json!({ "mapping": "identity.yaml", "variants": "exact" });
    let Worker::Effect(exact) = worker("medusa.upsert", Some(("sandbox", settings)), &with) else { panic!() };
    assert_eq!(done(&once(&*exact, &wanted).await)["action"], "updated");
    let held = product(&world, "A").await;
    let skus: Vec<_> = held["variants"].as_array().unwrap().iter().map(|one| &one["sku"]).collect();
    assert_eq!(skus, ["A-1"]);
}

#[tokio::test]
async fn a_lost_login_is_renewed_and_wrong_credentials_blame_no_product() {
    let world = World::start().await;
    let shop = world.shop();
    done(&once(&*shop, &item("A", "one", "1")).await);
    let logout = format!("{}/sandbox/logout", world.sandbox.shop_url);
    assert_eq!(client().post(logout).send().await.unwrap().status(), 204);
    done(&once(&*shop, &item("A", "two", "1")).await);
    let logins = world.shop_calls().iter().filter(|entry| entry.call.ends_with("emailpass")).count();
    assert_eq!(logins, 2);

    let settings = json!({ "url": world.sandbox.shop_url, "email": EMAIL, "password": "hush-hush" });
    let outcome = once(&*effect("medusa.upsert", "medusa", settings), &item("A", "x", "1")).await;
    assert_eq!(refused(&outcome).0, Again::Later);
    assert!(!format!("{outcome:?}").contains("hush-hush"));
}

#[tokio::test]
async fn an_outage_refuses_what_was_not_begun() {
    let world = World::start().await;
    let shop = world.shop();
    let url = world.sandbox.shop_url.clone();
    world.strike(&url, &Faults { outage_calls: 1, retry_after_s: Some(3), ..Faults::default() }).await;
    let outcome = once(&*shop, &item("A", "x", "1")).await;
    assert_eq!(refused(&outcome).0, Again::After(std::time::Duration::from_secs(3)));
    done(&once(&*shop, &item("A", "x", "1")).await);
    let World { dir: _dir, sandbox } = world;
    sandbox.shutdown().await;
    let outcome = once(&*shop, &item("A", "x", "1")).await;
    let Outcome::Refused { fault, again: Again::Later } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.name, name::UNREACHABLE);
    assert!(matches!(shop.probe(&call(&*shop, item("A", "x", "1"))).await, Probed::Unknown(_)));
}
