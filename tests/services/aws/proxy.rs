//! A proxy before a server of the AWS API: for each call the test says what becomes of it.
//!
//! ```text
//! let proxy = Proxy::before(&aws, |call| match (call.operation.as_str(), call.number) {
//!     ("PutEvents", 2) => Does::LoseAnswer,
//!     ("DeleteMessageBatch", _) => Does::Refuse(403, "AccessDenied"),
//!     _ => Does::Pass,
//! });
//! site.env.extend(environment(proxy.endpoint()));
//! ```
//!
//! Requests are signed for the proxy's address and passed on as they are: the servers used here check
//! no signature. Queue URLs name the server itself, which is no way around the proxy: the Rust SDK
//! sends every request to its endpoint, and the URL in the body.

mod call;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

pub(crate) use call::Call;

use super::Aws;

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(2);

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// The server answers.
    Pass,
    /// It never arrives: the connection is closed.
    LoseRequest,
    /// The server carries it out, and the connection is closed in the place of the answer.
    LoseAnswer,
    /// The server carries it out, and its answer waits for `go_on`.
    Hold,
    /// It never arrives; this status and error code are the answer.
    Refuse(u16, &'static str),
    /// The entries at these positions (from 0) of a batch never arrive, and the answer says that
    /// they failed with this code.
    FailEntries(Vec<usize>, &'static str),
}

type Script = Box<dyn Fn(&Call) -> Does + Send + Sync>;

struct Seen {
    target: String,
    http: reqwest::Client,
    script: Mutex<Script>,
    calls: Mutex<BTreeMap<String, u64>>,
    counted: Condvar,
    /// How often the test said `go_on`.
    went_on: tokio::sync::watch::Sender<u64>,
}

/// A proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    seen: Arc<Seen>,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    listening: Mutex<Option<AbortHandle>>,
    runtime: Runtime,
}

impl Proxy {
    /// Stands before this server and does what the script says.
    pub(crate) fn before(aws: &Aws, script: impl Fn(&Call) -> Does + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        // Fails when another test has done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = {
            // Sockets are made for the runtime that will serve them.
            let _entered = runtime.enter();
            listen("127.0.0.1:0".parse().unwrap())
        };
        let seen = Seen {
            target: aws.endpoint().to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            script: Mutex::new(Box::new(script)),
            calls: Mutex::default(),
            counted: Condvar::new(),
            went_on: tokio::sync::watch::Sender::new(0),
        };
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::new(seen),
            connections: Arc::default(),
            listening: Mutex::default(),
            runtime,
        };
        proxy.serve(listener);
        proxy
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on: does this.
    pub(crate) fn script(&self, script: impl Fn(&Call) -> Does + Send + Sync + 'static) {
        *self.seen.script.lock().unwrap() = Box::new(script);
    }

    /// How many calls of this operation there were.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.seen.calls.lock().unwrap().get(operation).copied().unwrap_or_default()
    }

    /// Waits until there were so many calls of this operation. What the script says of the last of
    /// them is still to be done.
    pub(crate) fn until(&self, operation: &str, count: u64) {
        let calls = self.seen.calls.lock().unwrap();
        let so_many = |calls: &mut BTreeMap<String, u64>| calls.get(operation).is_none_or(|&n| n < count);
        let (calls, waited) = self.seen.counted.wait_timeout_while(calls, HANGS, so_many).unwrap();
        assert!(!waited.timed_out(), "{operation} was not called {count} times: {calls:?}");
    }

    /// Hands over the answers that are held.
    pub(crate) fn go_on(&self) {
        self.seen.went_on.send_modify(|times| *times += 1);
    }

    /// Closes every connection, whatever is under way, and refuses new ones.
    pub(crate) fn cut(&self) {
        if let Some(listening) = self.listening.lock().unwrap().take() {
            listening.abort();
        }
        self.connections.lock().unwrap().drain(..).for_each(|connection| connection.abort());
        // Aborted tasks close their sockets a moment later.
        while std::net::TcpStream::connect(self.address).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Listens again, at the same address.
    pub(crate) fn heal(&self) {
        let listener = {
            let _entered = self.runtime.enter();
            listen(self.address)
        };
        self.serve(listener);
    }

    fn serve(&self, listener: TcpListener) {
        let (seen, connections) = (Arc::clone(&self.seen), Arc::clone(&self.connections));
        let listening = self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let connection = tokio::spawn(async move {
                    let answers = service_fn(|request| answer(Arc::clone(&seen), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    // Whichever side ends a connection, ends it.
                    let _ = http.serve_connection(TokioIo::new(stream), answers).await;
                });
                connections.lock().unwrap().push(connection.abort_handle());
            }
        });
        *self.listening.lock().unwrap() = Some(listening.abort_handle());
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(128).unwrap()
}

/// An error closes the connection.
async fn answer(seen: Arc<Seen>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Err(io::ErrorKind::UnexpectedEof.into()) };
    let mut call = Call::new(head, body.to_bytes());
    // The answer is only held for a `go_on` that comes after this.
    let mut went_on = seen.went_on.subscribe();
    let does = {
        let mut calls = seen.calls.lock().unwrap();
        let count = calls.entry(call.operation.clone()).or_default();
        *count += 1;
        call.number = *count;
        seen.counted.notify_all();
        seen.script.lock().unwrap()(&call)
    };
    let lost = || io::Error::from(io::ErrorKind::ConnectionAborted);
    match does {
        Does::Pass => forward(&seen, &call, call.body.clone()).await,
        Does::LoseRequest => Err(lost()),
        Does::LoseAnswer => {
            forward(&seen, &call, call.body.clone()).await?;
            Err(lost())
        }
        Does::Hold => {
            let answer = forward(&seen, &call, call.body.clone()).await?;
            went_on.changed().await.map_err(|_| lost())?;
            Ok(answer)
        }
        Does::Refuse(status, code) => Ok(call.refusal(status, code)),
        Does::FailEntries(failing, code) => {
            let Some(rest) = call.without_entries(&failing) else {
                return Ok(call.with_failed(&Bytes::from_static(b"{}"), &failing, code));
            };
            let answer = forward(&seen, &call, rest).await?;
            let Ok(told) = answer.into_body().collect().await.map_err(|never: Infallible| never);
            Ok(call.with_failed(&told.to_bytes(), &failing, code))
        }
    }
}

async fn forward(seen: &Seen, call: &Call, body: Bytes) -> io::Result<Response<Full<Bytes>>> {
    let url = format!("{}{}", seen.target, call.path);
    let mut headers = call.headers.clone();
    headers.remove(hyper::header::HOST);
    headers.remove(hyper::header::CONTENT_LENGTH);
    let sent = seen.http.request(call.method.clone(), url).headers(headers).body(body).send().await;
    let answer = sent.map_err(io::Error::other)?;
    let mut told = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != hyper::header::TRANSFER_ENCODING && name != hyper::header::CONNECTION {
            told = told.header(name, value);
        }
    }
    let body = answer.bytes().await.map_err(io::Error::other)?;
    told.body(Full::new(body)).map_err(io::Error::other)
}
