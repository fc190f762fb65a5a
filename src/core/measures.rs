//! What an engine counts about itself while it lives.

use std::collections::BTreeMap;

use super::tally::Calls;

/// Upper bounds of the histogram of commits, in seconds; above the last there is one bucket more.
pub const COMMIT_BOUNDS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

/// What an engine counted since it began. Everything only grows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// Commits by how long they took until they were durable, as [`COMMIT_BOUNDS`] has them.
    pub commits: [u64; COMMIT_BOUNDS.len() + 1],
    /// How long all of them took together, in seconds.
    pub commit_seconds: f64,
    /// What connectors were asked for.
    pub calls: Calls,
    /// Attempts that did not succeed.
    pub setbacks: u64,
    /// Attempts to deliver alerts, by what came of them.
    pub alerts: AlertAttempts,
    /// What was sent to each hook, by what came of it.
    pub received: BTreeMap<(String, Reception), u64>,
}

/// Attempts to deliver alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertAttempts {
    /// It was taken.
    pub delivered: u64,
    /// It was not, and is tried again.
    pub failed: u64,
    /// It was not, and was given up.
    pub given_up: u64,
}

impl AlertAttempts {
    /// Adds more of them.
    pub fn add(&mut self, more: Self) {
        self.delivered += more.delivered;
        self.failed += more.failed;
        self.given_up += more.given_up;
    }
}

/// What came of something that was sent to a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reception {
    /// It is a signal now.
    Signal,
    /// It came before.
    Known,
    /// It tells of nothing that the hook is made for.
    Nothing,
    /// It was not proven from whom it is.
    Unproven,
    /// No signal can be made of it.
    Unreadable,
    /// It could not be dealt with, and is to be sent again.
    Later,
}

impl Reception {
    /// It in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Known => "known",
            Self::Nothing => "nothing",
            Self::Unproven => "unproven",
            Self::Unreadable => "unreadable",
            Self::Later => "later",
        }
    }
}

impl Measures {
    /// A commit more.
    pub fn committed(&mut self, seconds: f64) {
        let at = COMMIT_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(COMMIT_BOUNDS.len());
        self.commits[at] += 1;
        self.commit_seconds += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_is_in_one_bucket() {
        let mut measures = Measures::default();
        for seconds in [0.0, 0.000_5, 0.000_6, 2.5, 9.0] {
            measures.committed(seconds);
        }
        assert_eq!(measures.commits, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    }
}
