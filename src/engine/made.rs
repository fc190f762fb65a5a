//! What pure steps make of an item, computed again for people.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use crate::core::fault::{Fault, name};
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::ports::{Records, Worker};

use super::context::{Common, Context};
use super::fetch::content;

/// What each pure step of a unit makes, by its name, or why it fails. The same rule as when the run
/// works: a step that was skipped is computed too, because nothing depends on whether it was.
pub fn made(
    common: &Common,
    unit: Unit,
    records: Option<&dyn Records>,
    progress: &Progress,
) -> Vec<(String, Result<Value, Fault>)> {
    let context = Context::new(common, unit, content(common, unit, records, common.run.failure().as_ref()));
    let track = common.assembly.plan.track(unit);
    let stations = common.assembly.stations(unit).iter().enumerate();
    let pure = stations.filter(|(_, station)| matches!(station.worker, Worker::Pure(_)));
    let make = |step: usize| {
        let output = || context.output(common, step, progress);
        // A connector that panics on this item has failed the item already.
        let made = catch_unwind(AssertUnwindSafe(output));
        made.unwrap_or_else(|_| Err(Fault::new(name::MAPPING, "this step panics on the item")))
    };
    pure.filter_map(|(at, _)| Some((track.steps.get(at)?.name.clone(), make(at).map(Arc::unwrap_or_clone))))
        .collect()
}
