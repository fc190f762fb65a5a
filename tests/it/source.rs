//! A source that cannot be read for a while.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::Value;

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

fn answer(mut stream: &TcpStream) {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    if lines.take_while(|line| !line.is_empty()).count() == 0 {
        return;
    }
    let object = "{\"id\":1}\n{\"id\":2}\n";
    let head = format!("etag: \"e1\"\r\nconnection: close\r\ncontent-length: {}", object.len());
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
