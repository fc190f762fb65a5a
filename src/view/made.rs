//! What the steps that compute make of an item: its canonical product.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::archive::Archive;
use super::problem::Problem;
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::run::Run;

/// What a step that computes makes of an item. It is not stored: it is computed again whenever somebody
/// looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MadeView {
    /// The step.
    pub step: String,
    /// What it makes; `null` when it fails.
    pub value: Option<Value>,
    /// Why it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

impl Archive {
    pub(super) fn made(&self, run: &Run, position: u64) -> Result<Vec<MadeView>, Problem> {
        let progress = self.journal().progress(run.id, Unit::Item(position))?.unwrap_or_default();
        let view = |(step, made)| match made {
            Ok(value) => MadeView { step, value: Some(value), error: None },
            Err(fault) => MadeView { step, value: None, error: Some(fault) },
        };
        Ok(self.names().made(run, position, &progress).into_iter().map(view).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::view::fake::archive;

    #[test]
    fn what_cannot_be_made_says_why() {
        let made = |key: &str| archive(false).dead_letter("@latest", key).unwrap().made.remove(0);
        let (product, failed) = (made("K2"), made("#4"));
        assert_eq!((product.value.unwrap()["title"].as_str(), product.error), (Some("Product 2"), None));
        assert_eq!((failed.value, failed.error.unwrap().name.as_str()), (None, "MappingError"));
    }
}
