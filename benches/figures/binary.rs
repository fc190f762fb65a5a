//! The binary from outside: how soon it works, what it holds when it has nothing to do, its size.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::case::{P50, Readings, SIZE};
use crate::child::Order;
use crate::process::{as_float, resident_mb};
use crate::turns::at;
use crate::witness::Witness;
use crate::workflows::Flow;

/// How often is looked whether the log has grown, where that is what is measured: this adds at most that.
pub(crate) const OFTEN: Duration = Duration::from_micros(100);
/// How often elsewhere, so that looking takes nothing from who works.
pub(crate) const SELDOM: Duration = Duration::from_millis(10);
/// After this long without an effect something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a server has nothing to do before its memory is read.
const QUIET: Duration = Duration::from_secs(3);

/// The binary with these arguments, over this state directory.
pub(crate) fn milepost(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milepost"));
    command.arg("--state").arg(state).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The bytes of a log; none when it is not there.
pub(crate) fn length(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |known| known.len())
}

#[expect(clippy::disallowed_methods, reason = "nothing tells of what another process does")]
fn pause(time: Duration) {
    thread::sleep(time);
}

/// Returns when the log has grown beyond so many bytes; looks that often.
///
/// # Errors
/// The process has ended, or nothing happened for long.
pub(crate) fn until_grown(
    log: &Path,
    bytes: u64,
    process: &mut Child,
    looks: Duration,
) -> anyhow::Result<()> {
    let (mut since, mut before) = (Instant::now(), length(log));
    while before <= bytes {
        pause(looks);
        let now = length(log);
        if now > before {
            (since, before) = (Instant::now(), now);
        } else if since.elapsed() > Duration::from_secs(1) {
            // It may have ended with the last line.
            let ended = process.try_wait()?;
            ensure!(ended.is_none() || length(log) > bytes, "milepost ended with {ended:?} too early");
            ensure!(since.elapsed() < PATIENCE, "no effect for a minute");
        }
    }
    Ok(())
}

/// Starts a run with a new state directory so many times.
pub(crate) fn started(order: &Order, flow: &Flow) -> anyhow::Result<Readings> {
    let file = order.write(flow, "run")?;
    let mut times = Vec::new();
    for start in 0..order.size {
        let state = order.dir.join(format!("state-{start}"));
        let before = length(&order.log());
        let began = Instant::now();
        let mut run = milepost(&state).arg("run").arg(&file).spawn()?;
        until_grown(&order.log(), before, &mut run, OFTEN)?;
        times.push(began.elapsed());
        ensure!(run.wait()?.success(), "the run failed");
    }
    Witness::of(&order.log())?.holds(order.size * flow.effects, &std::collections::BTreeMap::new())?;
    Ok(Readings::from([(P50.to_owned(), at(0.5, &mut times))]))
}

/// Lets a server stand.
pub(crate) fn idle(order: &Order, flow: &Flow) -> anyhow::Result<Readings> {
    let file = order.write(flow, "run")?;
    let mut command = milepost(&order.dir.join("state"));
    command.arg("serve").arg(&file).args(["--listen", "127.0.0.1:0"]);
    let mut server = command.stderr(Stdio::piped()).spawn()?;
    let told = server.stderr.take().context("its stderr")?;
    let resident = serving(told).and_then(|()| {
        pause(QUIET);
        resident_mb(server.id())
    });
    server.kill()?;
    server.wait()?;
    Ok(Readings::from([(SIZE.to_owned(), resident?)]))
}

/// Returns when the server says that it serves.
fn serving(told: impl Read + Send + 'static) -> anyhow::Result<()> {
    let (mut told, mut line) = (BufReader::new(told), String::new());
    while !line.starts_with("serving on ") {
        line.clear();
        ensure!(told.read_line(&mut line)? > 0, "it does not serve");
    }
    // Nobody else reads it, and a full pipe would stop the server.
    thread::spawn(move || told.read_to_end(&mut Vec::new()));
    Ok(())
}

/// The size of the binary.
pub(crate) fn size() -> anyhow::Result<Readings> {
    let bytes = fs::metadata(env!("CARGO_BIN_EXE_milepost"))?.len();
    Ok(Readings::from([(SIZE.to_owned(), as_float(bytes) / 1e6)]))
}
