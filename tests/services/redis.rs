//! A Redis of our own, started empty by the script.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// Where the script's Redis listens, as a URL.
const VARIABLE: &str = "MILEPOST_TEST_REDIS";

/// The address in the URL.
fn address() -> String {
    let url = std::env::var(VARIABLE);
    let url =
        url.unwrap_or_else(|_| panic!("{VARIABLE} names no Redis; start the tests with tests/services/run"));
    url.strip_prefix("redis://").expect("the URL begins with redis://").trim_end_matches('/').to_owned()
}

#[test]
#[ignore = "needs a Redis; tests/services/run starts one"]
fn redis_answers() {
    let mut stream = TcpStream::connect(address()).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "+PONG\r\n");
}
