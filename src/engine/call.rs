//! Calls: to effects, and looks at what became of them. Every intent is durable before this is reached.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;

use crate::core::arrival::Request;
use crate::core::fault::{Fault, name, panic_text};
use crate::core::id::Unit;
use crate::core::retry::{Outcome, Probed};
use crate::core::version::Version;
use crate::ports::{Call, Clock, Verdicts, Worker};

use super::claim::{self, Settlement, settle};
use super::drive::Drive;
use super::gate;
use super::note::Note;

/// A connector bounds each of its requests by the step's timeout, and one call may need several
/// (look up, write, read back, halve a batch). This is only the guard against one that hangs.
const CALL_TIMEOUTS_MAX: u32 = 20;

/// Most calls that begin on the driving task: one that is answered at once is heard of without waking
/// anybody. Where more leave together, they begin side by side.
const LITTLE_MAX: usize = 4;

/// What waits for the other side, and then says what came of it.
pub(super) type Asking = Pin<Box<dyn Future<Output = Note> + Send>>;

impl Drive {
    /// Lets calls begin; each answers with a note.
    pub(super) fn begin_calls(&self, calls: Vec<Asking>) {
        let is_little = calls.len() <= LITTLE_MAX;
        for mut call in calls {
            let answered = if is_little { call.as_mut().now_or_never() } else { None };
            let sender = self.sender.clone();
            match answered {
                // Nobody listens any more only when the engine itself has stopped.
                Some(note) => drop(sender.send(note)),
                None => drop(tokio::spawn(async move { sender.send(call.await) })),
            }
        }
    }

    /// A call for these units.
    pub(super) fn call(&mut self, step: usize, units: &[(Unit, u32)]) -> Option<Asking> {
        let (first, _) = *units.first()?;
        let called: Vec<Unit> = units.iter().map(|(unit, _)| *unit).collect();
        let settling = self.settling(step, &called);
        let note = match &self.common.assembly.stations(first)[step].worker {
            Worker::Source(source) => {
                self.pin(step, Arc::clone(source));
                return None;
            }
            Worker::Stream(stream) => {
                let result = Ok(gate::of_queue(stream.as_ref(), self.run.id));
                Note::Pinned { step, result }
            }
            Worker::Effect(effect) => {
                let calls: Vec<Call> =
                    units.iter().map(|(unit, attempt)| self.one_call(*unit, step, *attempt)).collect();
                let (effect, clock) = (Arc::clone(effect), Arc::clone(&self.ports.clock));
                let timeout = self.desk.plan().track(first).steps[step].timeout * CALL_TIMEOUTS_MAX;
                let sender = self.sender.clone();
                return Some(Box::pin(async move {
                    let work = async {
                        let Verdicts { outcomes, calls: sent } = effect.call(&calls).await;
                        let done = calls.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_accepted());
                        let said = done.filter_map(|(call, _)| effect.says(call)).collect();
                        (outcomes, said, sent)
                    };
                    let (mut outcomes, said, calls, fault) =
                        match bounded(work, clock.as_ref(), timeout).await {
                            Ok((outcomes, said, sent)) => (outcomes, said, sent, no_verdict()),
                            Err(fault) => (Vec::new(), Vec::new(), 1, fault),
                        };
                    // A unit without a verdict is one that nobody knows anything about.
                    outcomes.resize_with(called.len(), || Outcome::Unclear(fault.clone()));
                    let ends = outcomes.iter().map(claim::end);
                    let keys = settle(settling, ends, clock.as_ref(), &sender).await;
                    let outcomes = called.into_iter().zip(outcomes).collect();
                    Note::Ended { step, outcomes, said, calls, keys }
                }));
            }
            Worker::Pure(_) | Worker::Receiver(_) => {
                let fault = || Fault::new(name::MAPPING, "this step makes no calls");
                let outcomes = units.iter().map(|(unit, _)| (*unit, Outcome::Unclear(fault()))).collect();
                let (said, keys) = (Vec::new(), Settlement::default());
                Note::Ended { step, outcomes, said, calls: 0, keys }
            }
        };
        Some(Box::pin(std::future::ready(note)))
    }

    /// A look at whether the effect is there.
    pub(super) fn look(&self, step: usize, unit: Unit) -> Option<Asking> {
        let attempts = self.desk.progress(unit).map_or(0, |progress| progress.cells[step].attempts);
        let call = self.one_call(unit, step, attempts);
        let Worker::Effect(effect) = &self.common.assembly.stations(unit)[step].worker else { return None };
        let (effect, clock, sender) =
            (Arc::clone(effect), Arc::clone(&self.ports.clock), self.sender.clone());
        let timeout = self.desk.plan().track(unit).steps[step].timeout * CALL_TIMEOUTS_MAX;
        let settling = self.settling_again(step, unit);
        Some(Box::pin(async move {
            let probed = bounded(effect.probe(&call), clock.as_ref(), timeout).await;
            let probed = probed.unwrap_or_else(Probed::Unknown);
            let ends = std::iter::once(claim::found(&probed));
            let keys = settle(settling, ends, clock.as_ref(), &sender).await;
            Note::Looked { step, unit, probed, keys }
        }))
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
}

/// A connector's work: neither one that waits for ever nor one that panics takes the run with it. One that keeps
/// its thread busy does: connectors wait, or compute elsewhere.
async fn bounded<T>(
    work: impl Future<Output = T> + Send,
    clock: &dyn Clock,
    timeout: Duration,
) -> Result<T, Fault> {
    let until = clock.now().after(timeout);
    tokio::select! {
        biased;
        ended = AssertUnwindSafe(work).catch_unwind() => ended.map_err(|panic| {
            let text = panic_text(panic.as_ref());
            Fault::new(name::DEFECT, format!("a defect of this connector, a panic: {text}"))
        }),
        () = clock.sleep_until(until) => {
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
