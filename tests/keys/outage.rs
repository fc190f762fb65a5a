//! A shared store of keys that cannot be asked: no claim is ever granted, and it is said why.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use milepost::connectors::redis;
use milepost::core::claims::{Claim, Fence, Fingerprint, KeyId};
use milepost::core::version::Version;
use milepost::core::workflow::IdempotencyMode;
use milepost::ports::Keys;
use serde_json::json;

use crate::runtime;

fn keys(address: &str) -> Arc<dyn Keys> {
    redis::keys(json!({ "url": format!("redis://:secret@{address}") }).as_object().unwrap()).unwrap()
}

fn claim() -> Claim {
    Claim {
        id: KeyId(1),
        mode: IdempotencyMode::Latest,
        fingerprint: Fingerprint(1),
        version: Version("1".to_owned()),
        owner: 1,
        fence: Fence { epoch: 1, attempt: 1 },
        repeats_own: true,
        claim: Duration::from_mins(5),
        keep: Duration::from_mins(5),
    }
}

/// What is said when a claim is made at this address.
fn said(address: &str) -> String {
    let error = runtime().block_on(keys(address).claim(&[claim()])).expect_err("nothing may be granted");
    let said = error.to_string();
    assert!(said.starts_with(&format!("Redis at {address}: ")) && !said.contains("secret"), "{said}");
    said
}

/// A listener that treats each connection so.
fn server(treat: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let treat = Arc::new(treat);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let treat = Arc::clone(&treat);
            std::thread::spawn(move || treat(stream));
        }
    });
    address
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert!(said(&address).contains("refused"), "{}", said(&address));
}

#[test]
fn nobody_answers() {
    let address = server(|mut stream| {
        let mut all = Vec::new();
        // Ends when the other side gives up.
        let _ = stream.read_to_end(&mut all);
    });
    assert!(said(&address).contains("no answer within 2s"), "{}", said(&address));
}

#[test]
fn the_connection_is_cut_in_the_middle() {
    // It lets a client log in, and hangs up at the first question.
    let address = server(|mut stream| {
        let mut bytes = [0; 4096];
        loop {
            let Ok(read @ 1..) = stream.read(&mut bytes) else { return };
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            if text.contains("TIME") {
                return;
            }
            let answers = "+OK\r\n".repeat(text.matches('*').count());
            if stream.write_all(answers.as_bytes()).is_err() {
                return;
            }
        }
    });
    said(&address);
}

#[test]
fn after_an_error_others_are_told_at_once() {
    let address = server(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    runtime().block_on(async {
        let keys = keys(&address);
        let first = keys.claim(&[claim()]).await.unwrap_err().to_string();
        let hurried = tokio::time::timeout(Duration::from_millis(500), keys.claim(&[claim()])).await;
        assert_eq!(hurried.expect("it does not wait again").unwrap_err().to_string(), first);
    });
}

#[test]
fn an_address_that_is_none_is_refused_before_any_run() {
    for url in ["rediss://host:6379", "http://host", "redis://"] {
        let fault = redis::keys(json!({ "url": url }).as_object().unwrap());
        let fault = fault.err().unwrap_or_else(|| panic!("{url} was taken"));
        assert_eq!(fault.field.as_deref(), Some("url"));
        assert!(fault.hint.is_some());
    }
}
