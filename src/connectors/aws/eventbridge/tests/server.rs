//! A server that answers as it is told, and remembers what it was asked.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// What it was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Method and path.
    pub(super) line: String,
    pub(super) body: Value,
}

/// What it answers.
pub(super) enum Reply {
    /// Status and body.
    Status(u16, Value),
    /// The end of the connection.
    Reset,
    /// Nothing, for ever.
    Silence,
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// A server that answers once `together` requests are there.
    pub(super) async fn start(
        together: usize,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, barrier): (Arc<Script>, _) = (Arc::new(script), Arc::new(Barrier::new(together)));
        let told = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, told, barrier) = (Arc::clone(&script), Arc::clone(&told), Arc::clone(&barrier));
                // An error is the end of the connection.
                tokio::spawn(async move { drop(serve(stream, &*script, &told, &barrier).await) });
            }
        });
        Self { url, asked }
    }

    /// All that it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The details of all events, request by request.
    pub(super) fn details(&self) -> Vec<Vec<Value>> {
        let requests = self.asked().into_iter().filter(|asked| asked.body["Entries"].is_array());
        requests.map(|asked| entries(&asked).iter().map(detail).collect()).collect()
    }
}

async fn serve(
    stream: TcpStream,
    script: &Script,
    told: &Mutex<Vec<Asked>>,
    barrier: &Barrier,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let asked = request(&mut stream).await?;
        told.lock().unwrap().push(asked.clone());
        barrier.wait().await;
        let (status, body) = match script(&asked) {
            Reply::Status(status, body) => (status, body.to_string()),
            Reply::Reset => return Ok(()),
            Reply::Silence => std::future::pending().await,
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} .\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.get_mut().write_all(format!("{head}{body}").as_bytes()).await?;
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Asked> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = header.trim();
        if line.is_empty() {
            header.trim_end_matches(" HTTP/1.1").clone_into(&mut line);
        } else if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        } else if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    Ok(Asked { line, body })
}

/// The entries of a PutEvents request.
pub(super) fn entries(asked: &Asked) -> Vec<Value> {
    asked.body["Entries"].as_array().cloned().unwrap_or_default()
}

/// The detail of an entry.
pub(super) fn detail(entry: &Value) -> Value {
    serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()
}

/// The answer of PutEvents, with the error code of each entry, by its item, if it has one. An event about
/// the run counts as the first.
pub(super) fn answer(asked: &Asked, code: impl Fn(u64) -> Option<&'static str>) -> Reply {
    let answers: Vec<Value> = entries(asked)
        .iter()
        .map(|entry| match code(detail(entry)["milepost"]["item"].as_u64().unwrap_or(0)) {
            Some(code) => json!({ "ErrorCode": code, "ErrorMessage": "as told" }),
            None => json!({ "EventId": "aws" }),
        })
        .collect();
    let failed = answers.iter().filter(|answer| answer["ErrorCode"].is_string()).count();
    Reply::Status(200, json!({ "FailedEntryCount": failed, "Entries": answers }))
}

/// The answer when all is well.
pub(super) fn accept(asked: &Asked) -> Reply {
    answer(asked, |_| None)
}
