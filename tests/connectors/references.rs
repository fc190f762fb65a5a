//! What `medusa.upsert` makes and looks up around products, over the stand-in.

use milepost::connectors::sandbox::{EMAIL, PASSWORD};
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::ports::{Call, Effect};
use serde_json::{Value, json};

use crate::world::{World, call, client, done, effect_with, refused};

fn product(number: usize, more: &Value) -> Value {
    let mut product = json!({
        "external_id": format!("K{number}"),
        "handle": format!("handle-{number}"),
        "title": "t",
        "status": "published",
        "options": [{ "title": "Size", "values": ["one"] }],
        "variants": [{
            "title": "one", "sku": format!("S{number}"), "options": { "Size": "one" },
            "prices": [{ "currency_code": "eur", "amount": "1.00" }],
        }],
    });
    for (name, value) in more.as_object().unwrap() {
        product[name] = value.clone();
    }
    product
}

fn calls(shop: &dyn Effect, count: usize, more: impl Fn(usize) -> Value) -> Vec<Call> {
    (0..count).map(|number| call(shop, product(number, &more(number)))).collect()
}

/// One call for one product.
async fn one(shop: &dyn Effect, more: Value) -> Outcome {
    shop.call(&[call(shop, product(0, &more))]).await.outcomes.remove(0)
}

/// Reads from the stand-in as anybody could.
async fn read(world: &World, path: &str) -> Value {
    let url = &world.sandbox.shop_url;
    let login = json!({ "email": EMAIL, "password": PASSWORD });
    let login = client().post(format!("{url}/auth/user/emailpass")).json(&login).send().await.unwrap();
    let token = login.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let answer = client().get(format!("{url}/admin/{path}")).bearer_auth(token).send().await.unwrap();
    answer.json().await.unwrap()
}

fn writes(world: &World, call: &str) -> usize {
    world.shop_calls().iter().filter(|entry| entry.call == format!("POST /admin/{call}")).count()
}

#[tokio::test]
async fn two_engines_at_once_make_each_category_once_and_no_two_siblings_share_a_rank() {
    let world = World::start().await;
    // A worker each, so nothing is shared but the shop.
    let (left, right) = (world.shop(), world.shop());
    let path = |number: usize| json!({ "categories": [{ "path": format!("Top > Group {} > Leaf {number}", number % 3) }] });
    let ours = calls(&*left, 20, path);
    let mut theirs = calls(&*right, 20, path);
    for (number, call) in theirs.iter_mut().enumerate() {
        call.request["external_id"] = json!(format!("L{number}"));
        call.request["handle"] = json!(format!("other-{number}"));
        call.request["variants"][0]["sku"] = json!(format!("T{number}"));
    }
    let (ours, theirs) = tokio::join!(left.call(&ours), right.call(&theirs));
    for outcome in ours.outcomes.iter().chain(&theirs.outcomes) {
        assert_eq!(done(outcome)["action"], "created");
    }
    let read = read(&world, "product-categories?limit=1000").await;
    let categories = read["product_categories"].as_array().unwrap();
    assert_eq!(categories.len(), 1 + 3 + 20);
    let mut places: Vec<String> =
        categories.iter().map(|one| format!("{} {}", one["parent_category_id"], one["rank"])).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), categories.len(), "{categories:?}");
    assert!(categories.iter().all(|one| one["is_active"] == true));
}

#[tokio::test]
async fn a_tree_that_people_made_is_used_and_a_renamed_category_is_found_again() {
    let world = World::start().await;
    let shop = world.shop();
    let category = json!({ "categories": [{ "path": "Home > Decor" }] });
    done(&one(&*shop, category.clone()).await);
    let before = writes(&world, "product-categories");
    assert_eq!(before, 2);
    // Another worker knows nothing; capitals do not count.
    done(&one(&*world.shop(), json!({ "categories": [{ "path": "home > DECOR" }] })).await);
    assert_eq!(writes(&world, "product-categories"), before);
}

#[tokio::test]
async fn missing_categories_are_refused_when_they_must_exist() {
    let world = World::start().await;
    let shop = effect_with(&world, &json!({}), &json!({ "categories": "must_exist" }));
    let outcome = one(&*shop, json!({ "categories": [{ "path": "Home > Decor" }] })).await;
    assert_eq!(refused(&outcome).0, Again::Never);
    assert!(refused(&outcome).1.contains("the category 'Home' is not in the shop"), "{outcome:?}");
    assert_eq!(writes(&world, "product-categories"), 0);
    done(&one(&*world.shop(), json!({ "categories": [{ "path": "Home > Decor" }] })).await);
    done(&one(&*shop, json!({ "categories": [{ "path": "Home > Decor" }] })).await);
}

