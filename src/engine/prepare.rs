//! Preparing steps: conditions, pure outputs, requests. Computes only; the same progress and the
//! same context always give the same result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::core::arrival::{Ready, Request};
use crate::core::catalog::Role;
use crate::core::cell::{Facts, Kind, SkipReason, State};
use crate::core::claims::Fingerprint;
use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::scope::Scope;
use crate::core::signal::Subject;
use crate::core::time::Timestamp;
use crate::core::version::Version;
use crate::ports::Worker;

use super::assembly::Station;
use super::context::{Common, Context};
use super::key;
use super::together;

/// Prepares the wanted steps of each unit, and whatever becomes ready behind them without a call. The
/// results are in the order of the works.
pub(super) fn prepare(common: &Common, works: Vec<Work>) -> Vec<Vec<(usize, Ready)>> {
    let mut works = works;
    loop {
        let mut open: Vec<&mut Work> = works.iter_mut().filter(|work| work.next().is_some()).collect();
        if open.is_empty() {
            return works.into_iter().map(|work| work.results).collect();
        }
        together::make(common, &open);
        for work in &mut open {
            work.advance(common);
        }
    }
}

/// The steps of one unit on their way to being prepared.
pub(super) struct Work {
    pub(super) context: Arc<Context>,
    pub(super) progress: Progress,
    todo: Vec<usize>,
    results: Vec<(usize, Ready)>,
}

impl Work {
    /// Nothing is prepared yet.
    pub(super) fn new(context: Arc<Context>, progress: Progress, steps: Vec<usize>) -> Self {
        Self { context, progress, results: Vec::with_capacity(steps.len() + 1), todo: steps }
    }

    /// The step that is prepared next; `None`: all are.
    pub(super) fn next(&self) -> Option<usize> {
        self.todo.get(self.results.len()).copied()
    }

    fn advance(&mut self, common: &Common) {
        let Some(step) = self.next() else { return };
        let track = common.assembly.plan.track(self.context.unit);
        let ready = if self.progress.is_skipped_with_needs(track, step) {
            Ready::Skip(SkipReason::Condition)
        } else {
            guarded(|| prepare_one(common, &self.context, &self.progress, step))
        };
        let passes = match &ready {
            Ready::Computed => Some(Kind::Done { facts: Facts::new() }),
            Ready::Skip(reason) => Some(Kind::Skipped { reason: *reason, facts: Facts::new() }),
            Ready::Fault(_) | Ready::Request(_) | Ready::Wait(_) | Ready::Listen(..) => None,
        };
        self.results.push((step, ready));
        // A refusal here shows again when the desk applies the result, and is reported there.
        if let Some(kind) = passes
            && self.progress.apply(track, step, kind, Timestamp(0)).is_ok()
        {
            let next = track.needed_by(step).filter(|later| self.progress.is_ready(track, *later));
            let fresh: Vec<usize> = next.filter(|later| !self.todo.contains(later)).collect();
            self.todo.extend(fresh);
        }
    }
}

/// Every step of a unit without a record that can be prepared at once.
pub fn first_steps(common: &Common, unit: Unit) -> (Progress, Vec<usize>) {
    let track = common.assembly.plan.track(unit);
    let progress = Progress::new(track);
    let steps = (0..track.steps.len()).filter(|step| progress.is_ready(track, *step)).collect();
    (progress, steps)
}

fn prepare_one(common: &Common, context: &Context, progress: &Progress, step: usize) -> Ready {
    let station = &common.assembly.stations(context.unit)[step];
    let role = common.assembly.plan.track(context.unit).steps[step].role;
    let scope = match context.scope(common, step, progress) {
        Ok(scope) => scope,
        Err(fault) => return Ready::Fault(fault),
    };
    if progress.cells[step].state == State::Pending {
        match is_wanted(station, &scope) {
            Ok(true) => {}
            Ok(false) => return Ready::Skip(SkipReason::Condition),
            Err(fault) => return Ready::Fault(fault),
        }
    }
    let made = match role {
        Role::Pure => context.output(common, step, progress).map(|_| Ready::Computed),
        Role::Effect { .. } | Role::Source => request(common, station, step, &scope).map(Ready::Request),
        Role::Timer => body(station, &scope).and_then(|wait| pause(&wait)),
        Role::Listen => subject(station, &scope).map(|subject| {
            Ready::Listen(common.assembly.plan.track(context.unit).steps[step].timeout, subject)
        }),
        Role::Receive => {
            // What the message must carry is made here, so that the driving task need not. When it
            // cannot be made, any message will do.
            let _ = context.output(common, step, progress);
            Ok(Ready::Wait(common.assembly.plan.track(context.unit).steps[step].timeout))
        }
    };
    made.unwrap_or_else(Ready::Fault)
}

/// A connector that panics on one item must not take the engine, or the item, with it.
fn guarded(work: impl FnOnce() -> Ready) -> Ready {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Ready::Fault(Fault::new(name::MAPPING, "a defect of this step's connector: it panicked on this item"))
    })
}

pub(super) fn is_wanted(station: &Station, scope: &Scope) -> Result<bool, Fault> {
    let Some(when) = &station.when else { return Ok(true) };
    match when.evaluate(scope)? {
        Some(Value::Bool(wanted)) => Ok(wanted),
        other => {
            let got = other.unwrap_or(Value::Null);
            Err(Fault::new(name::MAPPING, format!("'when' must give true or false, not {got}")))
        }
    }
}

fn request(common: &Common, station: &Station, step: usize, scope: &Scope) -> Result<Arc<Request>, Fault> {
    let body = body(station, scope)?;
    let Some(keyed) = &station.key else {
        let key = key::undeclared(common, scope.unit, step);
        let version = Version(scope.version.to_string());
        return Ok(Arc::new(Request { key, body, version, fingerprint: None }));
    };
    let key = key::rendered(&keyed.key, scope, "an idempotency key")?;
    let version = match &keyed.version {
        Some(version) => key::rendered(version, scope, "a version")?,
        None => scope.version.to_string(),
    };
    let fingerprint = Some(Fingerprint::of(&body));
    Ok(Arc::new(Request { key, body, version: Version(version), fingerprint }))
}

fn body(station: &Station, scope: &Scope) -> Result<Value, Fault> {
    match &station.worker {
        Worker::Source(source) => source.prepare(scope),
        Worker::Stream(stream) => stream.prepare(scope),
        Worker::Pure(pure) => pure.prepare(scope),
        Worker::Receiver(receiver) => receiver.prepare(scope),
        Worker::Effect(effect) => effect.prepare(scope),
    }
}

/// What a unit waits for at a step that waits for signals.
pub(super) fn subject(station: &Station, scope: &Scope) -> Result<Subject, Fault> {
    let made = body(station, scope)?;
    serde_json::from_value(made).map_err(|error| Fault::new(name::MAPPING, error.to_string()))
}

fn pause(wait: &Value) -> Result<Ready, Fault> {
    let millis = wait.as_u64();
    let wrong = || Fault::new(name::MAPPING, format!("a wait must be milliseconds, not {wait}"));
    millis.map(|millis| Ready::Wait(Duration::from_millis(millis))).ok_or_else(wrong)
}
