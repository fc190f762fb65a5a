//! What people can do to a run that is there, and what came of it. The one list of actions: the
//! command line, the API and the engine all take it from here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ruling::{Dropping, Settling};
use super::terms::object;
use crate::core::cell::Facts;
use crate::core::id::RunId;
use crate::core::letter::LetterFilter;
use crate::core::run::Status;

/// What is done to a run. Asking for what is done already is no mistake: whoever got no answer may
/// ask again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Gives it up: no attempt begins any more, those under way end, it is closed as cancelled.
    Cancel,
    /// No attempt begins until it is unpaused; those under way end.
    Pause,
    /// Goes on after a pause; connections that are held are tried at once.
    Unpause,
    /// Lets it go for good: it is not resumed any more, and what only a resume needs may go.
    Close,
    /// Says what became of effects in doubt.
    Settle(Settling),
    /// Gives dead letters up.
    Drop(Dropping),
}

/// An action and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written")]
pub struct Order {
    /// What.
    #[serde(flatten)]
    pub action: Action,
    /// Who, as the events of the run will name them.
    pub by: String,
}

/// An order as it is written: one object, with what its action takes and nothing else. A name that is
/// mistyped must not make an order of everything.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    Cancel {
        #[serde(default)]
        by: String,
    },
    Pause {
        #[serde(default)]
        by: String,
    },
    Unpause {
        #[serde(default)]
        by: String,
    },
    Close {
        #[serde(default)]
        by: String,
    },
    Settle {
        #[serde(default)]
        by: String,
        #[serde(default)]
        items: Vec<String>,
        #[serde(default)]
        step: Option<String>,
        done: bool,
        #[serde(default)]
        facts: Facts,
    },
    Drop {
        #[serde(default)]
        by: String,
        #[serde(default)]
        items: Vec<String>,
        #[serde(default, deserialize_with = "object")]
        letters: LetterFilter,
        #[serde(default)]
        reason: Option<String>,
    },
}

impl From<Written> for Order {
    fn from(written: Written) -> Self {
        match written {
            Written::Cancel { by } => Self { action: Action::Cancel, by },
            Written::Pause { by } => Self { action: Action::Pause, by },
            Written::Unpause { by } => Self { action: Action::Unpause, by },
            Written::Close { by } => Self { action: Action::Close, by },
            Written::Settle { by, items, step, done, facts } => {
                Self { action: Action::Settle(Settling { items, step, done, facts }), by }
            }
            Written::Drop { by, items, letters, reason } => {
                Self { action: Action::Drop(Dropping { items, letters, reason }), by }
            }
        }
    }
}

/// What came of an action. It is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acted {
    /// The run.
    pub run: RunId,
    /// Where it stands now.
    pub status: Status,
    /// What was done, one line.
    pub message: String,
    /// What to type next, if anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}
