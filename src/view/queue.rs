//! What a server is asked for beside what is done to one run, and the runs that wait in it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::terms::{ResumeTerms, object};
use super::when::When;
use crate::core::execution::DrivenBy;
use crate::core::id::RunId;
use crate::core::run::Status;

/// A run that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["workflow"], "properties": { "workflow": { "type": "string" } } },
    { "required": ["file"], "properties": { "file": { "type": "string" } } },
]))]
pub struct StartOrder {
    /// The name of a workflow that is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Instead: the absolute path of a workflow file on the machine of the server. Only over its own
    /// socket: whoever may open that may read the files of its owner anyhow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The input: text, numbers, true or false by name.
    #[schemars(extend("additionalProperties" = { "type": ["string", "number", "boolean"] }))]
    #[serde(default)]
    pub input: Map<String, Value>,
    /// The profile; left out: the one that the server was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Who drives its graph.
    #[serde(default, skip_serializing_if = "DrivenBy::is_embedded")]
    pub executor: DrivenBy,
    /// Who asks. A token says this better, and is believed.
    #[serde(default)]
    pub by: String,
}

/// A resume that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeOrder {
    /// On what terms.
    #[serde(default, deserialize_with = "object")]
    pub terms: ResumeTerms,
    /// Only if the hash of the plan begins with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Who asks. A token says this better, and is believed.
    #[serde(default)]
    pub by: String,
}

/// What a server that was started with `--paused` may begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Unhold {
    /// One run.
    Run(RunId),
    /// Everything of a workflow, its triggers included.
    Workflow(String),
    /// Everything.
    All,
}

/// That something may begin, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnholdOrder {
    /// What.
    pub what: Unhold,
    /// Who asks. A token says this better, and is believed.
    #[serde(default)]
    pub by: String,
}

/// That what nobody needs is to go, and who says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectOrder {
    /// Only say what would go.
    #[serde(default)]
    pub dry_run: bool,
    /// Who asks. A token says this better, and is believed.
    #[serde(default)]
    pub by: String,
}

/// A run that was asked for. It is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Admitted {
    /// The run.
    pub run: RunId,
    /// Where it stands now: a start that is `queued` begins when there is room for it.
    pub status: Status,
    /// Whether it is a new one; not when its key had started it before, nor when it was resumed.
    pub started: bool,
    /// What to type next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

/// The runs that wait in a server, and those at work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// Whether something is held until a person lets it begin (`serve --paused`).
    pub paused: bool,
    /// How many runs wait.
    pub waiting: usize,
    /// How many of one workflow may wait; more starts are refused.
    pub waiting_max: usize,
    /// By workflow.
    pub workflows: Vec<LaneView>,
}

/// The runs of one workflow that wait or are at work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaneView {
    /// The workflow.
    pub workflow: String,
    /// Whether the server was given its file, and starts it by name.
    pub served: bool,
    /// Whether it is held until a person lets it begin.
    pub paused: bool,
    /// How many of its runs may be at work at once.
    pub concurrency: usize,
    /// Those at work.
    pub at_work: Vec<RunId>,
    /// Those that wait, the next first.
    pub waiting: Vec<WaitingView>,
    /// Those whose turn came and that could not go on. Nobody waits for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<StuckView>,
}

/// A run that could not go on when its turn came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StuckView {
    /// The run.
    pub run: RunId,
    /// Since when.
    pub since: When,
    /// Why not.
    pub why: String,
    /// When it is tried again.
    pub again: When,
    /// What to type, or to look at, meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

/// A run that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingView {
    /// The run.
    pub run: RunId,
    /// Since when.
    pub since: When,
    /// Whether it is held until a person lets it begin.
    pub paused: bool,
}
