//! How often what a step does was changed under a run.

use serde::{Deserialize, Serialize};

/// How often, and last why, what a step does was changed under a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// The number of the present revision, from 1.
    pub number: u32,
    /// Why there is one.
    pub cause: Cause,
}

/// Why what was done at a step is out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The step itself, or a file it names, was changed.
    Definition,
    /// A step before it was changed.
    Upstream,
    /// The outside system it works with is another one.
    Connection,
}

impl Cause {
    /// The words for it in a plan.
    pub fn words(self) -> &'static str {
        match self {
            Self::Definition => "definition changed",
            Self::Upstream => "upstream changed",
            Self::Connection => "connection changed",
        }
    }
}
