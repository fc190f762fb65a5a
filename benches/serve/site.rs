//! A folder with the shipped workflows, stand-ins in their own process, and a server in its.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use milepost::connectors::sandbox;
use milepost::core::change::Change;
use milepost::core::id::RunId;
use milepost::core::run::{Run, Source, Status};
use milepost::core::time::Timestamp;
use milepost::ports::{Clock, Journal};
use milepost::store::Store;
use serde_json::Value;
use tempfile::TempDir;

use crate::product::Products;

const MILEPOST: &str = env!("CARGO_BIN_EXE_milepost");

pub(crate) struct Site {
    dir: TempDir,
    stand_ins: Child,
    pim: String,
    shop: String,
    pub(crate) token: String,
}

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

/// A clock for a store in which nothing waits.
struct Frozen;

#[async_trait]
impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        Timestamp(1)
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

impl Site {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows"), &dir.path().join("workflows"))?;
        let file = dir.path().join("workflows/product-sync.yaml");
        let text = fs::read_to_string(&file)?
            .replace("pim: { use: sandbox }", "pim: { use: sandbox, url: \"${env:PIM_URL}\" }")
            .replace("shop: { use: sandbox }", "shop: { use: sandbox, url: \"${env:SHOP_URL}\" }");
        fs::write(file, text)?;
        let mut command = Command::new(MILEPOST);
        command.args(["sandbox", "--pim-port", "0", "--shop-port", "0", "--json", "--dir"]);
        command.arg(dir.path().join("outside")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut stand_ins = command.stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(stand_ins.stdout.take().context("its stdout")?).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line)?;
        let url = |name: &str| told[name]["url"].as_str().unwrap_or_default().to_owned();
        let (pim, shop) = (url("pim"), url("shop"));
        let mut site = Self { dir, stand_ins, pim, shop, token: String::new() };
        let made = site.command(&["token", "create", "bench", "--scope", "operate"]).output()?;
        ensure!(made.status.success(), "no token: {}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout)?.trim().clone_into(&mut site.token);
        Ok(site)
    }

    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(MILEPOST);
        command.args(line).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env("PIM_URL", &self.pim).env("SHOP_URL", &self.shop).env_remove("MILEPOST_STATE");
        command
    }

    /// Writes a catalogue of its own for each of so many runs.
    pub(crate) fn catalogues(&self, runs: u64, items: u64) -> anyhow::Result<()> {
        let products = Products::new(runs * items, 1, 0);
        for run in 0..runs {
            let all: Vec<Value> = (run * items..(run + 1) * items).map(|at| products.product(at)).collect();
            fs::write(self.path(&format!("workflows/{run}.json")), serde_json::to_vec(&all)?)?;
        }
        Ok(())
    }

    /// Writes a file.
    pub(crate) fn put(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.path(name), text)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Records so many runs that have ended, as old ones.
    pub(crate) async fn has_history(&self, runs: u64) -> anyhow::Result<()> {
        let store = Store::open(&self.path("state"), Arc::new(Frozen))?;
        let run = |number: u64| {
            let (id, at) = (RunId(u128::from(number) << 64), Timestamp(number));
            let queued = Run::queued(id, "product-sync", "workflows/product-sync.yaml", &"0".repeat(64), at);
            let source = Source {
                uri: format!("workflows/{number}.json"),
                records: "1".repeat(64),
                index: "2".repeat(64),
                count: 100,
                origin: None,
                intake: None,
            };
            let files = (0..4).map(|file| (format!("product-sync/{file}.yaml"), "3".repeat(64))).collect();
            Run {
                status: Status::Succeeded,
                epoch: 1,
                ended_at: Some(at),
                source: Some(source),
                files,
                ..queued
            }
        };
        let all: Vec<Change> = (1..=runs).map(|number| Change::Run(Box::new(run(number)))).collect();
        for some in all.chunks(200) {
            store.commit(some.to_vec()).await?;
        }
        Ok(())
    }

    /// How many calls the stand-ins have answered.
    pub(crate) fn calls(&self) -> anyhow::Result<usize> {
        let (pim, shop) = sandbox::entries(&self.path("outside"))?;
        Ok(pim.len() + shop.len())
    }

    /// Starts a server, without waiting until it serves.
    pub(crate) fn spawn(&self) -> anyhow::Result<Child> {
        let runs = crate::RUNS.to_string();
        let line =
            ["serve", "workflows/product-sync.yaml", "--listen", "127.0.0.1:0", "--concurrency", &runs];
        Ok(self.command(&line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?)
    }

    pub(crate) fn serve(&self) -> anyhow::Result<Server> {
        Server::of(self.spawn()?)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.stand_ins.kill();
        let _ = self.stand_ins.wait();
    }
}

impl Server {
    /// Returns once it says where it serves.
    pub(crate) fn of(mut child: Child) -> anyhow::Result<Self> {
        let mut stderr = BufReader::new(child.stderr.take().context("its stderr")?);
        let mut line = String::new();
        let address = loop {
            line.clear();
            ensure!(stderr.read_line(&mut line)? > 0, "it does not serve");
            if let Some(rest) = line.strip_prefix("serving on http://") {
                break rest.split(' ').next().unwrap_or_default().to_owned();
            }
        };
        // Nobody else reads it, and a full pipe would stop the server.
        std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        Ok(Self { child, address })
    }

    /// Its memory, in MB.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1_024)
    }

    /// The processor time that it has spent.
    pub(crate) fn processor(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(')').context("its name")?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| -> anyhow::Result<u64> { Ok(fields.get(at).context("its times")?.parse()?) };
        // In user and in system mode, 11 and 12 fields behind the name, in hundredths of a second.
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
    }

    /// As `kill -9` does.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
