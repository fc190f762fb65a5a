//! Why a command did not do what was asked: what is said, and the exit code.

use std::io;

use serde::Serialize;

use super::Context;
use super::exit::Exit;
use super::output::{BAD, BOLD, DIM, Output};
use crate::app::{EngineError, OpenError, ResumeError, StartError};
use crate::client;
use crate::connectors::sandbox::SandboxError;
use crate::spec::Report;
use crate::view::{Problem, ProblemKind, code};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Something is wrong, and what to do is known.
    Problem(Exit, Problem),
    /// A workflow file has mistakes.
    Mistakes(Box<Report>),
    /// Nobody reads our output any more, as with `| head`; no fault of anybody.
    Closed,
}

impl Failure {
    /// Writing data failed.
    pub(super) fn of_stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Closed;
        }
        let detail = format!("failed to write the output: {error}");
        Self::Problem(
            Exit::Internal,
            Problem::new(ProblemKind::Internal, code::INTERNAL, detail).next("milepost list"),
        )
    }

    /// Says it, and gives the exit code.
    pub(super) fn report(&self, context: &Context, output: &mut Output) -> Exit {
        match self {
            Self::Problem(exit, problem) => {
                say_problem(problem, context, output);
                *exit
            }
            Self::Mistakes(report) => {
                let text = report.render(output.is_talk_colored());
                output.say(&text);
                Exit::Usage
            }
            Self::Closed => Exit::Success,
        }
    }

    /// Logs it, and gives the exit code.
    pub(super) fn log(&self, context: &Context) -> Exit {
        match self {
            Self::Problem(exit, problem) => {
                let joined = |parts: &[String]| (!parts.is_empty()).then(|| parts.join("; "));
                let next: Vec<String> = problem.next.iter().map(|command| context.command(command)).collect();
                let (detail, next) = (joined(&problem.candidates), joined(&next));
                tracing::error!(error = problem.code, detail, next, "{}", problem.detail);
                *exit
            }
            Self::Mistakes(report) => {
                for finding in &report.findings {
                    tracing::error!(error = finding.code, "{}", finding.message);
                }
                tracing::error!(next = "milepost check FILE", "the workflow file has mistakes");
                Exit::Usage
            }
            Self::Closed => Exit::Success,
        }
    }

    /// Says it as one line of JSON, and gives the exit code.
    pub(super) fn report_json(&self, context: &Context, output: &mut Output) -> Exit {
        let (exit, document) = match self {
            Self::Problem(exit, problem) => {
                let next = problem.next.iter().map(|command| context.command(command)).collect();
                (*exit, serde_json::to_value(Problem { next, ..problem.clone() }))
            }
            Self::Mistakes(report) => {
                let mistakes = if report.errors() == 1 { "mistake" } else { "mistakes" };
                let detail = format!("the workflow file has {} {mistakes}", report.errors());
                let problem = Problem::new(ProblemKind::Invalid, code::MISTAKES, detail)
                    .next(context.command("milepost check FILE"));
                let with_findings = WithFindings { problem: &problem, report };
                (Exit::Usage, serde_json::to_value(with_findings))
            }
            Self::Closed => return Exit::Success,
        };
        match document {
            Ok(document) => output.say(&document.to_string()),
            Err(error) => output.say(&format!("error: {error}")),
        }
        exit
    }
}

/// A problem with the mistakes of a workflow file, as `check --json` has them.
#[derive(Serialize)]
struct WithFindings<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(flatten)]
    report: &'a Report,
}

/// What is wrong with a command line, as JSON, when that is what it asks for.
pub(super) fn usage(error: &clap::Error, mut line: impl Iterator<Item = String>) -> Option<String> {
    if !error.use_stderr() || !line.any(|word| word == "--json") {
        return None;
    }
    let text = error.render().to_string();
    let detail = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let problem = Problem::new(ProblemKind::Invalid, code::USAGE, detail).next("milepost --help");
    serde_json::to_string(&problem).ok()
}

fn say_problem(problem: &Problem, context: &Context, output: &mut Output) {
    let label = output.paint_talk(BAD.bold(), &format!("error[{}]", problem.code));
    output.say(&format!("{label}: {}", problem.detail));
    for candidate in &problem.candidates {
        output.say(&format!("  {candidate}"));
    }
    say_next(&problem.next, context, output);
}

