//! The queue against a server of our own that speaks SQS as far as it is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::message::parse;
use super::queue::{Sqs, seconds};
use crate::connectors::aws::session::Session;
use crate::core::id::RunId;
use crate::core::queue::{Only, Receive, SHARED, Ticket};
use crate::core::selection::Positions;
use crate::ports::{Queue, QueueError};

fn envelope(item: u64) -> Value {
    json!({
        "milepost": {
            "run": RunId(1), "item": item, "event_id": "00000000-0000-0000-0000-000000000007",
            "digest": "d", "version": "1",
        },
        "data": { "sku": "A" },
    })
}

fn event(item: u64) -> String {
    json!({ "version": "0", "id": "x", "detail-type": "ProductIngested", "source": "s",
            "detail": envelope(item) })
    .to_string()
}

#[test]
fn an_event_and_a_bare_envelope_say_the_same() {
    let of_event = parse("q", &event(3)).unwrap();
    let bare = parse("q", &envelope(3).to_string()).unwrap();
    assert_eq!(
        (of_event.message.item, of_event.message.event_id, of_event.message.run),
        (Some(3), 7, RunId(1))
    );
    assert_eq!(
        (of_event.message.detail_type.as_str(), bare.message.detail_type.as_str()),
        ("ProductIngested", "")
    );
    assert_eq!((of_event.data, of_event.version), (bare.data, bare.version));
    assert_eq!(of_event.message.digest, bare.message.digest);
}

#[test]
fn whatever_is_no_message_of_ours_says_why() {
    let damaged = |change: &dyn Fn(&mut Value)| {
        let mut envelope = envelope(1);
        change(&mut envelope);
        envelope.to_string()
    };
    let table = [
        (String::new(), "empty"),
        ("  \n".to_owned(), "empty"),
        ("{".to_owned(), "no JSON"),
        ("bWlsZXBvc3Q=".to_owned(), "no JSON"),
        ("\u{fffd}\u{0}".to_owned(), "no JSON"),
        ("[1]".to_owned(), "no JSON object"),
        ("\"text\"".to_owned(), "no JSON object"),
        ("{}".to_owned(), "'milepost' is missing"),
        (json!({ "Service": "Amazon S3", "Event": "s3:TestEvent" }).to_string(), "test event"),
        (json!({ "Records": [{ "s3": {} }] }).to_string(), "another service"),
        (
            json!({ "detail-type": "Order", "detail": { "id": 1 } }).to_string(),
            "'Order' without our envelope",
        ),
        (json!({ "detail-type": "Order" }).to_string(), "no whole event"),
        (json!({ "detail-type": 3, "detail": envelope(1) }).to_string(), "no whole event"),
        (json!({ "detail-type": "Order", "detail": "text" }).to_string(), "without our envelope"),
        (damaged(&|e| e["milepost"] = json!(1)), "damaged"),
        (damaged(&|e| e["milepost"]["run"] = json!("run_no")), "damaged"),
        (damaged(&|e| e["milepost"]["item"] = json!(-1)), "damaged"),
        (damaged(&|e| e["milepost"]["item"] = json!("1")), "damaged"),
        (damaged(&|e| e["milepost"]["event_id"] = json!("no")), "damaged"),
        (damaged(&|e| e["milepost"]["digest"] = json!(null)), "damaged"),
        (damaged(&|e| drop(e["milepost"].as_object_mut().unwrap().remove("item"))), "not about an item"),
    ];
    for (body, why) in table {
        let reason = parse("q", &body).unwrap_err();
        assert!(reason.contains(why), "{body:?}: {reason}");
    }
    let long = json!({ "milepost": { "run": "x".repeat(10_000) } }).to_string();
    assert!(parse("q", &long).unwrap_err().chars().count() < 310);
}

#[test]
fn seconds_are_whole_and_no_more_than_sqs_takes() {
    let of = |millis| seconds(Duration::from_millis(millis));
    assert_eq!((of(0), of(1), of(1_000), of(1_001)), (0, 1, 1, 2));
    assert_eq!(seconds(Duration::from_hours(13)), 43_200);
}

/// What the server holds, and what it was asked.
#[derive(Default)]
struct Server {
    visible: Vec<(String, String)>,
    dead: Vec<(String, String)>,
    has_policy: bool,
    is_gone: bool,
    moves: bool,
    /// Handles that fail, and whether that is the sender's fault.
    failing: Vec<(String, bool)>,
    asked: Vec<(String, Value)>,
}

type Shared = Arc<Mutex<Server>>;

