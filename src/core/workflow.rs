//! A workflow after `check` has passed: every name resolved, every text parsed to what it means.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::alert::Subscription;
use super::outlet::Terms;
use super::retry::Retry;

/// A checked workflow, with one profile applied.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// What it is for, if the file says.
    pub description: Option<String>,
    /// The inputs it takes.
    pub input: BTreeMap<String, Input>,
    /// The connections its steps name, after the profile.
    pub connections: BTreeMap<String, Connection>,
    /// Its steps in the order of the file; at most one has the role of a source.
    pub steps: Vec<Step>,
    /// The connection that keeps idempotency keys; `None`: the engine's own store.
    pub key_store: Option<String>,
    /// How many dead letters a run may have and still succeed.
    pub tolerate: Tolerance,
    /// How long a run may be at work before it is failed; `None`: as long as it takes.
    pub timeout: Option<Duration>,
    /// More dead letters than this, and people are told.
    pub alert: Option<Tolerance>,
    /// Who is told of what, in the order of the file.
    pub alerts: Vec<Subscription>,
    /// How long a run can be resumed after its end (rule R9).
    pub resumable_for: Duration,
    /// What is done once per failed closing, in order.
    pub on_failure: Vec<Step>,
    /// The files that steps name (fields of kind `File`), as written, each once.
    pub files: Vec<String>,
    /// What starts runs of it by itself, in the order of the file.
    pub triggers: Vec<Trigger>,
    /// What others send, and what it means, in the order of the file.
    pub hooks: Vec<Hook>,
}

impl Workflow {
    /// The step whose source is a queue, and that queue; `None`: items come from elsewhere.
    pub fn queue_source(&self) -> Option<(&str, &str)> {
        self.steps.iter().find_map(|step| {
            let queue = step.with.get("source")?.get("queue")?.as_str()?;
            Some((step.name.as_str(), queue))
        })
    }
}

/// What bounds a run as a whole.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// How long it may be at work since it was started or last resumed; pauses that a person asks
    /// for do not count.
    pub timeout: Option<Duration>,
    /// More dead letters than this, and people are told.
    pub alert: Option<Tolerance>,
    /// What each connection bears, by name.
    pub connections: BTreeMap<String, Terms>,
}

impl Bounds {
    /// The bounds that a workflow sets.
    pub fn of(workflow: &Workflow) -> Self {
        let connections = workflow.connections.iter();
        Self {
            timeout: workflow.timeout,
            alert: workflow.alert,
            connections: connections.map(|(name, known)| (name.clone(), known.terms)).collect(),
        }
    }
}

/// One input.
#[derive(Clone, Debug)]
pub struct Input {
    /// What it holds.
    pub kind: InputKind,
    /// Used when the command gives none.
    pub default: Option<Value>,
}

/// What an input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// A path or URI. A default is relative to the workflow file; one given to the command is
    /// relative to the working directory.
    Uri,
    /// Any text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
}

/// One configured outside system.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The kind, for example `medusa`.
    pub kind: String,
    /// What it bears.
    pub terms: Terms,
    /// Its fields, with `${env:NAME}` still as text.
    pub fields: Map<String, Value>,
}

/// What starts runs by itself.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// What kind of trigger it is, for example `s3.created`.
    pub uses: String,
    /// The connection over which it hears of what happens; a clock needs none.
    pub connection: Option<String>,
    /// Its parameters as written.
    pub with: Map<String, Value>,
    /// The input that says what a run is about, where it wants to know.
    pub input: Option<String>,
}

/// What others send to `POST /hooks/NAME`, and what it means: a signal. Texts are as written, with
/// `${{ }}`.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// The connection that says who may send, and how that is proven.
    pub connection: String,
    /// The name of the signal.
    pub signal: String,
    /// Whether it means anything; without one it always does. Without `${{ }}`.
    pub when: Option<String>,
    /// What the signal is about.
    pub key: String,
    /// What the sender calls it, where what proves it does not say.
    pub id: Option<String>,
    /// How new what it tells of is.
    pub version: Option<String>,
    /// What else it says.
    pub payload: Option<Value>,
    /// The connection of the system that is asked whether it is so, and how new it is: then what was sent
    /// is only a hint.
    pub ask: Option<String>,
}

impl Hook {
    /// The connections that it names.
    pub fn connections(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.connection.as_str()).chain(self.ask.as_deref())
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its name; in `on_failure` `on_failure[0]` and so on.
    pub name: String,
    /// The connector.
    pub uses: String,
    /// The steps before it.
    pub needs: Vec<String>,
    /// The text of the condition (without `${{ }}`), if any.
    pub when: Option<String>,
    /// The connection it works over.
    pub connection: Option<String>,
    /// Its parameters as written, expressions still as text.
    pub with: Map<String, Value>,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// The longest one call may take.
    pub timeout: Duration,
    /// Units per call.
    pub batch: Batch,
    /// `repeat: safe` was declared.
    pub repeat_safe: bool,
    /// What the effect is about, if declared.
    pub idempotency: Option<Idempotency>,
    /// The line of the step's name in the file, from 1.
    pub line: u32,
}

/// How many units go into one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Most units in one call.
    pub max: u32,
    /// How long an incomplete batch waits for more.
    pub linger: Duration,
}

/// What an effect is about (rule R6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The text of the key expression as written, with `${{ }}`.
    pub key: String,
    /// What a second effect under the key means.
    pub mode: IdempotencyMode,
    /// How long a claim holds when its owner is gone.
    pub claim: Duration,
    /// How long the key is remembered.
    pub keep: Duration,
    /// The text of the expression that says how new the content is, with `${{ }}`; without one it is
    /// as new as the run's start.
    pub version: Option<String>,
}

/// What a second effect under the same key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdempotencyMode {
    /// Upserts: the newest content wins.
    Latest,
    /// One effect per key.
    Once,
}

/// How many dead letters a run may have and still succeed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// At most this many.
    Count(u64),
    /// At most this share of all records, in percent.
    Percent(f64),
}

impl Tolerance {
    /// Whether `dead_letters` of `total` records are tolerated (rule R11).
    pub fn allows(self, dead_letters: u64, total: u64) -> bool {
        match self {
            Self::Count(most) => dead_letters <= most,
            #[expect(clippy::cast_precision_loss, reason = "a share in percent needs no 53 bits")]
            Self::Percent(most) => dead_letters as f64 * 100.0 <= most * total as f64,
        }
    }
}
