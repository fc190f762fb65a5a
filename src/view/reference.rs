//! How a run is named: its full ID, a unique prefix of it, `@latest` or `@failed`.

use super::archive::Archive;
use super::problem::{Problem, ProblemKind, code};
use crate::core::id::RunId;
use crate::core::run::{Run, Status};
use crate::ports::newest_first;

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
        let mut found = self.beginning_with(&digits)?;
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => {
                let newest = self.journal().runs_before(None, CANDIDATES_MAX)?;
                if newest.is_empty() {
                    return Err(none("there are no runs in this state directory"));
                }
                Err(Problem::new(
                    ProblemKind::NotFound,
                    code::RUN_UNKNOWN,
                    format!("no run is called '{text}', and none begins with it"),
                )
                .candidates(newest.iter().map(|run| self.candidate(run)))
                .next("milepost list"))
            }
            several => Err(Problem::new(
                ProblemKind::Invalid,
                code::RUN_AMBIGUOUS,
                format!("'{text}' is the beginning of {several} runs; give more of the ID"),
            )
            .candidates(found.iter().take(CANDIDATES_MAX).map(|run| self.candidate(run)))
            .next("milepost list")),
        }
    }

    /// The runs whose IDs begin with these digits, newest first. They lie side by side.
    fn beginning_with(&self, digits: &str) -> Result<Vec<Run>, Problem> {
        let bound = |last: char| {
            let rest = RunId::DIGITS.checked_sub(digits.len()).filter(|_| !digits.is_empty())?;
            let rest = last.to_string().repeat(rest);
            format!("{PREFIX}{digits}{rest}").parse::<RunId>().ok()
        };
        let (Some(first), Some(last)) = (bound('0'), bound('z')) else { return Ok(Vec::new()) };
        let older = newest_first(self.journal(), last.0.checked_add(1).map(RunId));
        let found = older.take_while(|run| run.as_ref().is_ok_and(|run| run.id >= first) || run.is_err());
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn newest(&self, text: &str, wanted: impl Fn(&Run) -> bool) -> Result<Run, Problem> {
        let mut any = false;
        for run in newest_first(self.journal(), None) {
            let run = run?;
            if wanted(&run) {
                return Ok(run);
            }
            any = true;
        }
        if any && text == "@failed" {
            return Err(none("no run is failed or interrupted"));
        }
        Err(none("there are no runs in this state directory"))
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
