//! What reaches a queue, and what is made of it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::notification::{Told, read};
use super::{Filter, build_s3_created, occasion};
use crate::connectors::Post;
use crate::core::queue::Ticket;
use crate::core::time::Timestamp;
use crate::core::workflow::Trigger;
use crate::ports::Clock;
use crate::store::MemoryStore;

struct Stopped;

#[async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

/// As the S3 User Guide shows it, without what nobody reads.
fn record(event: &str, key: &str, version: Option<&str>) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1",
        "eventTime": "2026-11-22T18:34:21.189Z", "eventName": event,
        "s3": {
            "bucket": { "name": "uploads", "arn": "arn:aws:s3:::uploads" },
            "object": {
                "key": key, "size": 2, "eTag": "d751713988987e9331980363e24189ce",
                "versionId": version, "sequencer": "0055AED6DCD90281E5"
            }
        }
    })
}

fn records(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

fn event(detail_type: &str, key: &str) -> Value {
    json!({
        "version": "0", "id": "3e0066ae-326a-4d8b-a455-ef520109439b", "detail-type": detail_type,
        "source": "aws.s3", "time": "2026-11-22T18:34:21Z", "resources": ["arn:aws:s3:::uploads"],
        "detail": {
            "version": "0", "bucket": { "name": "uploads" },
            "object": {
                "key": key, "size": 2, "etag": "d751713988987e9331980363e24189ce",
                "version-id": "v1", "sequencer": "0055AED6DCD90281E5"
            },
            "reason": "PutObject"
        }
    })
}

fn keys(body: &str) -> Vec<String> {
    read(body).unwrap().created.into_iter().map(|object| object.address.key).collect()
}

#[test]
fn a_key_is_read_as_it_was_written_however_it_was_sent() {
    let put = |key: &str| records(&[record("ObjectCreated:Put", key, None)]);
    for (sent, key) in [
        ("incoming/a.json", "incoming/a.json"),
        ("incoming/x+y%2B%C3%A9.json", "incoming/x y+é.json"),
        ("incoming/x%20y%2B%C3%A9.json", "incoming/x y+é.json"),
        ("in%2Fx+y%2B%c3%a9.json", "in/x y+é.json"),
        ("100%25.json", "100%.json"),
        ("a%3Fb%23c", "a?b#c"),
    ] {
        assert_eq!(keys(&put(sent)), [key]);
    }
    // EventBridge sends it as it is.
    for key in ["incoming/x y+é.json", "incoming/x%20y.json", "100%.json"] {
        assert_eq!(keys(&event("Object Created", key).to_string()), [key]);
    }
    for broken in ["%", "a%2", "%zz", "%+1", "%FF"] {
        assert!(read(&put(broken)).unwrap_err().contains("encoded wrongly"), "{broken}");
    }
}

#[test]
fn both_forms_say_the_same_of_one_upload() {
    let direct = records(&[record("ObjectCreated:CompleteMultipartUpload", "a.json", Some("v1"))]);
    let (direct, routed) =
        (read(&direct).unwrap(), read(&event("Object Created", "a.json").to_string()).unwrap());
    assert_eq!(direct.created[0].address.to_string(), "s3://uploads/a.json?versionId=v1");
    assert_eq!(direct.created[0].at, Timestamp(1_795_372_461_189));
    assert_eq!(routed.created[0].at, Timestamp(1_795_372_461_000), "EventBridge tells whole seconds");
    let (direct, routed) = (occasion(&direct.created[0]), occasion(&routed.created[0]));
    assert_eq!((&direct.subject, &direct.identity), (&routed.subject, &routed.identity));
    // Through SNS it is a text in a message.
    let wrapped = json!({ "Type": "Notification", "Message": event("Object Created", "a.json").to_string() });
    assert_eq!(occasion(&read(&wrapped.to_string()).unwrap().created[0]), routed);
}

#[test]
fn an_upload_is_known_by_its_version_else_by_what_was_written_when() {
    let identity = |version: Option<&str>, etag: &str, sequencer: &str| {
        let mut one = record("ObjectCreated:Put", "a.json", version);
        one["s3"]["object"]["eTag"] = json!(etag);
        one["s3"]["object"]["sequencer"] = json!(sequencer);
        occasion(&read(&records(&[one])).unwrap().created[0]).identity
    };
    assert_eq!(identity(Some("v1"), "a", "1"), identity(Some("v1"), "a", "1"));
    assert_ne!(identity(Some("v1"), "a", "1"), identity(Some("v2"), "a", "1"));
    assert_eq!(identity(None, "a", "1"), identity(Some("null"), "a", "1"), "versions are suspended");
    assert_ne!(identity(None, "a", "1"), identity(None, "b", "1"));
    assert_ne!(identity(None, "a", "1"), identity(None, "a", "3"), "what was replaced is written again");
}

#[test]
fn several_records_keep_their_order_and_what_is_no_upload_is_passed_over() {
    let body = records(&[
        record("ObjectCreated:Put", "1", None),
        record("ObjectRemoved:Delete", "2", None),
        record("ObjectCreated:Copy", "3", None),
        record("ObjectRestore:Completed", "4", None),
    ]);
    assert_eq!(keys(&body), ["1", "3"]);
    let passed_over = read(&body).unwrap().passed_over;
    assert_eq!(
        passed_over,
        ["ObjectRemoved:Delete: s3://uploads/2", "ObjectRestore:Completed: s3://uploads/4"]
    );
    let deleted = read(&event("Object Deleted", "x").to_string()).unwrap();
    assert_eq!(deleted.passed_over, ["Object Deleted: s3://uploads/x"]);
    let test = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads" });
    let told = read(&test.to_string()).unwrap();
    assert!(told.created.is_empty() && told.passed_over.len() == 1);
    assert_eq!(read(&records(&[])), Ok(Told::default()));
}

#[test]
fn what_is_no_word_of_s3_is_said_to_be_none() {
    let without = |field: &str| {
        let mut one = record("ObjectCreated:Put", "a", None);
        one["s3"]["object"].as_object_mut().unwrap().shift_remove(field);
        records(&[one])
    };
    let mut timeless = record("ObjectCreated:Put", "a", None);
    timeless["eventTime"] = json!("soon");
    let mut nameless = record("ObjectCreated:Put", "a", None);
    for field in ["eTag", "sequencer", "versionId"] {
        nameless["s3"]["object"].as_object_mut().unwrap().shift_remove(field);
    }
    for body in [
        "",
        "hello",
        "[]",
        "{}",
        r#"{"Records": 1}"#,
        r#"{"Records": [{"eventName": "ObjectCreated:Put"}]}"#,
        r#"{"source": "aws.s3"}"#,
        r#"{"source": "aws.ec2", "detail-type": "Object Created"}"#,
        r#"{"Type": "Notification", "Message": "hello"}"#,
        &without("key"),
        &records(&[record("ObjectCreated:Put", "", None)]),
        &records(&[timeless]),
        &records(&[nameless]),
    ] {
        assert!(read(body).is_err(), "{body}");
    }
}

#[test]
fn only_what_is_watched_is_taken() {
    let filter = Filter {
        bucket: Some("uploads".to_owned()),
        prefix: Some("incoming/".to_owned()),
        suffix: Some(".json".to_owned()),
    };
    let taken = |filter: &Filter, key: &str| {
        let body = records(&[record("ObjectCreated:Put", key, None)]);
        let notice = filter.notice(&body, Ticket::Given("t".into())).unwrap();
        assert_eq!(notice.occasions.len() + notice.passed_over.len(), 1);
        notice.occasions.len() == 1
    };
    assert!(taken(&filter, "incoming/a.json"));
    assert!(!taken(&filter, "incoming/") && !taken(&filter, "a.json") && !taken(&filter, "incoming/a.csv"));
    assert!(!taken(&Filter { bucket: Some("others".to_owned()), ..Filter::default() }, "incoming/a.json"));
    assert!(taken(&Filter::default(), "anything"));
}

#[test]
fn what_sqs_does_not_take_is_a_mistake_of_the_file() {
    let fault = |field: &str, value: &str| {
        let with = json!({ "queue": "q", field: value }).as_object().unwrap().clone();
        let (name, uses) = ("uploads".to_owned(), "s3.created".to_owned());
        let trigger = Trigger {
            name,
            uses,
            connection: Some("bus".to_owned()),
            with,
            input: Some("source".to_owned()),
        };
        let made = build_s3_created(&Post {
            trigger: &trigger,
            settings: serde_json::Map::new(),
            of: "uploads".to_owned(),
            base: Path::new("."),
            marks: Arc::new(MemoryStore::new(Arc::new(Stopped))),
            clock: Arc::new(Stopped),
        });
        made.err().and_then(|faults| faults[0].field.clone())
    };
    assert_eq!(fault("wait", "20s"), None);
    assert_eq!(fault("visibility_timeout", "12h"), None);
    for (field, value) in
        [("wait", "21s"), ("wait", "500ms"), ("visibility_timeout", "0s"), ("visibility_timeout", "13h")]
    {
        assert_eq!(fault(field, value).as_deref(), Some(field), "{value}");
    }
}
