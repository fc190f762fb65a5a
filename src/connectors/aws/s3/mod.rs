//! S3: sources, and single objects that steps read and write.
//!
//! - `address` is how objects are named in workflow files.
//! - `source` opens an object as the gate wants it; `transfer` receives it, through broken
//!   connections, from first byte to last; `checksum` compares.
//! - `read` and `write` are the steps.
//! - `refusal` says what S3's errors mean and what to do about them.

pub(crate) mod address;
mod checksum;
mod read;
mod refusal;
mod source;
#[cfg(test)]
mod tests;
mod transfer;
mod write;

use std::sync::Arc;

use super::session::Session;
use crate::connectors::opening::Opener;
use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{ConnectionKind, Field, Kind};
use source::{Objects, PAUSE};
use transfer::Limits;

pub use read::{DESCRIPTOR as READ, build as build_read};
pub use write::{DESCRIPTOR as WRITE, build as build_write};

/// The longest source, when the connection does not say `max_bytes`: 64 GiB, some twenty million
/// products. What is longer is more likely a mistake than a catalogue.
const BYTES_MAX: u64 = 64 << 30;

/// What an S3 connection takes. Credentials, region and endpoint come from the SDK's ordinary chain.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "s3",
    summary: "objects of S3",
    fields: &[Field { name: "max_bytes", kind: Kind::Size, required: false }],
};

/// Opens objects as sources. Speaks to nobody yet.
///
/// # Errors
/// What is wrong with the connection's fields.
pub(crate) fn opener(site: &Site<'_>) -> Result<Arc<dyn Opener>, Vec<BuildFault>> {
    let bytes_max = settings::count(&site.settings, "max_bytes").map_err(|fault| vec![fault])?;
    let timeout = site.step.timeout;
    Ok(Arc::new(Objects {
        session: Box::new(move || Session::new(timeout)),
        connection: site.step.connection.clone().unwrap_or_else(|| "files".to_owned()),
        limits: limits(site, bytes_max.unwrap_or(BYTES_MAX)),
    }))
}

fn limits(site: &Site<'_>, bytes_max: u64) -> Limits {
    Limits { bytes_max, stall: site.step.timeout, pause: PAUSE }
}
