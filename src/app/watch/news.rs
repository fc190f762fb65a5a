//! What the loop tells.

use crate::app::error::{EngineError, ResumeError, StartError};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::queue::Stray;
use crate::core::run::Run;
use crate::spec::Report;
use crate::view::Problem;

/// What happens in the loop.
#[derive(Debug)]
pub enum News {
    /// A run that an earlier loop recorded, or was interrupted in, goes on.
    GoesOn {
        /// The run.
        run: RunId,
    },
    /// A run that a person asked for begins.
    Asked {
        /// The run.
        run: RunId,
        /// Who asked.
        by: String,
    },
    /// A run begins.
    Started {
        /// The run.
        run: RunId,
        /// The trigger that heard of its subject.
        trigger: String,
        /// What it is about.
        subject: String,
    },
    /// A run ended, or was stopped with the loop.
    Ended {
        /// The run as it is recorded.
        run: Box<Run>,
    },
    /// A recorded run cannot go on; nothing was changed. It is tried again later, which is told when it goes
    /// on, or does not for another reason.
    Stuck {
        /// The run.
        run: RunId,
        /// Why not.
        error: ResumeError,
    },
    /// A run that was at work cannot go on, and this loop does not begin it again. What was done is
    /// recorded.
    Broken {
        /// The run.
        run: RunId,
        /// Why not.
        error: EngineError,
    },
    /// A run that an earlier loop left paused stays so.
    Paused {
        /// The run.
        run: RunId,
        /// Who paused it.
        by: String,
    },
    /// What was heard of has started a run before. It is dealt with.
    Again {
        /// The trigger.
        trigger: String,
        /// What it is about.
        subject: String,
        /// That run.
        run: RunId,
    },
    /// What was heard of has started a run before, under a definition that was another one then. It
    /// is dealt with.
    Used {
        /// The trigger.
        trigger: String,
        /// What it is about.
        subject: String,
        /// Which run, and what differs.
        problem: Problem,
    },
    /// A message says something that starts nothing.
    PassedOver {
        /// The trigger.
        trigger: String,
        /// What it says.
        what: String,
    },
    /// A message cannot be read; it is left to its queue.
    Stray {
        /// The trigger.
        trigger: String,
        /// What is wrong with it.
        stray: Stray,
    },
    /// No run can be started; what was heard of shows again.
    Refused {
        /// The trigger.
        trigger: String,
        /// What it is about.
        subject: String,
        /// Why not.
        error: StartError,
    },
    /// A message that is dealt with could not be removed; it shows again, and starts nothing.
    NotRemoved {
        /// The trigger.
        trigger: String,
        /// Why not.
        fault: Fault,
    },
    /// The trigger is not listened to for now. Told once, until [`News::Listens`].
    Hindered {
        /// The trigger.
        trigger: String,
        /// By what.
        by: Hindrance,
    },
    /// The trigger is listened to again.
    Listens {
        /// The trigger.
        trigger: String,
    },
}

/// Why a trigger is not listened to.
#[derive(Debug)]
pub enum Hindrance {
    /// The other side is not reached, or refuses.
    Away(Fault),
    /// The workflow file has mistakes now: messages wait until they are mended.
    Unfit(Box<Report>),
    /// Listening itself broke off: a defect of Milepost, with its words.
    Lost(String),
}
