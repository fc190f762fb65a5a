//! The seam between the gate, which knows records, and the systems that hold the files they are read
//! from.

use std::io::Read;

use crate::core::fault::Fault;
use crate::core::run::Origin;
use crate::ports::{Interest, Unread};

/// Where sources are read from. Implemented for the files of this machine and for S3.
pub(crate) trait Opener: Send + Sync {
    /// Whether a source written like this is held there.
    ///
    /// # Errors
    /// What to write instead, or which connection to change.
    fn accepts(&self, uri: &str) -> Result<(), Fault>;

    /// Opens a source for reading it once, from its beginning. Blocks, so only computing threads call
    /// it and read what it returns. Neither this nor a later read waits for the other side once nobody
    /// is interested any more.
    ///
    /// # Errors
    /// [`Unread`]; also as the cause of the error of a later read.
    fn open(&self, uri: &str, interest: &Interest) -> Result<Opened, Unread>;
}

/// An open source.
pub(crate) struct Opened {
    /// How it is called in messages; its ending may say what it holds.
    pub(crate) name: String,
    /// Its bytes as they are stored. What is behind the last one is read, too, and is where a
    /// transfer that was damaged fails.
    pub(crate) bytes: Box<dyn Read + Send>,
    /// What the system that holds it says of it.
    pub(crate) origin: Option<Origin>,
}
