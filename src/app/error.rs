//! What can go wrong at the edge, as the command line and the API see it.

use std::path::PathBuf;

use crate::core::id::RunId;
use crate::engine;
use crate::ports::StoreError;
use crate::spec::Report;
use crate::view::Problem;

use super::definition::DefinitionError;

/// The state directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("the state directory is held by another engine{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held {
        /// That process.
        pid: Option<u32>,
        /// Where it answers reads.
        socket: PathBuf,
    },
    /// Its journal is damaged or gone; a backup has to be put back.
    #[error("{0}")]
    Damaged(String),
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

/// A backup was not taken. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It would lie among what it is a copy of, or in its place.
    #[error("{} is inside the state directory {}; nothing was written", file.display(), dir.display())]
    Inside {
        /// Where it was to go.
        file: PathBuf,
        /// The state directory.
        dir: PathBuf,
    },
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

/// A run cannot be started. Nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file has mistakes.
    #[error("the workflow file has mistakes")]
    Mistakes(Report),
    /// The input is wrong.
    #[error("{0}")]
    Input(String),
    /// It is refused for a reason with a code and commands of its own.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The stand-ins of this state directory are served by another process.
    #[error("{0}")]
    Busy(String),
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

/// A run cannot be resumed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It is not there.
    #[error("there is no run {0}")]
    Unknown(RunId),
    /// Its status does not allow it.
    #[error("{0}")]
    Refused(String),
    /// Somebody works on it.
    #[error("{0} is being worked on")]
    Busy(RunId),
    /// It is refused for a reason with a code and commands of its own.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// Its end is for good.
    #[error("{why}")]
    Over {
        /// What ended it.
        why: String,
        /// What to type instead.
        next: String,
    },
    /// The pinned definition cannot be used.
    #[error("the pinned workflow file has mistakes")]
    Mistakes(Report),
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

/// The engine failed while it ran. What was acknowledged is on disk.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It cannot go on with anything.
    #[error("{0}")]
    Broken(String),
    /// It cannot go on with this run; with others it can.
    #[error("{0}")]
    Run(String),
}

impl From<engine::Error> for EngineError {
    fn from(error: engine::Error) -> Self {
        use engine::Error as E;
        match error {
            E::Store(_) => Self::Broken(error.to_string()),
            E::Transition(_) | E::RunEvent(_) | E::Source(_) => Self::Run(error.to_string()),
        }
    }
}

/// The steps of a definition cannot be made.
#[derive(Debug)]
pub(super) enum AssembleError {
    Mistakes(Box<Report>),
    Sandbox(String),
}

impl From<Box<Report>> for AssembleError {
    fn from(report: Box<Report>) -> Self {
        Self::Mistakes(report)
    }
}

impl From<AssembleError> for StartError {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::Mistakes(report) => Self::Mistakes(*report),
            AssembleError::Sandbox(why) => Self::Busy(why),
        }
    }
}

impl From<AssembleError> for ResumeError {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::Mistakes(report) => Self::Mistakes(*report),
            AssembleError::Sandbox(why) => Self::Broken(why),
        }
    }
}

impl From<DefinitionError> for StartError {
    fn from(error: DefinitionError) -> Self {
        match error {
            DefinitionError::Mistakes(report) => Self::Mistakes(*report),
            DefinitionError::Unreadable(..) => Self::Input(error.to_string()),
            DefinitionError::Store(error) => Self::Broken(error.to_string()),
        }
    }
}

impl From<DefinitionError> for ResumeError {
    fn from(error: DefinitionError) -> Self {
        match error {
            DefinitionError::Mistakes(report) => Self::Mistakes(*report),
            DefinitionError::Unreadable(..) | DefinitionError::Store(_) => Self::Broken(error.to_string()),
        }
    }
}
