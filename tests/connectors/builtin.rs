use std::sync::Arc;

use milepost::connectors::catalog;
use milepost::core::retry::Again;
use milepost::ports::{Effect, Worker};
use serde_json::{Value, json};

use crate::world::{call, done, once, refused, scope, worker};

fn effect(uses: &str, with: &Value) -> Arc<dyn Effect> {
    match worker(uses, None, with) {
        Worker::Effect(effect) => effect,
        _ => panic!("not an effect"),
    }
}

#[tokio::test]
async fn fail_fails_always_or_so_many_times() {
    let outcome = once(&*effect("fail", &json!({ "message": "on purpose" })), &Value::Null).await;
    assert_eq!(refused(&outcome), (Again::Never, "on purpose"));
    let twice = effect("fail", &json!({ "times": 2 }));
    let mut again = call(&*twice, Value::Null);
    for attempt in 1..=3 {
        again.attempt = attempt;
        let outcome = twice.call(std::slice::from_ref(&again)).await.outcomes.remove(0);
        if attempt < 3 {
            assert_eq!(refused(&outcome).0, Again::Later);
        } else {
            done(&outcome);
        }
    }
}

#[tokio::test]
async fn an_alert_returns_its_line_as_a_fact() {
    let outcome = once(&*effect("alert", &json!({ "message": "look here" })), &Value::Null).await;
    assert_eq!(done(&outcome)["alert"], "look here");
    let outcome = once(&*effect("alert", &json!({})), &Value::Null).await;
    assert!(done(&outcome)["alert"].as_str().unwrap().contains("needs attention"));
}

#[tokio::test]
async fn nothing_returns_the_same_id_however_often() {
    let nothing = effect("nothing", &json!({}));
    let call = call(&*nothing, Value::Null);
    let calls = [call.clone(), call];
    let verdicts = nothing.call(&calls).await;
    assert_eq!(done(&verdicts.outcomes[0])["id"], done(&verdicts.outcomes[1])["id"]);
    assert_eq!(verdicts.calls, 0);
}

#[test]
fn a_delay_is_milliseconds() {
    let Worker::Pure(delay) = worker("delay", None, &json!({ "for": "1m 30s" })) else {
        panic!("not a timer")
    };
    assert_eq!(delay.prepare(&scope(Value::Null)).unwrap(), json!(90_000));
}

#[test]
fn every_descriptor_is_consistent() {
    let catalog = catalog();
    for step in &catalog.steps {
        assert!(step.batch_default >= 1 && step.batch_default <= step.batch_max, "{}", step.uses);
        assert!(step.concurrency >= 1, "{}", step.uses);
        for connection in step.connections {
            assert!(catalog.connection(connection).is_some(), "{}: {connection}", step.uses);
        }
    }
}
