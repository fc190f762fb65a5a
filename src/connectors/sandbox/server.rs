//! HTTP in front of a stand-in: reads the call, lets the faults strike, does the work, waits for
//! the disk, answers.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Json, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::serve::{IncomingStream, Listener};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::SandboxError;
use super::faults::{Faults, Strike, Weather};
use super::journal::{self, Entry, Journal};
use super::standin::{Body, Holdings, Incoming, Reply, Standin, Writes};

/// Longest body that is read at all; the stand-ins have lower limits of their own.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One stand-in with its journal and its faults.
pub(super) struct Desk {
    inner: Mutex<Inner>,
    /// Rings when a call was answered that may have changed something.
    changed: watch::Sender<()>,
    path: std::path::PathBuf,
}

struct Inner {
    standin: Box<dyn Standin>,
    writes: Writes,
    weather: Weather,
    journal: Journal,
}

impl Desk {
    /// Opens the journal and replays it into the stand-in.
    pub(super) fn open(
        path: &Path,
        mut standin: Box<dyn Standin>,
        faults: &Faults,
    ) -> Result<Arc<Self>, SandboxError> {
        let mut writes = Writes::default();
        let journal = Journal::open(path, &mut |entry| {
            writes.add(&entry.wrote);
            entry.changes.iter().for_each(|change| standin.replay(change));
        })?;
        standin.heed(faults);
        let inner = Inner { standin, writes, weather: Weather::new(faults), journal };
        Ok(Arc::new(Self {
            inner: Mutex::new(inner),
            changed: watch::Sender::new(()),
            path: path.to_owned(),
        }))
    }

    /// Rings when there may be new events, which are then on disk.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The number of the newest event.
    pub(super) fn events_so_far(&self) -> u64 {
        self.events_after(0).last().and_then(|event| event["number"].as_u64()).unwrap_or(0)
    }

    /// The events behind this number.
    pub(super) fn events_after(&self, number: u64) -> Vec<Value> {
        self.lock().standin.events(number)
    }

