//! `kill -9` in the middle of a run: how soon does the next effect leave, and is any lost or repeated
//! that was not in doubt?

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::binary::{OFTEN, SELDOM, length, milepost, until_grown};
use crate::case::{COLD, FLOOR, FLOOR_COLD, Readings, WARM};
use crate::child::Order;
use crate::floor;
use crate::process::{copy, make_cold};
use crate::witness::{Name, Witness};
use crate::workflows::Flow;

/// When it is killed, in hundredths of all effects; with what is in the page cache then.
const KILLS: [(u64, Cache); 2] = [(45, Cache::Warm), (55, Cache::Cold)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    Warm,
    Cold,
}

/// Kills the run as often as there are kinds of caches, and lets it go on to its end.
pub(crate) fn measure(order: &Order, flow: &Flow) -> anyhow::Result<Readings> {
    let mut victim = Victim::start(order, flow)?;
    let mut readings = Readings::new();
    let effects = order.size * flow.effects;
    for (part, cache) in KILLS {
        until_grown(&victim.log, effects * part / 100 * victim.line, &mut victim.process, SELDOM)?;
        victim.kill()?;
        let (figure, bound) = match cache {
            Cache::Warm => (WARM, FLOOR),
            Cache::Cold => (COLD, FLOOR_COLD),
        };
        readings.insert(bound.to_owned(), victim.floor(&order.dir.join("copy"), cache)?);
        victim.note_doubts()?;
        if cache == Cache::Cold {
            make_cold(&victim.state)?;
        }
        readings.insert(figure.to_owned(), victim.goes_on()?);
    }
    ensure!(victim.process.wait()?.success(), "the run failed");
    Witness::of(&victim.log)?.holds(effects, &victim.doubts)?;
    Ok(readings)
}

struct Victim {
    process: Child,
    run: String,
    state: PathBuf,
    log: PathBuf,
    /// Bytes of a line of the log, at most.
    line: u64,
    /// How often each effect was in doubt.
    doubts: BTreeMap<Name, u8>,
}

impl Victim {
    fn start(order: &Order, flow: &Flow) -> anyhow::Result<Self> {
        let file = order.write(flow, "run")?;
        let state = order.dir.join("state");
        let input = format!("source={}", order.source.display());
        let mut command = milepost(&state);
        command.arg("run").arg(&file).args(["--input", &input]).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut run = String::new();
        // The first line is the run's ID; the summary at the end does not fill the pipe.
        BufReader::new(process.stdout.take().context("its stdout")?).read_line(&mut run)?;
        let run = run.trim().to_owned();
        let line = format!("{run} s1 {}\n", order.size - 1).len() as u64;
        Ok(Self { process, run, state, log: order.log(), line, doubts: BTreeMap::new() })
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// What the plan of the resume says is in doubt: the only effects that may be done again.
    fn note_doubts(&mut self) -> anyhow::Result<()> {
        let told = milepost(&self.state)
            .args(["resume", &self.run, "--plan", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()?;
        let plan: Value = serde_json::from_slice(&told.stdout).context("the plan")?;
        let doubts = plan["in_doubt"].as_array().context("no doubts")?;
        ensure!(plan["doubts"].as_u64() == Some(doubts.len() as u64), "not all doubts are listed");
        for doubt in doubts {
            let (step, item) = (&doubt["step"], &doubt["item"]);
            let step = step.as_str().context("a doubt without a step")?.to_owned();
            // The key of such a record is its position.
            let item = item.as_str().and_then(|item| item.parse().ok()).context("a doubt without an item")?;
            *self.doubts.entry((self.run.clone(), step, item)).or_insert(0) += 1;
        }
        Ok(())
    }

    /// Milliseconds from the start of the process to the first new effect.
    fn goes_on(&mut self) -> anyhow::Result<f64> {
        let before = length(&self.log);
        let began = Instant::now();
        self.process = milepost(&self.state).args(["resume", &self.run]).spawn()?;
        until_grown(&self.log, before, &mut self.process, OFTEN)?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }

    /// Milliseconds in which bare sled opens a copy of the store.
    fn floor(&self, dir: &Path, cache: Cache) -> anyhow::Result<f64> {
        copy(&self.state.join("journal"), dir)?;
        if cache == Cache::Cold {
            make_cold(dir)?;
        }
        let took = floor::opening(dir)?;
        fs::remove_dir_all(dir)?;
        Ok(took)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
