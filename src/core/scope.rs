//! What expressions and mappings may look at when a step is prepared for a unit.

use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::Value;

use super::id::{RunId, Unit};
use super::time::Timestamp;

/// The values by which a pure computation is determined: the same scope gives the same result,
/// today and after a crash.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The run (`run.id`).
    pub run: RunId,
    /// When the run was started (`run.started_at`): the only time a pure step may see (rule R12).
    pub started_at: Timestamp,
    /// How new the content is (rule R6): what the source says, else when the run was started.
    pub version: Arc<str>,
    /// The unit.
    pub unit: Unit,
    /// The input of the run (`input`).
    pub input: Arc<Value>,
    /// The item as this step sees it (`item`): the output of the nearest mapping before it, else
    /// the record of the source; null on the run track.
    pub item: Arc<Value>,
    /// The digest of `item`, once a step made it: one that publishes and one that consumes want the
    /// same, and to make it takes as long as to parse the item.
    pub digest: Arc<OnceLock<String>>,
    /// The facts that each effect before this step returned (`steps.NAME.FACT`). Outputs of pure
    /// steps are not in here: they reach a step as `item`, without a copy.
    pub steps: Steps,
    /// What was sent to a hook; nothing in a run.
    pub sent: Option<Sent>,
}

/// What the effects before a step returned, as one value as soon as somebody looks at it: few steps do, and a
/// unit of a thousand steps would have all of it joined at each of them.
#[derive(Clone)]
pub struct Steps(Arc<LazyLock<Arc<Value>, Join>>);

/// Joins what was returned.
type Join = Box<dyn FnOnce() -> Arc<Value> + Send + Sync>;

impl std::fmt::Debug for Steps {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value().fmt(formatter)
    }
}

impl Steps {
    /// What `join` will say, which is asked once at most.
    pub fn joined_by(join: impl FnOnce() -> Arc<Value> + Send + Sync + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(join))))
    }

    /// The object of facts by step.
    pub fn value(&self) -> &Arc<Value> {
        &self.0
    }
}

impl Default for Steps {
    fn default() -> Self {
        Self::from(Value::Null)
    }
}

impl From<Value> for Steps {
    fn from(value: Value) -> Self {
        Self::joined_by(|| Arc::new(value))
    }
}

/// What was sent to a hook.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The body (`body`).
    pub body: Arc<Value>,
    /// The headers by their names in lower case (`headers`).
    pub headers: Arc<Value>,
}
