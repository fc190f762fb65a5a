//! `nothing`: an effect that changes nothing outside, for tests, demonstrations and benches. For
//! the engine it is an effect like any other: its intent and its outcome are durable. With a `log` it
//! leaves a line for each call, so that somebody else than the engine can count what was done.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::connectors::{BuildFault, Site, settings};
use crate::core::catalog::{Descriptor, Field, Kind, Place, Role, always};
use crate::core::cell::Facts;
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::retry::{Again, Outcome, Probed};
use crate::core::scope::Scope;
use crate::ports::{Call, Effect, Prepare, Verdicts, Worker};

/// The error name when the log cannot be written.
const NO_LOG: &str = "NoLog";
/// Longest result, in bytes: facts are for what is needed later, not for content.
const BYTES_MAX: u64 = 2_048;
/// What results are made of.
const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// What `nothing` is.
pub const DESCRIPTOR: Descriptor = Descriptor {
    uses: "nothing",
    summary: "an effect that changes nothing and returns an ID, for tests and benches",
    role: Role::Effect { probes: false },
    place: Place::Anywhere,
    connections: &[],
    fields: &[
        Field { name: "log", kind: Kind::Plain, required: false },
        Field { name: "bytes", kind: Kind::Count, required: false },
    ],
    facts: &["id", "result"],
    batch_default: 1,
    batch_max: 100,
    concurrency: 64,
    harmless: always,
};

/// Makes the worker of a `nothing` step. `log` names a file, from the folder of the workflow file on:
/// each call appends a line for each of its units to it, in one write. With `bytes` the step returns
/// a text of that length (`result`) in place of the ID (`id`).
///
/// # Errors
/// A field has the wrong type, or `bytes` is more than a result may have.
pub fn build(site: &Site<'_>) -> Result<Worker, Vec<BuildFault>> {
    let log = settings::text(&site.step.with, "log").map_err(|fault| vec![fault]);
    let (log, length) = settings::both(log, length(&site.step.with).map_err(|fault| vec![fault]))?;
    let log = log.map(|log| Log { path: site.base.join(log), file: OnceLock::new() });
    Ok(Worker::Effect(Arc::new(Nothing { step: site.step.name.clone(), log, length })))
}

fn length(with: &Map<String, Value>) -> Result<Option<usize>, BuildFault> {
    match settings::count(with, "bytes")? {
        Some(bytes) if bytes > BYTES_MAX => {
            Err(BuildFault::field("bytes", format!("a result has at most {BYTES_MAX} bytes, not {bytes}")))
        }
        bytes => Ok(bytes.and_then(|bytes| usize::try_from(bytes).ok())),
    }
}

struct Nothing {
    step: String,
    log: Option<Log>,
    /// Of the result; `None`: an ID.
    length: Option<usize>,
}

/// A file that lines are appended to.
struct Log {
    path: PathBuf,
    /// Opened by the first call: a check must leave nothing behind.
    file: OnceLock<File>,
}

impl Log {
    /// Appends all of it or fails. It is not synced: a log tells of a process that died, not of a
    /// machine that did.
    fn append(&self, lines: &str) -> io::Result<()> {
        let mut file = if let Some(file) = self.file.get() {
            file
        } else {
            let opened = File::options().create(true).append(true).open(&self.path)?;
            self.file.get_or_init(|| opened)
        };
        file.write_all(lines.as_bytes())
    }
}

impl Nothing {
    /// The line of one unit: `RUN STEP ITEM`, where a step of the run itself has `-` for the item.
    fn line(&self, lines: &mut String, call: &Call) {
        let (run, step) = (call.run, &self.step);
        // Text grows without fail.
        let _ = match call.unit {
            Unit::Run => writeln!(lines, "{run} {step} -"),
            Unit::Closing(number) => writeln!(lines, "{run} {step} closing-{number}"),
            Unit::Item(position) => writeln!(lines, "{run} {step} {position}"),
        };
    }

    /// What a call returns follows from the effect, so that a repeat returns the same.
    fn facts(&self, call: &Call) -> Facts {
        let (name, value) = match self.length {
            None => ("id", uuid::Uuid::from_u128(call.effect_id).hyphenated().to_string()),
            Some(length) => ("result", text(call.effect_id, length)),
        };
        Facts::from([(name.to_owned(), Value::from(value))])
    }
}

/// A text of so many bytes, without a pattern that a store could make use of.
fn text(effect: u128, length: usize) -> String {
    let (high, low) = uuid::Uuid::from_u128(effect).as_u64_pair();
    let mut state = (high ^ low.rotate_left(1)) | 1;
    let sign = |_| {
        // Xorshift: any numbers that differ will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(SIGNS[usize::from((state >> 58) as u8)])
    };
    (0..length).map(sign).collect()
}

impl Prepare for Nothing {
    fn prepare(&self, _scope: &Scope) -> Result<Value, Fault> {
        Ok(Value::Null)
    }
}

#[async_trait]
impl Effect for Nothing {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        if let Some(log) = &self.log {
            let mut lines = String::new();
            for call in calls {
                self.line(&mut lines, call);
            }
            // A write to a file that is not synced ends in memory: not worth another thread.
            if let Err(error) = log.append(&lines) {
                let why = format!("{} cannot be written: {error}", log.path.display());
                let refused = Outcome::Refused { fault: Fault::new(NO_LOG, &why), again: Again::Never };
                return Verdicts { outcomes: vec![refused; calls.len()], calls: 0 };
            }
        }
        Verdicts { outcomes: calls.iter().map(|call| Outcome::Done(self.facts(call))).collect(), calls: 0 }
    }

    async fn probe(&self, _call: &Call) -> Probed {
        Probed::Absent
    }
}
