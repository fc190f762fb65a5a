//! What a server is asked for beside what is done to one run.

use serde::{Deserialize, Serialize};

use super::terms::ResumeTerms;

/// A resume that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeOrder {
    /// On what terms.
    #[serde(default)]
    pub terms: ResumeTerms,
    /// Only if the hash of the plan begins with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Who asks.
    #[serde(default)]
    pub by: String,
}
