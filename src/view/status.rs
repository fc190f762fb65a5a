//! The words for where an item, or a step, stands.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Regard;
use crate::core::cell::{SkipReason, State};

/// Where a unit stands, without the instants that only the engine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitStatus {
    /// Not begun.
    Pending,
    /// A call is out.
    Running,
    /// The next attempt comes later.
    Backoff,
    /// Waits for a message or for time.
    Waiting,
    /// Perhaps done.
    InDoubt,
    /// Done.
    Succeeded,
    /// Not needed.
    Skipped,
    /// Attempts used up, or the content refused.
    DeadLettered,
    /// The same for a step of the run itself.
    Failed,
    /// The run was cancelled first.
    Cancelled,
}

impl UnitStatus {
    /// Every status with its word.
    const ALL: [(Self, &'static str); 10] = [
        (Self::Pending, "pending"),
        (Self::Running, "running"),
        (Self::Backoff, "backoff"),
        (Self::Waiting, "waiting"),
        (Self::InDoubt, "in_doubt"),
        (Self::Succeeded, "succeeded"),
        (Self::Skipped, "skipped"),
        (Self::DeadLettered, "dead_lettered"),
        (Self::Failed, "failed"),
        (Self::Cancelled, "cancelled"),
    ];

    /// The words an item can be filtered by.
    pub const ITEM_WORDS: [&'static str; 9] = [
        "pending",
        "running",
        "backoff",
        "waiting",
        "in_doubt",
        "succeeded",
        "skipped",
        "dead_lettered",
        "cancelled",
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("pending", |(_, word)| word)
    }

    /// The same for a step of the run itself, which fails instead of leaving a dead letter.
    pub(super) fn of_run_step(self) -> Self {
        if self == Self::DeadLettered { Self::Failed } else { self }
    }

    /// The same as the run is regarded: without an engine an intent without an outcome is in doubt,
    /// and in a run that was given up nothing is still to come.
    pub(super) fn regarded(self, regard: Regard) -> Self {
        match (regard, self) {
            (Regard::Lost | Regard::GivenUp, Self::Running) => Self::InDoubt,
            (Regard::GivenUp, Self::Pending | Self::Backoff | Self::Waiting) => Self::Cancelled,
            (Regard::AsRecorded | Regard::Lost | Regard::GivenUp, status) => status,
        }
    }
}

impl From<State> for UnitStatus {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::Backoff(_) => Self::Backoff,
            State::Waiting(_) => Self::Waiting,
            State::InDoubt(_) => Self::InDoubt,
            State::Succeeded => Self::Succeeded,
            State::Skipped(_) => Self::Skipped,
            State::DeadLettered => Self::DeadLettered,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl fmt::Display for UnitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for UnitStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.replace('-', "_");
        Self::ALL
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(status, _)| *status)
            .ok_or_else(|| format!("'{text}' is not one of {}", Self::ITEM_WORDS.join(", ")))
    }
}

/// The word for why a step was not needed.
pub(super) fn skip_word(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Condition => "condition",
        SkipReason::AlreadyApplied => "already_applied",
        SkipReason::Stale => "stale",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_and_agrees_with_json() {
        for (status, word) in UnitStatus::ALL {
            assert_eq!(word.parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), word);
        }
        assert_eq!("dead-lettered".parse(), Ok(UnitStatus::DeadLettered));
        assert!("dead".parse::<UnitStatus>().unwrap_err().contains("dead_lettered"));
    }
}
