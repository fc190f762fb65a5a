//! Alerts that are to be delivered, or were given up.

use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::problem::Problem;
use super::when::When;
use crate::core::alert::Alert;
use crate::core::fault::Fault;
use crate::core::id::RunId;

/// An alert that was not delivered yet. Those that were are among the events of their run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertView {
    /// The run.
    pub run: RunId,
    /// The type of what is sent: `run.failed`, `run.paused`, `run.finished`, `dead_letters.over_threshold`,
    /// `effects.in_doubt` or `alert`.
    pub alert: String,
    /// The connection that leads to whom it is for.
    pub to: String,
    /// Its ID there.
    pub id: String,
    /// When what it tells of happened.
    pub at: When,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it is tried next; `null`: it was given up.
    pub next: Option<When>,
    /// Why it was not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

impl AlertView {
    fn of(alert: Alert) -> Self {
        Self {
            run: alert.run,
            alert: alert.concern.kind().to_owned(),
            to: alert.to.clone(),
            id: alert.name(),
            at: When(alert.at),
            attempts: alert.attempts,
            next: alert.next.map(When),
            error: alert.fault,
        }
    }
}

impl Archive {
    /// The alerts that were not delivered, of one run or of all, the oldest of each run first.
    ///
    /// # Errors
    /// The records cannot be read.
    pub fn alerts(&self, of: Option<RunId>) -> Result<Vec<AlertView>, Problem> {
        Ok(self.journal().alerts(of)?.into_iter().map(AlertView::of).collect())
    }
}
