//! The gate over S3: what is in an object becomes items, or nothing does.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use super::server::{Answer, End, Request, Server, Stored};
use super::{HANGS, limits, objects};
use crate::connectors::builtin::source::{Paths, build};
use crate::connectors::{BuildFault, Site};
use crate::core::id::{RunId, Unit};
use crate::core::retry::{Again, Retry};
use crate::core::scope::{Scope, Steps};
use crate::core::survey::Survey;
use crate::core::time::Timestamp;
use crate::core::workflow::{Batch, Connection, Step};
use crate::ports::{Clock, Interest, Pinned, Source, Unread, Waiting, Worker};
use crate::store::MemoryStore;

/// Nobody here asks for the time.
struct Stopped;

#[async_trait]
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

fn store() -> MemoryStore {
    MemoryStore::new(Arc::new(Stopped))
}

fn scope() -> Scope {
    let nothing = Arc::new(Value::Null);
    Scope {
        run: RunId(1),
        started_at: Timestamp(0),
        version: "0".into(),
        unit: Unit::Run,
        input: Arc::clone(&nothing),
        item: Arc::clone(&nothing),
        digest: Arc::default(),
        steps: Steps::default(),
        sent: None,
    }
}

/// What a step over a connection of this kind is made into: `endpoint` for S3, else paths.
fn step(source: &str, endpoint: Option<&str>) -> Result<Arc<dyn Source>, Vec<BuildFault>> {
    let step = Step {
        name: "validate".to_owned(),
        uses: "json.validate".to_owned(),
        needs: Vec::new(),
        when: None,
        connection: Some("catalogue".to_owned()),
        with: Map::from_iter([
            ("source".to_owned(), Value::from(source)),
            ("item_key".to_owned(), Value::from("${{ item.id }}")),
        ]),
        retry: Retry::default(),
        timeout: Duration::from_secs(1),
        batch: Batch { max: 1, linger: Duration::ZERO },
        repeat_safe: false,
        idempotency: None,
        line: 1,
    };
    let site = Site {
        step: &step,
        connection: None::<&Connection>,
        settings: Map::new(),
        files: &BTreeMap::new(),
        base: Path::new("/"),
        queue: Arc::new(store()),
        signals: Arc::new(store()),
        clock: Arc::new(Stopped),
    };
    let made = match endpoint {
        Some(endpoint) => {
            let mut objects = objects(endpoint, limits(1 << 30));
            objects.connection = "catalogue".to_owned();
            build(&site, Arc::new(objects))
        }
        None => build(&site, Arc::new(Paths::of(&site))),
    };
    made.map(|worker| match worker {
        Worker::Source(source) => source,
        _ => panic!("not a source"),
    })
}

/// Pins an object, and gives the keys of its items.
fn pin(server: &Server, key: &str) -> Result<(Pinned, Vec<String>), Unread> {
    let (source, store) = (step(&format!("s3://shop-files/{key}"), Some(&server.endpoint)).unwrap(), store());
    let pinned = source.pin(&scope(), &store, &|_, _| Survey::default(), &Interest::default())?;
    let records = source.open(&pinned.source, &store).unwrap();
    let keys = (0..pinned.source.count).map(|position| records.record(position).key.unwrap_or_default());
    Ok((pinned.clone(), keys.collect()))
}

