use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::core::id::{RunId, Unit};
use crate::core::version::Version;

/// Longest wait for an answer; the server is in this process.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the stand-in was asked: path with query, and the event.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;
/// What it answers: status, the error word of the function, the body; `None`: nothing, for ever.
type Reply = Option<(u16, Option<&'static str>, Value)>;

async fn server(script: impl Fn(&Value) -> Reply + Clone + Send + Sync + 'static) -> (String, Asked) {
    let asked = Asked::default();
    let told = Arc::clone(&asked);
    let answer = move |uri: Uri, body: Bytes| {
        let (script, told) = (script.clone(), Arc::clone(&told));
        async move {
            let event: Value = serde_json::from_slice(&body).unwrap();
            told.lock().unwrap().push((uri.to_string(), event.clone()));
            let Some((status, error, body)) = script(&event) else { return std::future::pending().await };
            let word = if status == 200 { "x-amz-function-error" } else { "x-amzn-errortype" };
            let headers = error.map(|error| [(word, error)]);
            (
                StatusCode::from_u16(status).unwrap(),
                headers.map(axum::response::AppendHeaders),
                body.to_string(),
            )
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, asked)
}

async fn invoker(url: &str, event: Event, timeout: Duration) -> Invoker {
    let session = Session::at(url, timeout).await;
    Invoker {
        function: "enrich".to_owned(),
        qualifier: Some("live".to_owned()),
        payload: None,
        event,
        session,
    }
}

fn calls(count: u64) -> Vec<Call> {
    let call = |position: u64| Call {
        run: RunId(1),
        unit: Unit::Item(position),
        attempt: 1,
        key: format!("k{position}"),
        effect_id: u128::from(position) + 1,
        request: json!({ "sku": position }),
        version: Version("1".to_owned()),
    };
    (0..count).map(call).collect()
}

fn words(verdicts: &Verdicts) -> Vec<String> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Done(facts) => format!("done {}", facts["result"]),
        Outcome::Refused { fault, again } => format!("{again:?} {}", fault.name),
        Outcome::Unclear(fault) => format!("unclear {}", fault.name),
        Outcome::Skipped(_) => "skipped".to_owned(),
    };
    verdicts.outcomes.iter().map(word).collect()
}

#[tokio::test]
async fn each_item_is_an_invocation_with_a_verdict_of_its_own() {
    let (url, asked) = server(|event| {
        Some(match event["sku"].as_u64() {
            Some(0) => (200, None, json!({ "grade": "A" })),
            Some(1) => {
                (200, Some("Unhandled"), json!({ "errorType": "InvalidProduct", "errorMessage": "no" }))
            }
            Some(2) => (429, Some("TooManyRequestsException"), json!({ "message": "slow down" })),
            Some(3) => (500, Some("ServiceException"), json!({ "message": "?" })),
            Some(4) => (404, Some("ResourceNotFoundException"), json!({ "message": "no such function" })),
            _ => return None,
        })
    })
    .await;
    let invoker = invoker(&url, Event::Item, Duration::from_millis(500)).await;
    let verdicts = invoker.call(&calls(6)).await;
    assert_eq!(
        words(&verdicts),
        [
            r#"done {"grade":"A"}"#,
            "Never InvalidProduct",
            "Later HttpStatus",
            "unclear HttpStatus",
            "Never HttpStatus",
            "unclear Timeout"
        ]
    );
    assert_eq!(verdicts.calls, 6);
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|(path, _)| path == "/2015-03-31/functions/enrich/invocations?Qualifier=live"));
}

#[tokio::test]
async fn a_batch_is_one_invocation_and_the_function_says_which_items_failed() {
    let (url, asked) = server(|event| {
        let second = &event["Records"][1]["messageId"];
        Some((200, None, json!({ "batchItemFailures": [{ "itemIdentifier": second }] })))
    })
    .await;
    let verdicts = invoker(&url, Event::Records, TIMEOUT).await.call(&calls(3)).await;
    assert_eq!(words(&verdicts), ["done null", "Later BatchItemFailure", "done null"]);
    assert_eq!((verdicts.calls, asked.lock().unwrap().len()), (1, 1));

    let (url, _) = server(|event| {
        let doubled = event["items"].as_array().unwrap().iter().map(|item| item["sku"].as_u64().unwrap() * 2);
        Some((200, None, json!({ "results": doubled.collect::<Vec<_>>() })))
    })
    .await;
    let verdicts = invoker(&url, Event::Items, TIMEOUT).await.call(&calls(3)).await;
    assert_eq!(words(&verdicts), ["done 0", "done 2", "done 4"]);
}

#[tokio::test]
async fn what_cannot_be_understood_or_sent_spoils_only_what_it_is_about() {
    let (url, _) = server(|_| Some((200, None, json!({ "results": "none" })))).await;
    let verdicts = invoker(&url, Event::Items, TIMEOUT).await.call(&calls(2)).await;
    assert_eq!(words(&verdicts), ["unclear NoAnswer", "unclear NoAnswer"]);

    let mut calls = calls(2);
    calls[0].request = Value::from("x".repeat(EVENT_BYTES_MAX));
    let verdicts = invoker(&url, Event::Item, TIMEOUT).await.call(&calls).await;
    assert_eq!(words(&verdicts), ["Never Refused", r#"done {"results":"none"}"#]);
    assert_eq!(verdicts.calls, 1);

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let verdicts = invoker(&format!("http://{closed}"), Event::Item, TIMEOUT).await.call(&calls[1..]).await;
    assert_eq!(words(&verdicts), ["Later Unreachable"], "nothing was sent");
}
