//! Connections, whatever they come over: each with its bounds of time, and only so many at once.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Sleep, sleep, timeout};

use super::gate::Way;
use super::{Service, problem, router};

/// What connections must keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Longest wait for the head of a request; a connection that says nothing for so long is closed.
    pub(super) head: Duration,
    /// Longest wait for whoever asked to take what is answered; then the connection is closed.
    pub(super) taking: Duration,
    /// Most connections at once; others are told to come again. Fewer than files may be open: what runs
    /// need to reach outside systems is not used up by whoever comes in.
    pub(super) connections: usize,
}

/// What they keep unless a test says otherwise.
pub(super) const LIMITS: Limits =
    Limits { head: Duration::from_secs(15), taking: Duration::from_secs(30), connections: 512 };
/// Most connections that are told to come again at once; yet others are closed without a word.
const TURNED_AWAY_MAX: usize = 64;
/// Longest time that it takes to tell one so.
const TURNING_AWAY: Duration = Duration::from_secs(1);

/// A listener that is being served. Dropping it ends that, and every connection.
#[derive(Debug)]
pub struct Network {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Network {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address that is not served yet: whoever asks waits.
#[derive(Debug)]
pub struct Reserved {
    address: SocketAddr,
    listener: TcpListener,
}

impl Reserved {
    /// Serves the API there.
    pub fn serve(self, service: Service) -> Network {
        self.serve_within(LIMITS, service)
    }

    /// The same within other limits.
    pub(super) fn serve_within(self, limits: Limits, service: Service) -> Network {
        let task = tokio::spawn(serve(self.listener, service, Way::Network, limits));
        Network { address: self.address, task }
    }
}

/// Takes an address to serve the API over TCP.
///
/// # Errors
/// It is taken, or is not of this machine.
pub async fn reserve(address: SocketAddr) -> io::Result<Reserved> {
    let listener = TcpListener::bind(address).await?;
    Ok(Reserved { address: listener.local_addr()?, listener })
}

/// Serves the API on a socket, until the task is aborted.
pub(super) fn serve_socket(listener: UnixListener, service: Service) -> JoinHandle<()> {
    tokio::spawn(serve(listener, service, Way::Socket, LIMITS))
}

async fn serve<L: Listener>(mut listener: L, service: Service, way: Way, limits: Limits) {
    let router = router(service).layer(Extension(way));
    let places = Arc::new(Semaphore::new(limits.connections));
    let doorsteps = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        // What the system refuses is tried again by the listener.
        let (stream, _) = listener.accept().await;
        while connections.try_join_next().is_some() {}
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let router = router.clone();
            connections.spawn(async move {
                attend(stream, router, limits).await;
                drop(place);
            });
        } else if let Ok(doorstep) = Arc::clone(&doorsteps).try_acquire_owned() {
            connections.spawn(async move {
                // Whoever does not listen has gone, or will be told the next time.
                let _ = timeout(TURNING_AWAY, turn_away(stream)).await;
                drop(doorstep);
            });
        }
    }
}

/// Serves a connection until it ends, or does not keep the limits.
pub(super) async fn attend<S>(stream: S, router: Router, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = Taking { stream, limit: limits.taking, until: None };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        // Whoever asked went away, or spoke no HTTP.
        tracing::debug!(%error, "a connection ended");
    }
}

/// Says that there is no room, whatever was asked.
async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.write_all(&problem::no_room()).await?;
    stream.shutdown().await?;
    // A connection that is closed while something comes is reset, and the words with it.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}

/// A connection whose other side has to take what it is told.
struct Taking<S> {
    stream: S,
    limit: Duration,
    /// When it is given up, while something waits to be taken.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Taking<S> {
    fn bounded<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.until = None;
            return written;
        }
        let limit = self.limit;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(limit)));
        until.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taking<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taking<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(ended, cx)
    }
}
