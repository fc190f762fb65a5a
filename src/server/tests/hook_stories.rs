//! What others send to hooks: who is let in, how much of it is read, and what they are told.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::webhook::{Scheme, Secret, Source};

/// Longest body that the hook takes.
pub(super) const BODY_MAX: usize = 64 * 1024;
const TOKEN: &str = "the token of the sender";

pub(super) fn source() -> Source {
    let secret = Secret::text(TOKEN).unwrap();
    Source::new(Scheme::Token { header: "x-token".to_owned() }, vec![secret], None)
}

async fn served() -> (Network, std::net::SocketAddr) {
    let network = reserve("127.0.0.1:0".parse().unwrap()).await.unwrap().serve(service());
    let address = network.address();
    (network, address)
}

/// The whole answer to these bytes; the other side may hang up before it has read them all.
async fn told(address: std::net::SocketAddr, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\nhost: here\nconnection: close\n\n").replace('\n', "\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

async fn sent(address: std::net::SocketAddr, hook: &str, more: &str, body: &[u8]) -> String {
    let head = format!("POST /hooks/{hook} HTTP/1.1\ncontent-length: {}\n{more}", body.len());
    told(address, &head, body).await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn a_proof_is_enough_and_nothing_else_is() {
    let (_network, address) = served().await;
    let proof = format!("x-token: {TOKEN}");
    for kind in ["content-type: application/json\n", "content-type: text/plain\n", ""] {
        let answer = sent(address, "pim", &format!("{kind}{proof}"), b"{}").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.ends_with("{\"hook\":\"pim\",\"signalled\":null}"), "{answer}");
    }
    for other in
        ["authorization: Bearer acts", "cookie: milepost_token=acts", "x-token: guessed", "x-none: 1"]
    {
        let answer = sent(address, "pim", other, b"{}").await;
        assert_eq!(status(&answer), 401, "{other}: {answer}");
        assert!(answer.contains("e1212") && answer.contains("www-authenticate"), "{answer}");
        assert!(!answer.contains("guessed") && !answer.contains("x-token"), "it says no more: {answer}");
    }
    assert_eq!(status(&sent(address, "shop", &proof, b"{}").await), 404);
    assert_eq!(status(&told(address, "GET /hooks/pim HTTP/1.1", b"").await), 405);
    for trick in ["pim/..", "..%2fv1%2fruns", "%00", "pim%2f", "%ff"] {
        let answer = sent(address, trick, &proof, b"{}").await;
        assert!([400, 404].contains(&status(&answer)), "{trick}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read_whether_it_says_so_or_not() {
    let (_network, address) = served().await;
    let most = vec![b' '; BODY_MAX];
    let proof = format!("x-token: {TOKEN}");
    assert_eq!(status(&sent(address, "pim", &proof, &most).await), 200);
    let head = format!("POST /hooks/pim HTTP/1.1\ncontent-length: {}\n{proof}", 1u64 << 40);
    assert_eq!(status(&told(address, &head, b"{").await), 413);
    let head = format!("POST /hooks/pim HTTP/1.1\ntransfer-encoding: chunked\n{proof}");
    let mut chunks = format!("{:x}\r\n", BODY_MAX + 1).into_bytes();
    chunks.resize(chunks.len() + BODY_MAX + 1, b' ');
    assert_eq!(status(&told(address, &head, &chunks).await), 413);
}

#[tokio::test]
async fn while_every_place_is_taken_others_are_told_to_come_again() {
    for (of_all, of_hook, expected) in [(1, 2, 503), (2, 1, 429)] {
        full(Fake::with_places(of_all, of_hook), expected).await;
    }
}

async fn full(fake: Fake, expected: u16) {
    let places = [Arc::clone(&fake.places), Arc::clone(&fake.places_of_hook)];
    let service = Service { operator: Arc::new(fake), ..service() };
    let network = reserve("127.0.0.1:0".parse().unwrap()).await.unwrap().serve(service);
    let (address, proof) = (network.address(), format!("x-token: {TOKEN}"));
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /hooks/pim HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n{proof}\r\n\r\n{{");
    slow.write_all(head.as_bytes()).await.unwrap();
    while places.iter().all(|places| places.available_permits() > 0) {
        tokio::task::yield_now().await;
    }
    let full = sent(address, "pim", &proof, b"{}").await;
    assert_eq!(status(&full), expected, "{full}");
    assert!(full.contains("retry-after: "), "{full}");
    slow.write_all(b"}").await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(status(&sent(address, "pim", &proof, b"{}").await), 200, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_waited_for_a_little() {
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let bounds = gate::Bounds { bytes: BODY_MAX, time: std::time::Duration::from_secs(5) };
    let begun = tokio::time::Instant::now();
    let whole = gate::whole(&HeaderMap::new(), never, bounds).await;
    assert_eq!((whole, begun.elapsed().as_secs()), (Err(StatusCode::REQUEST_TIMEOUT), 5));
}
