//! How a run ends (rule R11): judged once, over all records.

use super::fault::{Fault, name};
use super::plan::Plan;
use super::progress::Progress;
use super::run::Status;
use super::tally::Tally;

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Everything that was to be done is done, up to tolerated dead letters.
    Succeeded,
    /// It failed, and this is why.
    Failed(Fault),
}

impl Verdict {
    /// The status it leads to.
    pub fn status(&self) -> Status {
        match self {
            Self::Succeeded => Status::Succeeded,
            Self::Failed(_) => Status::Failed,
        }
    }
}

/// Judges a run whose work is finished. `total` is the number of records in the source.
pub fn judge(plan: &Plan, run: &Progress, items: &Tally, total: u64) -> Verdict {
    let failed = run.cells.iter().zip(&plan.run.steps).find_map(|(cell, step)| {
        let fault = cell.fault.clone().filter(|_| !cell.state.is_passed())?;
        Some(Fault::new(fault.name, format!("step '{}': {}", step.name, fault.message)))
    });
    if let Some(fault) = failed {
        return Verdict::Failed(fault);
    }
    if items.units.in_doubt > 0 {
        let message =
            format!("{} effects may or may not have happened; a person must decide", items.units.in_doubt);
        return Verdict::Failed(Fault::new(name::IN_DOUBT, message));
    }
    let dead = items.units.dead_lettered;
    if plan.tolerate.allows(dead, total) {
        Verdict::Succeeded
    } else {
        let message = format!("{dead} of {total} items are dead letters, more than 'tolerate' allows");
        Verdict::Failed(Fault::new(name::NOT_TOLERATED, message))
    }
}
