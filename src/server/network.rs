//! Connections, whatever they come over: each with its bounds of time, and only so many at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::gate::Way;
use super::{Service, router};

/// Longest wait for the head of a request; a connection that says nothing for so long is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Most connections at once; others wait.
const CONNECTIONS_MAX: usize = 1_024;

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
        let task = tokio::spawn(serve(self.listener, service, Way::Network));
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
    tokio::spawn(serve(listener, service, Way::Socket))
}

async fn serve<L: Listener>(mut listener: L, service: Service, way: Way) {
    let router = router(service).layer(Extension(way));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        // What the system refuses is tried again by the listener.
        let (stream, _) = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let router = router.clone();
        connections.spawn(async move {
            attend(stream, router).await;
            drop(place);
        });
    }
}

async fn attend<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        // Whoever asked went away, or spoke no HTTP.
        tracing::debug!(%error, "a connection ended");
    }
}
