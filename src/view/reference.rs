//! How a run is named: its full ID, a unique prefix of it, `@latest` or `@failed`.

use super::archive::Archive;
use super::problem::{Problem, ProblemKind, code};
use crate::core::id::RunId;
use crate::core::run::{Run, Status};

/// Most candidates listed with a reference that does not name one run.
const CANDIDATES_MAX: usize = 5;
const PREFIX: &str = "run_";

impl Archive {
    /// The run that `reference` names.
    ///
    /// # Errors
    /// [`code::RUN_UNKNOWN`], [`code::RUN_AMBIGUOUS`] or [`code::RUN_NONE`], with candidates.
    pub fn find(&self, reference: &str) -> Result<Run, Problem> {
        let text = reference.trim();
        match text {
            "@latest" => self.newest(text, |_| true),
            "@failed" => self.newest(text, |run| self.is_resumable(run)),
            _ if text.starts_with('@') => {
                Err(Problem::new(ProblemKind::Invalid, code::RUN_REFERENCE, format!("'{text}' names no run"))
                    .candidates(["@latest".to_owned(), "@failed".to_owned()])
                    .next("milepost list"))
            }
            _ => self.by_id(text),
        }
    }

    fn by_id(&self, text: &str) -> Result<Run, Problem> {
        if let Ok(id) = text.parse::<RunId>()
            && let Some(run) = self.journal().run(id)?
        {
            return Ok(run);
        }
        let digits = text.strip_prefix(PREFIX).unwrap_or(text).to_ascii_lowercase();
        let mut runs = self.journal().runs()?;
        if runs.is_empty() {
            return Err(none("there are no runs in this state directory"));
        }
        let wanted = format!("{PREFIX}{digits}");
        let matches = |run: &Run| !digits.is_empty() && run.id.to_string().starts_with(&wanted);
        let found: Vec<usize> = (0..runs.len()).filter(|at| matches(&runs[*at])).collect();
        match found.as_slice() {
            [only] => Ok(runs.swap_remove(*only)),
            [] => Err(Problem::new(
                ProblemKind::NotFound,
                code::RUN_UNKNOWN,
                format!("no run is called '{text}', and none begins with it"),
            )
            .candidates(runs.iter().take(CANDIDATES_MAX).map(|run| self.candidate(run)))
            .next("milepost list")),
            several => Err(Problem::new(
                ProblemKind::Invalid,
                code::RUN_AMBIGUOUS,
                format!("'{text}' is the beginning of {} runs; give more of the ID", several.len()),
            )
            .candidates(several.iter().take(CANDIDATES_MAX).map(|at| self.candidate(&runs[*at])))
            .next("milepost list")),
        }
    }

    fn newest(&self, text: &str, wanted: impl Fn(&Run) -> bool) -> Result<Run, Problem> {
        let runs = self.journal().runs()?;
        let any = !runs.is_empty();
        runs.into_iter().find(wanted).ok_or_else(|| {
            if any && text == "@failed" {
                none("no run is failed or interrupted")
            } else {
                none("there are no runs in this state directory")
            }
        })
    }

    fn is_resumable(&self, run: &Run) -> bool {
        run.released.is_none() && matches!(self.status(run), Status::Failed | Status::Interrupted)
    }

    fn candidate(&self, run: &Run) -> String {
        format!("{} {} {}", run.id, run.workflow, self.status(run).word())
    }
}

fn none(detail: &str) -> Problem {
    Problem::new(ProblemKind::NotFound, code::RUN_NONE, detail).next("milepost list")
}
