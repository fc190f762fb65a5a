//! `s3.read` and `s3.write`.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use uuid::Uuid;

use super::server::{Answer, End, Request, Server, Stored};
use super::{HANGS, limits};
use crate::connectors::aws::s3::read::{Form, ReadObject};
use crate::connectors::aws::s3::write::WriteObject;
use crate::connectors::aws::session::Session;
use crate::core::cell::{Facts, SkipReason};
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::retry::{Again, Outcome, Probed};
use crate::expr::Template;
use crate::ports::{Call, Effect};

const URI: &str = "s3://shop-files/out/a.json";

fn template() -> Template {
    Template::parse(&json!({})).unwrap()
}

fn call(request: Value) -> Call {
    Call {
        run: RunId(1),
        unit: Unit::Item(0),
        attempt: 1,
        key: "k".to_owned(),
        effect_id: 7,
        version: crate::core::version::Version("0".into()),
        request,
    }
}

async fn once(effect: &dyn Effect, call: &Call) -> Outcome {
    effect.call(std::slice::from_ref(call)).await.outcomes.remove(0)
}

async fn reading(server: &Server, form: Form) -> ReadObject {
    let session = Session::at(&server.endpoint, HANGS).await;
    ReadObject { template: template(), form, limits: limits(64), session }
}

async fn writing(server: &Server, if_absent: bool) -> WriteObject {
    let session = Session::at(&server.endpoint, HANGS).await;
    WriteObject { template: template(), if_absent, session }
}

fn written() -> Call {
    call(json!({ "uri": URI, "body": { "a": 1 }, "content_type": "application/json" }))
}

