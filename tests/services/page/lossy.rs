//! Somebody outside who charges orders, and whose answer about two of them is lost the first time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The orders whose first answer is lost.
const LOST: [&str; 2] = ["/charge/A-002", "/charge/A-003"];

/// Takes calls until the test ends.
pub(super) struct Lossy {
    pub(super) url: String,
    /// The paths that were asked for, in order.
    pub(super) calls: Arc<Mutex<Vec<String>>>,
}

impl Lossy {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let heard = Arc::clone(&heard);
                // Whoever goes away in the middle is nobody's trouble.
                std::thread::spawn(move || drop(answer(stream.unwrap(), &heard)));
            }
        });
        Self { url, calls }
    }
}

fn answer(mut stream: TcpStream, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    lines.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    std::io::copy(&mut lines.take(length), &mut std::io::sink())?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut heard = heard.lock().unwrap();
    let is_lost = LOST.contains(&path.as_str()) && !heard.contains(&path);
    heard.push(path);
    drop(heard);
    if is_lost {
        return Ok(());
    }
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}
