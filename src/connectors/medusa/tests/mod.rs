//! The connector against a server that lies, dies and dawdles as a test tells it to. What it says
//! is what the real one was seen to say (2.21.2).

mod half;
mod liar;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use liar::{Liar, Reply};

use super::batch::{self, Trade};
use super::client::Shop;
use super::login::Credentials;
use super::reads::Reads;
use super::references::{Options, References};
use super::variants::Surplus;
use crate::core::fault::name;
use crate::core::id::{RunId, Unit};
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::version::Version;
use crate::ports::Call;

/// A step over this shop, whose looks need not be far apart.
fn trade_with(liar: &Liar, credentials: Credentials) -> Trade {
    Trade {
        shop: Shop::new(&liar.url, credentials, Duration::from_millis(400)).unwrap(),
        references: References::new(Options::default()),
        reads: Reads::new(Duration::from_millis(30)),
        surplus: Surplus::Keep,
        storefront: None,
    }
}

fn login() -> Credentials {
    Credentials::Login { email: "me@here".into(), password: "hush-hush".into() }
}

fn request(key: &str) -> Value {
    json!({
        "external_id": key, "handle": format!("h-{key}"), "title": "t",
        "sales_channels": [{ "id": "sc_1" }], "shipping_profile_id": "sp_1",
        "options": [{ "title": "Size", "values": ["one"] }],
        "variants": [{
            "title": "one", "sku": format!("{key}-1"), "manage_inventory": true, "options": { "Size": "one" },
            "prices": [{ "currency_code": "eur", "amount": 1 }],
        }],
    })
}

/// The product as the shop shows it when it is whole.
fn whole(key: &str) -> Value {
    let mut product = request(key);
    product["id"] = json!(format!("prod_{key}"));
    product["shipping_profile"] = json!({ "id": "sp_1" });
    product["options"] = json!([{ "id": "opt_1", "title": "Size", "values": [{ "value": "one" }] }]);
    let variant = &mut product["variants"][0];
    variant["id"] = json!("variant_1");
    variant["options"] = json!([{ "value": "one", "option": { "title": "Size" } }]);
    variant["inventory_items"] = json!([{ "inventory_item_id": "iitem_1" }]);
    product
}

fn call(key: &str, attempt: u32) -> Call {
    Call {
        run: RunId(1),
        unit: Unit::Item(0),
        attempt,
        key: key.to_owned(),
        effect_id: 1,
        request: request(key),
        version: Version("0".to_owned()),
    }
}

fn calls(count: usize) -> Vec<Call> {
    (0..count).map(|number| call(&format!("K{number}"), 1)).collect()
}

fn is_created(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(facts) if facts["action"] == "created")
}

fn again(outcome: &Outcome) -> Again {
    let Outcome::Refused { again, .. } = outcome else { panic!("not refused: {outcome:?}") };
    *again
}

fn broken() -> Reply {
    let words = "An unknown error occurred.";
    Reply::Says(500, json!({ "code": "unknown_error", "type": "unknown_error", "message": words }))
}

