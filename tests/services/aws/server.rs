//! A server of the AWS API that belongs to one test, which may kill it and start it anew. It holds
//! everything in memory: one started anew knows nothing.

use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Aws;
use crate::process::{free_port, script, spawn};

/// Longest time that a start may take on a busy machine; alone it takes 2 to 5 s.
const START_MAX: Duration = Duration::from_mins(2);

/// A server of one's own, killed when it is dropped.
pub(crate) struct Server {
    port: u16,
    starts: u32,
    dir: TempDir,
    child: Child,
}

impl Server {
    /// Returns once it answers.
    pub(crate) fn start() -> Self {
        let port = free_port();
        let dir = tempfile::tempdir().unwrap();
        let child = start(port, &dir.path().join("0"));
        let mut server = Self { port, starts: 0, dir, child };
        server.until_ready();
        server
    }

    /// What a test makes on it.
    pub(crate) fn aws(&self) -> Aws {
        Aws::at(&format!("http://127.0.0.1:{}", self.port))
    }

    /// Ends it with SIGKILL: all that it held is gone, and nobody listens at its address.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it at the same address, empty. It was killed before.
    pub(crate) fn start_anew(&mut self) {
        self.starts += 1;
        self.child = start(self.port, &self.dir.path().join(self.starts.to_string()));
        self.until_ready();
    }

    fn until_ready(&mut self) {
        let until = Instant::now() + START_MAX;
        let log = self.dir.path().join(format!("{}.log", self.starts));
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() || !said().contains("Ready.") {
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended at once: {}", said());
            assert!(Instant::now() < until, "the server is not ready: {}", said());
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(port: u16, folder: &Path) -> Child {
    let mut command = script("aws/serve");
    command.arg(port.to_string()).arg(folder);
    spawn(command, &folder.with_extension("log"))
}
