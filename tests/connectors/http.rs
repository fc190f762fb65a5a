use milepost::connectors::sandbox::Faults;
use milepost::core::retry::{Again, Outcome};
use milepost::ports::{Effect, Worker};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::world::{World, done, once, refused, worker};

fn request(with: &Value) -> Arc<dyn Effect> {
    match worker("http.request", None, with) {
        Worker::Effect(effect) => effect,
        _ => panic!("not an effect"),
    }
}

#[tokio::test]
async fn an_expected_status_is_done_and_its_body_a_fact() {
    let world = World::start().await;
    let url = format!("{}/sandbox/faults", world.sandbox.pim_url);
    let outcome = once(&*request(&json!({ "url": url })), &Value::Null).await;
    assert_eq!(done(&outcome)["status"], 200);
    assert_eq!(done(&outcome)["body"]["errors"], 0.0);

    let post = json!({ "url": url, "method": "POST", "body": { "latency_ms": 1 }, "expect": [204] });
    assert_eq!(done(&once(&*request(&post), &Value::Null).await)["status"], 204);
    let missing = format!("{}/nowhere", world.sandbox.pim_url);
    let outcome = once(&*request(&json!({ "url": missing })), &Value::Null).await;
    assert_eq!(refused(&outcome).0, Again::Never);
    let tolerant = request(&json!({ "url": missing, "expect": [404] }));
    assert!(done(&once(&*tolerant, &Value::Null).await)["body"].as_str().unwrap().contains("Not Found"));
}

#[tokio::test]
async fn a_server_error_is_a_doubt_only_when_something_may_have_changed() {
    let world = World::start().await;
    world.strike(&world.sandbox.pim_url, &Faults { errors: 1.0, ..Faults::default() }).await;
    let url = format!("{}/x", world.sandbox.pim_url);
    let outcome = once(&*request(&json!({ "url": url })), &Value::Null).await;
    assert_eq!(refused(&outcome).0, Again::Later);
    let outcome = once(&*request(&json!({ "url": url, "method": "POST" })), &Value::Null).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_for_good() {
    for with in [
        json!({ "url": "ftp://example" }),
        json!({ "url": "http://127.0.0.1:1", "headers": { "bad name": "x" } }),
    ] {
        let outcome = once(&*request(&with), &Value::Null).await;
        assert_eq!(refused(&outcome).0, Again::Never, "{outcome:?}");
    }
}