/// Names the next commands.
pub(super) fn say_next(commands: &[String], context: &Context, output: &mut Output) {
    for (at, command) in commands.iter().enumerate() {
        let label = output.paint_talk(DIM, if at == 0 { "next:" } else { "     " });
        let command = output.paint_talk(BOLD, &context.command(command));
        output.show(&format!("{label} {command}"));
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Exit::of_problem(problem.kind), problem)
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Refused(problem) => problem.into(),
            client::Error::Unreachable(_) | client::Error::Broken(_) => Self::Problem(
                Exit::StateUnavailable,
                Problem::new(ProblemKind::Internal, code::ENGINE_GONE, error.to_string())
                    .next("milepost list"),
            ),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let problem = match &error {
            OpenError::Held { .. } => Problem::new(ProblemKind::Refused, code::STATE_HELD, error.to_string())
                .candidates(["reading works meanwhile; a second engine needs its own --state".to_owned()])
                .next("milepost list"),
            OpenError::Damaged(_) => {
                Problem::new(ProblemKind::Internal, code::STATE_DAMAGED, error.to_string())
                    .next("milepost state restore BACKUP")
            }
            OpenError::Broken(_) => Problem::new(ProblemKind::Internal, code::STATE_OPEN, error.to_string())
                .candidates(["mend the cause, or name another directory with --state".to_owned()])
                .next("milepost list"),
        };
        Self::Problem(Exit::StateUnavailable, problem)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Mistakes(report) => Self::Mistakes(Box::new(report)),
            StartError::Busy(_) => Self::Problem(Exit::StateUnavailable, start_problem(&error)),
            StartError::Input(_) | StartError::Problem(_) | StartError::Broken(_) => {
                start_problem(&error).into()
            }
        }
    }
}

/// The same for the API, which has no reports.
pub(super) fn start_problem(error: &StartError) -> Problem {
    let detail = error.to_string();
    match error {
        StartError::Mistakes(report) => {
            let lines =
                report.findings.iter().map(|finding| format!("{}: {}", finding.code, finding.message));
            Problem::new(ProblemKind::Invalid, code::MISTAKES, detail)
                .candidates(lines)
                .next("milepost check FILE")
        }
        StartError::Input(_) => {
            Problem::new(ProblemKind::Invalid, code::START_REFUSED, detail).next("milepost run --help")
        }
        StartError::Problem(problem) => problem.clone(),
        StartError::Busy(_) => {
            let hint = "use those stand-ins (pim: { use: sandbox, url: … }), or another --state";
            Problem::new(ProblemKind::Refused, code::SANDBOX, detail)
                .candidates([hint.to_owned()])
                .next("milepost sandbox --help")
        }
        StartError::Broken(_) => {
            Problem::new(ProblemKind::Internal, code::INTERNAL, detail).next("milepost list")
        }
    }
}

impl From<ResumeError> for Failure {
    fn from(error: ResumeError) -> Self {
        match error {
            ResumeError::Mistakes(report) => Self::Mistakes(Box::new(report)),
            other => resume_problem(&other).into(),
        }
    }
}

/// The same for the API, which has no reports.
pub(super) fn resume_problem(error: &ResumeError) -> Problem {
    let detail = error.to_string();
    match error {
        ResumeError::Unknown(_) => {
            Problem::new(ProblemKind::NotFound, code::RUN_UNKNOWN, detail).next("milepost list")
        }
        ResumeError::Problem(problem) => problem.clone(),
        ResumeError::Refused(_) | ResumeError::Busy(_) => {
            Problem::new(ProblemKind::Refused, code::RESUME_REFUSED, detail).next("milepost list")
        }
        ResumeError::Over { next, .. } => {
            Problem::new(ProblemKind::Refused, code::RESUME_REFUSED, detail).next(next)
        }
        ResumeError::Mistakes(_) | ResumeError::Broken(_) => {
            Problem::new(ProblemKind::Internal, code::INTERNAL, detail).next("milepost list")
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Problem::new(ProblemKind::Internal, code::INTERNAL, error.to_string()).next("milepost list").into()
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let next = match error {
            SandboxError::Absent(_) => "milepost serve FILE",
            _ => "milepost sandbox show",
        };
        let problem = Problem::new(ProblemKind::Internal, code::SANDBOX, error.to_string()).next(next);
        Self::Problem(Exit::StateUnavailable, problem)
    }
}