async fn answer(State(server): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    let operation = target.rsplit('.').next().unwrap().to_owned();
    let asked: Value = serde_json::from_str(&body).unwrap();
    let mut server = server.lock().unwrap();
    server.asked.push((operation.clone(), asked.clone()));
    let refused = |code: &str| {
        let told = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "no" }).to_string();
        (StatusCode::BAD_REQUEST, [("content-type", "application/x-amz-json-1.0")], told).into_response()
    };
    if server.is_gone {
        return refused("QueueDoesNotExist");
    }
    let is_dead = asked["QueueUrl"].as_str().is_some_and(|url| url.ends_with("/dead"));
    let told = match operation.as_str() {
        "GetQueueUrl" => {
            json!({ "QueueUrl": format!("http://x/0/{}", asked["QueueName"].as_str().unwrap()) })
        }
        "GetQueueAttributes" if server.has_policy => {
            let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:r:0:dead", "maxReceiveCount": 3 });
            json!({ "Attributes": { "RedrivePolicy": policy.to_string() } })
        }
        "GetQueueAttributes" => json!({}),
        "StartMessageMoveTask" if server.moves => json!({ "TaskHandle": "t" }),
        "StartMessageMoveTask" => return refused("UnsupportedOperation"),
        "ReceiveMessage" => {
            let most = usize::try_from(asked["MaxNumberOfMessages"].as_u64().unwrap()).unwrap();
            let from = if is_dead { &mut server.dead } else { &mut server.visible };
            let taken: Vec<_> = from.drain(..most.min(from.len())).collect();
            let message = |(id, body): &(String, String)| {
                json!({ "MessageId": id, "ReceiptHandle": format!("h-{id}"), "Body": body,
                        "Attributes": { "ApproximateReceiveCount": "2" } })
            };
            json!({ "Messages": taken.iter().map(message).collect::<Vec<_>>() })
        }
        _ => verdicts(&server, &asked),
    };
    (StatusCode::OK, [("content-type", "application/x-amz-json-1.0")], told.to_string()).into_response()
}

fn verdicts(server: &Server, asked: &Value) -> Value {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for entry in asked["Entries"].as_array().unwrap() {
        let (id, handle) = (&entry["Id"], entry["ReceiptHandle"].as_str().unwrap_or_default());
        match server.failing.iter().find(|(failing, _)| failing == handle) {
            Some((_, theirs)) => {
                bad.push(json!({ "Id": id, "SenderFault": theirs, "Code": "E", "Message": "no" }));
            }
            None => good.push(json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "x" })),
        }
    }
    json!({ "Successful": good, "Failed": bad })
}

impl Server {
    fn count(&self, operation: &str) -> usize {
        self.asked.iter().filter(|(asked, _)| asked == operation).count()
    }
}

