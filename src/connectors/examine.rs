//! What `milepost doctor` asks of a connector: is what the workflow file names there, and wired as the
//! file needs it? Examining changes nothing outside.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Site;
use crate::core::fault::Fault;
use crate::core::retry::Again;
use crate::core::workflow::Trigger;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it has to be.
    Good,
    /// A run would fail, wait for ever, or lose what people rely on.
    Wrong,
    /// It could not be found out.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// How it is.
    pub health: Health,
    /// What was looked at and what was seen, without secrets.
    pub what: String,
    /// What to type, or to change, next.
    pub next: Option<String>,
}

/// What a workflow does over one connection.
pub struct Patient<'a> {
    /// The kind of the connection, for example `redis`.
    pub kind: &'a str,
    /// Its fields with `${env:NAME}` replaced.
    pub settings: &'a Map<String, Value>,
    /// The steps that work over it.
    pub uses: Vec<Use<'a>>,
    /// The triggers that hear over it.
    pub triggers: Vec<&'a Trigger>,
    /// The names of the hooks that hear from it.
    pub hooks: Vec<&'a str>,
}

/// One step that works over the connection.
pub struct Use<'a> {
    /// What its worker would be made from.
    pub site: Site<'a>,
    /// Of the steps that a received message is held for: the name of the slowest, and how long it may
    /// take. Only a step that receives has it.
    pub held: Option<(&'a str, Duration)>,
    /// Where the items come from when the command gives no input. Only a source has it, and only when
    /// the file alone says.
    pub source: Option<String>,
}

impl Diagnosis {
    /// It is as it has to be.
    pub(crate) fn good(what: impl Into<String>) -> Self {
        Self { health: Health::Good, what: what.into(), next: None }
    }

    /// It is wrong, and this is what to do.
    pub(crate) fn wrong(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { health: Health::Wrong, what: what.into(), next: Some(next.into()) }
    }

    /// It could not be found out; perhaps this helps.
    pub(crate) fn unknown(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { health: Health::Unknown, what: what.into(), next: Some(next.into()) }
    }
}

/// The text of a field that has no expression in it: what it says does not depend on an item.
pub(crate) fn fixed<'a>(with: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    with.get(name).and_then(Value::as_str).filter(|text| !text.contains("${{"))
}

/// A source on this machine.
pub(crate) fn file(path: &str) -> Diagnosis {
    let what = format!("source {path}");
    let readable = std::fs::File::open(path).and_then(|file| file.metadata());
    match readable {
        Ok(known) if known.is_file() => Diagnosis::good(format!("{what}: it can be read")),
        Ok(_) => Diagnosis::wrong(format!("{what}: it is no file"), "name a file with --input"),
        Err(error) => {
            Diagnosis::wrong(format!("{what}: {error}"), "put it there, or name another with --input")
        }
    }
}

/// What a read that only asks whether we are let in came to: `what` is who was asked.
pub(crate) fn login(what: &str, answered: Result<(), (Fault, Again)>) -> Diagnosis {
    match answered {
        Ok(()) => Diagnosis::good(format!("{what}: it answers, and takes our login")),
        Err((fault, Again::Never)) => {
            Diagnosis::wrong(format!("{what}: {}", fault.message), "correct the fields of the connection")
        }
        Err((fault, Again::Later | Again::After(_))) => {
            Diagnosis::wrong(format!("{what}: {}", fault.message), "see that it runs, and check its url")
        }
    }
}
