//! The history of an execution, and its end.

use serde_json::{Map, json};

use super::*;
use crate::core::execution::{Answer, Entry};
use crate::core::fault::name;
use crate::ports::Begun;

/// An event of a state: it is entered, then follows what comes from that.
fn event(number: u64, kind: &str, details: &Value) -> Value {
    let mut event = json!({ "id": number, "previousEventId": number - 1, "type": kind, "timestamp": 1.5 });
    event.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
    event
}

fn entered(number: u64, state: &str) -> Value {
    event(number, "TaskStateEntered", &json!({ "stateEnteredEventDetails": { "name": state } }))
}

fn passed(numbers: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = Value> {
    numbers.map(|number| event(number, "ActivityScheduled", &json!({})))
}

/// Everything that is heard of the history up to this entry.
async fn heard(driver: &Driver, last: u64) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    while all.last().is_none_or(|entry| entry.number < last) {
        match next(driver).await.unwrap() {
            Heard::History(entries) => {
                assert!(entries.len() <= 100, "{} at once", entries.len());
                all.extend(entries);
            }
            other => panic!("{other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn every_entry_is_told_once_and_none_that_is_known() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    server.append(passed(1..=700));
    let driver = driver(&board, run);
    driver.begin(&Execution { mirrored: 250, ..execution(&driver, run) }).await.unwrap();
    let numbers: Vec<u64> = heard(&driver, 700).await.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (251..=700).collect::<Vec<_>>());
    assert_eq!(server.asked("GetExecutionHistory")[..3].len(), 3, "three pages of 200 hold them");
    assert!(server.asked("GetExecutionHistory").get(3).is_none_or(|asked| asked["nextToken"].is_null()));

    server.append([
        entered(701, "pim"),
        event(702, "ActivityStarted", &json!({})),
        event(
            703,
            "ActivityFailed",
            &json!({ "activityFailedEventDetails": { "error": "E", "cause": "c" } }),
        ),
        event(
            704,
            "ActivityTimedOut",
            &json!({ "activityTimedOutEventDetails": { "error": "States.Timeout" } }),
        ),
    ]);
    // Beginning it once more does not begin its history anew.
    assert_eq!(driver.begin(&execution(&driver, run)).await, Ok(Begun::UnderWay));
    let news = heard(&driver, 704).await;
    let entry = |number, kind: &str, fault: Option<(&str, &str)>| Entry {
        number,
        at: 1500,
        kind: kind.to_owned(),
        state: Some("pim".to_owned()),
        fault: fault.map(|(name, message)| Fault::new(name, message)),
    };
    assert_eq!(
        news,
        [
            entry(701, "TaskStateEntered", None),
            entry(702, "ActivityStarted", None),
            entry(703, "ActivityFailed", Some(("E", "c"))),
            entry(704, "ActivityTimedOut", Some(("States.Timeout", ""))),
        ]
    );
}

/// What is heard behind the history that ends with this event.
async fn end_of(kind: &str, details: &Value) -> Fault {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let driver = driver(&board, run);
    driver.begin(&execution(&driver, run)).await.unwrap();
    server.append([entered(1, "pim"), event(2, kind, details)]);
    assert_eq!(heard(&driver, 2).await.len(), 2, "what led to the end is told before it");
    match next(&driver).await.unwrap() {
        Heard::Over(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_end_of_an_execution_is_told_in_its_words() {
    let words = json!({ "error": "States.Runtime", "cause": "no such path" });
    let fault = |message: &str| Fault::new(name::EXECUTION, message);
    let why = "States.Runtime: no such path";
    assert_eq!(
        end_of("ExecutionFailed", &json!({ "executionFailedEventDetails": words })).await,
        fault(&format!("the execution failed: {why}"))
    );
    assert_eq!(
        end_of("ExecutionAborted", &json!({ "executionAbortedEventDetails": words })).await,
        fault(&format!("the execution was stopped: {why}"))
    );
    assert_eq!(end_of("ExecutionTimedOut", &json!({})).await, fault("the execution timed out"));
    let succeeded = end_of("ExecutionSucceeded", &json!({})).await;
    assert_eq!(succeeded, fault("the execution succeeded without an answer of ours to its close"));
}

#[tokio::test]
async fn an_execution_that_ends_with_our_answer_is_no_news() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let driver = driver(&board, run);
    driver.begin(&execution(&driver, run)).await.unwrap();
    server.order("m-close", "t1", &input(run, &json!({ "do": "close" })));
    let order = ordered(&driver).await;
    driver.answer(&order.receipt, Answer::Done { facts: Map::new() }).await.unwrap();
    server.append([entered(1, "close"), event(2, "ExecutionSucceeded", &json!({}))]);
    heard(&driver, 2).await;
    let asked = server.asked("GetExecutionHistory").len();
    // Another order shows that nothing was said before it, and nobody looks at the history any more.
    server.order("m-pim", "t2", &step(run));
    assert!(matches!(next(&driver).await, Ok(Heard::Ordered(_))));
    assert_eq!(server.asked("GetExecutionHistory").len(), asked);
}

#[tokio::test]
async fn an_execution_that_nobody_knows_is_over_unless_it_was_begun_just_now() {
    let server = Server::start().await;
    let (hasty, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let hasty = driver(&hasty, run);
    server.refuse("GetExecutionHistory", &[(400, "ExecutionDoesNotExist")]);
    hasty.begin(&execution(&hasty, run)).await.unwrap();
    let Ok(Heard::Over(fault)) = next(&hasty).await else { panic!("not over") };
    assert_eq!(fault.name, name::EXECUTION);
    drop(hasty);

    let (patient, asked) = (board(&server.url, Duration::from_mins(1)).await, "GetExecutionHistory");
    let (patient, before) = (driver(&patient, run), server.asked(asked).len());
    server.refuse(asked, &[(400, "ExecutionDoesNotExist")]);
    patient.begin(&execution(&patient, run)).await.unwrap();
    let again = async {
        while server.asked(asked).len() < before + 2 {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANGS, again).await.expect("it is not asked again");
    server.order("m-pim", "t1", &step(run));
    ordered(&patient).await;
}
