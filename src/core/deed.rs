//! What people do that is about no one run: to the engine itself, or by its hands. What happens to a run is
//! among its events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use super::token::Scope;

/// How many are kept: the newest.
pub const KEPT_MAX: u64 = 10_000;

/// Something that was done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What.
    pub what: Done,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Done {
    /// A token was made.
    TokenCreated {
        /// Its name.
        name: String,
        /// What it is good for.
        scope: Scope,
    },
    /// A token was taken away.
    TokenRevoked {
        /// Its name.
        name: String,
    },
    /// What a server held may begin.
    Unheld {
        /// Only what is of this workflow; `null`: everything.
        workflow: Option<String>,
    },
    /// What a workflow names outside was looked at.
    Examined {
        /// The workflow.
        workflow: String,
    },
    /// A backup was written.
    BackedUp {
        /// The file, on the machine of the engine.
        file: String,
    },
    /// What nobody needs was removed.
    Collected {
        /// How many runs went.
        runs: u64,
        /// How many rows went, theirs among them.
        rows: u64,
    },
}