    pub(super) fn seed(&self) -> u64 {
        self.lock().weather.seed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock was held ended its call without an answer; what is held is only
        // ever changed as a whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work of one call. The entry takes its place in the journal before the next call
    /// can see the change, so a change is on disk before anything that follows from it.
    fn work(&self, incoming: &Incoming, strike: Strike) -> (Reply, bool, oneshot::Receiver<()>) {
        let Inner { standin, writes, weather, journal } = &mut *self.lock();
        let mut reply = match strike {
            Strike::Failed(status) => {
                let call = format!("{} {}", incoming.method, incoming.path);
                Reply { body: standin.failure(status), ..Reply::page(&call, status, "") }
            }
            Strike::Spared => {
                let refused = &weather.faults().refuse;
                standin.answer(incoming, &|key| refused.iter().any(|refused| refused == key))
            }
        };
        let dropped = !reply.wrote.is_empty() && weather.drops();
        writes.add(&reply.wrote);
        let on_disk = journal.append(&Entry {
            at: incoming.at,
            call: std::mem::take(&mut reply.call),
            keys: std::mem::take(&mut reply.keys),
            wrote: std::mem::take(&mut reply.wrote),
            status: reply.status,
            answered: !dropped,
            changes: std::mem::take(&mut reply.changes),
        });
        (reply, dropped, on_disk)
    }
}

/// Serves a stand-in until `stop` changes or its sender is gone; returns when all connections
/// have ended.
pub(super) async fn run(listener: TcpListener, desk: Arc<Desk>, mut stop: watch::Receiver<()>) {
    let router = Router::new()
        .route("/sandbox/faults", get(show_faults).post(set_faults))
        .route("/sandbox/journal", get(show_journal))
        .route("/sandbox/contents", get(show_contents))
        .route("/sandbox/events", get(show_events))
        .route("/sandbox/logout", post(logout))
        .fallback(any(answer))
        .with_state(desk);
    let service = router.into_make_service_with_connect_info::<Peer>();
    let stopped = async move {
        let _ = stop.changed().await;
    };
    // The accept loop deals with its own errors, so there is none to report.
    let _ = axum::serve(Door(listener), service).with_graceful_shutdown(stopped).await;
}

async fn answer(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let Some(mut incoming) = read(request).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let (strike, latency, retry_after) = {
        let weather = &mut desk.lock().weather;
        (weather.strike(), weather.latency(), weather.faults().retry_after_s)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    incoming.now = now();
    let (reply, dropped, on_disk) = desk.work(&incoming, strike);
    if on_disk.await.is_err() || dropped {
        peer.cut();
    }
    desk.changed.send_replace(());
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match reply.body {
        Body::Json(value) => (status, Json(value)).into_response(),
        Body::Page(page) => {
            (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
        }
    };
    if let (StatusCode::SERVICE_UNAVAILABLE, Some(seconds)) = (status, retry_after) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn read(request: Request) -> Option<Incoming> {
    let at = now();
    let (head, body) = request.into_parts();
    let decoded = reqwest::Url::parse(&format!("http://sandbox{}", head.uri)).ok()?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Some(Incoming {
        at,
        now: at,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: decoded.query_pairs().into_owned().collect(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect::<BTreeMap<_, _>>(),
        body: to_bytes(body, BODY_BYTES_MAX).await.ok()?.to_vec(),
    })
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    // jiff reads the system's clock; the stand-ins are outside of what the Clock port is for.
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

async fn show_faults(State(desk): State<Arc<Desk>>) -> Json<Faults> {
    Json(desk.lock().weather.faults().clone())
}

async fn set_faults(State(desk): State<Arc<Desk>>, Json(faults): Json<Faults>) -> StatusCode {
    let inner = &mut *desk.lock();
    inner.standin.heed(&faults);
    inner.weather.set(faults);
    StatusCode::NO_CONTENT
}

async fn show_contents(State(desk): State<Arc<Desk>>) -> Json<Holdings> {
    let inner = desk.lock();
    Json(inner.writes.holdings(&*inner.standin))
}

/// Which events are asked for.
#[derive(serde::Deserialize)]
struct Behind {
    /// The number of the last one that is known.
    #[serde(default)]
    after: u64,
}

async fn show_events(State(desk): State<Arc<Desk>>, Query(behind): Query<Behind>) -> Json<Vec<Value>> {
    Json(desk.events_after(behind.after))
}

async fn logout(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.lock().standin.logout();
    StatusCode::NO_CONTENT
}

async fn show_journal(State(desk): State<Arc<Desk>>) -> Response {
    let mut lines = Vec::new();
    let path = desk.path.clone();
    let read = tokio::task::spawn_blocking(move || {
        journal::read(&path, &mut |entry| {
            let shown = Entry { changes: Vec::new(), ..entry };
            if serde_json::to_writer(&mut lines, &shown).is_ok() {
                lines.push(b'\n');
            }
        })
        .map(|_| lines)
    });
    match read.await {
        Ok(Ok(lines)) => {
            ([(header::CONTENT_TYPE, "application/x-ndjson")], HttpBody::from(lines)).into_response()
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A listener whose connections can be cut without an answer.
struct Door(TcpListener);

/// The handler's end of a connection.
#[derive(Clone, Debug)]
struct Peer(Arc<AtomicBool>);

impl Peer {
    /// Whatever is written from now on is not sent; the connection is closed instead.
    fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Listener for Door {
    type Io = Line;
    type Addr = Peer;

    async fn accept(&mut self) -> (Line, Peer) {
        let (stream, _) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for more to send with them.
        let _ = stream.set_nodelay(true);
        let cut = Arc::new(AtomicBool::new(false));
        (Line { stream, cut: Arc::clone(&cut) }, Peer(cut))
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer(Arc::default()))
    }
}

/// One connection.
struct Line {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
