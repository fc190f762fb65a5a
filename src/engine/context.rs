//! What is known about a unit beside its record in the store: all of it can be computed again.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::plan::Track;
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::scope::{Scope, Steps};
use crate::ports::{Record, Worker};

use super::assembly::Assembly;

/// What every unit of a run has in common.
pub struct Common {
    /// The run as it was when this engine took it.
    pub run: Run,
    /// Its input.
    pub input: Arc<Value>,
    /// How new its content is, where an item does not say it.
    pub version: Arc<str>,
    /// Its workflow.
    pub assembly: Arc<Assembly>,
    /// The facts of the run steps before the source, by step, once the gate is open: an object.
    pub run_facts: OnceLock<Arc<Value>>,
}

/// One unit's content.
pub struct Context {
    /// The unit.
    pub unit: Unit,
    /// The record of the source, or why it is a dead letter; null on the run track.
    pub record: Result<Arc<Value>, Fault>,
    /// How new the record is.
    version: Arc<str>,
    /// Outputs of pure steps, and what receivers expect, by step.
    outputs: Vec<OnceLock<Result<Arc<Value>, Fault>>>,
    /// Digests of those outputs, as far as somebody made them, and that of the record.
    digests: Vec<Arc<OnceLock<String>>>,
    record_digest: Arc<OnceLock<String>>,
}

impl Context {
    /// The context of a unit whose record was read.
    pub fn new(common: &Common, unit: Unit, record: Record) -> Self {
        let stations = common.assembly.stations(unit);
        let outputs = stations.iter().map(|_| OnceLock::new()).collect();
        let digests = stations.iter().map(|_| Arc::default()).collect();
        let version = record.version.map_or_else(|| Arc::clone(&common.version), Arc::from);
        Self { unit, record: record.value, version, outputs, digests, record_digest: Arc::default() }
    }

    /// What a step of this unit may look at. Pure outputs are computed on the way, once.
    ///
    /// # Errors
    /// The fault of the record, or of a pure step before this one.
    pub fn scope(&self, common: &Common, step: usize, progress: &Progress) -> Result<Scope, Fault> {
        let (item, digest) = match common.assembly.stations(self.unit)[step].item_from {
            Some(before) => (self.output(common, before, progress)?, &self.digests[before]),
            None => (self.record.clone()?, &self.record_digest),
        };
        Ok(Scope {
            run: common.run.id,
            started_at: common.run.started_at,
            version: Arc::clone(&self.version),
            unit: self.unit,
            input: Arc::clone(&common.input),
            item,
            digest: Arc::clone(digest),
            steps: self.steps(common, progress),
            sent: None,
        })
    }

    fn steps(&self, common: &Common, progress: &Progress) -> Steps {
        let of_run = match self.unit {
            Unit::Item(_) => common.run_facts.get().map(Arc::clone),
            Unit::Run | Unit::Closing(_) => None,
        };
        let (assembly, unit, progress) = (Arc::clone(&common.assembly), self.unit, progress.clone());
        Steps::joined_by(move || {
            let own = facts(assembly.plan.track(unit), &progress);
            match of_run {
                // Nearly every item begins so: all of them look at the same.
                Some(of_run) if own.is_empty() => of_run,
                of_run => {
                    let before = of_run.as_ref().and_then(|of_run| of_run.as_object());
                    let mut steps = before.cloned().unwrap_or_default();
                    steps.extend(own);
                    Arc::new(Value::Object(steps))
                }
            }
        })
    }

    /// Whether the output of a step is known.
    pub(super) fn is_made(&self, step: usize) -> bool {
        self.outputs[step].get().is_some()
    }

    /// Keeps the output of a pure step that was made together with others; the first that is kept stays.
    pub(super) fn keep(&self, step: usize, output: Result<Value, Fault>) {
        let _ = self.outputs[step].set(output.map(Arc::new));
    }

    /// The output of a pure step, or the parameters of a receiver; made once.
    ///
    /// # Errors
    /// The fault of that step, or of one before it.
    pub fn output(&self, common: &Common, step: usize, progress: &Progress) -> Result<Arc<Value>, Fault> {
        if let Some(known) = self.outputs[step].get() {
            return known.clone();
        }
        let computed = self.scope(common, step, progress).and_then(|scope| {
            match &common.assembly.stations(self.unit)[step].worker {
                // On the item track the source is the step that gives the item its record.
                Worker::Source(_) | Worker::Stream(_) => Ok(scope.item),
                Worker::Pure(pure) => pure.prepare(&scope).map(Arc::new),
                Worker::Receiver(receiver) => receiver.prepare(&scope).map(Arc::new),
                Worker::Effect(effect) => effect.prepare(&scope).map(Arc::new),
            }
        });
        self.outputs[step].get_or_init(|| computed).clone()
    }
}

/// The facts of every step that returned some.
pub fn facts(track: &Track, progress: &Progress) -> Map<String, Value> {
    let returned = track.steps.iter().zip(progress.cells.iter()).filter(|(_, cell)| !cell.facts.is_empty());
    returned
        .map(|(step, cell)| (step.name.clone(), Value::Object(cell.facts.clone().into_iter().collect())))
        .collect()
}
