mod alerts;
mod server;

use std::time::Duration;

use super::*;
use crate::connectors::aws::envelope::Envelope;
use crate::core::id::{RunId, Unit};
use crate::core::scope::Steps;
use crate::core::time::Timestamp;
use crate::core::version::Version;
use server::{Asked, Reply, Server, accept, answer, detail, entries};

/// Longest wait for an answer; the server is in this process.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A publisher over a connection with these fields beside the bus.
async fn publisher(url: &str, timeout: Duration, connection: &Value) -> Publisher {
    let with = json!({ "source": "shop", "detail_type": "ProductIngested" });
    Publisher {
        publish: events::Publish::read(with.as_object().unwrap()).unwrap(),
        bus: "products".to_owned(),
        oversize: Oversize::read(connection.as_object().unwrap()).unwrap(),
        connection: "bus".to_owned(),
        session: Session::at(url, timeout).await,
    }
}

async fn plain(server: &Server) -> Publisher {
    publisher(&server.url, TIMEOUT, &json!({})).await
}

fn scope(unit: Unit, item: Value) -> Scope {
    Scope {
        run: RunId(1),
        started_at: Timestamp(0),
        version: "17".into(),
        unit,
        input: Arc::new(Value::Null),
        item: Arc::new(item),
        digest: Arc::default(),
        steps: Steps::default(),
        sent: None,
    }
}

fn call(publisher: &Publisher, position: u64, item: Value) -> Call {
    Call {
        run: RunId(1),
        unit: Unit::Item(position),
        attempt: 1,
        key: String::new(),
        effect_id: u128::from(position) + 1,
        request: publisher.prepare(&scope(Unit::Item(position), item)).unwrap(),
        version: Version("17".to_owned()),
    }
}

fn calls(publisher: &Publisher, count: u64) -> Vec<Call> {
    (0..count).map(|position| call(publisher, position, json!({ "sku": position }))).collect()
}

/// What became of each: `done`, `later`, `never` or `unclear`.
fn words(verdicts: &Verdicts) -> Vec<&'static str> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Done(_) => "done",
        Outcome::Refused { again: Again::Never, .. } => "never",
        Outcome::Refused { .. } => "later",
        Outcome::Unclear(_) => "unclear",
        Outcome::Skipped(_) => "skipped",
    };
    verdicts.outcomes.iter().map(word).collect()
}

fn message(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused { fault, .. } | Outcome::Unclear(fault) => &fault.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_batch_of_25_is_three_requests_at_once_with_the_content_and_our_references() {
    // None is answered before all three are there.
    let server = Server::start(3, accept).await;
    let publisher = plain(&server).await;
    let calls = calls(&publisher, 25);
    let verdicts = publisher.call(&calls).await;
    assert_eq!((words(&verdicts), verdicts.calls), (vec!["done"; 25], 3));
    let mut entries: Vec<Value> = server.asked().iter().flat_map(entries).collect();
    entries.sort_by_key(|entry| detail(entry)["milepost"]["item"].as_u64());
    for (position, entry) in entries.iter().enumerate() {
        let event_id = format!("00000000-0000-0000-0000-0000000000{:02x}", position + 1);
        let digest = &calls[position].request["digest"];
        let milepost = json!({
            "run": RunId(1), "item": position, "event_id": event_id, "digest": digest, "version": "17",
        });
        assert_eq!(detail(entry), json!({ "milepost": milepost, "data": { "sku": position } }));
        let address = ["EventBusName", "Source", "DetailType"].map(|name| &entry[name]);
        assert_eq!(address, ["products", "shop", "ProductIngested"]);
        let facts = Facts::from([("event_id".into(), json!(event_id)), ("digest".into(), digest.clone())]);
        assert_eq!(verdicts.outcomes[position], Outcome::Done(facts));
    }
    assert_eq!(entries.len(), 25);
    let sizes: Vec<usize> = server.details().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 25);
    assert_eq!(sizes.into_iter().max(), Some(10));
}

