//! What no engine can be better than, measured in the same turn: bare files, bare sled, a bare parse.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::case::{FLOOR, FLOOR_P99, Floor, Readings};
use crate::process::as_float;
use crate::turns::at;

/// Rows of a large batch: as many as the engine's writer takes at once.
const LARGE: u64 = 500;
/// Bytes of a row with a short state, and of one with a result of 200 bytes.
const ROW_BYTES: usize = 110;
const RESULT_ROW_BYTES: usize = 300;
/// Commits of a run of 1,000 steps: outcome and next intent go together.
const SEQUENCE_COMMITS: u64 = 1_001;
const BATCHES: u64 = 60;
const SERIES: u32 = 100;
const STARTS: u32 = 20;
const APPENDS: u64 = 1_000;
const APPENDED_BYTES: usize = 4_096;

/// The floors of the machine, which stand below the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Appends of 4 KiB with fdatasync a second, one after the other.
    pub(crate) appends: f64,
    /// Durable batches a second in sled, of one row of 110 bytes.
    pub(crate) commits: f64,
    /// Rows a second, 16 a batch.
    pub(crate) rows_by_16: f64,
    /// Rows a second, 500 a batch.
    pub(crate) rows_by_500: f64,
}

/// Measures the floors of the machine in a directory of their own.
pub(crate) fn machine(dir: &Path) -> anyhow::Result<Machine> {
    fs::create_dir_all(dir)?;
    let mut file = File::create(dir.join("appended"))?;
    let began = Instant::now();
    for _ in 0..APPENDS {
        file.write_all(&[7; APPENDED_BYTES])?;
        file.sync_data()?;
    }
    let appends = as_float(APPENDS) / began.elapsed().as_secs_f64();
    let rows = |name: &str, batches: u64, rows: u64| -> anyhow::Result<f64> {
        let took = Sled::open(&dir.join(name))?.batches(batches, rows, ROW_BYTES)?;
        Ok(as_float(batches * rows) / took.as_secs_f64())
    };
    let machine = Machine {
        appends,
        commits: rows("by-1", SEQUENCE_COMMITS, 1)?,
        rows_by_16: rows("by-16", SEQUENCE_COMMITS, 16)?,
        rows_by_500: rows("by-500", BATCHES, LARGE)?,
    };
    fs::remove_dir_all(dir)?;
    Ok(machine)
}

/// Measures the floor of a case in a directory of its own, beside its source.
pub(crate) fn measure(floor: &Floor, source: &Path, dir: &Path) -> anyhow::Result<Readings> {
    fs::create_dir_all(dir)?;
    let mut readings = Readings::new();
    match floor {
        Floor::Unknown | Floor::Own => {}
        Floor::Given(bytes) => {
            readings.insert(FLOOR.to_owned(), *bytes);
        }
        Floor::Commits => {
            let took = Sled::open(dir)?.batches(SEQUENCE_COMMITS, 1, RESULT_ROW_BYTES)?;
            let steps = as_float(SEQUENCE_COMMITS - 1) / took.as_secs_f64();
            readings.insert(FLOOR.to_owned(), steps);
        }
        Floor::Rows(of_a_unit) => {
            let took = Sled::open(dir)?.batches(BATCHES, LARGE, ROW_BYTES)?;
            let rows = as_float(BATCHES * LARGE) / took.as_secs_f64();
            readings.insert(FLOOR.to_owned(), rows / of_a_unit);
        }
        Floor::Series(commits) => {
            let mut sled = Sled::open(dir)?;
            let series = (0..SERIES).map(|_| sled.batches((*commits).into(), 1, ROW_BYTES));
            let mut series = series.collect::<anyhow::Result<Vec<_>>>()?;
            readings.insert(FLOOR.to_owned(), at(0.5, &mut series));
            readings.insert(FLOOR_P99.to_owned(), at(0.99, &mut series));
        }
        Floor::Parse => {
            readings.insert(FLOOR.to_owned(), parsed(source)?);
        }
        Floor::Process => {
            let mut starts = (0..STARTS).map(|_| version()).collect::<anyhow::Result<Vec<_>>>()?;
            readings.insert(FLOOR.to_owned(), at(0.5, &mut starts));
        }
    }
    fs::remove_dir_all(dir)?;
    Ok(readings)
}

/// How long bare sled takes to open a copy of a store and to read its first row, in milliseconds.
pub(crate) fn opening(store: &Path) -> anyhow::Result<f64> {
    let began = Instant::now();
    let db = sled::Config::new().path(store).flush_every_ms(None).open()?;
    ensure!(black_box(db.first()?).is_some(), "the store is empty");
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Records a second and thread that are only parsed.
fn parsed(source: &Path) -> anyhow::Result<f64> {
    let (mut count, began) = (0, Instant::now());
    for line in BufReader::with_capacity(1 << 18, File::open(source)?).lines() {
        let line = line?;
        let record = line.trim_end_matches(',');
        // The brackets of the array stand on lines of their own.
        if record.starts_with('{') {
            black_box(serde_json::from_str::<serde_json::Value>(record)?);
            count += 1;
        }
    }
    Ok(as_float(count) / began.elapsed().as_secs_f64())
}

fn version() -> anyhow::Result<Duration> {
    let began = Instant::now();
    let ended =
        Command::new(env!("CARGO_BIN_EXE_milepost")).arg("--version").stdout(Stdio::null()).status()?;
    ensure!(ended.success(), "--version ended with {ended}");
    Ok(began.elapsed())
}

/// A bare sled, made durable as the engine makes its own.
struct Sled {
    db: sled::Db,
    file: File,
    rows: u64,
}

impl Sled {
    fn open(dir: &Path) -> anyhow::Result<Self> {
        let db = sled::Config::new().path(dir).flush_every_ms(None).open()?;
        let file = File::options().write(true).open(dir.join("db"))?;
        Ok(Self { db, file, rows: 0 })
    }

    /// How long so many durable batches of so many new rows take.
    fn batches(&mut self, batches: u64, rows: u64, bytes: usize) -> anyhow::Result<Duration> {
        let began = Instant::now();
        for _ in 0..batches {
            let mut batch = sled::Batch::default();
            for _ in 0..rows {
                batch.insert(&self.rows.to_be_bytes(), vec![7; bytes]);
                self.rows += 1;
            }
            self.db.apply_batch(batch)?;
            self.db.flush()?;
            self.file.sync_data()?;
        }
        Ok(began.elapsed())
    }
}
