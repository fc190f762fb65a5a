//! A server that speaks as much of S3 as one object needs, and breaks it wherever a test wants.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path with its query.
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Where the range begins that it asks for.
    pub(super) fn from(&self) -> Option<usize> {
        let range = self.headers.get("range")?;
        range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection is closed.
    Close,
    /// Nothing more comes, and the connection stays open until the client goes.
    Hold,
    /// The body goes on for ever.
    Endless,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// The length that is announced; `None`: in chunks.
    pub(super) announced: Option<usize>,
    pub(super) end: End,
}

impl Answer {
    pub(super) fn new(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Self {
        Self { status, headers, announced: Some(body.len()), body, end: End::Close }
    }

    /// A refusal as S3 writes it.
    pub(super) fn refusal(status: u16, code: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>said the server</Message></Error>");
        Self::new(status, vec![("content-type", "application/xml".to_owned())], body.into_bytes())
    }

    /// Only so many bytes of the body are sent.
    pub(super) fn cut(mut self, at: usize, end: End) -> Self {
        self.body.truncate(at);
        Self { end, ..self }
    }
}

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Stored {
    pub(super) fn new(bytes: impl Into<Vec<u8>>, etag: &'static str) -> Self {
        Self { bytes: bytes.into(), etag, headers: Vec::new() }
    }

    /// What S3 answers to a GET.
    pub(super) fn get(&self, request: &Request) -> Answer {
        let etag = format!("\"{}\"", self.etag);
        if request.headers.get("if-match").is_some_and(|wanted| *wanted != etag) {
            return Answer::refusal(412, "PreconditionFailed");
        }
        let mut headers = vec![("etag", etag)];
        let whole = self.bytes.len();
        match request.from() {
            Some(from) if from >= whole => Answer::refusal(416, "InvalidRange"),
            Some(from) => {
                headers.push(("content-range", format!("bytes {from}-{}/{whole}", whole - 1)));
                Answer::new(206, headers, self.bytes[from..].to_vec())
            }
            None => {
                headers.extend(self.headers.clone());
                Answer::new(200, headers, self.bytes.clone())
            }
        }
    }
}

/// A server for one test.
pub(super) struct Server {
    pub(super) endpoint: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers the n-th request, from 0, as `answer` says.
    pub(super) fn start(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (all, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, answer) = (Arc::clone(&all), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    let number = {
                        let mut asked = asked.lock().unwrap();
                        asked.push(request.clone());
                        asked.len() - 1
                    };
                    // A client that goes away has what it wanted.
                    let _ = write(stream, request.method == "HEAD", &answer(number, &request));
                });
            }
        });
        Self { endpoint, asked }
    }

    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn write(mut stream: TcpStream, is_head: bool, answer: &Answer) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    match answer.announced {
        Some(length) => write!(head, "content-length: {length}\r\n\r\n").unwrap(),
        None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    stream.write_all(head.as_bytes())?;
    if is_head {
        return Ok(());
    }
    match answer.announced {
        Some(_) => stream.write_all(&answer.body)?,
        None if answer.body.is_empty() => {}
        None => chunk(&mut stream, &answer.body)?,
    }
    match answer.end {
        End::Close if answer.announced.is_none() => stream.write_all(b"0\r\n\r\n"),
        End::Close => Ok(()),
        End::Hold => std::io::copy(&mut stream, &mut std::io::sink()).map(drop),
        End::Endless => loop {
            chunk(&mut stream, &[b' '; 4096])?;
        },
    }
}

fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
    stream.write_all(bytes)?;
    stream.write_all(b"\r\n")
}