fn broken_at(bytes: Vec<u8>, at: usize) -> Server {
    let stored = Stored::new(bytes, "e1");
    Server::start(move |number, request| match number {
        0 => stored.get(request).cut(at, End::Close),
        _ => stored.get(request),
    })
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const ARRAY: &str = r#"[{"id":"a"},{"id":"b"},{"id":"c"}]"#;
const TABLE: &str = "id,t\na,1\nb,2\nc,3\n";
const LINES: &str = "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n";

#[test]
fn every_form_of_a_file_is_read_however_its_transfer_breaks() {
    for (key, text) in [("in/a.json", ARRAY), ("in/b%20c.csv", TABLE), ("in/d", LINES)] {
        let zipped = zipped(text.as_bytes());
        for at in 0..zipped.len() {
            let server = broken_at(zipped.clone(), at);
            let (_, keys) = pin(&server, &format!("{key}.gz")).unwrap();
            assert_eq!(keys, ["a", "b", "c"], "{key}.gz broken at {at}");
        }
        let (pinned, keys) = pin(&broken_at(text.into(), text.len() / 2), key).unwrap();
        assert_eq!(keys, ["a", "b", "c"], "{key}");
        let origin = pinned.source.origin.unwrap();
        assert_eq!((origin.etag.as_deref(), origin.bytes), (Some("e1"), Some(text.len() as u64)));
    }
}

#[test]
fn a_version_in_the_name_does_not_hide_what_kind_of_file_it_is() {
    let server = broken_at(TABLE.into(), 3);
    assert_eq!(pin(&server, "in/b.csv?versionId=v1").unwrap().1, ["a", "b", "c"]);
}

#[test]
fn what_was_not_received_as_it_is_stored_makes_no_items() {
    for (key, text) in [("a.json", ARRAY), ("b.csv", TABLE), ("c", LINES)] {
        for bytes in [text.as_bytes().to_vec(), zipped(text.as_bytes())] {
            // The checksum comes after the last byte: nobody may stop reading before.
            let mut stored = Stored::new(bytes, "e1");
            stored.headers = vec![("x-amz-checksum-crc32", "AAAAAA==".to_owned())];
            let server = Server::start(move |_, request| stored.get(request));
            let unread = pin(&server, key).unwrap_err();
            assert!(unread.fault.message.contains("does not have its checksum"), "{key}: {unread}");
            assert_eq!(unread.again, Again::Later);
        }
    }
}

#[test]
fn a_transfer_that_fails_is_told_as_such_and_not_as_a_malformed_file() {
    for (key, text) in [("a.json", ARRAY), ("b.csv", TABLE), ("c.gz", LINES)] {
        let bytes = if key == "c.gz" { zipped(text.as_bytes()) } else { text.into() };
        for at in [0, 1, bytes.len() - 1] {
            let stored = Stored::new(bytes.clone(), "e1");
            let server = Server::start(move |number, request| match number {
                0 => stored.get(request).cut(at, End::Close),
                _ => Answer::refusal(503, "SlowDown"),
            });
            let unread = pin(&server, key).unwrap_err();
            assert!(unread.fault.message.contains("SlowDown"), "{key} at {at}: {unread}");
            assert_eq!(unread.again, Again::Later, "{key} at {at}");
        }
    }
}

#[test]
fn a_file_that_is_cut_off_in_the_bucket_is_malformed() {
    let mut cut = zipped(ARRAY.as_bytes());
    cut.truncate(cut.len() - 9);
    let unread = pin(&broken_at(cut, 4), "a.json.gz").unwrap_err();
    assert_eq!(unread.again, Again::Never);
    assert!(unread.fault.message.contains("the compressed file is cut off"), "{unread}");
}

#[test]
fn each_kind_of_connection_names_the_other_one() {
    let said = |source: &str, endpoint: Option<&str>| {
        let faults = step(source, endpoint).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.message).collect::<String>()
    };
    let over_local = said("s3://shop-files/a.json", None);
    assert!(over_local.contains("write 'catalogue: { use: s3 }'"), "{over_local}");
    for path in ["products.json", "/data/products.json", "file:///data/products.json"] {
        let over_s3 = said(path, Some("http://127.0.0.1:0"));
        assert!(over_s3.contains("write 'catalogue: { use: local }'"), "{over_s3}");
    }
    let wrong = said("s3://shop-files", Some("http://127.0.0.1:0"));
    assert!(wrong.contains("the key is missing"), "{wrong}");
    assert_eq!(said("${{ input.source }}", None), "", "known when the run reads it");
}

#[test]
fn an_expression_that_gives_the_other_kind_is_refused_by_the_run() {
    let source = step("${{ \"s3://shop-files/a.json\" }}", None).unwrap();
    let unread = source.pin(&scope(), &store(), &|_, _| Survey::default(), &Interest::default()).unwrap_err();
    assert!(unread.fault.message.contains("use: s3"), "{unread}");
    assert_eq!(json!(unread.fault.name), json!("ValidationError"));
}

#[test]
fn a_source_that_stalls_is_not_waited_for_once_nobody_wants_it() {
    let silent: fn(&Request) -> Answer = |_| loop {
        std::thread::park();
    };
    let stalls: fn(&Request) -> Answer = |request| Stored::new(ARRAY, "e1").get(request).cut(5, End::Hold);
    for way in [silent, stalls] {
        let (asked, heard) = sync_channel(1);
        let server = Server::start(move |_, request| {
            asked.send(()).unwrap();
            way(request)
        });
        let (waiting, began) = (Waiting::default(), Instant::now());
        let interest = waiting.interest();
        let source = step("s3://shop-files/in/a.json", Some(&server.endpoint)).unwrap();
        let reading = std::thread::spawn(move || {
            source.pin(&scope(), &store(), &|_, _| Survey::default(), &interest).unwrap_err()
        });
        heard.recv_timeout(HANGS).unwrap();
        drop(waiting);
        assert_eq!(reading.join().unwrap(), Unread::unwanted());
        assert!(began.elapsed() < HANGS / 2, "it waited for S3 all the same");
        assert_eq!(server.asked().len(), 1, "nor was S3 asked again");
    }
}

#[test]
fn a_file_that_nobody_wants_is_not_read_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in.json");
    std::fs::write(&file, ARRAY).unwrap();
    let (source, store) = (step(file.to_str().unwrap(), None).unwrap(), store());
    let waiting = Waiting::default();
    let interest = waiting.interest();
    let pin = |interest: &Interest| source.pin(&scope(), &store, &|_, _| Survey::default(), interest);
    assert_eq!(pin(&interest).unwrap().source.count, 3);
    drop(waiting);
    assert_eq!(pin(&interest).unwrap_err(), Unread::unwanted());
}
