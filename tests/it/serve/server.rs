//! A server as its own process, and somebody with a token who asks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::site::{Site, Told, signal};

/// Longer than anything takes that works.
pub(crate) const HANGS: Duration = Duration::from_mins(2);

/// How long it is waited between two looks: the cores are left to what is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something.
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < HANGS, "it never came to that");
        std::thread::park_timeout(PAUSE);
    }
}

/// A process that ends with this value, however the story ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Server {
    child: Process,
    talk: JoinHandle<String>,
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Server {
    /// Starts it on a free port; returns once it says that it serves.
    pub(crate) fn start(site: &Site, line: &[&str]) -> Self {
        let file = site.path("token");
        if !file.exists() {
            let made = site.milepost(&["token", "create", "tests", "--scope", "operate"]);
            assert_eq!(made.code, Some(0), "{made:?}");
            std::fs::write(&file, made.stdout.trim()).unwrap();
        }
        let line = [&["serve", "--listen", "127.0.0.1:0"], line].concat();
        let mut command = site.command(&line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it does not serve: {said}");
            said.push_str(&line);
            if let Some(rest) = line.strip_prefix("serving on http://") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        let talk = std::thread::spawn(move || {
            stderr.read_to_string(&mut said).unwrap();
            said
        });
        Self { child: Process(child), talk, address, token: std::fs::read_to_string(file).unwrap() }
    }

    fn connect(&self, method: &str, path: &str, body: Option<&Value>, more: &[&str]) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(HANGS)).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let more = more.iter().fold(String::new(), |text, line| text + line + "\r\n");
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{kind}{more}\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )
        .unwrap();
        BufReader::new(stream)
    }

    /// Asks, and returns the status with the body.
    pub(crate) fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        more: &[&str],
    ) -> (u16, Value) {
        let mut answer = String::new();
        self.connect(method, path, body, more).read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.ask_with(method, path, body, &[])
    }

    pub(crate) fn read(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{path}: {body:#}");
        body
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.read(path).as_str().unwrap().to_owned()
    }

    pub(crate) fn start_run(&self, order: &Value) -> Value {
        let (status, body) = self.ask("POST", "/v1/runs", Some(order));
        assert_eq!(status, 202, "{body:#}");
        body
    }

    pub(crate) fn until_ended(&self, run: &str) -> Value {
        let is_ended =
            |shown: &Value| ["succeeded", "failed", "cancelled"].iter().any(|word| shown["status"] == *word);
        until(|| Some(self.read(&format!("/v1/runs/{run}"))).filter(is_ended))
    }

    /// Follows what happens.
    pub(crate) fn watch(&self, path: &str) -> Live {
        let mut lines = self.connect("GET", path, None, &[]);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.contains("text/event-stream"), "{head}");
        Live(lines)
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.0.id(), name);
    }

    pub(crate) fn wait(mut self) -> Told {
        let mut stdout = String::new();
        self.child.0.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = self.child.0.wait().unwrap().code();
        Told { code, stdout, stderr: self.talk.join().unwrap() }
    }

    pub(crate) fn kill(self) -> Told {
        self.signal("KILL");
        self.wait()
    }

    pub(crate) fn stop(self) -> Told {
        self.signal("TERM");
        self.wait()
    }
}

/// A stream of server-sent events.
pub(crate) struct Live(BufReader<TcpStream>);

impl Live {
    /// The next message: its name, and its data.
    pub(crate) fn message(&mut self) -> (String, Value) {
        let (mut name, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            // Between them are the sizes of chunks, and comments that keep the connection alive.
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim().clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).unwrap());
            }
        }
    }

    /// All that is told until the server ends it.
    pub(crate) fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }

    /// The next message of this name.
    pub(crate) fn next(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.message();
            if name == wanted {
                return data;
            }
        }
    }
}
