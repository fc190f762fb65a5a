//! Objects as sources.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::runtime::{Builder, Runtime};

use super::address::Address;
use super::transfer::{Limits, Transfer};
use crate::connectors::aws::session::Session;
use crate::connectors::opening::{Opened, Opener};
use crate::core::fault::{Fault, name};
use crate::ports::{Interest, Unread};

/// The pause before a broken transfer is taken up again for the first time.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Opens objects.
pub(super) struct Objects {
    /// Makes a session: each source has one of its own, because connections live and die with the
    /// runtime they were made in.
    pub(super) session: Box<dyn Fn() -> Session + Send + Sync>,
    /// The connection's name.
    pub(super) connection: String,
    pub(super) limits: Limits,
}

impl Opener for Objects {
    fn accepts(&self, uri: &str) -> Result<(), Fault> {
        let connection = &self.connection;
        let is_path = !uri.contains("://") || uri.starts_with("file://");
        let refused = if is_path {
            format!(
                "the source {uri} is a path, and the connection '{connection}' is of kind 's3': expected s3://bucket/key; for files of this machine write '{connection}: {{ use: local }}'"
            )
        } else {
            match Address::parse(uri) {
                Ok(_) => return Ok(()),
                Err(why) => format!("the source {why}"),
            }
        };
        Err(Fault::new(name::VALIDATION, refused))
    }

    /// Waits on the calling thread, with a runtime and connections of its own: computing threads have
    /// none, and nothing of it is left when the source is closed.
    fn open(&self, uri: &str, interest: &Interest) -> Result<Opened, Unread> {
        let address = Address::parse(uri).map_err(|why| Fault::new(name::VALIDATION, why))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::new(name::DEFECT, error.to_string()))?;
        let name = address.key.clone();
        let session = (self.session)();
        let start = async { Transfer::start(session.s3().await, address, self.limits).await };
        let transfer = runtime.block_on(wanted(interest, start))?;
        let (origin, interest, rest) = (Some(transfer.origin()), interest.clone(), Bytes::new());
        Ok(Opened { name, bytes: Box::new(Reading { transfer, rest, interest, runtime }), origin })
    }
}

/// An object that is being read. What S3 sends ahead waits in the connection: no more than one piece
/// of it is in memory here.
struct Reading {
    // Dropped before the runtime that it lives on.
    transfer: Transfer,
    rest: Bytes,
    interest: Interest,
    runtime: Runtime,
}

/// What S3 answers, for as long as somebody waits for it.
async fn wanted<T>(
    interest: &Interest,
    answer: impl Future<Output = Result<T, Unread>>,
) -> Result<T, Unread> {
    tokio::select! {
        answer = answer => answer,
        () = interest.lost() => Err(Unread::unwanted()),
    }
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            let next = self.runtime.block_on(wanted(&self.interest, self.transfer.chunk()));
            self.rest = next.map_err(io::Error::other)?.unwrap_or_default();
        }
        let length = into.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}
