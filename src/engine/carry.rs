//! Carrying out what was decided. Every intent is durable before this is reached.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::core::arrival::{Arrival, Request};
use crate::core::decide::Dispatch;
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::retry::{Outcome, Probed};
use crate::core::scope::Scope;
use crate::core::survey::Survey;
use crate::core::version::Version;
use crate::ports::{Call, Clock, Record, Source, StoreError, SurveyOf, Unread, Verdicts, Waiting, Worker};

use super::claim::{self, Settlement, settle};
use super::context::{Common, Context};
use super::drive::Drive;
use super::fetch::content;
use super::gate;
use super::note::Note;
use super::prepare::{Work, prepare};

/// Units in one computing job: enough to outweigh the hand-over, few enough to spread.
const JOB_UNITS: usize = 16;

/// A connector bounds each of its requests by the step's timeout, and one call may need several
/// (look up, write, read back, halve a batch). This is only the guard against one that hangs.
const CALL_TIMEOUTS_MAX: u32 = 20;

/// One unit's part of a computing job.
struct Preparation {
    unit: Unit,
    context: Arc<Context>,
    progress: Progress,
    steps: Vec<usize>,
}

impl Drive {
    pub(super) fn carry_out(&mut self, dispatches: Vec<Dispatch>) {
        let mut preparations = Vec::new();
        for dispatch in dispatches {
            match dispatch {
                Dispatch::Fetch(units) => {
                    for chunk in units.chunks(JOB_UNITS) {
                        self.fetch(chunk.to_vec());
                    }
                }
                Dispatch::Prepare { unit, progress, steps } => {
                    let Some(context) = self.contexts.get(&unit).map(Arc::clone) else { continue };
                    preparations.push(Preparation { unit, context, progress, steps });
                }
                Dispatch::Claim { step, units } => self.claim(step, &units),
                Dispatch::Release { step, units } => self.release(step, &units),
                Dispatch::Call { step, units } => self.call(step, &units),
                Dispatch::Receive { step } => self.mail.try_queue(step),
                Dispatch::Look { step, unit } => self.look(step, unit),
            }
        }
        while !preparations.is_empty() {
            let rest = preparations.split_off(preparations.len().min(JOB_UNITS));
            self.prepare(std::mem::replace(&mut preparations, rest));
        }
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

    fn prepare(&self, preparations: Vec<Preparation>) {
        let (common, plan) = (Arc::clone(&self.common), Arc::clone(self.desk.plan()));
        self.compute(move || {
            let (asked, works): (Vec<(Unit, Vec<usize>)>, Vec<Work>) = preparations
                .into_iter()
                .map(|Preparation { unit, context, progress, steps }| {
                    ((unit, steps.clone()), Work::new(context, progress, steps))
                })
                .unzip();
            let prepared = |((unit, steps), ready)| Arrival::Prepared { unit, steps, ready };
            Note::Arrivals(asked.into_iter().zip(prepare(&common, &plan, works)).map(prepared).collect())
        });
    }

    fn call(&mut self, step: usize, units: &[(Unit, u32)]) {
        let Some((first, _)) = units.first() else { return };
        let called: Vec<Unit> = units.iter().map(|(unit, _)| *unit).collect();
        let settling = self.settling(step, &called);
        let sender = self.sender.clone();
        match &self.common.assembly.stations(*first)[step].worker {
            Worker::Source(source) => self.pin(step, Arc::clone(source)),
            Worker::Stream(stream) => {
                let result = Ok(gate::of_queue(stream.as_ref(), self.run.id));
                let _ = sender.send(Note::Pinned { step, result });
            }
            Worker::Effect(effect) => {
                let calls: Vec<Call> =
                    units.iter().map(|(unit, attempt)| self.one_call(*unit, step, *attempt)).collect();
                let (effect, clock) = (Arc::clone(effect), Arc::clone(&self.ports.clock));
                let timeout = self.desk.plan().track(*first).steps[step].timeout * CALL_TIMEOUTS_MAX;
                tokio::spawn(async move {
                    let work = async move {
                        let Verdicts { outcomes, calls: sent } = effect.call(&calls).await;
                        let done = calls.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_accepted());
                        let said = done.filter_map(|(call, _)| effect.says(call)).collect();
                        (outcomes, said, sent)
                    };
                    let (mut outcomes, said, sent, fault) = match bounded(work, clock.as_ref(), timeout).await
                    {
                        Ok((outcomes, said, sent)) => (outcomes, said, sent, no_verdict()),
                        Err(fault) => (Vec::new(), Vec::new(), 1, fault),
                    };
                    // A unit without a verdict is one that nobody knows anything about.
                    outcomes.resize_with(called.len(), || Outcome::Unclear(fault.clone()));
                    let ends = outcomes.iter().map(claim::end);
                    let keys = settle(settling, ends, clock.as_ref(), &sender).await;
                    let outcomes = called.into_iter().zip(outcomes).collect();
                    let _ = sender.send(Note::Ended { step, outcomes, said, calls: sent, keys });
                });
            }
            Worker::Pure(_) | Worker::Receiver(_) => {
                let fault = || Fault::new(name::MAPPING, "this step makes no calls");
                let outcomes = units.iter().map(|(unit, _)| (*unit, Outcome::Unclear(fault()))).collect();
                let (said, keys) = (Vec::new(), Settlement::default());
                let _ = sender.send(Note::Ended { step, outcomes, said, calls: 0, keys });
            }
        }
    }

