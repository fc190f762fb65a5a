//! A server as its own process, and somebody who starts runs in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::site::Site;

/// Longer than any run of these stories takes.
const HANGS: Duration = Duration::from_mins(5);

/// A server that ends with this value.
pub(crate) struct Served {
    pub(crate) url: String,
    /// A token that is good for acting.
    pub(crate) token: String,
    child: Child,
}

impl Served {
    /// Serves these files of a site on a free port; returns once it says so.
    pub(crate) fn start(site: &Site, files: &[&str]) -> Self {
        let made = site.milepost(&["token", "create", "ana", "--scope", "operate"]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let line = [&["serve", "--listen", "127.0.0.1:0"], files].concat();
        let mut child = site.command(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it does not serve: {said}");
            said.push_str(&line);
            if let Some(rest) = line.strip_prefix("serving on ") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        // Somebody has to read what it says.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { url, token: made.stdout.trim().to_owned(), child }
    }

    /// Starts a run of a workflow.
    pub(crate) fn run(&self, workflow: &str, input: &[(&str, &str)]) -> String {
        let input: Map<String, Value> =
            input.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let started = self.ask("POST", "/v1/runs", Some(&json!({ "workflow": workflow, "input": input })));
        started["run"].as_str().unwrap_or_else(|| panic!("{started:#}")).to_owned()
    }

    /// Waits for the end of a run.
    pub(crate) fn ended(&self, run: &str) {
        self.until(run, &["succeeded", "failed", "cancelled"]);
    }

    /// Waits until a run stands like one of these.
    pub(crate) fn until(&self, run: &str, words: &[&str]) {
        let begun = Instant::now();
        loop {
            let shown = self.ask("GET", &format!("/v1/runs/{run}"), None);
            if words.iter().any(|word| shown["status"] == *word) {
                return;
            }
            assert!(begun.elapsed() < HANGS, "{shown:#}");
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n{kind}\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.token,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