#[tokio::test]
async fn tags_types_and_collections_are_made_once_and_a_second_run_writes_nothing() {
    let world = World::start().await;
    let shop = world.shop();
    let more = |number: usize| {
        json!({
            "tags": [{ "value": "new" }, { "value": format!("t{}", number % 2) }],
            "type": "Shirt",
            "collection": { "title": "Summer 26" },
            "variants": [{
                "title": "one", "sku": format!("S{number}"), "options": { "Size": "one" }, "stock": number,
                "prices": [{ "currency_code": "eur", "amount": "1.00" }],
            }],
        })
    };
    let calls = calls(&*shop, 10, more);
    for outcome in shop.call(&calls).await.outcomes {
        assert_eq!(done(&outcome)["action"], "created");
    }
    let made = ["product-tags", "product-types", "collections"].map(|list| writes(&world, list));
    assert_eq!(made, [3, 1, 1]);
    let levels = read(&world, "inventory-items?sku[]=S7").await;
    assert_eq!(levels["inventory_items"][0]["location_levels"][0]["stocked_quantity"], 7);
    assert_eq!(writes(&world, "inventory-items/location-levels/batch"), 1);
    for outcome in world.shop().call(&calls).await.outcomes {
        assert_eq!(done(&outcome)["action"], "unchanged");
    }
    let again = ["product-tags", "inventory-items/location-levels/batch", "products/batch"];
    assert_eq!(again.map(|list| writes(&world, list)), [3, 1, 1]);
    // Stock alone has changed.
    let mut sold = calls[7].clone();
    sold.request["variants"][0]["stock"] = json!(6);
    assert!(matches!(shop.probe(&sold).await, Probed::Absent));
    assert_eq!(done(&shop.call(&[sold.clone()]).await.outcomes[0])["action"], "updated");
    assert!(matches!(shop.probe(&sold).await, Probed::Done(_)));
}

#[tokio::test]
async fn what_the_shop_lacks_is_refused_with_what_it_has_and_the_others_go_on() {
    let world = World::start().await;
    let shop = world.shop();
    let mut calls = calls(&*shop, 7, |_| json!({}));
    calls[0].request["sales_channels"] = json!([{ "name": "Wholesale" }]);
    calls[1].request["shipping_profile"] = json!("sp_unknown");
    calls[2].request["variants"][0]["prices"][0]["currency_code"] = json!("gbp");
    calls[3].request["variants"][0]["prices"][0]["currency_code"] = json!("zzz");
    calls[4].request["variants"][0]["stock"] = json!([{ "location": "Mars", "quantity": 1 }]);
    calls[5].request["tags"] = json!([{ "id": "ptag_unknown" }]);
    let outcomes = shop.call(&calls).await.outcomes;
    for (at, reason) in [
        "no sales channel 'Wholesale': it has 'Default Sales Channel'",
        "no shipping profile 'sp_unknown': it has 'Default Shipping Profile'",
        "variants[0].prices[0].currency_code: the shop has no prices in 'gbp', only in eur, usd",
        "'zzz' is no currency of ISO 4217",
        "no stock location 'Mars': it has 'Warehouse'",
        "Tag with id ptag_unknown not found",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(refused(&outcomes[at]).1.contains(reason), "{:?}", outcomes[at]);
        assert_eq!(refused(&outcomes[at]).0, Again::Never);
    }
    assert_eq!(done(&outcomes[6])["action"], "created");
}

#[tokio::test]
async fn a_look_at_a_doubt_makes_nothing() {
    let world = World::start().await;
    let shop = world.shop();
    let wanted = call(&*shop, product(0, &json!({ "categories": [{ "path": "A" }], "tags": ["x"] })));
    assert!(matches!(shop.probe(&wanted).await, Probed::Absent));
    assert_eq!(writes(&world, "product-categories") + writes(&world, "product-tags"), 0);
}

#[tokio::test]
async fn the_storefront_tells_what_buyers_do_not_see() {
    let world = World::start().await;
    let shop = effect_with(&world, &json!({}), &json!({ "storefront": "verify" }));
    assert_eq!(done(&one(&*shop, json!({})).await)["action"], "created");
    // A draft on purpose is not meant to be seen; one that nobody asked for is.
    done(&one(&*shop, json!({ "status": "draft" })).await);
    let outcome = one(&*shop, json!({ "status": null })).await;
    assert!(refused(&outcome).1.contains("its status in the shop is 'draft'"), "{outcome:?}");
}
