//! Why a question is not answered: a small document with a code, candidates and the next command.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ports::StoreError;

/// Every code of a problem, with what it means. Mistakes in workflow files have codes of three
/// digits, listed with `spec`; these have four.
pub mod code {
    /// The command line is wrong.
    pub const USAGE: &str = "E1000";
    /// No run has this ID, and none begins with it.
    pub const RUN_UNKNOWN: &str = "E1001";
    /// Several runs begin with this.
    pub const RUN_AMBIGUOUS: &str = "E1002";
    /// There is no run at all, or none that this word could name.
    pub const RUN_NONE: &str = "E1003";
    /// A word beginning with `@` that is none of ours.
    pub const RUN_REFERENCE: &str = "E1004";
    /// No item of the run has this key.
    pub const ITEM_UNKNOWN: &str = "E1011";
    /// No item step has this name.
    pub const STEP_UNKNOWN: &str = "E1012";
    /// The workflow file has mistakes, listed as `findings`.
    pub const MISTAKES: &str = "E1020";
    /// The run cannot be started like this.
    pub const START_REFUSED: &str = "E1021";
    /// The run cannot be resumed now.
    pub const RESUME_REFUSED: &str = "E1022";
    /// The action does not fit where the run stands.
    pub const ACT_REFUSED: &str = "E1023";
    /// Nothing about the item is in doubt.
    pub const NOT_IN_DOUBT: &str = "E1041";
    /// What the effect returned was not said, or does not fit.
    pub const EFFECT_FACTS: &str = "E1042";
    /// Nothing was named, and all was not asked for.
    pub const NOT_NAMED: &str = "E1043";
    /// The item is no dead letter, or not one that was meant.
    pub const NOT_A_DEAD_LETTER: &str = "E1044";
    /// The run has no items yet, so none can be selected.
    pub const NO_ITEMS_YET: &str = "E1031";
    /// The plan is not the one that was expected.
    pub const PLAN_CHANGED: &str = "E1033";
    /// The run cannot go on under this definition, or over these connections.
    pub const INCOMPATIBLE: &str = "E1034";
    /// A connection is not what was pinned, and nobody accepted that.
    pub const CONNECTION_CHANGED: &str = "E1035";
    /// The key has started another run.
    pub const START_KEY_USED: &str = "E1036";
    /// Too many runs wait already.
    pub const QUEUE_FULL: &str = "E1037";
    /// No workflow of this name is served.
    pub const WORKFLOW_UNKNOWN: &str = "E1038";
    /// The selected items have nothing to do.
    pub const NOTHING_TO_DO: &str = "E1032";
    /// Another engine holds the state directory.
    pub const STATE_HELD: &str = "E1101";
    /// The state directory cannot be opened.
    pub const STATE_OPEN: &str = "E1102";
    /// The state cannot be read.
    pub const STATE_READ: &str = "E1103";
    /// The state is damaged: a backup has to be put back.
    pub const STATE_DAMAGED: &str = "E1104";
    /// A check found the state damaged.
    pub const STATE_UNSOUND: &str = "E1105";
    /// The backup could not be taken.
    pub const BACKUP: &str = "E1106";
    /// The backup could not be restored.
    pub const RESTORE: &str = "E1107";
    /// Nothing, or not everything, could be removed.
    pub const COLLECT: &str = "E1108";
    /// There is nothing at this path.
    pub const API_PATH: &str = "E1201";
    /// The path does not have this method.
    pub const API_METHOD: &str = "E1202";
    /// The query of the path is wrong.
    pub const API_QUERY: &str = "E1203";
    /// What was sent to the path is not of the form that it takes.
    pub const API_BODY: &str = "E1204";
    /// It does not say who asks, with a token that is known.
    pub const TOKEN: &str = "E1205";
    /// This token, or this way in, may not do that.
    pub const SCOPE: &str = "E1206";
    /// A page of another site asks.
    pub const ORIGIN: &str = "E1207";
    /// What was sent is too large, or came too slowly.
    pub const API_LIMIT: &str = "E1208";
    /// There is a token of this name, or there is none.
    pub const TOKEN_NAME: &str = "E1209";
    /// This engine works on one run and starts no others.
    pub const NO_SERVER: &str = "E1210";
    /// There is no hook of this name.
    pub const HOOK_UNKNOWN: &str = "E1211";
    /// What was sent to a hook does not prove from whom it is.
    pub const UNPROVEN: &str = "E1212";
    /// The hook cannot make a signal of what was sent.
    pub const HOOK_CONTENT: &str = "E1213";
    /// What was sent to a hook cannot be dealt with now.
    pub const HOOK_LATER: &str = "E1214";
    /// What was sent to the path is not JSON.
    pub const API_JSON: &str = "E1215";
    /// What was sent to the path is not of the content type that it takes.
    pub const API_KIND: &str = "E1216";
    /// Too much is being sent to the hook at once.
    pub const HOOK_BUSY: &str = "E1217";
    /// The server has no room for another connection.
    pub const API_BUSY: &str = "E1218";
    /// The engine went away while it answered.
    pub const ENGINE_GONE: &str = "E1301";
    /// No executor can drive this run.
    pub const EXECUTOR: &str = "E1302";
    /// The stand-ins cannot work.
    pub const SANDBOX: &str = "E1401";
    /// A defect of Milepost.
    pub const INTERNAL: &str = "E1901";
}

/// What kind of trouble it is; exit codes and HTTP statuses follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The question itself is wrong.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// It does not fit the present state.
    Refused,
    /// It does not say who asks, or that one may not.
    Forbidden,
    /// Not now; later the same may be answered.
    Unready,
    /// The store, or the engine, failed.
    Internal,
}

/// A question that is not answered. The same document everywhere: on stderr, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What kind of trouble it is.
    pub kind: ProblemKind,
    /// A stable code, for example `E1001`.
    pub code: String,
    /// What is wrong, one line.
    pub detail: String,
    /// What may have been meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// What to type next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

impl Problem {
    /// A problem without candidates and next commands.
    pub fn new(kind: ProblemKind, code: &str, detail: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), detail: detail.into(), candidates: Vec::new(), next: Vec::new() }
    }

    /// A defect of Milepost: something that it does on the side broke off.
    pub fn defect(error: impl fmt::Display) -> Self {
        Self::new(ProblemKind::Internal, code::INTERNAL, format!("a defect of Milepost: {error}"))
    }

    /// The same with what may have been meant.
    #[must_use]
    pub fn candidates(mut self, candidates: impl IntoIterator<Item = String>) -> Self {
        self.candidates.extend(candidates);
        self
    }

    /// The same with a command to type next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(ProblemKind::Internal, code::STATE_READ, format!("failed to read the state: {error}"))
    }
}
