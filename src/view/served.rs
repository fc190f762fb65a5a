//! The workflows that a server starts by name, and the outside systems that they work over.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::archive::Archive;
use super::pause::{HoldView, hold_views};
use super::problem::Problem;
use super::when::When;
use crate::core::id::RunId;
use crate::core::run::Run;

/// A workflow that a server starts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedView {
    /// Its name.
    pub workflow: String,
    /// Its file, on the machine of the server.
    pub file: String,
    /// The profile whose connections its runs use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What it is for, if the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a start may be given.
    #[serde(default)]
    pub input: Vec<InputView>,
    /// What starts runs of it by itself.
    #[serde(default)]
    pub triggers: Vec<TriggerView>,
    /// What its steps work over.
    #[serde(default)]
    pub connections: Vec<ConnectionView>,
    /// Why no run of it could be started now: what is wrong in the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<String>,
    /// What was found when its connections were last examined, since the server began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examined: Option<Examination>,
}

/// An input of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputView {
    /// Its name.
    pub name: String,
    /// What it holds: `uri`, `text`, `number` or `bool`.
    pub kind: String,
    /// What it is when nothing is given; `null`: something must be.
    pub default: Option<Value>,
}

/// What starts runs of a workflow by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerView {
    /// Its name.
    pub trigger: String,
    /// Its kind, for example `schedule`.
    pub uses: String,
    /// The connection over which it hears of what happens; `null`: none is needed.
    pub connection: Option<String>,
}

/// A configured outside system, as a workflow file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionView {
    /// Its name.
    pub connection: String,
    /// Its kind.
    pub kind: String,
    /// What tells it from others of its kind; `${env:NAME}` as it is written, and no secrets.
    pub identity: Map<String, Value>,
    /// The steps that work over it.
    pub steps: Vec<String>,
}

/// What was found when the connections of a workflow were examined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examination {
    /// When.
    pub at: When,
    /// Connection by connection; a step without one is its own.
    pub connections: Vec<ExaminedView>,
}

/// What was found about one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExaminedView {
    /// Its name.
    pub connection: String,
    /// Its kind.
    pub kind: String,
    /// What was looked at, in the order in which it should be mended.
    pub found: Vec<FindingView>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingView {
    /// How it is.
    pub health: HealthView,
    /// What was looked at and what was seen, without secrets.
    pub what: String,
    /// What to type, or to change, next.
    pub next: Option<String>,
}

/// How something outside is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HealthView {
    /// As it has to be.
    #[serde(rename = "ok")]
    Good,
    /// It could not be found out.
    #[serde(rename = "cannot tell")]
    Unknown,
    /// A run would fail, wait for ever, or lose what people rely on.
    #[serde(rename = "wrong")]
    Wrong,
}

impl HealthView {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Unknown => "cannot tell",
            Self::Wrong => "wrong",
        }
    }
}

impl ExaminedView {
    /// How it is as a whole: as its worst part.
    pub fn health(&self) -> HealthView {
        self.found.iter().map(|finding| finding.health).max().unwrap_or(HealthView::Good)
    }
}

/// A connection over which a run makes no calls but a trial now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldConnection {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: String,
    /// Which connection, and why.
    #[serde(flatten)]
    pub hold: HoldView,
}

impl Archive {
    /// The connections that runs hold because they do not answer, the newest run first.
    ///
    /// # Errors
    /// The records cannot be read.
    pub fn held_connections(&self) -> Result<Vec<HeldConnection>, Problem> {
        let mut runs = self.journal().unended()?;
        runs.retain(|run| !self.status(run).is_ended());
        let of = |run: &Run| {
            let (id, workflow) = (run.id, run.workflow.clone());
            hold_views(&run.steer).into_iter().map(move |hold| HeldConnection {
                run: id,
                workflow: workflow.clone(),
                hold,
            })
        };
        Ok(runs.iter().flat_map(of).collect())
    }
}
