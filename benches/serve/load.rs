//! Many clients read over the network while runs are at work.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::site::{Server, Site};

/// What a person at a page would read.
const PATHS: &[&str] = &[
    "/v1/runs?limit=20",
    "/v1/runs/@latest",
    "/v1/runs/@latest/items?limit=50",
    "/v1/runs/@latest/events?limit=50",
    "/v1/queue",
    "/v1/runs/@latest/effect-counts",
];
/// Clients that look at nothing.
const FLOOR_CLIENTS: u64 = 2;

/// What is measured.
pub(crate) struct Load {
    pub(crate) clients: u64,
    pub(crate) pause: Duration,
    pub(crate) runs: u64,
    pub(crate) items: u64,
    pub(crate) lasts: Duration,
}

/// What came out.
pub(crate) struct Found {
    /// How long each read took, in ascending order.
    reads: Vec<Duration>,
    /// The same for reads that look at nothing: what connection, machine and neighbours cost.
    floor: Vec<Duration>,
    /// What the server spent, its runs included.
    processor: Duration,
    errors: u64,
    started: u64,
    lasted: Duration,
    /// After each fifth of the time, in MB.
    memory: Vec<u64>,
}

/// The body that starts the run of a catalogue.
pub(crate) fn order(catalogue: u64) -> String {
    format!("{{\"workflow\":\"product-sync\",\"input\":{{\"source\":\"{catalogue}.json\"}}}}")
}

pub(crate) fn measure(load: &Load) -> anyhow::Result<Found> {
    let site = Site::new()?;
    site.catalogues(load.runs, load.items)?;
    let server = site.serve()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let found = runtime.block_on(under(load, &site, &server))?;
    server.kill()?;
    Ok(found)
}

async fn under(load: &Load, site: &Site, server: &Server) -> anyhow::Result<Found> {
    let (begun, started) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let spent = server.processor()?;
    let until = begun + load.lasts;
    let (mut work, mut floor) = (JoinSet::new(), JoinSet::new());
    for catalogue in 0..load.runs {
        let connection = Connection::to(&server.address, &site.token).await?;
        work.spawn(starts(connection, catalogue, until, Arc::clone(&started)));
    }
    for client in 0..load.clients {
        let connection = Connection::to(&server.address, &site.token).await?;
        work.spawn(reads(connection, PATHS, client, load.pause, until));
    }
    for client in 0..FLOOR_CLIENTS {
        let connection = Connection::to(&server.address, &site.token).await?;
        floor.spawn(reads(connection, &["/healthz"], client, load.pause / 4, until));
    }
    let mut memory = Vec::new();
    for fifth in 1..=5 {
        tokio::time::sleep_until((begun + load.lasts * fifth / 5).into()).await;
        memory.push(server.memory()?);
    }
    let (mut all, mut errors) = (Vec::new(), 0);
    while let Some(ended) = work.join_next().await {
        match ended? {
            Ok(times) => all.extend(times),
            Err(_) => errors += 1,
        }
    }
    let mut at_least = Vec::new();
    while let Some(ended) = floor.join_next().await {
        at_least.extend(ended??);
    }
    all.sort_unstable();
    at_least.sort_unstable();
    let processor = server.processor()?.saturating_sub(spent);
    let started = started.load(Ordering::Relaxed);
    Ok(Found { reads: all, floor: at_least, processor, errors, started, lasted: begun.elapsed(), memory })
}

/// Keeps one run at work: when one has ended, the next one begins.
async fn starts(
    mut connection: Connection,
    catalogue: u64,
    until: Instant,
    started: Arc<AtomicU64>,
) -> anyhow::Result<Vec<Duration>> {
    let mut run: Option<String> = None;
    while Instant::now() < until {
        if let Some(id) = &run {
            let view: serde_json::Value = connection.read(&format!("/v1/runs/{id}")).await?;
            if !["succeeded", "failed"].iter().any(|word| view["status"] == *word) {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        }
        let answer = connection.ask("POST", "/v1/runs", &order(catalogue)).await?;
        let answer: serde_json::Value = serde_json::from_slice(&answer)?;
        run = answer["run"].as_str().map(str::to_owned);
        started.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Vec::new())
}

/// Reads these paths in turn, again and again.
async fn reads(
    mut connection: Connection,
    paths: &[&str],
    client: u64,
    pause: Duration,
    until: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    // They do not all begin at one instant.
    tokio::time::sleep(pause * u32::try_from(client % 100)? / 100 + Duration::from_secs(1)).await;
    for path in paths.iter().cycle().skip(usize::try_from(client)? % paths.len()) {
        if Instant::now() >= until {
            break;
        }
        let asked = Instant::now();
        connection.ask("GET", path, "").await?;
        times.push(asked.elapsed());
        tokio::time::sleep(pause).await;
    }
    Ok(times)
}

/// One connection that is kept.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    pub(crate) async fn to(address: &str, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let head = format!("host: {address}\r\nauthorization: Bearer {token}\r\n");
        Ok(Self { stream: BufReader::new(stream), head })
    }

    pub(crate) async fn read(&mut self, path: &str) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.ask("GET", path, "").await?)?)
    }

    /// Asks, and returns the body of an answer that is no error.
    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Vec<u8>> {
        let (head, length) = (&self.head, body.len());
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let request =
            format!("{method} {path} HTTP/1.1\r\n{head}{kind}content-length: {length}\r\n\r\n{body}");
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status = line.split(' ').nth(1).context("a status")?.to_owned();
        let mut length = 0;
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the connection ended");
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        ensure!(status.starts_with('2'), "{path}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |reads: &[Duration], share: usize| {
            let place = (reads.len() * share / 1_000).min(reads.len().saturating_sub(1));
            reads.get(place).copied().unwrap_or_default().as_secs_f64() * 1_000.0
        };
        let (count, seconds) = (self.reads.len(), self.lasted.as_secs_f64());
        writeln!(
            f,
            "{count} reads in {seconds:.0} s, {} errors; p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, longest {:.1} ms; \
             {} runs started; memory after each fifth: {:?} MB",
            self.errors,
            at(&self.reads, 500),
            at(&self.reads, 990),
            at(&self.reads, 999),
            at(&self.reads, 1_000),
            self.started,
            self.memory
        )?;
        write!(
            f,
            "the floor, GET /healthz beside them: p50 {:.1} ms, p99 {:.1} ms; the server spent {:.1} s of processor time",
            at(&self.floor, 500),
            at(&self.floor, 990),
            self.processor.as_secs_f64()
        )
    }
}