async fn serve(server: Server) -> (Sqs, Shared) {
    let shared = Arc::new(Mutex::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let session = Session::at(&endpoint, Duration::from_secs(20)).await;
    (Sqs::new(Arc::new(session), "products"), shared)
}

fn receive(content: bool) -> Receive {
    let (wait, visibility) = (Duration::from_millis(1_500), Duration::from_secs(30));
    let (queue, run) = ("products".to_owned(), RunId(1));
    Receive { queue, run, only: Only::All, max: 100, wait, visibility, receives_max: 3, pollers: 1, content }
}

fn tickets(count: usize) -> Vec<Ticket> {
    (0..count).map(|at| Ticket::Given(format!("h-{at}").into())).collect()
}

#[tokio::test]
async fn one_receive_sorts_messages_from_strays_and_asks_for_the_url_once() {
    let visible = vec![("m1".to_owned(), event(4)), ("m2".to_owned(), "{".to_owned())];
    let (queue, server) = serve(Server { visible, ..Server::default() }).await;
    let received = queue.receive(&receive(true)).await.unwrap();
    assert_eq!((received.deliveries.len(), received.strays.len()), (1, 1));
    let (delivery, stray) = (&received.deliveries[0], &received.strays[0]);
    assert_eq!((delivery.receives, delivery.message.item), (2, Some(4)));
    assert_eq!(delivery.ticket, Ticket::Given("h-m1".into()));
    assert_eq!(*delivery.carried.as_ref().unwrap().content, json!({ "sku": "A" }));
    assert_eq!((stray.id.as_str(), stray.receives), ("m2", 2));
    assert!(queue.receive(&receive(false)).await.unwrap().is_empty());
    let server = server.lock().unwrap();
    assert_eq!((server.count("GetQueueUrl"), server.count("ReceiveMessage")), (1, 2));
    let asked = &server.asked.iter().find(|(asked, _)| asked == "ReceiveMessage").unwrap().1;
    assert_eq!(asked["MaxNumberOfMessages"], 10);
    assert_eq!((&asked["WaitTimeSeconds"], &asked["VisibilityTimeout"]), (&json!(2), &json!(30)));
}

#[tokio::test]
async fn changes_go_in_tens_and_only_what_the_service_failed_at_is_tried_again() {
    let failing = vec![("h-3".to_owned(), false), ("h-14".to_owned(), true)];
    let (queue, server) = serve(Server { failing, has_policy: true, ..Server::default() }).await;
    let mut twice = tickets(25);
    twice.extend(tickets(25));
    queue.delete(twice).await.unwrap();
    let sizes = |operation: &str| {
        let server = server.lock().unwrap();
        let of = server.asked.iter().filter(|(asked, _)| asked == operation);
        let mut sizes: Vec<usize> = of.map(|(_, asked)| asked["Entries"].as_array().unwrap().len()).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes("DeleteMessageBatch"), [1, 5, 10, 10], "h-3 once more, h-14 not");
    queue.hide(tickets(11), Duration::from_secs(7)).await.unwrap();
    assert_eq!(sizes("ChangeMessageVisibilityBatch"), [1, 1, 10]);
    queue.hide(tickets(1), Duration::ZERO).await.unwrap();
    assert_eq!(sizes("ChangeMessageVisibilityBatch"), [1, 1, 1, 10]);
}

#[tokio::test]
async fn without_a_redrive_policy_nothing_is_shown_at_once_for_ever() {
    let (queue, server) = serve(Server::default()).await;
    queue.hide(tickets(1), Duration::ZERO).await.unwrap();
    assert_eq!(server.lock().unwrap().count("ChangeMessageVisibilityBatch"), 0);
    assert_eq!(queue.redrive(&receive(false)).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_queue_that_does_not_exist_says_so_and_is_found_again() {
    let (queue, server) = serve(Server { is_gone: true, ..Server::default() }).await;
    for _ in 0..2 {
        let Err(QueueError::Away(fault)) = queue.receive(&receive(false)).await else {
            panic!("it answered")
        };
        assert!(fault.message.contains("the queue 'products' does not exist"), "{fault}");
        server.lock().unwrap().is_gone = false;
        queue.receive(&receive(false)).await.unwrap();
        server.lock().unwrap().is_gone = true;
    }
    assert_eq!(server.lock().unwrap().count("GetQueueUrl"), 3, "asked for again after it was gone");
}

#[tokio::test]
async fn all_dead_letters_are_moved_by_the_service_and_some_by_hand() {
    let dead =
        || vec![("a".to_owned(), event(4)), ("b".to_owned(), "no".to_owned()), ("c".to_owned(), event(5))];
    let of = |moves| Server { dead: dead(), moves, has_policy: true, ..Server::default() };
    let (queue, server) = serve(of(true)).await;
    assert_eq!(queue.redrive(&receive(false)).await.unwrap(), None);
    assert_eq!(server.lock().unwrap().count("SendMessageBatch"), 0);

    let (queue, server) = serve(of(false)).await;
    assert_eq!(queue.redrive(&receive(false)).await.unwrap(), Some(3), "the operation is absent");
    assert_eq!(server.lock().unwrap().count("StartMessageMoveTask"), 1);

    let (queue, _server) = serve(of(true)).await;
    let only = Only::Events(Arc::new([7].into()));
    let run = SHARED;
    assert_eq!(queue.redrive(&Receive { run, only, ..receive(false) }).await.unwrap(), Some(2), "of any run");

    let (queue, server) = serve(of(true)).await;
    let only = Only::Items(Arc::new(Positions::from_iter([5])));
    assert_eq!(queue.redrive(&Receive { only, ..receive(false) }).await.unwrap(), Some(1));
    let server = server.lock().unwrap();
    let of = |operation: &str| server.asked.iter().find(|(asked, _)| asked == operation).unwrap().1.clone();
    assert_eq!(of("SendMessageBatch")["Entries"][0]["MessageBody"], event(5));
    assert_eq!(of("DeleteMessageBatch")["Entries"][0]["ReceiptHandle"], "h-c");
    assert_eq!(
        of("ChangeMessageVisibilityBatch")["Entries"].as_array().unwrap().len(),
        2,
        "the others show again"
    );
    assert_eq!(server.count("StartMessageMoveTask"), 0);
}

#[tokio::test]
async fn what_a_receive_takes_that_nobody_waits_for_goes_to_whoever_asks_for_it_and_else_shows_again() {
    let (queue, server) = serve(Server::default()).await;
    let all = receive(false);
    assert!(queue.receive(&all).await.unwrap().is_empty());
    assert!(queue.last(&all).await.is_empty());
    let give_up = async |id: &str| {
        server.lock().unwrap().visible.push((id.to_owned(), event(4)));
        tokio::select! {
            biased;
            received = queue.receive(&all) => panic!("it was answered at once: {received:?}"),
            () = std::future::ready(()) => {}
        }
    };
    give_up("m1").await;
    let last = queue.last(&all).await;
    assert_eq!(last.deliveries[0].ticket, Ticket::Given("h-m1".into()));
    assert_eq!(server.lock().unwrap().count("ChangeMessageVisibilityBatch"), 0);
    give_up("m2").await;
    // Whoever writes waits for those who read.
    drop(queue.receiving.write().await);
    let server = server.lock().unwrap();
    let (operation, asked) = server.asked.last().unwrap();
    assert_eq!(operation, "ChangeMessageVisibilityBatch");
    assert_eq!(asked["Entries"][0]["ReceiptHandle"], "h-m2");
    assert_eq!(asked["Entries"][0]["VisibilityTimeout"], 0);
}
