//! Turns of the binary, as those are measured who compare it with a bare loop.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;

/// One run of the binary over this workflow file, from its start to its end; its state goes beside the
/// file.
///
/// # Errors
/// It did not succeed; the error has its words.
pub(crate) fn milepost(file: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let ended = Command::new(env!("CARGO_BIN_EXE_milepost"))
        .args(["run".as_ref(), file.as_os_str()])
        .args(["--state".as_ref(), file.with_file_name("state").as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    ensure!(ended.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&ended.stderr));
    Ok(begun.elapsed())
}

/// How many a second, when so many took these times: by the median.
pub(crate) fn rate(count: f64, times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    count / times[times.len() / 2].as_secs_f64()
}