#[tokio::test]
async fn each_entry_of_a_partly_failed_request_has_its_own_verdict() {
    let code = |item| match item {
        2 => Some("InternalFailure"),
        5 => Some("ThrottlingException"),
        7 => Some("MalformedDetail"),
        _ => None,
    };
    let server = Server::start(1, move |asked| answer(asked, code)).await;
    let publisher = plain(&server).await;
    let verdicts = publisher.call(&calls(&publisher, 9)).await;
    let expected = ["done", "done", "later", "done", "done", "later", "done", "never", "done"];
    assert_eq!((words(&verdicts), verdicts.calls), (expected.to_vec(), 1));
    assert_eq!(message(&verdicts.outcomes[7]), "PutEvents: MalformedDetail: as told");
}

type Answers = fn(&Asked) -> Reply;

/// What becomes of 21 items when the request that begins with item 10 is answered like this.
async fn when_the_second_is_answered(reply: Answers) -> (Vec<&'static str>, Verdicts) {
    let server = Server::start(3, move |asked| {
        let first = detail(&entries(asked)[0])["milepost"]["item"].clone();
        if first == 10 { reply(asked) } else { accept(asked) }
    })
    .await;
    let publisher = publisher(&server.url, Duration::from_secs(1), &json!({})).await;
    let verdicts = publisher.call(&calls(&publisher, 21)).await;
    let words = words(&verdicts);
    assert_eq!(verdicts.calls, 3);
    assert_eq!((&words[..10], words[20]), (&["done"; 10][..], "done"), "another request");
    (words[10..20].to_vec(), verdicts)
}

#[tokio::test]
async fn what_happens_to_one_request_is_the_matter_of_its_entries_only() {
    fn refusal(status: u16, code: &str) -> Reply {
        Reply::Status(status, json!({ "__type": code, "message": "as told" }))
    }
    let table: [(Answers, &str, &str); 9] = [
        (|_| Reply::Reset, "unclear", "connection broke"),
        (|_| Reply::Silence, "unclear", "no answer in time"),
        (|_| refusal(500, "InternalException"), "unclear", "InternalException"),
        (|_| Reply::Status(200, json!("not an answer")), "unclear", "unreadable answer (HTTP 200)"),
        (|_| Reply::Status(200, json!({})), "unclear", "says nothing about this entry"),
        (|_| refusal(400, "ThrottlingException"), "later", "ThrottlingException"),
        (|_| refusal(400, "ExpiredTokenException"), "later", "ExpiredTokenException"),
        (|_| refusal(400, "AccessDeniedException"), "later", "as told"),
        (|_| refusal(400, "UnrecognizedClientException"), "later", "as told"),
    ];
    for (reply, word, said) in table {
        let (words, verdicts) = when_the_second_is_answered(reply).await;
        assert_eq!(words, [word; 10], "{said}");
        assert!(message(&verdicts.outcomes[12]).contains(said), "{said}: {verdicts:?}");
    }
}

#[tokio::test]
async fn an_answer_about_fewer_entries_leaves_the_others_in_doubt() {
    let (words, _) = when_the_second_is_answered(|asked| match accept(asked) {
        Reply::Status(status, mut body) => {
            body["Entries"].as_array_mut().unwrap().truncate(4);
            Reply::Status(status, body)
        }
        other => other,
    })
    .await;
    assert_eq!((&words[..4], &words[4..]), (&["done"; 4][..], &["unclear"; 6][..]));
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    // Port 0 accepts nobody.
    let publisher = publisher("http://127.0.0.1:0", TIMEOUT, &json!({})).await;
    let verdicts = publisher.call(&calls(&publisher, 2)).await;
    assert_eq!(words(&verdicts), ["later"; 2], "{verdicts:?}");
}

/// Three items, the second of which no event has room for.
fn one_too_large(publisher: &Publisher) -> Vec<Call> {
    let text = |bytes: usize| json!({ "text": "ü".repeat(bytes / 2) });
    let items = [text(10), text(300_000), text(20)];
    items.into_iter().zip(0..).map(|(item, position)| call(publisher, position, item)).collect()
}