#[tokio::test]
async fn a_login_that_fails_costs_no_product_and_only_the_known_words_blame_the_password() {
    for (words, told) in [
        ("Knex: Timeout acquiring a connection. The pool is probably full.", "Knex: Timeout"),
        ("Invalid email or password", "wrong email or password"),
    ] {
        let liar = Liar::start(move |asked| {
            let refusal = json!({ "type": "unauthorized", "message": words });
            (asked.call == "POST /auth/user/emailpass").then_some(Reply::Says(401, refusal))
        });
        let liar = liar.await;
        let verdicts = batch::upsert(&trade_with(&liar, login()), &calls(2)).await;
        for outcome in &verdicts.outcomes {
            assert_eq!(again(outcome), Again::Later, "{outcome:?}");
            let words = format!("{outcome:?}");
            assert!(words.contains(told) && !words.contains("hush-hush"), "{words}");
        }
        assert!(liar.calls("POST /admin").is_empty());
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_had_anew_when_it_is_refused() {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    // It lives for no time at all, so it is about to end whenever it is used again.
    let token = |name: &str| format!("{name}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"iat":10,"exp":10}"#));
    let liar = Liar::start(move |asked| match asked.call.as_str() {
        "POST /auth/user/emailpass" => Some(Reply::Says(200, json!({ "token": token("login") }))),
        "POST /auth/token/refresh" if asked.before == 0 => {
            Some(Reply::Says(200, json!({ "token": token("fresh") })))
        }
        "POST /auth/token/refresh" => Some(Reply::Says(401, json!({ "message": "Unauthorized" }))),
        "POST /admin/products/batch" if asked.before == 0 => {
            Some(Reply::Says(401, json!({ "message": "Unauthorized" })))
        }
        _ => None,
    });
    let liar = liar.await;
    let verdicts = batch::upsert(&trade_with(&liar, login()), &calls(1)).await;
    assert!(is_created(&verdicts.outcomes[0]), "{verdicts:?}");
    let asked = liar.calls("GET /admin/products");
    assert!(
        asked[0].authorization.starts_with("Bearer login")
            || asked[0].authorization.starts_with("Bearer fresh")
    );
    let batches = liar.calls("POST /admin/products/batch");
    assert_eq!(batches.len(), 2, "what met a 401 was not looked at, and is sent once more");
    assert_eq!(batches[0].body, batches[1].body);
    let refreshed = liar.calls("POST /auth/token/refresh");
    assert!(refreshed[0].authorization.starts_with("Bearer login"));
}

#[tokio::test]
async fn a_secret_key_goes_along_as_it_is_and_a_401_to_it_is_no_verdict_on_a_product() {
    let liar = Liar::start(|_| None).await;
    let trade = trade_with(&liar, Credentials::Key("sk_abc".into()));
    assert!(is_created(&batch::upsert(&trade, &calls(1)).await.outcomes[0]));
    assert!(liar.calls("POST /auth").is_empty());
    assert!(liar.calls("").iter().all(|asked| asked.authorization == "Basic c2tfYWJjOg=="));

    let liar = Liar::start(|_| Some(Reply::Says(401, json!({ "message": "Unauthorized" })))).await;
    let verdicts = batch::upsert(&trade_with(&liar, Credentials::Key("sk_abc".into())), &calls(1)).await;
    assert_eq!(again(&verdicts.outcomes[0]), Again::Later);
    assert!(!format!("{verdicts:?}").contains("sk_abc"));
}

#[tokio::test]
async fn a_500_is_the_products_fault_while_others_are_answered() {
    let liar = Liar::start(|asked| {
        let has_poison = asked.body["create"].to_string().contains("K17-1");
        (asked.call == "POST /admin/products/batch" && has_poison).then(broken)
    });
    let liar = liar.await;
    let verdicts = batch::upsert(&trade_with(&liar, login()), &calls(50)).await;
    for (number, outcome) in verdicts.outcomes.iter().enumerate() {
        assert_eq!(is_created(outcome), number != 17, "{outcome:?}");
    }
    assert_eq!(again(&verdicts.outcomes[17]), Again::Later);
    let sizes: Vec<usize> = liar
        .calls("POST /admin/products/batch")
        .iter()
        .map(|asked| asked.body["create"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [50, 25, 12, 13, 6, 3, 3, 1, 2, 1, 1, 7, 25], "halves, and halves of those");
}

#[tokio::test]
async fn a_500_while_nobody_is_answered_is_an_outage_and_a_doubt_for_all() {
    let liar = Liar::start(|asked| match asked.call.as_str() {
        "POST /admin/products/batch" => Some(broken()),
        "GET /admin/products" if asked.query.starts_with("limit=1&") => Some(broken()),
        _ => None,
    });
    let liar = liar.await;
    let mut all = calls(50);
    // These two go by themselves, behind the others, and are not sent any more.
    all[8].attempt = 3;
    all[9].attempt = 3;
    let verdicts = batch::upsert(&trade_with(&liar, login()), &all).await;
    assert_eq!(liar.calls("POST /admin/products/batch").len(), 1);
    for (number, outcome) in verdicts.outcomes.iter().enumerate() {
        match number {
            8 | 9 => assert_eq!(again(outcome), Again::Later, "never sent"),
            _ => assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_ignores_the_filter_is_not_believed() {
    let liar = Liar::start(|asked| {
        let is_lookup = asked.call == "GET /admin/products" && asked.query.contains("external_id%5B%5D");
        let others = json!([whole("other"), whole("K1x")]);
        is_lookup.then(|| Reply::Says(200, json!({ "products": others })))
    });
    let liar = liar.await;
    let verdicts = batch::upsert(&trade_with(&liar, login()), &calls(2)).await;
    assert!(verdicts.outcomes.iter().all(is_created), "{verdicts:?}");
}

#[tokio::test]
async fn the_answer_is_taken_by_key_and_what_is_not_in_it_is_a_doubt() {
    let liar = Liar::start(|asked| {
        let listed = json!([
            { "id": "p2", "handle": "h-K2", "external_id": "K2" }, { "id": "p0", "handle": "h-K0", "external_id": "K0" },
        ]);
        (asked.call == "POST /admin/products/batch")
            .then(|| Reply::Says(200, json!({ "created": listed, "updated": [] })))
    });
    let liar = liar.await;
    let verdicts = batch::upsert(&trade_with(&liar, login()), &calls(3)).await;
    let ids: Vec<Option<&Value>> = verdicts
        .outcomes
        .iter()
        .map(|outcome| if let Outcome::Done(facts) = outcome { Some(&facts["id"]) } else { None })
        .collect();
    assert_eq!(ids, [Some(&json!("p0")), None, Some(&json!("p2"))]);
    assert!(matches!(verdicts.outcomes[1], Outcome::Unclear(_)));
}

/// A shop in which the products of one create appear while it is looked at: first without variants,
/// then whole.
async fn shop_at_work(looks_until_whole: usize) -> Liar {
    Liar::start(move |asked| {
        let is_lookup = asked.call == "GET /admin/products" && asked.query.contains("external_id%5B%5D");
        if !is_lookup {
            return None;
        }
        let keys = asked.query.split('&').filter_map(|pair| pair.strip_prefix("external_id%5B%5D="));
        let shown = keys.map(|key| {
            let mut product = whole(key);
            if asked.before < looks_until_whole {
                product["variants"] = json!([]);
            }
            product
        });
        Some(Reply::Says(200, json!({ "products": shown.collect::<Vec<_>>() })))
    })
    .await
}

#[tokio::test]
async fn what_is_still_at_work_is_waited_for_and_fifty_doubts_share_their_looks() {
    let liar = shop_at_work(1).await;
    let trade = Arc::new(trade_with(&liar, login()));
    let probes: Vec<_> = (0..50)
        .map(|number| {
            let trade = Arc::clone(&trade);
            tokio::spawn(async move { batch::probe(&trade, &request(&format!("K{number}"))).await })
        })
        .collect();
    for probe in probes {
        let Probed::Done(facts) = probe.await.unwrap() else { panic!("it is there, and whole") };
        assert_eq!(facts["action"], "found");
    }
    let looks = liar.calls("GET /admin/products").len();
    assert!((3..12).contains(&looks), "{looks}");

    // The same for a call that meets somebody's create at work: it does not fight it.
    let liar = shop_at_work(1).await;
    let verdicts = batch::upsert(&trade_with(&liar, login()), &calls(3)).await;
    for outcome in &verdicts.outcomes {
        assert!(matches!(outcome, Outcome::Done(facts) if facts["action"] == "unchanged"), "{outcome:?}");
    }
    assert!(liar.calls("POST /admin").is_empty());
}

#[tokio::test]
async fn what_never_looks_the_same_is_not_judged() {
    let liar = Liar::start(|asked| {
        (asked.call == "GET /admin/products").then(|| {
            let mut product = whole("K0");
            product["title"] = json!(asked.before);
            Reply::Says(200, json!({ "products": [product] }))
        })
    });
    let liar = liar.await;
    let probed = batch::probe(&trade_with(&liar, login()), &request("K0")).await;
    let Probed::Unknown(fault) = probed else { panic!("{probed:?}") };
    assert!(fault.message.contains("different at every look"), "{fault}");

    let twice = Liar::start(|asked| {
        let both = json!([whole("K0"), whole("K0")]);
        (asked.call == "GET /admin/products").then(|| Reply::Says(200, json!({ "products": both })))
    });
    let twice = twice.await;
    assert!(matches!(batch::probe(&trade_with(&twice, login()), &request("K0")).await, Probed::Unknown(_)));
}

#[tokio::test]
async fn silence_is_a_doubt_and_nothing_more_is_sent_after_it() {
    let liar =
        Liar::start(|asked| (asked.call == "POST /admin/products/batch").then_some(Reply::Dawdles)).await;
    let mut all = calls(4);
    all[3].attempt = 3;
    let trade = trade_with(&liar, login());
    let verdicts = batch::upsert(&trade, &all).await;
    for outcome in &verdicts.outcomes[..3] {
        let Outcome::Unclear(fault) = outcome else { panic!("{verdicts:?}") };
        assert_eq!(fault.name, name::TIMEOUT);
    }
    assert_eq!(again(&verdicts.outcomes[3]), Again::Later, "never sent");
    assert_eq!(liar.calls("POST /admin/products/batch").len(), 1);
    assert_eq!(batch::probe(&trade, &request("K3")).await, Probed::Absent);
}
