use std::fs;

use milepost::connectors::sandbox::{self, EMAIL, Faults, PASSWORD, SandboxError};
use serde_json::{Value, json};

use crate::world::{World, client, done, once};

fn pim_item(sku: &str) -> Value {
    json!({ "sku": sku, "name": "n" })
}

fn shop_item(key: &str) -> Value {
    json!({
        "external_id": key, "handle": key, "title": "t",
        "options": [{ "title": "Size", "values": ["one"] }],
        "variants": [{ "title": "v", "sku": key, "options": { "Size": "one" }, "prices": [{ "currency_code": "eur", "amount": 1 }] }],
    })
}

/// Posts to the shop as an admin.
async fn post(world: &World, path: &str, body: &Value) -> (u16, Value) {
    let url = &world.sandbox.shop_url;
    let login = json!({ "email": EMAIL, "password": PASSWORD });
    let login = client().post(format!("{url}/auth/user/emailpass")).json(&login).send().await.unwrap();
    let token = login.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let answer = client().post(format!("{url}{path}")).bearer_auth(token).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn what_the_stand_ins_hold_survives_and_old_logins_do_not() {
    let world = World::start().await;
    done(&once(&*world.pim(), &pim_item("a")).await);
    done(&once(&*world.shop(), &shop_item("a")).await);
    let before = sandbox::contents(world.dir.path()).unwrap();

    // A copy of the directory while it is served is what a kill at this moment would leave.
    let copy = tempfile::tempdir().unwrap();
    for name in ["pim.jsonl", "shop.jsonl"] {
        let mut bytes = fs::read(world.dir.path().join(name)).unwrap();
        bytes.extend_from_slice(b"{\"at\":1,\"call\":\"cut o");
        fs::write(copy.path().join(name), bytes).unwrap();
    }
    let reopened = sandbox::start(copy.path(), &Faults::default()).await.unwrap();
    let held = client().get(format!("{}/sandbox/contents", reopened.shop_url)).send().await.unwrap();
    assert_eq!(held.json::<sandbox::Holdings>().await.unwrap(), before.shop);
    reopened.shutdown().await;

    let world = world.restart().await;
    assert_eq!(sandbox::contents(world.dir.path()).unwrap(), before);
    assert_eq!(done(&once(&*world.pim(), &pim_item("a")).await)["action"], "updated");
    assert_eq!(done(&once(&*world.shop(), &shop_item("a")).await)["action"], "unchanged");
    let after = sandbox::contents(world.dir.path()).unwrap();
    assert_eq!((after.pim.items[0].writes, after.shop.items[0].writes), (2, 1));
    assert_eq!(after.shop.items[0].state, "draft");
}

#[tokio::test]
async fn a_directory_is_served_by_one_process_and_an_absent_one_is_empty() {
    let world = World::start().await;
    let second = sandbox::start(world.dir.path(), &Faults::default()).await;
    assert!(matches!(second, Err(SandboxError::Held(_))));
    let nothing = sandbox::contents(&world.dir.path().join("absent")).unwrap();
    assert_eq!(nothing.pim.products + nothing.shop.writes, 0);
}

#[tokio::test]
async fn the_journal_tells_every_call_without_the_contents() {
    let world = World::start().await;
    done(&once(&*world.pim(), &pim_item("a")).await);
    let text = client().get(format!("{}/sandbox/journal", world.sandbox.pim_url)).send().await.unwrap();
    let text = text.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["keys"], &lines[0]["wrote"]), (&json!(["a"]), &json!([])));
    assert_eq!((&lines[1]["call"], &lines[1]["wrote"]), (&json!("createProduct"), &json!(["a"])));
    assert!(lines[1]["at"].as_u64().unwrap() > 1_600_000_000_000);
    assert!(lines[1].get("changes").is_none());
}

#[tokio::test]
async fn a_failed_batch_leaves_nothing_and_names_the_place() {
    let world = World::start().await;
    let mut bad = shop_item("bad");
    bad["title"] = json!("");
    let (status, body) =
        post(&world, "/admin/products/batch", &json!({ "create": [shop_item("a"), bad] })).await;
    assert_eq!((status, body["message"].as_str().unwrap()), (400, "Product title is required"));
    bad.as_object_mut().unwrap().remove("title");
    let (status, body) =
        post(&world, "/admin/products/batch", &json!({ "create": [shop_item("a"), bad] })).await;
    let message = body["message"].as_str().unwrap();
    assert_eq!((status, message), (400, "Invalid request: Field 'create, 1, title' is required"));
    let taken = json!({ "create": [shop_item("a"), shop_item("a")] });
    let (status, body) = post(&world, "/admin/products/batch", &taken).await;
    assert_eq!((status, body["message"].as_str().unwrap()), (400, "Product with handle: a, already exists."));
    assert_eq!(sandbox::contents(world.dir.path()).unwrap().shop.products, 0);
    let (status, _) = post(&world, "/admin/products/batch", &json!({ "create": [shop_item("a")] })).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_shop_has_the_traps_of_the_real_one() {
    let world = World::start().await;
    let (status, made) = post(&world, "/admin/products", &shop_item("a")).await;
    assert_eq!(status, 200);
    let product = format!("/admin/products/{}", made["product"]["id"].as_str().unwrap());
    let message = |body: &Value| body["message"].as_str().unwrap_or_default().to_owned();

    let (status, body) = post(&world, &product, &json!({ "options": [] })).await;
    assert_eq!(status, 400);
    assert!(message(&body).starts_with("The 'options' property was removed in version 2.16.0"));
    let (status, body) = post(&world, &product, &json!({ "status": "active" })).await;
    assert_eq!(status, 400);
    assert!(message(&body).contains("but got: 'active'"), "{body}");
    let (status, _) = post(&world, "/admin/products/nowhere", &json!({ "title": "t" })).await;
    assert_eq!(status, 404);

    // A variant that an update drops leaves its SKU behind.
    let (status, _) = post(&world, &product, &json!({ "variants": [] })).await;
    assert_eq!(status, 200);
    let mut again = shop_item("b");
    again["variants"][0]["sku"] = json!("a");
    let (status, body) = post(&world, "/admin/products", &again).await;
    assert_eq!((status, message(&body).as_str()), (400, "Inventory item with sku: a, already exists."));

    let mut wrong = shop_item("c");
    wrong["variants"][0]["prices"][0]["amount"] = json!("9.90");
    let (status, body) = post(&world, "/admin/products", &wrong).await;
    assert_eq!(status, 400);
    assert!(message(&body).contains("Field 'variants, 0, prices, 0, amount' is required"), "{body}");
    let mut large = shop_item("d");
    large["description"] = json!("x".repeat(110 * 1024));
    assert_eq!(post(&world, "/admin/products", &large).await.0, 413);
    assert_eq!(post(&world, "/admin/products/batch", &json!({ "create": [large] })).await.0, 200);
}

#[tokio::test]
async fn faults_are_read_back_and_a_mistake_in_them_is_told() {
    let world = World::start().await;
    let url = format!("{}/sandbox/faults", world.sandbox.pim_url);
    let faults = Faults { errors: 0.25, refuse: vec!["x".to_owned()], ..Faults::default() };
    world.strike(&world.sandbox.pim_url, &faults).await;
    let held: Faults = client().get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(held, faults);
    let wrong = client().post(&url).json(&json!({ "error": 1 })).send().await.unwrap();
    assert_eq!(wrong.status(), 422);
}
