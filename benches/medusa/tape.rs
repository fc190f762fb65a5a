//! HTTP calls, written down and sent again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};

type Calls = Arc<Mutex<Vec<Vec<u8>>>>;

/// Passes calls on to a server and writes them down in the order of their arrival.
pub(crate) struct Recorder {
    url: String,
    calls: Calls,
}

impl Recorder {
    /// Stands before the server at this address.
    pub(crate) fn before(target: &str) -> anyhow::Result<Self> {
        let target = address(target)?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let calls = Calls::default();
        let written = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (target, calls) = (target.clone(), Arc::clone(&written));
                // Whichever side ends a connection, ends both.
                std::thread::spawn(move || pass(stream, &target, &calls));
            }
        });
        Ok(Self { url, calls })
    }

    /// Its own address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Every call so far.
    pub(crate) fn tape(&self) -> Vec<Vec<u8>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn pass(stream: TcpStream, target: &str, calls: &Calls) -> anyhow::Result<()> {
    let mut server = BufReader::new(TcpStream::connect(target)?);
    let mut client = BufReader::new(stream);
    loop {
        let call = message(&mut client)?;
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        server.get_mut().write_all(&call)?;
        let answer = message(&mut server)?;
        client.get_mut().write_all(&answer)?;
    }
}

/// Sends the calls one after the other over one connection. Each must be answered with 200.
pub(crate) fn play(url: &str, tape: &[Vec<u8>]) -> anyhow::Result<()> {
    let server = TcpStream::connect(address(url)?)?;
    server.set_nodelay(true)?;
    let mut server = BufReader::new(server);
    for call in tape {
        server.get_mut().write_all(call)?;
        let answer = message(&mut server)?;
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

fn address(url: &str) -> anyhow::Result<&str> {
    url.strip_prefix("http://").with_context(|| format!("{url} does not begin with http://"))
}

/// Reads one message, head and body, as far as both sides use it.
fn message(from: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    loop {
        let begin = bytes.len();
        ensure!(from.read_until(b'\n', &mut bytes)? > 0, "the other side has hung up");
        let line = String::from_utf8_lossy(&bytes[begin..]).trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            from.take(length).read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
}