    fn look(&mut self, step: usize, unit: Unit) {
        let attempts = self.desk.progress(unit).map_or(0, |progress| progress.cells[step].attempts);
        let call = self.one_call(unit, step, attempts);
        let Worker::Effect(effect) = &self.common.assembly.stations(unit)[step].worker else { return };
        let (effect, clock, sender) =
            (Arc::clone(effect), Arc::clone(&self.ports.clock), self.sender.clone());
        let timeout = self.desk.plan().track(unit).steps[step].timeout * CALL_TIMEOUTS_MAX;
        let settling = self.settling_again(step, unit);
        tokio::spawn(async move {
            let work = async move { effect.probe(&call).await };
            let probed = bounded(work, clock.as_ref(), timeout).await.unwrap_or_else(Probed::Unknown);
            let ends = std::iter::once(claim::found(&probed));
            let keys = settle(settling, ends, clock.as_ref(), &sender).await;
            let _ = sender.send(Note::Looked { step, unit, probed, keys });
        });
    }

    fn one_call(&self, unit: Unit, step: usize, attempt: u32) -> Call {
        let request = self.desk.request(unit, step);
        let revision = self.desk.progress(unit).map_or(0, |progress| progress.cells[step].revision);
        let step = &self.desk.plan().track(unit).steps[step].name;
        let (key, request, version) = match request.as_deref() {
            Some(Request { key, body, version, .. }) => (key.clone(), body.clone(), version.clone()),
            None => (String::new(), Value::Null, Version(self.common.version.to_string())),
        };
        Call {
            run: self.run.id,
            unit,
            attempt,
            key,
            effect_id: effect_id(&self.run.id.to_string(), step, unit, revision),
            request,
            version,
        }
    }

    /// Pins the source: the gate.
    fn pin(&mut self, step: usize, source: Arc<dyn Source>) {
        let (common, pins) = (Arc::clone(&self.common), Arc::clone(&self.ports.pins));
        let interest = self.steering.reading.insert(Waiting::default()).interest();
        self.compute(move || {
            let context = Context::new(&common, Unit::Run, content(&common, Unit::Run, None, None));
            let progress = Progress::new(&common.assembly.plan.run);
            let result = context.scope(&common, step, &progress).map_err(Unread::from).and_then(|scope| {
                let survey = surveying(&common);
                let survey: &SurveyOf<'_> = &survey;
                source.pin(&scope, pins.as_ref(), survey, &interest)
            });
            Note::Pinned { step, result }
        });
    }
}

/// What is known of a record: what the pure steps say that see it first. What they see beside it is the same
/// for all records.
fn surveying(common: &Common) -> impl Fn(u64, &Arc<Value>) -> Survey + '_ {
    let record = Record { key: None, value: Ok(Arc::default()), version: None };
    let context = Context::new(common, Unit::Item(0), record);
    let progress = Progress::new(&common.assembly.plan.items);
    let stations = common.assembly.items.iter().enumerate();
    let firsts = stations.filter_map(|(step, station)| match (&station.worker, station.item_from) {
        (Worker::Pure(pure), None) => Some((pure, context.scope(common, step, &progress).ok()?)),
        _ => None,
    });
    let firsts: Vec<_> = firsts.collect();
    move |position, record| {
        let mut survey = Survey::default();
        for (pure, beside) in &firsts {
            let (unit, item) = (Unit::Item(position), Arc::clone(record));
            let scope = Scope { unit, item, digest: Arc::default(), ..beside.clone() };
            survey.extend(pure.survey(&scope));
        }
        survey
    }
}

/// Runs a connector's work on a task of its own, so that neither a hanging nor a panicking
/// connector takes the run with it.
async fn bounded<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
    clock: &dyn Clock,
    timeout: Duration,
) -> Result<T, Fault> {
    let mut task = tokio::spawn(work);
    let until = clock.now().after(timeout);
    tokio::select! {
        ended = &mut task => ended.map_err(|error| Fault::new(name::DEFECT, format!("a defect of this connector: {error}"))),
        () = clock.sleep_until(until) => {
            task.abort();
            Err(Fault::new(name::TIMEOUT, format!("no answer within {timeout:?}")))
        }
    }
}

fn no_verdict() -> Fault {
    Fault::new(name::DEFECT, "a defect of this connector: it gave no verdict on this item")
}

/// The stable ID of an effect: the same for every attempt, another for every step and unit, and for
/// every revision of the step: what it does then is not what it did.
pub(super) fn effect_id(run: &str, step: &str, unit: Unit, revision: u32) -> u128 {
    let mut name = format!("{run}/{step}/{unit}");
    if revision > 0 {
        name = format!("{name}/{revision}");
    }
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).as_u128()
}
