//! Why a question is not answered: a small document with a code, candidates and the next command.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ports::StoreError;

/// What kind of trouble it is; exit codes and HTTP statuses follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The question itself is wrong.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// It does not fit the present state.
    Refused,
    /// The store, or the engine, failed.
    Internal,
}

/// A question that is not answered. The same document everywhere: on stderr, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of trouble it is.
    pub kind: ProblemKind,
    /// A stable code, for example `E-RUN-UNKNOWN`.
    pub code: String,
    /// What is wrong, one line.
    pub detail: String,
    /// What may have been meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// What to type next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
}

impl Problem {
    /// A problem without candidates and next commands.
    pub fn new(kind: ProblemKind, code: &str, detail: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), detail: detail.into(), candidates: Vec::new(), next: Vec::new() }
    }

    /// The same with what may have been meant.
    #[must_use]
    pub fn candidates(mut self, candidates: impl IntoIterator<Item = String>) -> Self {
        self.candidates.extend(candidates);
        self
    }

    /// The same with a command to type next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(ProblemKind::Internal, "E-STATE-READ", format!("failed to read the state: {error}"))
    }
}
