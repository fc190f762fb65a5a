//! Everything that can be asked about runs.

use std::sync::Arc;

use serde_json::Value;

use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::run::{Run, Status};
use crate::ports::{Journal, StoreError};

/// The names of what durable records know only by position. Implemented over the pinned
/// definition and the pinned source, and by a fake.
pub trait Names: Send + Sync {
    /// The workflow of this run as it was pinned, ready to decide on. Called often: keep it.
    fn plan(&self, run: &Run) -> Result<Arc<Plan>, StoreError>;

    /// The key of the item at this position; `None` when its record has none, or cannot be read.
    fn key(&self, run: &Run, position: u64) -> Option<String>;

    /// The position of the item with this key.
    fn position(&self, run: &Run, key: &str) -> Option<u64>;

    /// The positions of the items with this text in their key, in capitals or not, ascending.
    fn called(&self, run: &Run, text: &str) -> Vec<u64>;

    /// What the pure steps of an item make of its record, by step; computed now. Nothing that needs a
    /// secret is among it.
    fn made(&self, run: &Run, position: u64, progress: &Progress) -> Vec<(String, Result<Value, Fault>)>;

    /// The pinned bytes of the workflow file and of every file it names, by name, that file first.
    fn definition(&self, run: &Run) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// The record of the source at this position, as text when it is not JSON; `None` when it cannot
    /// be read.
    fn record(&self, run: &Run, position: u64) -> Option<Value>;

    /// The idempotency keys of a unit's effects at these steps, by step; `None` for one that cannot
    /// be rendered.
    fn effect_keys(&self, run: &Run, unit: Unit, progress: &Progress, steps: &[usize])
    -> Vec<Option<String>>;
}

/// Tells which runs an engine works on right now.
type Live = Arc<dyn Fn(RunId) -> bool + Send + Sync>;

/// How the records of a run are to be read. Its cells tell what happened, and are not rewritten
/// when the run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Regard {
    /// They say how things are.
    AsRecorded,
    /// Its engine died, or was stopped, before it could say so: an open intent is in doubt.
    Lost,
    /// A person gave it up: what had not ended will not, and an open intent is in doubt.
    GivenUp,
}

/// The durable records of all runs, for reading. Cheap to clone. All answers are computed on the
/// calling thread: a server calls it on a thread where waiting is allowed.
#[derive(Clone)]
pub struct Archive {
    journal: Arc<dyn Journal>,
    names: Arc<dyn Names>,
    live: Live,
}

impl Archive {
    /// An archive read while no engine works: a run that is recorded as running or waiting is
    /// shown as interrupted.
    pub fn new(journal: Arc<dyn Journal>, names: Arc<dyn Names>) -> Self {
        Self { journal, names, live: Arc::new(|_| false) }
    }

    /// The same inside an engine, which knows what it works on.
    #[must_use]
    pub fn with_live(mut self, live: impl Fn(RunId) -> bool + Send + Sync + 'static) -> Self {
        self.live = Arc::new(live);
        self
    }

    /// The status to show: what is durable, unless that says that an engine works and none does.
    pub fn status(&self, run: &Run) -> Status {
        match self.regard(run) {
            Regard::AsRecorded => run.status,
            Regard::Lost => Status::Interrupted,
            Regard::GivenUp => Status::Cancelled,
        }
    }

    /// How the records of a run are to be read.
    pub(super) fn regard(&self, run: &Run) -> Regard {
        if run.status == Status::Cancelled {
            return Regard::GivenUp;
        }
        let wants_engine = matches!(run.status, Status::Running | Status::Waiting | Status::Paused);
        match (wants_engine && !(self.live)(run.id), run.is_given_up() && !(self.live)(run.id)) {
            (_, true) => Regard::GivenUp,
            (true, false) => Regard::Lost,
            (false, false) => Regard::AsRecorded,
        }
    }

    pub(super) fn journal(&self) -> &dyn Journal {
        self.journal.as_ref()
    }

    pub(super) fn names(&self) -> &dyn Names {
        self.names.as_ref()
    }

    /// The key of an item, or its position in the form `#17` when it has no readable key.
    pub(super) fn label(&self, run: &Run, position: u64) -> String {
        self.names.key(run, position).unwrap_or_else(|| format!("#{position}"))
    }
}
