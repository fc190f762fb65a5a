//! Exit codes: each number has one meaning, and `--help` lists them.

use std::fmt::Write;
use std::process::ExitCode;

use crate::core::run::Status;
use crate::view::ProblemKind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked; a run succeeded.
    Success,
    /// The run ended as failed, or what was examined is wrong.
    RunFailed,
    /// The command line or the workflow file is wrong; nothing was started.
    Usage,
    /// The run was stopped before its end and can be resumed.
    Interrupted,
    /// The state directory is held by another engine, or cannot be opened.
    StateUnavailable,
    /// The run, or the item, is not there.
    NotFound,
    /// It does not fit the present state, such as resuming a run that succeeded.
    Refused,
    /// The state directory, or a backup, is damaged.
    Damaged,
    /// The run was cancelled.
    Cancelled,
    /// A defect or a failing disk.
    Internal,
    /// A second Ctrl-C.
    Killed,
}

impl Exit {
    const ALL: [Self; 11] = [
        Self::Success,
        Self::RunFailed,
        Self::Usage,
        Self::Interrupted,
        Self::StateUnavailable,
        Self::NotFound,
        Self::Refused,
        Self::Damaged,
        Self::Cancelled,
        Self::Internal,
        Self::Killed,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::RunFailed => 1,
            // The number that clap exits with too.
            Self::Usage => 2,
            Self::Interrupted => 3,
            Self::StateUnavailable => 4,
            Self::NotFound => 5,
            Self::Refused => 6,
            Self::Damaged => 7,
            Self::Cancelled => 8,
            // EX_SOFTWARE of sysexits.h.
            Self::Internal => 70,
            // 128 and the number of SIGINT, as shells count.
            Self::Killed => 130,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done; a run succeeded",
            Self::RunFailed => "the run failed; of doctor: something is wrong",
            Self::Usage => "the command line or the workflow file is wrong; nothing was started",
            Self::Interrupted => "the run was stopped before its end (Ctrl-C); resume it",
            Self::StateUnavailable => "the state directory is held by another engine, or cannot be opened",
            Self::NotFound => "no such run or item",
            Self::Refused => "does not fit the present state, e.g. resuming a run that succeeded",
            Self::Damaged => "the state directory, or a backup, is damaged",
            Self::Cancelled => "the run was cancelled",
            Self::Internal => "a defect, or a failing disk",
            Self::Killed => "Ctrl-C twice; resume the run",
        }
    }

    /// The code of a run that ended, or stopped, like this.
    pub(super) fn of_run(status: Status) -> Self {
        match status {
            Status::Succeeded => Self::Success,
            Status::Failed => Self::RunFailed,
            Status::Cancelled => Self::Cancelled,
            Status::Queued | Status::Running | Status::Waiting | Status::Paused | Status::Interrupted => {
                Self::Interrupted
            }
        }
    }

    /// The code of a question that is not answered.
    pub(super) fn of_problem(kind: ProblemKind) -> Self {
        match kind {
            ProblemKind::Invalid => Self::Usage,
            ProblemKind::NotFound => Self::NotFound,
            ProblemKind::Refused | ProblemKind::Forbidden | ProblemKind::Unready => Self::Refused,
            ProblemKind::Internal => Self::Internal,
        }
    }

    /// The list for `--help`.
    pub(super) fn help() -> String {
        let mut text = String::from("Exit codes:");
        for exit in Self::ALL {
            let _ = write!(text, "\n  {:>3}  {}", exit.code(), exit.meaning());
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_a_number_of_its_own_and_is_in_the_help() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130]);
        assert_eq!(Exit::help().lines().count(), codes.len() + 1);
    }

    #[test]
    fn a_run_that_can_be_resumed_is_told_from_one_that_failed() {
        let codes = [Status::Succeeded, Status::Failed, Status::Cancelled, Status::Interrupted]
            .map(|status| Exit::of_run(status).code());
        assert_eq!(codes, [0, 1, 8, 3]);
    }
}
