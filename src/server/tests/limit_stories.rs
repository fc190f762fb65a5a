//! What connections cost that do not keep the limits. Time is simulated where something is waited for.

use std::time::Duration;

use axum::Extension;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;
use crate::server::network::{LIMITS, Limits, attend, reserve};

/// Bytes that a connection holds when nobody takes them.
const HELD: usize = 1_024;

/// A connection that is served, and how long it was.
async fn served(act: impl AsyncFnOnce(&mut DuplexStream)) -> (Duration, String) {
    let (mut client, server) = duplex(HELD);
    let router = router(service()).layer(Extension(Way::Network));
    let begun = Instant::now();
    let attending = tokio::spawn(async move {
        attend(server, router, LIMITS).await;
        begun.elapsed()
    });
    act(&mut client).await;
    let lasted = attending.await.unwrap();
    let mut told = Vec::new();
    client.read_to_end(&mut told).await.unwrap();
    (lasted, String::from_utf8_lossy(&told).into_owned())
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_and_a_connection_that_says_nothing_are_closed_in_time() {
    for said in ["", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: "] {
        let (lasted, told) = served(async |client| client.write_all(said.as_bytes()).await.unwrap()).await;
        assert_eq!((lasted.as_secs(), told.as_str()), (LIMITS.head.as_secs(), ""), "{said:?}");
    }
    // One byte every ten seconds is no way to hold it longer.
    let (lasted, _) = served(async |client| {
        for byte in b"GET /healthz HTTP/1.1" {
            if client.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    })
    .await;
    assert_eq!(lasted.as_secs(), LIMITS.head.as_secs());
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_take_the_answer_does_not_hold_the_connection() {
    let (lasted, told) = served(async |client| {
        client.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    })
    .await;
    assert_eq!(lasted.as_secs(), LIMITS.taking.as_secs());
    assert!(told.starts_with("HTTP/1.1 200") && told.len() <= HELD, "{told}");
}

#[tokio::test]
async fn where_every_connection_is_taken_others_are_told_to_come_again() {
    let limits = Limits { connections: 2, ..LIMITS };
    let reserved = reserve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let network = reserved.serve_within(limits, service());
    let ask = async || {
        let mut stream = TcpStream::connect(network.address()).await.unwrap();
        let head = b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        told
    };
    let mut half_open = Vec::new();
    for _ in 0..limits.connections {
        half_open.push(TcpStream::connect(network.address()).await.unwrap());
    }
    for _ in 0..3 {
        let told = ask().await;
        assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("\r\nretry-after: 5\r\n"), "{told}");
        assert!(told.contains("application/problem+json") && told.contains(code::API_BUSY), "{told}");
    }
    half_open.pop();
    let begun = std::time::Instant::now();
    while !ask().await.starts_with("HTTP/1.1 200 ") {
        assert!(begun.elapsed() < Duration::from_mins(1), "there is room again");
    }
}
