//! What reaches the core from outside, already in the core's own words.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::cell::{Facts, SkipReason, State};
use super::claims::{Claimed, Fingerprint};
use super::fault::Fault;
use super::id::Unit;
use super::progress::Progress;
use super::retry::{Outcome, Probed};
use super::signal::Subject;
use super::version::Version;

/// What reaches the engine from outside the core.
#[derive(Debug)]
pub enum Arrival {
    /// A unit that was asked for is here.
    Fetched {
        /// Which.
        unit: Unit,
        /// Its record; `None`: it has none.
        progress: Option<Progress>,
        /// What is ready already, for a unit without a record.
        ready: Vec<(usize, Ready)>,
    },
    /// Steps were prepared.
    Prepared {
        /// For which unit.
        unit: Unit,
        /// The steps that were asked for.
        steps: Vec<usize>,
        /// What came out, by step; pure steps bring what follows them along.
        ready: Vec<(usize, Ready)>,
    },
    /// Keys were asked for.
    Claimed {
        /// The step.
        step: usize,
        /// Each unit with what its claim came to.
        answers: Vec<(Unit, Claimed)>,
    },
    /// The store of keys cannot be asked.
    Unclaimed {
        /// The step.
        step: usize,
        /// Who asked.
        units: Vec<Unit>,
    },
    /// A call ended.
    Ended {
        /// The step.
        step: usize,
        /// Each unit with its outcome.
        outcomes: Vec<(Unit, Outcome)>,
    },
    /// The engine itself broke off a call that changes nothing outside: nobody waits for it any more.
    BrokenOff {
        /// The step.
        step: usize,
        /// The unit.
        unit: Unit,
        /// How it ended.
        fault: Fault,
    },
    /// A look at the other side ended.
    Looked {
        /// The step.
        step: usize,
        /// The unit.
        unit: Unit,
        /// What it found.
        probed: Probed,
    },
    /// A message for the unit is here.
    Delivered {
        /// The step that receives it.
        step: usize,
        /// The unit.
        unit: Unit,
        /// What it carried, or why it cannot be taken.
        content: Result<Facts, Fault>,
    },
    /// The arrival of a message proves that the effect at this step was carried out.
    Proven {
        /// The step whose effect is proven.
        step: usize,
        /// The unit.
        unit: Unit,
        /// What it returned.
        facts: Facts,
    },
}

/// What preparing a step came to.
#[derive(Clone, Debug)]
pub enum Ready {
    /// A pure step was computed.
    Computed,
    /// Its condition is false.
    Skip(SkipReason),
    /// It cannot be tried.
    Fault(Fault),
    /// A call can leave.
    Request(Arc<Request>),
    /// It waits for this long.
    Wait(Duration),
    /// It waits for a signal, at most for this long.
    Listen(Duration, Subject),
}

/// What a call needs, made by preparing the step.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Names what the effect is about.
    pub key: String,
    /// What to send.
    pub body: Value,
    /// How new that is (rule R6).
    pub version: Version,
    /// What the key is claimed for; only where the step declares a key.
    pub fingerprint: Option<Fingerprint>,
}

/// Something recorded that a person may want to read in the events of the run.
#[derive(Clone, Debug)]
pub struct Setback {
    /// The unit.
    pub unit: Unit,
    /// The step.
    pub step: usize,
    /// The attempt it happened in.
    pub attempt: u32,
    /// The state it led to.
    pub state: State,
    /// Why.
    pub fault: Fault,
}
