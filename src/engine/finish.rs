//! How a run that has nothing left to do ends.

use crate::core::closing::{self, Verdict};
use crate::core::event::RunEvent;
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::run::{Run, Status};

use super::drive::{Drive, Error};
use super::recover;
use super::steer::End;

/// How it ends.
pub(super) enum Ending {
    Succeeded,
    Failed(Fault),
    Interrupted,
    Cancelled,
}

impl Ending {
    pub(super) fn event(self, run: &Run) -> RunEvent {
        match self {
            Self::Succeeded => RunEvent::Closed { status: Status::Succeeded, fault: None },
            Self::Failed(fault) => RunEvent::Closed { status: Status::Failed, fault: Some(fault) },
            Self::Interrupted => RunEvent::Interrupted,
            Self::Cancelled => RunEvent::Closed { status: Status::Cancelled, fault: run.fault.clone() },
        }
    }
}

/// Judges a run whose flow has ended. A run that was asked to stop is interrupted even when
/// nothing is left: the resume finds that out and closes it. So is one that worked on chosen items
/// while others are unfinished.
pub(super) fn judge(drive: &Drive) -> Result<Ending, Error> {
    match &drive.steering.end {
        Some(End::Stopped) => return Ok(Ending::Interrupted),
        Some(End::Cancelled) => return Ok(Ending::Cancelled),
        Some(End::Lost(fault)) => return Ok(Ending::Failed(fault.clone())),
        // What was under way may have been all that was left.
        Some(End::TimedOut(fault)) if !drive.desk.is_complete() => return Ok(Ending::Failed(fault.clone())),
        Some(End::TimedOut(_)) | None => {}
    }
    if drive.desk.is_choosy()
        && recover::is_unfinished(drive.ports.journal.as_ref(), drive.desk.plan(), &drive.run)?
    {
        return Ok(Ending::Interrupted);
    }
    let journal = &drive.ports.journal;
    let plan = &drive.common.assembly.plan;
    let run = match drive.desk.last_record() {
        Some((Unit::Run, progress)) => Some(progress.clone()),
        _ => journal.progress(drive.run.id, Unit::Run)?,
    };
    let run = run.unwrap_or_else(|| Progress::new(&plan.run)).fitted(&plan.run);
    let items = journal.tally(drive.run.id, Unit::Item(0))?;
    let total = drive.run.source.as_ref().map_or(0, |source| source.count);
    Ok(match closing::judge(plan, &run, &items, total) {
        Verdict::Succeeded => match drive.left_undone(&run)? {
            Some(fault) => Ending::Failed(fault),
            None => Ending::Succeeded,
        },
        Verdict::Failed(fault) => Ending::Failed(fault),
    })
}

/// How it ends after the steps of `on_failure`, which never change why it failed.
pub(super) fn after_closing(drive: &Drive, judged: Ending) -> Ending {
    match &drive.steering.end {
        Some(End::Stopped) => Ending::Interrupted,
        Some(End::Cancelled) => Ending::Cancelled,
        Some(End::TimedOut(_) | End::Lost(_)) | None => judged,
    }
}
