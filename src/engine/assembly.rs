//! A plan with a worker for every step.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::core::cell::Facts;
use crate::core::id::Unit;
use crate::core::plan::Plan;
use crate::core::workflow::IdempotencyMode;
use crate::expr::{Expression, Template};
use crate::ports::{Executor, Keys, Source, Stream, Worker};

/// A workflow ready to run.
pub struct Assembly {
    /// What is decided on.
    pub plan: Arc<Plan>,
    /// The run steps, in the order of their track.
    pub run: Vec<Station>,
    /// The item steps, in the order of their track.
    pub items: Vec<Station>,
    /// The steps of `on_failure`.
    pub closing: Vec<Station>,
    /// Who drives the graph; `None`: the engine itself.
    pub executor: Option<Conducted>,
}

/// Of what a step of this name returned, what its answer carries.
pub type FactsOf = dyn Fn(&str, &Facts) -> Map<String, Value> + Send + Sync;

/// Who drives the graph of a run, when it is not the engine.
#[derive(Clone)]
pub struct Conducted {
    /// The connection through which it is reached.
    pub connection: String,
    /// What drives it.
    pub executor: Arc<dyn Executor>,
    /// Of what a step returned, what its answer carries: what later conditions look at.
    pub facts: Arc<FactsOf>,
}

/// One step ready to work.
pub struct Station {
    /// What does the work.
    pub worker: Worker,
    /// The condition, if the step has one.
    pub when: Option<Expression>,
    /// The declared idempotency key, if the step has one.
    pub key: Option<Keyed>,
    /// The step on the same track whose output this step sees as `item`; `None`: the record.
    pub item_from: Option<usize>,
}

/// A declared idempotency key (rule R6).
pub struct Keyed {
    /// What the effect is about.
    pub key: Template,
    /// How new its content is; `None`: as new as the run's start.
    pub version: Option<Template>,
    /// What a second effect under the key means.
    pub mode: IdempotencyMode,
    /// How long a claim holds when its owner is gone.
    pub claim: Duration,
    /// How long the key is remembered.
    pub keep: Duration,
    /// Identifies the outside system: the same key on another one is another key.
    pub scope: String,
    /// Who keeps the key; `None`: the engine's own store.
    pub store: Option<Arc<dyn Keys>>,
}

impl Assembly {
    /// The stations of the track that `unit` flows through.
    pub fn stations(&self, unit: Unit) -> &[Station] {
        match unit {
            Unit::Run => &self.run,
            Unit::Closing(_) => &self.closing,
            Unit::Item(_) => &self.items,
        }
    }

    /// The source, if the workflow has one that is pinned.
    pub fn source(&self) -> Option<&Arc<dyn Source>> {
        self.run.iter().find_map(|station| match &station.worker {
            Worker::Source(source) => Some(source),
            Worker::Stream(_) | Worker::Pure(_) | Worker::Receiver(_) | Worker::Effect(_) => None,
        })
    }

    /// The queue that is the source, if it is one, with the step's place on the item track.
    pub fn stream(&self) -> Option<(usize, &Arc<dyn Stream>)> {
        self.items.iter().enumerate().find_map(|(step, station)| match &station.worker {
            Worker::Stream(stream) => Some((step, stream)),
            Worker::Source(_) | Worker::Pure(_) | Worker::Receiver(_) | Worker::Effect(_) => None,
        })
    }
}
