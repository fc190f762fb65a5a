//! `milepost sandbox` in a process of its own, for the cases that call somebody.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Stand-ins at work; ended when this is dropped.
pub(crate) struct StandIns {
    process: Child,
    /// Of PIM and shop.
    pub(crate) urls: [String; 2],
}

impl StandIns {
    /// Returns when they answer.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_milepost"))
            .args(["sandbox", "--json", "--pim-port", "0", "--shop-port", "0", "--dir"])
            .arg(dir.join("stand-ins"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let told: serde_json::Value = serde_json::from_str(&line)?;
        let url = |system: &str| told[system]["url"].as_str().unwrap_or_default().to_owned();
        Ok(Self { process, urls: [url("pim"), url("shop")] })
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        // They may have ended by themselves, which the run would have shown.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
