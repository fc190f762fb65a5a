//! A source that cannot be read for a while, or not to its end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Site;

const WORKFLOW: &str = r#"
workflow: copies
connections: { files: { use: s3 } }
defaults: { retry: { attempts: 3, backoff: { initial: 1ms, max: 2ms } } }
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: "s3://catalogue/in.ndjson", item_key: "${{ item.id }}" }
  tell:
    needs: [read]
    uses: nothing
"#;

/// A server with one object, that closes so many connections before it answers one.
struct Flaky {
    endpoint: String,
    closes: Arc<AtomicI64>,
}

impl Flaky {
    fn start(closes: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let closes = Arc::new(AtomicI64::new(closes));
        let left = Arc::clone(&closes);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if left.fetch_sub(1, Ordering::SeqCst) <= 0 {
                    answer(&stream);
                }
            }
        });
        Self { endpoint, closes }
    }
}

/// A server with one object, whose transfers end in the middle and stay open until it is mended.
struct Stalling {
    endpoint: String,
    /// Each transfer that stalls.
    stalled: Receiver<()>,
    is_mended: Arc<AtomicBool>,
}

impl Stalling {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (tell, stalled) = channel();
        let is_mended = Arc::new(AtomicBool::new(false));
        let mended = Arc::clone(&is_mended);
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if mended.load(Ordering::SeqCst) {
                    answer(&stream);
                } else {
                    send(&stream, OBJECT.len() / 2);
                    tell.send(()).unwrap();
                    open.push(stream);
                }
            }
        });
        Self { endpoint, stalled, is_mended }
    }
}

const OBJECT: &str = "{\"id\":1}\n{\"id\":2}\n";

fn answer(stream: &TcpStream) {
    send(stream, OBJECT.len());
}

/// Answers with so many bytes of the object.
fn send(mut stream: &TcpStream, bytes: usize) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    if lines.take_while(|line| !line.is_empty()).count() == 0 {
        return;
    }
    let head = format!("etag: \"e1\"\r\nconnection: close\r\ncontent-length: {}", OBJECT.len());
    let object = &OBJECT[..bytes];
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{object}").as_bytes()).unwrap();
}

fn site(endpoint: &str) -> Site {
    let mut site = Site::new();
    fs::write(site.path("workflows/copies.yaml"), WORKFLOW).unwrap();
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    site.env.extend(variables.map(|(name, value)| (name, value.to_owned())));
    site
}

fn step(run: &Value, name: &str) -> Value {
    let steps = run["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap().clone()
}

#[test]
fn a_source_out_of_reach_is_tried_again_and_then_left_to_a_resume() {
    let server = Flaky::start(i64::MAX);
    let site = site(&server.endpoint);
    let told = site.milepost(&["run", "workflows/copies.yaml"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(shown["source"], Value::Null);
    assert_eq!(step(&shown, "read")["attempts"], 3);
    assert_eq!(step(&shown, "read")["error"]["name"], "NoAnswer");
    assert_eq!(step(&shown, "tell")["attempts"], 0);
    // Twice more nobody answers, then somebody does: a resume has attempts of its own.
    server.closes.store(2, Ordering::SeqCst);
    let resumed = site.milepost(&["resume", "@latest"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(shown["items"]["succeeded"], 2);
    assert_eq!(shown["source"]["origin"]["etag"], "e1");
    assert_eq!(step(&shown, "read")["attempts"], 6);
}

#[test]
fn ctrl_c_does_not_wait_for_a_transfer_that_stalls_and_a_resume_reads_it_anew() {
    let server = Stalling::start();
    let site = site(&server.endpoint);
    let working = site.start(&["run", "workflows/copies.yaml"]);
    server.stalled.recv_timeout(Duration::from_mins(2)).unwrap();
    let began = Instant::now();
    working.signal("INT");
    let told = working.wait();
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "half of what one read may wait: {told:?}");
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!((&shown["status"], &shown["source"]), (&json!("interrupted"), &Value::Null));
    assert_eq!(step(&shown, "read")["error"]["name"], "BrokenOff", "{shown:#}");
    server.is_mended.store(true, Ordering::SeqCst);
    let resumed = site.milepost(&["resume", "@latest"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(shown["items"]["succeeded"], 2);
    assert_eq!(step(&shown, "read")["attempts"], 2);
}
