//! Handlers that change something outside: what is known of each item afterwards.

use std::time::Duration;

use milepost::core::retry::{Again, Outcome, Probed};
use milepost::ports::Call;
use serde_json::{Value, json};

use super::Desk;
use crate::world::call;

fn calls(desk: &dyn milepost::ports::Effect, items: &[&str]) -> Vec<Call> {
    let one = |(at, item): (usize, &&str)| Call {
        effect_id: at as u128 + 1,
        key: format!("key-{item}"),
        ..call(desk, json!({ "name": item }))
    };
    items.iter().enumerate().map(one).collect()
}

fn words(outcomes: &[Outcome]) -> Vec<String> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Done(facts) => format!("done {}", facts["result"]),
        Outcome::Refused { fault, again: Again::Never } => format!("never {}", fault.name),
        Outcome::Refused { fault, .. } => format!("later {}", fault.name),
        Outcome::Unclear(fault) => format!("unclear {}", fault.name),
        Outcome::Skipped(_) => "skipped".to_owned(),
    };
    outcomes.iter().map(word).collect()
}

const HANDLER: &str = r#"
import os, time
class Sold(Exception): pass
def handler(event, context):
    what = event["name"]
    if what == "hangs": time.sleep(1000)
    if what == "dies": os._exit(5)
    if what == "sold": raise Sold("gone")
    if what == "away": raise TimeoutError("no route")
    if what == "long": return "x" * 5000
    if what == "odd": return {1, 2}
    custom = context.client_context.custom
    return [custom["key"], custom["attempt"], context.aws_request_id[-4:]]
def batch(event, context):
    if event["items"][-1]["name"] == "raises": raise Sold("gone")
    failed = [id for item, id in zip(event["items"], event["ids"]) if item["name"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed],
            "results": [item["name"].upper() for item in event["items"]]}
def find(event, context):
    if event["name"] == "there": return {"id": 7}
    if event["name"] == "unknown": raise Sold("?")
"#;

#[tokio::test]
async fn each_item_has_a_verdict_and_what_is_not_known_is_a_doubt() {
    let desk = Desk::with(HANDLER).within(Duration::from_millis(700));
    let effect = desk.effect(&json!({ "handler": "handler.py" }));
    let items = ["a", "sold", "away", "long", "dies", "b", "hangs", "c", "odd"];
    let verdicts = effect.call(&calls(&*effect, &items)).await;
    assert_eq!(
        words(&verdicts.outcomes),
        [
            r#"done ["key-a",1,"0001"]"#,
            "never Sold",
            "later TimeoutError",
            "unclear NoAnswer",
            "unclear NoAnswer",
            r#"done ["key-b",1,"0006"]"#,
            "unclear Timeout",
            r#"done ["key-c",1,"0008"]"#,
            // It was done, and what it returned cannot be told.
            "unclear NoAnswer",
        ]
    );
    assert_eq!(verdicts.calls, 9);
}

#[tokio::test]
async fn what_was_never_handed_over_is_in_no_doubt() {
    let effect = Desk::new().effect(&json!({ "run": ["./nowhere"] }));
    let verdicts = effect.call(&calls(&*effect, &["a", "b"])).await;
    assert_eq!(words(&verdicts.outcomes), ["later Unreachable", "later Unreachable"]);
}

/// The engine has given the call up: nobody would know of what is done then.
#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let desk = Desk::with(
        r#"
def handler(event, context):
    if event["name"] == "first":
        with open("gate") as gate: gate.read()
    with open("done", "a") as file: file.write(event["name"] + " ")
"#,
    );
    assert!(std::process::Command::new("mkfifo").arg(desk.path("gate")).status().unwrap().success());
    let effect = desk.effect(&json!({ "handler": "handler.py" }));
    let all = calls(&*effect, &["first", "given up", "last"]);
    let (first, given_up, last) = (effect.call(&all[..1]), effect.call(&all[1..2]), effect.call(&all[2..]));
    {
        let (mut given_up, mut first) = (Box::pin(given_up), Box::pin(first));
        // Both are asked for; the first stands at the gate, and the second is given up.
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut given_up).is_pending());
        drop(given_up);
        let path = desk.path("gate");
        let opened = tokio::task::spawn_blocking(move || std::fs::write(path, "go"));
        opened.await.unwrap().unwrap();
        first.await;
    }
    last.await;
    assert_eq!(desk.text("done"), "first last ");
}

#[tokio::test]
async fn a_batch_is_one_event_and_says_which_of_its_items_failed() {
    let desk = Desk::with(HANDLER);
    let effect = desk.effect(&json!({ "handler": "handler.py", "function": "batch", "event": "items" }));
    let verdicts = effect.call(&calls(&*effect, &["a", "bad", "c"])).await;
    assert_eq!(words(&verdicts.outcomes), [r#"done "A""#, "later BatchItemFailure", r#"done "C""#]);
    assert_eq!(verdicts.calls, 1);
}

#[tokio::test]
async fn an_error_in_the_middle_of_a_batch_leaves_a_doubt_about_all_of_it() {
    let desk = Desk::with(HANDLER);
    let effect = desk.effect(&json!({ "handler": "handler.py", "function": "batch", "event": "items" }));
    let verdicts = effect.call(&calls(&*effect, &["a", "b", "raises"])).await;
    assert_eq!(words(&verdicts.outcomes), ["unclear Sold"; 3]);
    let alone = effect.call(&calls(&*effect, &["raises"])).await;
    assert_eq!(words(&alone.outcomes), ["never Sold"], "an event about one item is about that item");
}

#[tokio::test]
async fn a_handler_that_can_look_up_settles_doubts() {
    let desk = Desk::with(HANDLER);
    let effect = desk.effect(&json!({ "handler": "handler.py", "lookup": { "function": "find" } }));
    let probed = |name: &'static str| {
        let effect = effect.clone();
        async move { effect.probe(&calls(&*effect, &[name])[0]).await }
    };
    let Probed::Done(facts) = probed("there").await else { panic!("not found") };
    assert_eq!(facts["result"], json!({ "id": 7 }));
    assert_eq!(probed("elsewhere").await, Probed::Absent);
    let Probed::Unknown(fault) = probed("unknown").await else { panic!("not unknown") };
    assert_eq!(fault.name, "Sold");

    let blind = desk.effect(&json!({ "handler": "handler.py" }));
    let Probed::Unknown(fault) = blind.probe(&calls(&*blind, &["there"])[0]).await else { panic!("it can") };
    assert!(fault.message.contains("does not say in its hello that it can look up"), "{fault}");
}

#[tokio::test]
async fn what_is_handed_over_can_be_said_by_the_step() {
    let desk = Desk::with("def handler(event, context):\n    return event\n");
    let body = json!({ "order": "${{ item.name }}", "of": 1 });
    let effect = desk.effect(&json!({ "handler": "handler.py", "body": body }));
    let verdicts = effect.call(&calls(&*effect, &["A-7"])).await;
    assert_eq!(words(&verdicts.outcomes), [r#"done {"order":"A-7","of":1}"#]);
    assert_eq!(effect.prepare(&crate::world::scope(json!({ "name": Value::Null }))).unwrap()["of"], 1);
}
