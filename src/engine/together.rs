//! Outputs of pure steps that somebody else makes: asked for together, so that nobody waits for them one
//! by one. What is not made here is made when it is needed; only the time differs.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::core::cell::State;
use crate::core::scope::Scope;
use crate::ports::{Prepare, Worker};

use super::context::{Common, Context};
use super::prepare::{Work, is_wanted};

/// Makes the outputs that the next steps of several units want from the same step.
pub(super) fn make(common: &Common, works: &[&mut Work]) {
    let mut wanted: BTreeMap<usize, Vec<(&Context, Scope)>> = BTreeMap::new();
    for work in works {
        if let Some((step, scope)) = missing(common, work) {
            wanted.entry(step).or_default().push((&work.context, scope));
        }
    }
    for (step, units) in wanted.into_iter().filter(|(_, units)| units.len() > 1) {
        let (contexts, scopes): (Vec<&Context>, Vec<Scope>) = units.into_iter().unzip();
        let Some(pure) = contexts.first().and_then(|context| shared(common, context, step)) else { continue };
        // One that panics here panics again when its unit is prepared, and is told of there.
        let made = catch_unwind(AssertUnwindSafe(|| pure.prepare_all(&scopes))).unwrap_or_default();
        for (context, output) in contexts.into_iter().zip(made) {
            context.keep(step, output);
        }
    }
}

/// The step whose output is needed first and not there yet, if it is one that is asked for together,
/// and what it may look at.
fn missing(common: &Common, work: &Work) -> Option<(usize, Scope)> {
    let next = work.next()?;
    let context = work.context.as_ref();
    let stations = common.assembly.stations(context.unit);
    let mut first = None;
    let mut at = match stations[next].worker {
        Worker::Pure(_) => Some(next),
        _ => stations[next].item_from,
    };
    while let Some(step) = at.filter(|step| !context.is_made(*step)) {
        first = Some(step);
        at = stations[step].item_from;
    }
    let step = first.filter(|step| shared(common, context, *step).is_some())?;
    let scope = context.scope(common, step, &work.progress).ok()?;
    let is_asked = step == next && work.progress.cells[step].state == State::Pending;
    let passes = !is_asked || matches!(is_wanted(&stations[step], &scope), Ok(true));
    passes.then_some((step, scope))
}

/// The step's worker, if it is one that is asked for together.
fn shared<'c>(common: &'c Common, context: &Context, step: usize) -> Option<&'c dyn Prepare> {
    match &common.assembly.stations(context.unit)[step].worker {
        Worker::Pure(pure) if pure.is_shared() => Some(pure.as_ref()),
        _ => None,
    }
}
