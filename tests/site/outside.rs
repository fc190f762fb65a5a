//! The stand-ins as their own process: they outlive every engine of a story, and their journal is
//! the only witness that a story believes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use milepost::connectors::sandbox::{self, Entry};
use serde_json::Value;
use tempfile::TempDir;

use super::relay::message;

/// Running stand-ins; they end with this value.
pub(crate) struct Outside {
    pub(crate) pim: String,
    pub(crate) shop: String,
    process: Child,
    dir: TempDir,
}

impl Outside {
    /// Starts healthy stand-ins that hold nothing.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("milepost"));
        command.args(["sandbox", "--pim-port", "0", "--shop-port", "0", "--json", "--dir"]).arg(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let url = |name: &str| told[name]["url"].as_str().unwrap().to_owned();
        Self { pim: url("pim"), shop: url("shop"), process, dir }
    }

    /// Every call so far, in the order of arrival at each: PIM, shop.
    pub(crate) fn calls(&self) -> (Vec<Entry>, Vec<Entry>) {
        sandbox::entries(self.dir.path()).unwrap()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Replaces how the stand-in at this address fails; `{}` heals.
pub(crate) fn faults(url: &str, faults: &Value) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let body = faults.to_string();
    write!(
        stream,
        "POST /sandbox/faults HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let answer = message(&mut BufReader::new(stream)).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
}
