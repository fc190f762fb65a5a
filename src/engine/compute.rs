//! Computing: what is much on threads of its own, what is little at once. What was computed at once is decided
//! on at once: the outcome of a step and the intent of the next are one commit then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::core::arrival::Arrival;
use crate::core::decide::{Decision, Preparation, decide};
use crate::core::id::Unit;
use crate::core::time::Timestamp;
use crate::ports::{StoreError, Worker};

use super::assembly::Station;
use super::drive::{Drive, Error};
use super::note::Note;
use super::prepare::{Work, prepare};

/// Units in one computing job: enough to outweigh the hand-over, few enough to spread.
pub(super) const JOB_UNITS: usize = 16;

/// Most units that are prepared by the driving task itself. Where more are under way, commits are shared anyway.
const LITTLE_MAX: usize = 16;

/// Preparing took too long to be done by the driving task when it took longer than this.
const PATIENCE: Duration = Duration::from_millis(5);

/// So often it is left to the computing threads then.
const DEAR_TURNS: u32 = 64;

/// How long the driving task keeps from preparing.
#[derive(Default)]
pub(super) struct Thinking {
    /// For so many more turns that have something to prepare.
    dear: u32,
}

/// A step that is computed for several units together, by somebody who is waited for.
fn asks_others(station: &Station) -> bool {
    matches!(&station.worker, Worker::Pure(pure) if pure.is_shared())
}

impl Drive {
    /// Decides what to do next. What is to be prepared for it, and is little, is prepared on the way.
    pub(super) fn think(&mut self, now: Timestamp) -> Result<Decision, Error> {
        let mut decision = decide(&mut self.desk, now)?;
        if self.thinking.dear > 0 && !decision.prepare.is_empty() {
            self.thinking.dear -= 1;
            return Ok(decision);
        }
        while !decision.prepare.is_empty() && self.is_little(&decision.prepare) {
            decision.prepare = self.prepare_here(std::mem::take(&mut decision.prepare), now)?;
            if decision.prepare.is_empty() {
                decision.go_on_with(decide(&mut self.desk, now)?);
            }
        }
        Ok(decision)
    }

    /// Whether so much can be prepared here and now.
    fn is_little(&self, preparations: &[Preparation]) -> bool {
        let stations = |unit| self.common.assembly.stations(unit);
        let alone = |preparation: &Preparation| !stations(preparation.unit).iter().any(asks_others);
        self.thinking.dear == 0 && preparations.len() <= LITTLE_MAX && preparations.iter().all(alone)
    }

    /// Prepares steps here and now. Returns those that are left over when that takes too long.
    fn prepare_here(
        &mut self,
        preparations: Vec<Preparation>,
        now: Timestamp,
    ) -> Result<Vec<Preparation>, Error> {
        let until = self.ports.clock.now().after(PATIENCE);
        let (common, plan) = (Arc::clone(&self.common), Arc::clone(self.desk.plan()));
        let mut left = preparations.into_iter();
        for Preparation { unit, progress, steps } in left.by_ref() {
            let Some(context) = self.contexts.get(&unit).map(Arc::clone) else { continue };
            let work = Work::new(context, progress, steps.clone());
            let ready = prepare(&common, &plan, vec![work]).pop().unwrap_or_default();
            self.arrived(Arrival::Prepared { unit, steps, ready }, now)?;
            if self.ports.clock.now() > until {
                self.thinking.dear = DEAR_TURNS;
                break;
            }
        }
        Ok(left.collect())
    }

    /// Has steps prepared on the computing threads.
    pub(super) fn prepare_elsewhere(&self, preparations: Vec<Preparation>) {
        let mut left = preparations.into_iter();
        loop {
            let job: Vec<Preparation> = left.by_ref().take(JOB_UNITS).collect();
            if job.is_empty() {
                return;
            }
            self.prepare_job(job);
        }
    }

    fn prepare_job(&self, preparations: Vec<Preparation>) {
        let (common, plan) = (Arc::clone(&self.common), Arc::clone(self.desk.plan()));
        let work = |Preparation { unit, progress, steps }: Preparation| {
            let context = self.contexts.get(&unit).map(Arc::clone)?;
            Some(((unit, steps.clone()), Work::new(context, progress, steps)))
        };
        let (asked, works): (Vec<(Unit, Vec<usize>)>, Vec<Work>) =
            preparations.into_iter().filter_map(work).unzip();
        self.compute(move || {
            let prepared = |((unit, steps), ready)| Arrival::Prepared { unit, steps, ready };
            Note::Arrivals(asked.into_iter().zip(prepare(&common, &plan, works)).map(prepared).collect())
        });
    }

    /// Runs a job on a computing thread. One that panics is a defect that ends the run, not one
    /// that leaves it waiting for ever.
    pub(super) fn compute(&self, job: impl FnOnce() -> Note + Send + 'static) {
        let sender = self.sender.clone();
        self.ports.compute.submit(Box::new(move || {
            let note = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
                Note::Failed(StoreError("a defect of Milepost: a computing job panicked".to_owned()))
            });
            // Nobody listens any more only when the engine itself has stopped.
            let _ = sender.send(note);
        }));
    }
}
