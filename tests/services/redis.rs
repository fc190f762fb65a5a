//! Idempotency keys in Redis, by the suite that every store of keys must pass.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use milepost::connectors::redis;
use milepost::core::claims::{Claim, Claimed, Fence, Fingerprint, KeyId};
use milepost::core::version::Version;
use milepost::core::workflow::IdempotencyMode;
use milepost::ports::Keys;
use serde_json::json;

use crate::suite::{self, Bench};

pub(crate) fn url() -> String {
    let url = std::env::var("MILEPOST_TEST_REDIS");
    url.expect("MILEPOST_TEST_REDIS names no Redis; start the tests with tests/services/run")
}

fn keys(url: &str, prefix: &str) -> Arc<dyn Keys> {
    redis::keys(json!({ "url": url, "prefix": prefix }).as_object().unwrap()).unwrap()
}

/// Keys of their own for each test, and a client of its own for each handle, as engines have.
fn bench() -> Bench {
    let (url, prefix) = (url(), format!("milepost-test:{}:", uuid::Uuid::now_v7()));
    let another = Box::new(move || keys(&url, &prefix));
    Bench { another, journal: None, clock: None, scope: "bench".to_owned() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

macro_rules! run {
    ($story:path) => {
        runtime().block_on($story(&bench()))
    };
}

stories!([#[ignore = "needs a Redis; tests/services/run starts one"]] run);

/// Passes bytes on in both directions, until so many came back; then it cuts the connection.
pub(crate) fn passing(target: &str, left: &Arc<AtomicUsize>) -> String {
    let target = target.trim_start_matches("redis://").split('/').next().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let left = Arc::clone(left);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&target).unwrap();
            let (to_server, from_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || pass(from_client, to_server, &AtomicUsize::new(usize::MAX)));
            let left = Arc::clone(&left);
            std::thread::spawn(move || pass(server, client, &left));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicUsize) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let allowed = left.load(Ordering::SeqCst);
        if allowed < read {
            left.store(0, Ordering::SeqCst);
            break;
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
        if allowed != usize::MAX {
            left.store(allowed - read, Ordering::SeqCst);
        }
    }
    // Whichever side ends a connection, ends both.
    let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
}

/// One client whose connection is cut after so many bytes. Returns whether that was in the middle.
async fn cut_after(bytes: usize, prefix: String) -> bool {
    let left = Arc::new(AtomicUsize::new(bytes));
    let keys = keys(&passing(&url(), &left), &prefix);
    let claims = [Claim {
        id: KeyId(bytes as u128),
        mode: IdempotencyMode::Once,
        fingerprint: Fingerprint(1),
        version: Version("1".to_owned()),
        owner: 1,
        fence: Fence { epoch: 1, attempt: 1 },
        repeats_own: true,
        claim: Duration::from_mins(5),
        keep: Duration::from_mins(5),
    }];
    let Err(error) = keys.claim(&claims).await else { return false };
    assert!(error.to_string().starts_with("Redis at 127.0.0.1:"), "{error}");
    // The owner asks again over the same client, and what perhaps happened does not lock it out.
    left.store(usize::MAX, Ordering::SeqCst);
    for _ in 0..200 {
        if let Ok(answered) = keys.claim(&claims).await {
            assert_eq!(answered.verdicts, [Claimed::Granted], "cut after {bytes} bytes");
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("cut after {bytes} bytes, the client never came back");
}

#[test]
#[ignore = "needs a Redis; tests/services/run starts one"]
fn a_connection_that_is_cut_anywhere_grants_nothing_and_the_next_one_works() {
    let prefix = format!("milepost-test:{}:", uuid::Uuid::now_v7());
    runtime().block_on(async {
        let cuts: Vec<_> =
            (0..200).step_by(3).map(|bytes| tokio::spawn(cut_after(bytes, prefix.clone()))).collect();
        let mut in_the_middle = 0;
        for cut in cuts {
            in_the_middle += u32::from(cut.await.unwrap());
        }
        assert!((5..60).contains(&in_the_middle), "{in_the_middle} cuts were in the middle");
    });
}
