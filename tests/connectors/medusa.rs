use milepost::connectors::sandbox::{self, EMAIL, Faults, PASSWORD};
use milepost::core::fault::name;
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::ports::{Call, Effect};
use serde_json::{Value, json};

use crate::world::{World, call, client, done, effect, once, refused};

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
async fn a_batch_is_one_lookup_and_one_write_and_a_second_run_updates() {
    let world = World::start().await;
    let shop = world.shop();
    let calls = batch(&*shop, 50);
    let verdicts = shop.call(&calls).await;
    // Login, lookup, batch.
    assert_eq!(verdicts.calls, 3);
    for (number, outcome) in verdicts.outcomes.iter().enumerate() {
        assert_eq!(done(outcome)["action"], "created");
        // The answer is not in our order; the facts are.
        assert_eq!(done(outcome)["handle"], format!("handle-k{number}"));
    }
    let verdicts = shop.call(&calls).await;
    assert_eq!(verdicts.calls, 2);
    assert!(verdicts.outcomes.iter().all(|outcome| done(outcome)["action"] == "updated"));
    let contents = sandbox::contents(world.dir.path()).unwrap();
    assert_eq!((contents.shop.products, contents.shop.writes, contents.shop.writes_max), (50, 100, 2));
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
    assert!(refused(&outcome).1.contains("belongs to the product with external_id \"A\""), "{outcome:?}");

    // Twice in one batch: the second create meets the first, and is ours.
    let twice = [call(&*shop, item("C", "x", "1")), call(&*shop, item("C", "x", "1"))];
    let verdicts = shop.call(&twice).await;
    let mut actions: Vec<_> =
        verdicts.outcomes.iter().map(|outcome| done(outcome)["action"].clone()).collect();
    actions.sort_by_key(ToString::to_string);
    assert_eq!(actions, ["created", "updated"]);
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
    assert_eq!(shop.probe(&calls[0]).await, Probed::Absent);
    world.strike(&world.sandbox.shop_url, &Faults { drop_next: 1, ..Faults::default() }).await;
    let verdicts = shop.call(&calls).await;
    for (outcome, call) in verdicts.outcomes.iter().zip(&calls) {
        let Outcome::Unclear(fault) = outcome else { panic!("{outcome:?}") };
        assert_eq!(fault.name, name::NO_ANSWER);
        let Probed::Done(facts) = shop.probe(call).await else { panic!("not found") };
        assert_eq!(facts["action"], "found");
    }
    let other = call(&*shop, item("K0", "t", "2.00"));
    assert_eq!(shop.probe(&other).await, Probed::Absent);
}

#[tokio::test]
async fn a_server_error_is_a_doubt_and_later_attempts_go_in_smaller_company() {
    let world = World::start().await;
    let shop = world.shop();
    let mut calls = batch(&*shop, 12);
    // The database chokes on it; `prepare` would have refused it.
    calls[4].request["description"] = json!("nul \0");
    let verdicts = shop.call(&calls).await;
    assert!(verdicts.outcomes.iter().all(|outcome| matches!(outcome, Outcome::Unclear(_))));
    assert_eq!(shop.probe(&calls[0]).await, Probed::Absent);
    for call in &mut calls {
        call.attempt = 2;
    }
    let verdicts = shop.call(&calls).await;
    let unclear = verdicts.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Unclear(_))).count();
    assert_eq!(unclear, 5);
    for call in &mut calls {
        call.attempt = 3;
    }
    let verdicts = shop.call(&calls).await;
    for (number, outcome) in verdicts.outcomes.iter().enumerate() {
        assert_eq!(matches!(outcome, Outcome::Unclear(_)), number == 4, "{number}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_lost_login_is_renewed_and_wrong_credentials_are_not_retried() {
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
    assert_eq!(refused(&outcome).0, Again::Never);
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
