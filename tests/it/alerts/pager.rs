//! Somebody who is told: a receiver of webhooks that keeps what comes and answers as it is told to.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milepost::core::time::Timestamp;
use milepost::webhook::{Delivery, Headers, Scheme, Secret, Source};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::HOOK_SECRET;

pub(super) const OK: &str = "200 OK\r\n";
pub(super) const BROKEN: &str = "500 Internal Server Error\r\n";
pub(super) const GONE: &str = "410 Gone\r\n";
/// It never answers.
pub(super) const SILENT: &str = "";

/// What came.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Came {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Held against the rules of Standard Webhooks twice: by our own verification, and by an HMAC of our own making.
    pub(super) fn is_signed(&self) {
        let pairs = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let headers = Headers::of(pairs);
        let source = Source::new(Scheme::Standard, vec![Secret::standard(HOOK_SECRET).unwrap()], None);
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
        let delivery = Delivery { headers: &headers, body: self.body.as_bytes() };
        assert_eq!(source.verify(delivery, Timestamp(now)).unwrap().id, self.id());
        let signed = signature(self.id(), &self.headers["webhook-timestamp"], &self.body);
        assert_eq!(self.headers["webhook-signature"], signed);
        assert_eq!(self.headers["content-type"], "application/json");
    }
}

/// HMAC-SHA256 as RFC 2104 defines it, over `id.timestamp.body`.
pub(super) fn signature(id: &str, timestamp: &str, body: &str) -> String {
    let mut key = [0u8; 64];
    let secret = STANDARD.decode(HOOK_SECRET.trim_start_matches("whsec_")).unwrap();
    key[..secret.len()].copy_from_slice(&secret);
    let pad = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(format!("{id}.{timestamp}.{body}"));
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner.finalize());
    format!("v1,{}", STANDARD.encode(outer.finalize()))
}

#[derive(Clone)]
pub(super) struct Pager {
    pub(super) port: u16,
    came: Arc<Mutex<Vec<Came>>>,
    answer: Arc<Mutex<String>>,
}

impl Pager {
    /// It answers everything with this, until told otherwise.
    pub(super) fn answering(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pager = Self {
            port: listener.local_addr().unwrap().port(),
            came: Arc::default(),
            answer: Arc::new(Mutex::new(answer.to_owned())),
        };
        let heard = pager.clone();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // Whoever opens a connection and is killed then said nothing.
                let Some(came) = read(&mut stream) else { continue };
                let answer = heard.answer.lock().unwrap().clone();
                heard.came.lock().unwrap().push(came);
                if answer == SILENT {
                    open.push(stream);
                } else {
                    write!(stream, "HTTP/1.1 {answer}content-length: 0\r\nconnection: close\r\n\r\n")
                        .unwrap();
                }
            }
        });
        pager
    }

    pub(super) fn answer(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap());
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/in", self.port)
    }

    /// What came so far.
    pub(super) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
}

fn read(stream: &mut TcpStream) -> Option<Came> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let pairs = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: BTreeMap<String, String> =
            pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        if headers["content-length"] == body.len().to_string() {
            return Some(Came { headers, body: body.to_owned() });
        }
    }
}
