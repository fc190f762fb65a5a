//! What no engine can be faster than, measured in the same run.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::child::as_float;

/// Rows of one batch, as many as the engine's writer takes.
const BATCH_ROWS: u64 = 500;
/// Bytes of a row: a block of items.
const ROW_BYTES: usize = 1_500;
const BATCHES: u64 = 40;

/// The floors.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Floor {
    /// Products per second and thread that are only parsed.
    pub(crate) parsed: f64,
    /// Rows of 1.5 KB per second that sled takes in batches of 500, each durable.
    pub(crate) rows: f64,
    /// Batches of one such row per second, each durable.
    pub(crate) commits: f64,
}

pub(crate) fn measure(source: &Path, dir: &Path) -> anyhow::Result<Floor> {
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
    let parsed = as_float(count) / began.elapsed().as_secs_f64();
    Ok(Floor {
        parsed,
        rows: as_float(BATCH_ROWS) * batches(&dir.join("floor-rows"), BATCH_ROWS)?,
        commits: batches(&dir.join("floor-commits"), 1)?,
    })
}

/// Durable batches per second.
fn batches(dir: &Path, rows: u64) -> anyhow::Result<f64> {
    let db = sled::Config::new().path(dir).flush_every_ms(None).open()?;
    let file = File::options().write(true).open(dir.join("db"))?;
    let began = Instant::now();
    for number in 0..BATCHES {
        let mut batch = sled::Batch::default();
        for row in 0..rows {
            batch.insert(&(number * rows + row).to_be_bytes(), vec![7; ROW_BYTES]);
        }
        db.apply_batch(batch)?;
        db.flush()?;
        file.sync_data()?;
    }
    Ok(as_float(BATCHES) / began.elapsed().as_secs_f64())
}
