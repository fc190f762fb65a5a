//! A workflow with its workers, over a store and outside systems of the caller's own and without a
//! state directory: how the proofs drive the shipped workflow through every one of its writes.

use std::path::Path;
use std::sync::Arc;

use crate::connectors;
use crate::engine::assembly::Assembly;
use crate::ports::{Clock, Marks, OwnQueue, Signals};
use crate::spec::Report;

use super::assemble::{self, Surroundings};
use super::environment::Environment;

/// Makes every step of a workflow file as a run would. Stand-ins are looked for at `pim` and `shop`,
/// which have to be started.
///
/// # Errors
/// Every mistake in the file.
pub fn rehearse<S: OwnQueue + Signals + Marks + 'static>(
    file: &Path,
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    (pim, shop): (&str, &str),
) -> Result<Assembly, Report> {
    let catalog = connectors::catalog();
    let definition = super::definition_of(file, None, &catalog)?;
    let stand_ins = super::stand_ins(pim, shop);
    let surroundings = Surroundings::of(&Environment::Process, store, clock, stand_ins);
    assemble::assemble(&definition, &catalog, &surroundings).map_err(|report| *report)
}
