//! `milepost watch` with the real binary and the real SDK, over a server that speaks as much of SQS as
//! a trigger needs.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::watch::post::{SOON, Server, UPLOADS};
use super::{Site, tame};

/// How long an empty queue lets a receive wait.
const WAIT: Duration = Duration::from_millis(200);

/// One queue.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    visible: VecDeque<(usize, String)>,
    hidden: Vec<(usize, String)>,
    sent: usize,
}

impl Queue {
    /// Begins to serve, and returns the address.
    fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let queue = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let queue = Arc::clone(&queue);
                // Whoever asked may have gone meanwhile.
                std::thread::spawn(move || drop(queue.answer(stream)));
            }
        });
        address
    }

    fn send(&self, body: &Value) {
        let mut state = self.state.lock().unwrap();
        state.sent += 1;
        let message = (state.sent, body.to_string());
        state.visible.push_back(message);
        self.changed.notify_all();
    }

    /// Waits until so many are left of all that was sent, received or not.
    fn until_left(&self, left: usize) {
        let state = self.state.lock().unwrap();
        let more = |state: &mut State| state.visible.len() + state.hidden.len() > left;
        let (state, waited) = self.changed.wait_timeout_while(state, SOON, more).unwrap();
        let (visible, hidden) = (&state.visible, &state.hidden);
        assert!(!waited.timed_out(), "more than {left} are left: {visible:?}, received {hidden:?}");
    }

    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let (mut target, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(": ") else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => value.trim().clone_into(&mut target),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let answer = self.of(&target, &asked).to_string();
        write!(
            reader.get_mut(),
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{answer}",
            answer.len()
        )
    }

    fn of(&self, target: &str, asked: &Value) -> Value {
        let state = self.state.lock().unwrap();
        match target {
            "AmazonSQS.GetQueueUrl" => {
                json!({ "QueueUrl": format!("http://sqs.test/1/{}", asked["QueueName"].as_str().unwrap()) })
            }
            "AmazonSQS.ReceiveMessage" => {
                assert_eq!((&asked["WaitTimeSeconds"], &asked["VisibilityTimeout"]), (&json!(1), &json!(60)));
                let empty = |state: &mut State| state.visible.is_empty();
                let (mut state, _) = self.changed.wait_timeout_while(state, WAIT, empty).unwrap();
                let Some((id, body)) = state.visible.pop_front() else { return json!({}) };
                state.hidden.push((id, body.clone()));
                json!({ "Messages": [{
                    "MessageId": format!("m-{id}"), "ReceiptHandle": id.to_string(), "Body": body,
                    "Attributes": { "ApproximateReceiveCount": "1" },
                }] })
            }
            "AmazonSQS.DeleteMessageBatch" => {
                let (mut state, entries) = (state, asked["Entries"].as_array().unwrap());
                let is_meant =
                    |id: usize| entries.iter().any(|entry| entry["ReceiptHandle"] == id.to_string().as_str());
                state.hidden.retain(|(id, _)| !is_meant(*id));
                self.changed.notify_all();
                let done = entries.iter().map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>();
                json!({ "Successful": done, "Failed": [] })
            }
            other => panic!("{other} is not what a trigger asks for"),
        }
    }
}

fn notification(event: &str, key: &str) -> Value {
    json!({ "Records": [{
        "eventSource": "aws:s3", "eventTime": "2026-11-22T18:34:21.189Z", "eventName": event,
        "s3": {
            "bucket": { "name": "product-ingest" },
            "object": { "key": key, "eTag": "e", "versionId": "v1", "sequencer": "0055AED6DCD90281E5" }
        }
    }] })
}

