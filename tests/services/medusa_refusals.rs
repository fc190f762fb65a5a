//! What a real shop refuses: one product of a batch, or the login.

use serde_json::{Value, json};

use crate::aws::until;
use crate::medusa::catalogue::{self, assert_whole};
use crate::medusa::server::Server;
use crate::medusa::{RUN, WORKFLOW, site};
use crate::site::Site;

/// One batch.
const BATCH: u64 = 50;
/// The product that the shop does not take.
const POISON: usize = 17;

/// What makes a product of the shop.
const SHOP: &str = "product-sync/medusa.yaml";

/// The only dead letter of the last run: its item and its error.
fn dead_letter(site: &Site) -> (String, String) {
    let items = site.json(&["items", "@latest", "--json"]);
    let dead: Vec<&Value> = items.iter().filter(|item| item["status"] == "dead_lettered").collect();
    let [dead] = dead[..] else { panic!("{} dead letters: {dead:#?}", dead.len()) };
    (dead["item"].as_str().unwrap().to_owned(), dead["error"].to_string())
}

/// Runs a batch with a poisonous product, one of `poison`, through a mapping of its own. 49 are there
/// afterwards, and the words about the fiftieth are given back.
fn forty_nine(products: &[Value], poison: &[usize], (mapping, edits): (&str, &[(&str, &str)])) -> String {
    let server = Server::start();
    let site = site(&server.url(), products);
    site.edit(mapping, edits);
    let told = site.milepost(RUN);
    // One of 50 is as many dead letters as the workflow tolerates.
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    let (item, words) = dead_letter(&site);
    println!("{item}: {words}");
    let poison: Vec<&Value> = poison.iter().map(|at| &products[*at]["product_id"]).collect();
    assert!(poison.iter().any(|id| **id == item), "{item} is not to blame: {words}");
    let mut held = server.shop().products();
    assert_eq!(held.len(), products.len() - 1);
    // Where two are to blame the one that is there is as its source says, and not as the others are.
    held.retain(|product| !poison.contains(&&product["external_id"]));
    let others: Vec<Value> =
        products.iter().filter(|product| !poison.contains(&&product["product_id"])).cloned().collect();
    assert_whole(&held, &others, false);
    words
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn a_text_with_a_nul_costs_nothing_or_one_product_of_fifty() {
    let mut products = catalogue::some(BATCH, 21);
    products[POISON]["brand"] = json!("a\u{0}b");
    // Medusa answers it with a 500 for the whole batch; so it never gets there.
    let server = Server::start();
    let cleaned = site(&server.url(), &products);
    assert_eq!(cleaned.milepost(RUN).code, Some(0));
    let held = server.shop().products();
    assert_eq!(held.iter().filter(|product| product["metadata"]["brand"] == "ab").count(), 1);
    assert_eq!(held.len(), products.len());
    // One shop at a time.
    drop(server);

    let about = "about: Shein catalogue to canonical product\n";
    let refusing = format!("{about}control: refuse\n");
    let words = forty_nine(&products, &[POISON], ("product-sync/mapping.yaml", &[(about, &refusing)]));
    assert!(words.contains("U+0000"), "{words}");
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn an_unknown_collection_costs_one_product_of_fifty() {
    let mut products = catalogue::some(BATCH, 22);
    products[POISON]["model_number"] = json!("bad");
    let unknown =
        "type_id: { lookup: source.model, table: { bad: ptyp_unknown }, default: null }\n  thumbnail:";
    let words = forty_nine(&products, &[POISON], (SHOP, &[("thumbnail:", unknown)]));
    assert!(words.contains("ptyp_unknown"), "{words}");
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn an_unknown_category_costs_one_product_of_fifty() {
    let mut products = catalogue::some(BATCH, 26);
    products[POISON]["model_number"] = json!("bad");
    // What has an id is not looked up by its path.
    let path = "make: { fields: { path: . } }";
    let id = "{ lookup: item.source.model, table: { bad: pcat_unknown } }";
    let unknown = format!("make: {{ fields: {{ path: ., id: {id} }} }}");
    let words = forty_nine(&products, &[POISON], (SHOP, &[(path, &unknown)]));
    assert!(words.contains("product_category_id: pcat_unknown"), "Medusa's own words: {words}");
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn an_sku_of_another_product_costs_one_product_of_fifty() {
    let mut products = catalogue::some(BATCH, 23);
    // In one size, so that the model is its only SKU.
    for product in &mut products {
        product["all_available_sizes"] = json!(["one-size"]);
        product["size"] = json!("one-size");
        product["model_number"] = json!(format!("SHEIN-{}", product["product_id"].as_str().unwrap()));
    }
    products[POISON]["model_number"] = products[3]["model_number"].clone();
    // Whoever of the two comes later is refused.
    let words = forty_nine(&products, &[3, POISON], (SHOP, &[("sku: sku\n", "sku: item.source.model\n")]));
    let sku = products[3]["model_number"].as_str().unwrap();
    assert!(words.contains(sku) && words.contains("already exists"), "Medusa's own words: {words}");
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn a_wrong_password_pauses_the_run_says_so_and_costs_no_product() {
    let server = Server::start();
    let products = catalogue::some(BATCH * 4, 24);
    let mut site = site(&server.url(), &products);
    site.env.push(("MEDUSA_PASSWORD", "another one".to_owned()));
    let working = site.start(RUN);
    let show = || site.json(&["show", "@latest", "--json"]).remove(0);
    let paused = until("the run", show, |shown| shown["status"] == "paused");
    assert!(paused["paused"].to_string().contains("wrong email or password"), "{paused}");
    working.signal("INT");
    let told = working.wait();
    assert_eq!(told.code, Some(3), "{told:?}");
    assert_eq!(show()["items"]["dead_lettered"], 0);
    let requests = server.requests();
    let logins = requests.iter().filter(|request| request.path == "/auth/user/emailpass").count();
    // Ten calls in a row fail before the connection is held (`pause_after`), each with one login. Then
    // come trials, one after 10 s, 20 s, 40 s and so on, as long as this test is at it.
    assert!(logins < 14, "{logins} logins");
    assert_eq!(server.shop().products(), [] as [Value; 0]);

    let doctor = site.milepost(&["doctor", WORKFLOW]);
    assert!(doctor.stdout.contains("wrong email or password"), "{doctor:?}");
    // With the right one, the same run goes on to its end.
    site.env.pop();
    let told = site.milepost(&["resume", "@latest"]);
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    assert_whole(&server.shop().products(), &products, false);
}

#[test]
#[ignore = "needs Medusa; tests/services/run medusa installs and starts it"]
fn logins_that_last_five_seconds_are_renewed_while_a_run_goes_on() {
    let server = Server::with_logins_of("5s");
    let products = catalogue::all(25);
    let site = site(&server.url(), &products);
    let told = site.milepost(RUN);
    assert_eq!(told.code, Some(0), "{}\n{}", told.stdout, told.stderr);
    let requests = server.requests();
    let count = |path: &str, status: u64| {
        requests.iter().filter(|request| request.path.starts_with(path) && request.status == status).count()
    };
    let (logins, expired) = (count("/auth/", 200), count("/admin/", 401));
    println!("{logins} logins, {expired} requests with one that had ended");
    // The first is that of the test's own start.
    assert!(logins > 2, "the run was over before a login ended: {logins}");
    assert!(expired < logins, "{expired} requests with a login that had ended, {logins} logins");
    assert_whole(&server.shop().products(), &products, false);
}