#[tokio::test]
async fn an_item_that_is_too_large_is_refused_alone_and_told_what_to_type() {
    let server = Server::start(1, accept).await;
    let publisher = plain(&server).await;
    let verdicts = publisher.call(&one_too_large(&publisher)).await;
    assert_eq!((words(&verdicts), verdicts.calls), (vec!["done", "never", "done"], 1));
    let said = message(&verdicts.outcomes[1]);
    for part in ["300", "at most 262143", "'oversize: s3'", "'bucket: …'", "'bus'"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let items: Vec<Value> =
        server.details().concat().iter().map(|detail| detail["milepost"]["item"].clone()).collect();
    assert_eq!(items, [0, 2]);
}

#[tokio::test]
async fn with_oversize_s3_its_content_is_in_the_bucket_before_the_event_that_refers_to_it() {
    let server = Server::start(1, accept).await;
    let fields = json!({ "oversize": "s3", "bucket": "large" });
    let publisher = publisher(&server.url, TIMEOUT, &fields).await;
    let calls = one_too_large(&publisher);
    for _ in 0..2 {
        let verdicts = publisher.call(&calls).await;
        assert_eq!((words(&verdicts), verdicts.calls), (vec!["done"; 3], 2));
    }
    let asked = server.asked();
    let key = format!("milepost/{}/00000000-0000-0000-0000-000000000002.json", RunId(1));
    let put = format!("PUT /large/{key}?x-id=PutObject");
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(lines, [&put, "POST /", &put, "POST /"], "the same at every attempt");
    assert_eq!(asked[0].body, calls[1].request["data"]);
    let details = server.details();
    assert_eq!(details[0].len(), 3);
    let envelope: Envelope = serde_json::from_value(details[0][1].clone()).unwrap();
    let bytes = asked[0].body.to_string().len() as u64;
    let reference = envelope.data_ref.unwrap();
    assert_eq!((reference.bucket.as_str(), reference.key, reference.bytes), ("large", key, bytes));
    assert_eq!(envelope.data, None);
    assert_eq!(details[0][2]["data"]["text"], "ü".repeat(10));
}

#[tokio::test]
async fn what_cannot_be_put_into_the_bucket_is_surely_not_published() {
    let table: [(Answers, &str); 3] = [
        (|_| Reply::Reset, "later"),
        (|_| Reply::Status(500, json!("")), "later"),
        (|_| Reply::Status(403, json!("")), "never"),
    ];
    for (reply, word) in table {
        let server =
            Server::start(
                1,
                move |asked| if asked.line.starts_with("PUT") { reply(asked) } else { accept(asked) },
            )
            .await;
        let fields = json!({ "oversize": "s3", "bucket": "large" });
        let publisher = publisher(&server.url, TIMEOUT, &fields).await;
        let verdicts = publisher.call(&one_too_large(&publisher)).await;
        assert_eq!(words(&verdicts), ["done", word, "done"], "{verdicts:?}");
        assert!(message(&verdicts.outcomes[1]).starts_with("PutObject: "), "{verdicts:?}");
        assert_eq!(server.details().concat().len(), 2);
    }
}

#[tokio::test]
async fn the_content_is_what_the_step_says_else_the_item_and_a_later_run_sends_the_same_request() {
    let mut publisher = publisher("http://127.0.0.1:0", TIMEOUT, &json!({})).await;
    let item = json!({ "sku": "a", "n": 1 });
    let sent = publisher.prepare(&scope(Unit::Item(0), item.clone())).unwrap();
    assert_eq!(sent["data"], item);
    let later = Scope { version: "18".into(), run: RunId(2), ..scope(Unit::Item(0), item.clone()) };
    assert_eq!(publisher.prepare(&later).unwrap(), sent, "or no key would ever stand for the same");
    let with = json!({ "detail_type": "T", "detail": { "sku": "${{ item.sku }}" } });
    publisher.publish = events::Publish::read(with.as_object().unwrap()).unwrap();
    let said = publisher.prepare(&scope(Unit::Item(0), item)).unwrap();
    assert_eq!(said["data"], json!({ "sku": "a" }));
    assert_eq!((said["digest"].clone(), said.get("detail")), (sent["digest"].clone(), None));
}

#[tokio::test]
async fn an_event_about_the_run_names_no_item() {
    let publisher = publisher("http://127.0.0.1:0", TIMEOUT, &json!({})).await;
    let of_run = publisher.prepare(&scope(Unit::Closing(1), json!({ "reason": "r" }))).unwrap();
    let call = Call { unit: Unit::Closing(1), request: of_run, ..call(&publisher, 0, Value::Null) };
    let entry = Entry::of(&call, Body::Data(&call.request["data"]));
    let detail: Value = serde_json::from_str(entry.on("b").detail().unwrap()).unwrap();
    assert_eq!((detail["milepost"].get("item"), &detail["data"]), (None, &json!({ "reason": "r" })));
}
