//! Options of the engine, as plain data: what the command line and the environment came to.

use std::path::{Path, PathBuf};

/// Where an engine keeps its state when nothing else is said.
pub const STATE_DEFAULT: &str = "state";

/// Where a server listens when nothing else is said.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:7300";

/// Options of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The state directory.
    pub state: PathBuf,
}

impl Options {
    /// Options with this state directory.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into() }
    }

    /// The socket on which a running engine answers reads.
    pub fn socket(&self) -> PathBuf {
        self.state.join("milepost.sock")
    }

    /// The file that says where the socket is instead, when the path above is too long for one.
    pub fn socket_note(&self) -> PathBuf {
        self.state.join("milepost.sock.path")
    }

    /// Where the stand-ins for the PIM and the shop keep what they hold.
    pub fn sandbox(&self) -> PathBuf {
        self.state.join("sandbox")
    }

    /// The state directory as it is shown to people.
    pub fn state(&self) -> std::path::Display<'_> {
        Path::display(&self.state)
    }
}
