//! How a run that has nothing left to do ends.

use crate::core::closing::{self, Verdict};
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::run::{RunEvent, Status};

use super::drive::{Drive, Error};
use super::recover;

/// How it ends.
pub(super) enum Ending {
    Succeeded,
    Failed(Fault),
    Interrupted,
}

impl Ending {
    pub(super) fn event(self) -> RunEvent {
        match self {
            Self::Succeeded => RunEvent::Closed { status: Status::Succeeded, fault: None },
            Self::Failed(fault) => RunEvent::Closed { status: Status::Failed, fault: Some(fault) },
            Self::Interrupted => RunEvent::Interrupted,
        }
    }
}

/// Judges a run whose flow has ended. A run that was asked to stop is interrupted even when
/// nothing is left: the resume finds that out and closes it. So is one that worked on chosen items
/// while others are unfinished.
pub(super) fn judge(drive: &Drive) -> Result<Ending, Error> {
    if drive.desk.is_stopping() {
        return Ok(Ending::Interrupted);
    }
    if drive.desk.is_choosy()
        && recover::is_unfinished(drive.ports.journal.as_ref(), drive.desk.plan(), &drive.run)?
    {
        return Ok(Ending::Interrupted);
    }
    let journal = &drive.ports.journal;
    let plan = &drive.common.assembly.plan;
    let run = journal.progress(drive.run.id, Unit::Run)?.unwrap_or_else(|| Progress::new(&plan.run));
    let run = run.fitted(&plan.run);
    let items = journal.tally(drive.run.id, Unit::Item(0))?;
    let total = drive.run.source.as_ref().map_or(0, |source| source.count);
    Ok(match closing::judge(plan, &run, &items, total) {
        Verdict::Succeeded => Ending::Succeeded,
        Verdict::Failed(fault) => Ending::Failed(fault),
    })
}
