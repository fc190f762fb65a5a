//! A shop that belongs to one test, with a database of its own; the test may kill either.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::Shop;
use crate::process::{free_port, script, spawn};

/// Longest time that a start may take on a busy machine; alone it takes 6 s.
const START_MAX: Duration = Duration::from_mins(3);
/// Longest time for a row to appear while somebody writes.
const ROW_MAX: Duration = Duration::from_mins(2);

/// One server at a time: two of them on two cores only wait for each other.
static TURN: Mutex<()> = Mutex::new(());

/// A shop and its database, both ended when it is dropped.
pub(crate) struct Server {
    port: u16,
    database_port: u16,
    login_lasts: &'static str,
    starts: u32,
    /// Neither is there while it is stopped.
    medusa: Option<Child>,
    database: Option<Child>,
    dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// A request that Medusa has answered, from its own log.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without its query.
    pub(crate) path: String,
    pub(crate) status: u64,
}

impl Request {
    /// Whether it could change what the shop holds.
    pub(crate) fn is_write(&self) -> bool {
        self.method != "GET" && self.path.starts_with("/admin/")
    }
}

impl Server {
    /// An empty shop that can sell. Returns once it answers.
    pub(crate) fn start() -> Self {
        Self::with_logins_of("24h")
    }

    /// The same; a login lasts so long.
    pub(crate) fn with_logins_of(login_lasts: &'static str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        // The database runs as another user.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        let (port, database_port) = (free_port(), free_port());
        let (medusa, database) = (None, None);
        let mut server =
            Self { port, database_port, login_lasts, starts: 0, medusa, database, dir, _turn: turn };
        server.start_database();
        server.start_medusa();
        server
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a test asks it.
    pub(crate) fn shop(&self) -> Shop {
        Shop::at(&self.url())
    }

    /// Starts Medusa at the same address; returns once it answers from its database.
    pub(crate) fn start_medusa(&mut self) {
        self.starts += 1;
        let mut command = script("medusa/serve");
        command.args([self.port.to_string(), self.database_port.to_string()]);
        command.env("MEDUSA_JWT_EXPIRES_IN", self.login_lasts);
        self.medusa = Some(spawn(command, &self.log(self.starts)));
        self.until_it_answers();
    }

    /// Ends Medusa with SIGKILL.
    pub(crate) fn kill_medusa(&mut self) {
        let mut medusa = self.medusa.take().unwrap();
        medusa.kill().unwrap();
        medusa.wait().unwrap();
    }

    /// Starts the database with what it held, and returns; it may still be recovering.
    pub(crate) fn start_database(&mut self) {
        let mut command = script("medusa/database");
        command.arg(self.database_port.to_string()).arg(self.dir.path().join("data"));
        self.database = Some(spawn(command, &self.dir.path().join("database.log")));
    }

    /// Ends the database as `-m immediate` does: no work is finished, nothing is written down.
    pub(crate) fn stop_database_hard(&mut self) {
        let mut database = self.database.take().unwrap();
        signal(&database, "QUIT");
        database.wait().unwrap();
    }

    /// Waits until Medusa answers a question that its database must answer.
    pub(crate) fn until_it_answers(&mut self) {
        let (shop, begun) = (self.shop(), Instant::now());
        while shop.try_get("/admin/products?limit=1&fields=id").is_err() {
            for child in [&mut self.medusa, &mut self.database] {
                let ended = child.as_mut().unwrap().try_wait().unwrap();
                assert!(ended.is_none(), "it ended at once: {}", self.dir.path().display());
            }
            assert!(
                begun.elapsed() < START_MAX,
                "no answer: {:?}",
                fs::read_to_string(self.log(self.starts))
            );
            std::thread::yield_now();
        }
    }

    /// What one question to the database answers.
    pub(crate) fn ask_database(&self, question: &str) -> String {
        let output = self.psql(question).output().unwrap();
        assert!(output.status.success(), "{question}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits, in the database, until the table has more rows than it has now.
    pub(crate) fn until_rows_are_added(&self, table: &str) {
        let rounds = ROW_MAX.as_millis() / 2;
        self.ask_database(&format!(
            "do $$ declare before bigint := (select count(*) from {table}); begin \
             for round in 1..{rounds} loop \
               if (select count(*) from {table}) > before then return; end if; perform pg_sleep(0.002); \
             end loop; raise exception 'no row was added to {table}'; end $$"
        ));
    }

    fn psql(&self, question: &str) -> Command {
        let mut command = Command::new("psql");
        command.args(["-qXAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "medusa", "-d", "medusa"]);
        command.args(["-p", &self.database_port.to_string(), "-c", question]).stdin(Stdio::null());
        command
    }

    /// Every request so far that Medusa has answered, over all its starts.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let text: String =
            (1..=self.starts).map(|start| fs::read_to_string(self.log(start)).unwrap()).collect();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let asked = lines.filter(|line| line["level"] == "http");
        let requests = asked.map(|line| Request {
            method: line["method"].as_str().unwrap().to_owned(),
            path: line["path"].as_str().unwrap().split('?').next().unwrap().to_owned(),
            status: line["status"].as_u64().unwrap_or_default(),
        });
        requests.collect()
    }

    fn log(&self, start: u32) -> PathBuf {
        self.dir.path().join(format!("medusa-{start}.log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut medusa) = self.medusa.take() {
            let _ = medusa.kill();
            let _ = medusa.wait();
        }
        if let Some(mut database) = self.database.take() {
            // Killed, it would leave processes behind.
            signal(&database, "QUIT");
            let _ = database.wait();
        }
    }
}

fn signal(child: &Child, name: &str) {
    // It may have ended by itself.
    let _ = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
}
