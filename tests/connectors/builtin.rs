use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use milepost::connectors::catalog;
use milepost::core::id::{RunId, Unit};
use milepost::core::retry::Again;
use milepost::ports::{Effect, Worker};
use serde_json::{Value, json};

use crate::witness::Witness;
use crate::world::{call, done, faults, once, refused, scope, worker};

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

#[tokio::test]
async fn nothing_leaves_a_line_for_each_unit_of_each_call_and_returns_as_many_bytes_as_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let nothing = effect("nothing", &json!({ "log": log.to_str().unwrap(), "bytes": 200 }));
    assert!(!log.exists(), "whoever only looks at a file leaves nothing behind");
    let mut calls = vec![call(&*nothing, Value::Null); 3];
    for (call, unit) in calls.iter_mut().zip([Unit::Item(0), Unit::Item(17), Unit::Run]) {
        call.unit = unit;
    }
    calls[1].effect_id = 2;
    let verdicts = nothing.call(&calls).await;
    nothing.call(&calls[..1]).await;
    let run = RunId(1);
    let lines = format!("{run} it 0\n{run} it 17\n{run} it -\n{run} it 0\n");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), lines);
    let results: Vec<&Value> = verdicts.outcomes.iter().map(|outcome| &done(outcome)["result"]).collect();
    assert!(results.iter().all(|result| result.as_str().unwrap().len() == 200));
    assert_eq!(results[0], results[2], "it follows from the effect");
    assert_ne!(results[0], results[1]);
}

#[tokio::test]
async fn the_bench_counts_what_nothing_has_logged_and_notices_what_is_lost_or_done_twice() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let nothing = effect("nothing", &json!({ "log": log.to_str().unwrap() }));
    let mut calls = vec![call(&*nothing, Value::Null); 3];
    for (call, position) in calls.iter_mut().zip([0, 1, 2]) {
        call.unit = Unit::Item(position);
    }
    nothing.call(&calls).await;
    let (none, told) = (BTreeMap::new(), |log: &Path| Witness::of(log).unwrap());
    told(&log).holds(3, &none).unwrap();
    let lost = told(&log).holds(4, &none).unwrap_err().to_string();
    assert_eq!(lost, "3 effects in the log, not 4");
    nothing.call(&calls[1..2]).await;
    let twice = told(&log).holds(3, &none).unwrap_err().to_string();
    assert!(twice.contains("\"it\", 1"), "{twice}");
    let doubt = BTreeMap::from([((RunId(1).to_string(), "it".to_owned(), 1), 1)]);
    told(&log).holds(3, &doubt).unwrap();
    nothing.call(&calls[1..2]).await;
    told(&log).holds(3, &doubt).unwrap_err();
    assert_eq!((told(&log).effects(), told(&log).repeated().len()), (3, 1));
    assert_eq!(told(&dir.path().join("absent")).effects(), 0);
    std::fs::write(&log, "a line of somebody else\n").unwrap();
    assert!(Witness::of(&log).is_err());
}

#[tokio::test]
async fn nothing_is_refused_when_its_log_cannot_be_written_and_a_long_result_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = effect("nothing", &json!({ "log": dir.path().to_str().unwrap() }));
    let outcome = once(&*nothing, &Value::Null).await;
    assert_eq!(refused(&outcome).0, Again::Never);
    let faults = faults("nothing", ("none", json!({})), &json!({ "bytes": 2_049 }));
    assert_eq!(faults[0].field.as_deref(), Some("bytes"));
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
