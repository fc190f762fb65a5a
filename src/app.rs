//! Wiring; the one file that knows every part (placeholder with the signatures of the real one).

use std::path::{Path, PathBuf};

use crate::config::Options;
use crate::core::id::RunId;
use crate::core::resume::ResumePlan;
use crate::core::run::Run;
use crate::core::workflow::Workflow;
use crate::spec::Report;
use crate::view::Archive;

const ABSENT: &str = "the engine is not part of this build";

/// An engine that owns a state directory.
pub struct Engine {
    archive: Archive,
}

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
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

/// A run to start.
#[derive(Clone, Debug)]
pub struct Start {
    /// The workflow file.
    pub file: PathBuf,
    /// The input.
    pub input: Vec<(String, String)>,
    /// The profile.
    pub profile: Option<String>,
}

/// A run cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file is wrong.
    #[error("the workflow file has mistakes")]
    Mistakes(Report),
    /// The input is wrong.
    #[error("{0}")]
    Input(String),
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

/// A run cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It is not there.
    #[error("there is no run {0}")]
    Unknown(RunId),
    /// It does not fit its status.
    #[error("{0}")]
    Refused(String),
    /// The pinned definition cannot be used.
    #[error("the pinned workflow file has mistakes")]
    Mistakes(Report),
    /// Anything else.
    #[error("{0}")]
    Broken(String),
}

/// The engine failed while it ran.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(pub String);

/// A workflow that passed `check`.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The workflow.
    pub workflow: Workflow,
    /// What is odd but no mistake.
    pub warnings: Report,
}

/// A run that is being worked on.
pub struct Running {
    /// Its ID.
    pub id: RunId,
}

impl Running {
    /// Asks it to stop.
    pub fn stop(&self) {}

    /// Waits for its end. May be dropped and called again.
    pub async fn finished(&mut self) -> Result<Run, EngineError> {
        std::future::ready(Err(EngineError(ABSENT.to_owned()))).await
    }
}

impl Engine {
    /// Opens the state directory.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let _ = options;
        std::future::ready(Err(OpenError::Broken(ABSENT.to_owned()))).await
    }

    /// The records.
    pub fn archive(&self) -> Archive {
        self.archive.clone()
    }

    /// Starts a run.
    pub async fn start(&self, request: Start) -> Result<Running, StartError> {
        let _ = request;
        std::future::ready(Err(StartError::Broken(ABSENT.to_owned()))).await
    }

    /// What a resume would do.
    pub async fn plan(&self, run: RunId) -> Result<ResumePlan, ResumeError> {
        std::future::ready(Err(ResumeError::Unknown(run))).await
    }

    /// Resumes a run.
    pub async fn resume(&self, run: RunId) -> Result<Running, ResumeError> {
        std::future::ready(Err(ResumeError::Unknown(run))).await
    }

    /// Checks a file; touches no state.
    pub fn check(file: &Path, profile: Option<&str>) -> Result<Checked, Report> {
        let _ = (file, profile);
        Err(Report { findings: vec![ABSENT.to_owned()] })
    }
}