fn site(queue: &Arc<Queue>, url: &str) -> Site {
    let mut site = Site::new();
    let with = "with: { queue: product-uploads, prefix: incoming/, wait: 1s }";
    let text = UPLOADS.replace("URL", url).replace("with: { queue: q }", with);
    fs::write(site.path("uploads.yaml"), text).unwrap();
    site.env = vec![
        ("AWS_ENDPOINT_URL", queue.serve()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ];
    site
}

const WATCH: [&str; 4] = ["watch", "uploads.yaml", "--profile", "production"];

#[test]
fn an_upload_starts_one_run_and_what_else_the_queue_holds_is_told() {
    let queue = Arc::new(Queue::default());
    let site = site(&queue, "http://127.0.0.1:9/");
    queue.send(&json!({ "Service": "Amazon S3", "Event": "s3:TestEvent" }));
    queue.send(&json!("hello"));
    queue.send(&notification("ObjectRemoved:Delete", "incoming/a.json"));
    queue.send(&notification("ObjectCreated:Put", "outgoing/a.json"));
    for _ in 0..3 {
        queue.send(&notification("ObjectCreated:Put", "incoming/x+y%2B%C3%A9.json"));
    }
    let working = site.start(&WATCH);
    queue.until_left(1);
    let beside = site.json(&["list", "--json"]);
    let runs = beside[0].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("succeeded")), "read from a second terminal");
    assert_eq!(site.milepost(&WATCH).code, Some(4), "one engine owns the state");
    let first = working.run.clone();
    working.signal("INT");
    let told = working.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines = format!("{first}\n{}", told.stdout);
    let lines = tame(&site, &lines).replace(|letter: char| letter.is_ascii_digit(), "#");
    let (started, ended) = lines.split_once('\n').unwrap();
    assert_eq!(started, "RUN  started by uploads: s#://product-ingest/incoming/x%##y+é.json?versionId=v#");
    assert!(ended.starts_with("RUN  succeeded in "), "{ended}");
    let again = "uploads: told again of s3://product-ingest/incoming/x%20y+é.json?versionId=v1; \
                 RUN was started for it before";
    let expected = [
        "watching for uploads: uploads (s3.created, queue product-uploads, prefix incoming/, wait 1s) gives \
         'source'",
        "Ctrl-C ends it",
        "uploads: passed over: s3:TestEvent: notifications were set up",
        "uploads: message m-2 cannot be read and is left to its queue (received 1 time): it is neither a \
         notification of S3 nor its event from EventBridge",
        "uploads: passed over: ObjectRemoved:Delete: s3://product-ingest/incoming/a.json",
        "uploads: passed over: s3://product-ingest/outgoing/a.json?versionId=v1 is none of those that are \
         watched",
        again,
        again,
        "stopped; no run was at work",
    ];
    assert_eq!(tame(&site, &told.stderr).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_stop_interrupts_the_run_that_is_at_work_and_the_next_watch_goes_on_with_it() {
    let server = Server::start();
    let queue = Arc::new(Queue::default());
    let site = site(&queue, &server.url);
    queue.send(&notification("ObjectCreated:Put", "incoming/slow.json"));
    let working = site.start(&WATCH);
    server.asked.recv_timeout(SOON).expect("the run asks the server");
    for order in ["pause", "unpause"] {
        assert_eq!(site.milepost(&[order, "@latest"]).code, Some(0), "the socket is served");
    }
    working.signal("TERM");
    server.release.send(()).unwrap();
    let told = working.wait();
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.stdout.contains("  interrupted"), "{told:?}");
    let command = "Go on with: milepost watch uploads.yaml --profile production";
    assert!(told.stderr.contains(command), "{told:?}");

    server.answers.store(true, std::sync::atomic::Ordering::SeqCst);
    let working = site.start(&[&WATCH[..], &["--json"]].concat());
    let first: Value = serde_json::from_str(&working.run).unwrap();
    assert_eq!(first["event"], "resumed");
    server.asked.recv_timeout(SOON).expect("the run asks the server");
    // The next upload is received only when that one has ended.
    queue.send(&notification("ObjectCreated:Put", "incoming/next.json"));
    queue.until_left(0);
    working.signal("INT");
    let told = working.wait();
    let events: Vec<Value> = told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ended = &events[0];
    assert_eq!((&ended["event"], &ended["status"]), (&json!("ended"), &json!("succeeded")), "{told:?}");
    assert_eq!(ended["run"], first["run"]);
    assert_eq!(events[1]["subject"], "s3://product-ingest/incoming/next.json?versionId=v1");
}

#[test]
fn a_file_in_which_nothing_can_be_watched_is_refused_with_the_reason() {
    let site = Site::new();
    let told = site.milepost(&["watch", "workflows/hello.yaml"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.stderr.contains("hello.yaml has no triggers: nothing would ever start"), "{told:?}");
    fs::write(site.path("uploads.yaml"), UPLOADS.replace("URL", "http://127.0.0.1:9/")).unwrap();
    let told = site.milepost(&["watch", "uploads.yaml"]);
    assert_eq!(told.code, Some(2));
    insta::assert_snapshot!(tame(&site, &told.stderr), @"
    error[E1021]: uploads.yaml: no trigger listens without a profile
      uploads cannot listen over a connection of kind 'embedded'
    next: milepost watch --help
    ");
    assert!(!site.path("state").exists(), "no state was made");
}