fn refused(outcome: Outcome) -> (String, Again) {
    match outcome {
        Outcome::Refused { fault: Fault { message, .. }, again } => (message, again),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_small_object_is_read_as_the_step_wants_it() {
    for (bytes, form, content) in
        [(r#"{"a":[1]}"#, Form::Json, json!({"a": [1]})), (r#"{"a":[1]}"#, Form::Text, json!(r#"{"a":[1]}"#))]
    {
        let mut stored = Stored::new(bytes, "e1");
        stored.headers = vec![("x-amz-version-id", "v1".to_owned())];
        // Even here a broken transfer is taken up.
        let server = Server::start(move |number, request| match number {
            0 => stored.get(request).cut(3, End::Close),
            _ => stored.get(request),
        });
        let Outcome::Done(facts) = once(&reading(&server, form).await, &call(json!({ "uri": URI }))).await
        else {
            panic!("not read")
        };
        let wanted = json!({ "etag": "e1", "version": "v1", "size": 9, "content": content });
        assert_eq!(json!(facts), wanted);
    }
}

#[tokio::test]
async fn content_that_is_large_or_another_kind_is_refused_and_can_be_left_out() {
    for (bytes, form, says) in [
        (vec![b'1'; 65], Form::Json, "has 65 bytes, and 'max_bytes' is 64"),
        (b"<a/>".to_vec(), Form::Json, "'as: text' takes it"),
        (vec![0xff], Form::Text, "'as: none' takes none"),
    ] {
        let server = Server::start(move |_, request| Stored::new(bytes.clone(), "e1").get(request));
        let (message, again) =
            refused(once(&reading(&server, form).await, &call(json!({ "uri": URI }))).await);
        assert!(message.contains(says) && again == Again::Never, "{message}");
        let Outcome::Done(facts) =
            once(&reading(&server, Form::None).await, &call(json!({ "uri": URI }))).await
        else {
            panic!("not read")
        };
        assert_eq!(facts.keys().collect::<Vec<_>>(), ["etag", "size"]);
        assert_eq!(server.asked().last().unwrap().method, "HEAD");
    }
    let missing = Server::start(|_, _| Answer::refusal(404, "NoSuchKey"));
    for form in [Form::Json, Form::None] {
        let (message, again) =
            refused(once(&reading(&missing, form).await, &call(json!({ "uri": URI }))).await);
        assert!(message.contains("there is no object") && again == Again::Never, "{message}");
    }
}

/// Keeps what is put, as S3 does, unless `loses` or `refuses` says otherwise.
struct Bucket {
    server: Server,
    kept: Arc<Mutex<Option<Request>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loses {
    Nothing,
    /// The object is kept, and nobody is told.
    Answer,
    /// Nothing is kept, and nobody is told.
    Request,
}

impl Bucket {
    fn new(loses: Loses) -> Self {
        let kept: Arc<Mutex<Option<Request>>> = Arc::default();
        let inside = Arc::clone(&kept);
        let server = Server::start(move |_, request| {
            let mut kept = inside.lock().unwrap();
            if request.method == "HEAD" {
                return kept.as_ref().map_or_else(|| Answer::new(404, Vec::new(), Vec::new()), found);
            }
            if request.headers.contains_key("if-none-match") && kept.is_some() {
                return Answer::refusal(412, "PreconditionFailed");
            }
            if loses != Loses::Request {
                *kept = Some(request.clone());
            }
            match loses {
                Loses::Nothing => Answer::new(200, vec![("etag", "\"e1\"".to_owned())], Vec::new()),
                Loses::Answer | Loses::Request => Answer::refusal(500, "InternalError"),
            }
        });
        Self { server, kept }
    }
}

fn found(kept: &Request) -> Answer {
    let metadata = ["x-amz-meta-milepost-effect", "x-amz-meta-milepost-digest"];
    let mut headers: Vec<_> = metadata.map(|name| (name, kept.headers[name].clone())).into();
    headers.push(("etag", "\"e1\"".to_owned()));
    Answer::new(200, headers, kept.body.clone())
}

fn facts(value: &Value) -> Facts {
    value.as_object().unwrap().clone().into_iter().collect()
}

#[tokio::test]
async fn an_object_is_written_with_its_checksum_and_the_id_of_its_effect() {
    let bucket = Bucket::new(Loses::Nothing);
    let outcome = once(&writing(&bucket.server, false).await, &written()).await;
    assert_eq!(outcome, Outcome::Done(facts(&json!({ "etag": "e1", "size": 7 }))));
    let kept = bucket.kept.lock().unwrap().clone().unwrap();
    assert_eq!(kept.body, br#"{"a":1}"#);
    assert_eq!(kept.headers["content-type"], "application/json");
    assert_eq!(kept.headers["x-amz-meta-milepost-effect"], Uuid::from_u128(7).to_string());
    assert!(kept.headers.contains_key("x-amz-checksum-crc32"), "{:?}", kept.headers);
    assert!(!kept.headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn a_write_without_an_answer_is_a_doubt_that_a_look_settles() {
    let lost = Bucket::new(Loses::Answer);
    let writer = writing(&lost.server, false).await;
    assert!(matches!(once(&writer, &written()).await, Outcome::Unclear(_)));
    assert_eq!(writer.probe(&written()).await, Probed::Done(facts(&json!({ "etag": "e1", "size": 7 }))));
    let never = Bucket::new(Loses::Request);
    let writer = writing(&never.server, false).await;
    assert!(matches!(once(&writer, &written()).await, Outcome::Unclear(_)));
    assert_eq!(writer.probe(&written()).await, Probed::Absent);
    // What another effect wrote there is not this one.
    let other = Bucket::new(Loses::Nothing);
    let writer = writing(&other.server, false).await;
    once(&writer, &Call { effect_id: 8, ..written() }).await;
    assert_eq!(writer.probe(&written()).await, Probed::Absent);
    let down = Server::start(|_, _| Answer::refusal(503, "SlowDown"));
    assert!(matches!(writing(&down, false).await.probe(&written()).await, Probed::Unknown(_)));
}

#[tokio::test]
async fn if_absent_writes_only_where_nothing_is() {
    let bucket = Bucket::new(Loses::Nothing);
    let writer = writing(&bucket.server, true).await;
    assert!(matches!(once(&writer, &written()).await, Outcome::Done(_)));
    // The same effect again is done already; the same content by another is not needed.
    assert!(matches!(once(&writer, &written()).await, Outcome::Done(_)));
    let again = Call { effect_id: 8, ..written() };
    assert_eq!(once(&writer, &again).await, Outcome::Skipped(SkipReason::AlreadyApplied));
    let mut other = again;
    other.request["body"] = json!("other");
    let (message, again) = refused(once(&writer, &other).await);
    assert!(message.contains("another object already") && again == Again::Never, "{message}");
    assert_eq!(bucket.kept.lock().unwrap().as_ref().unwrap().body, br#"{"a":1}"#);
}

#[tokio::test]
async fn a_refused_write_says_what_to_do() {
    for (status, code, says, again) in [
        (403, "AccessDenied", "s3:PutObject is missing", Again::Later),
        (403, "SignatureDoesNotMatch", "credentials were not accepted", Again::Later),
        (404, "NoSuchBucket", "there is no bucket 'shop-files'", Again::Never),
        (409, "ConditionalRequestConflict", "ConditionalRequestConflict", Again::Later),
        (503, "SlowDown", "SlowDown", Again::Later),
    ] {
        let server = Server::start(move |_, _| Answer::refusal(status, code));
        let (message, said) = refused(once(&writing(&server, false).await, &written()).await);
        assert!(message.contains(says) && said == again, "{code}: {message}");
    }
}
