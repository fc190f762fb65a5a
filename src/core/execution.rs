//! A run whose graph another executor drives: it says which step begins, the engine does the step and keeps its
//! checkpoints.
//!
//! What is said between the two is by reference: run, epoch, step. So neither the size of an item nor their
//! number reaches the executor.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::Fault;
use super::id::RunId;

/// Who drives the graph of a run: says which step begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrivenBy {
    /// The engine itself: items flow, each as fast as it can.
    #[default]
    Embedded,
    /// AWS Step Functions: one step after the other, each for all items.
    StepFunctions,
}

impl DrivenBy {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::StepFunctions => "step_functions",
        }
    }

    /// Whether it is the engine itself.
    pub fn is_embedded(&self) -> bool {
        *self == Self::Embedded
    }
}

impl std::str::FromStr for DrivenBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "step_functions" => Ok(Self::StepFunctions),
            _ => Err("expected 'embedded' or 'step_functions'".to_owned()),
        }
    }
}

/// How long an order may go without a sign of life of the engine before it is given again, when nothing is said.
pub const HEARTBEAT: Duration = Duration::from_mins(1);
/// The error under which a failed attempt of a run step is answered when another one makes sense: the executor
/// tries again, as the machine says.
pub const AGAIN: &str = "Milepost.Again";
/// The error under which an order is answered while nobody drives its run: the executor orders it again later.
pub const AWAY: &str = "Milepost.Away";

/// One execution of a run in another executor, as it is kept with the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The connection through which the executor is reached.
    pub connection: String,
    /// The run's epoch when this execution was begun. Orders of another epoch are refused (rule R10).
    pub epoch: u32,
    /// What the executor knows it by: the run and the epoch, so that beginning it twice begins it once.
    pub name: String,
    /// What the executor was given to drive, by a name that says the definition.
    pub machine: String,
    /// The number of the last entry of its history that is among the run's events; 0: none.
    #[serde(default)]
    pub mirrored: u64,
    /// Nobody joins it: it was begun for chosen items only, or something that it was told to be done is to
    /// be done anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

impl Execution {
    /// The execution of a run that begins in this epoch.
    pub fn new(run: RunId, epoch: u32, connection: &str, machine: &str) -> Self {
        Self {
            connection: connection.to_owned(),
            epoch,
            name: format!("{run}-{epoch}"),
            machine: machine.to_owned(),
            mirrored: 0,
            left: false,
        }
    }
}

/// Names one order to its executor, which takes one answer for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub String);

/// Something that the executor wants done.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Names it.
    pub receipt: Receipt,
    /// The epoch of the execution that it is part of.
    pub epoch: u32,
    /// What is to be done.
    pub errand: Errand,
}

/// What an executor can want.
#[derive(Clone, Debug, PartialEq)]
pub enum Errand {
    /// The work of this step: for the run, or for every item that can reach it.
    Step {
        /// The step's name.
        step: String,
        /// Its condition was looked at by the executor, and is not met: nothing is to be done, and that is to be
        /// recorded.
        skip: bool,
    },
    /// The judgement of the run: nothing else will be ordered, unless it failed.
    Close {
        /// Why the executor closes it before its last step, as far as it knows.
        fault: Option<Fault>,
    },
    /// A step of `on_failure`, by its name. The run was judged before.
    Closing {
        /// The step's name.
        step: String,
    },
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is done, and durable. Items that were given up do not count against it: they are judged with the run.
    Done {
        /// What a later condition may look at; empty for a step of items.
        facts: Map<String, Value>,
    },
    /// One attempt failed, and another one makes sense: the executor knows when.
    Again(Fault),
    /// It failed for good, or is refused.
    Failed(Fault),
}

/// An entry of the history that an executor keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, ascending from 1.
    pub number: u64,
    /// When, in milliseconds since 1970 (UTC).
    pub at: u64,
    /// What happened, in the executor's own word.
    pub kind: String,
    /// The state it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What went wrong, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}
