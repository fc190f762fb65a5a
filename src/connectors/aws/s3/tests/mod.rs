//! S3 against a server that breaks on purpose.

mod gate;
mod server;
mod steps;
mod transfers;

use std::time::Duration;

use tokio::runtime::Builder;

use super::source::Objects;
use super::transfer::Limits;
use crate::connectors::aws::session::Session;

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_secs(30);

fn limits(bytes_max: u64) -> Limits {
    Limits { bytes_max, stall: HANGS, pause: Duration::from_millis(1) }
}

fn objects(endpoint: &str, limits: Limits) -> Objects {
    let endpoint = endpoint.to_owned();
    let session = move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Session::at(&endpoint, HANGS))
    };
    Objects { session: Box::new(session), connection: "files".to_owned(), limits }
}
