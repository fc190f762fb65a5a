//! What people did that is about no one run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::problem::Problem;
use super::when::When;
use crate::core::deed::{Deed, Done};

/// Deeds on a page when nothing else is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Most deeds on a page.
const LIMIT_MAX: usize = 1_000;

/// Which deeds to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeedFilter {
    /// Only those before this one: where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Deeds, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeedPage {
    /// The deeds.
    pub deeds: Vec<DeedView>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<u64>,
}

/// Something that was done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeedView {
    /// Its number, from 0.
    pub deed: u64,
    /// When.
    pub at: When,
    /// Who.
    pub by: String,
    /// What.
    #[serde(flatten)]
    pub what: Done,
}

impl Archive {
    /// What people did that is about no one run, newest first.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn deeds(&self, filter: &DeedFilter) -> Result<DeedPage, Problem> {
        let limit = filter.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let found = self.journal().deeds(filter.after, limit)?;
        let is_full = found.len() == limit;
        let next = found.last().map(|(number, _)| *number).filter(|number| is_full && *number > 0);
        let view = |(deed, Deed { at, by, what })| DeedView { deed, at: When(at), by, what };
        Ok(DeedPage { deeds: found.into_iter().map(view).collect(), next })
    }
}
