//! What the system knows of processes and directories.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;
use rustix::fs::{Advice, fadvise};

/// User and system time of this process, in seconds, from the clock ticks that the kernel tells.
pub(crate) fn cpu_seconds() -> anyhow::Result<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has no name")?;
    // Counted behind the name: user time is the twelfth field, system time the next.
    let ticks: f64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / TICKS_PER_SECOND)
}

/// Most memory that this process held, in MiB.
pub(crate) fn peak_mb() -> anyhow::Result<f64> {
    memory("self", "VmHWM:")
}

/// The memory that a process holds now, in MiB.
pub(crate) fn resident_mb(process: u32) -> anyhow::Result<f64> {
    memory(&process.to_string(), "VmRSS:")
}

fn memory(process: &str, line: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let told = status.lines().find_map(|told| told.strip_prefix(line)).context("no such line")?;
    let kilobytes: f64 = told.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(kilobytes / 1024.0)
}

/// The bytes of all files of a state directory but the pinned ones.
pub(crate) fn store_bytes(state: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    each_file(state, &mut |file| {
        if !file.starts_with(state.join("pins")) {
            sum += fs::metadata(file)?.len();
        }
        Ok(())
    })?;
    Ok(sum)
}

/// Puts all files of a directory on disk and out of the page cache.
pub(crate) fn make_cold(dir: &Path) -> anyhow::Result<()> {
    each_file(dir, &mut |path| {
        let file = File::open(path)?;
        // What is not written yet stays in the cache.
        file.sync_all()?;
        Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
    })
}

/// Copies a directory of files.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn each_file(dir: &Path, act: &mut impl FnMut(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            each_file(&entry.path(), act)?;
        } else if kind.is_file() {
            act(&entry.path())?;
        }
    }
    Ok(())
}

/// A count as a number to divide.
pub(crate) fn as_float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
