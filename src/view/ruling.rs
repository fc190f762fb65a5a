//! What a person decides about single effects and dead letters, as it is asked for and answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::cell::Facts;
use crate::core::letter::LetterFilter;

/// What became of effects in doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settling {
    /// The keys of the items; empty: every effect of the run that is left to a person.
    #[serde(default)]
    pub items: Vec<String>,
    /// Only effects of this step.
    #[serde(default)]
    pub step: Option<String>,
    /// Whether they were done.
    pub done: bool,
    /// What they returned; only for effects of one step that were done.
    #[serde(default)]
    pub facts: Facts,
}

/// Which dead letters are given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dropping {
    /// The keys of the items; empty: every dead letter of the run that passes the filter.
    #[serde(default)]
    pub items: Vec<String>,
    /// Only these.
    #[serde(default)]
    pub letters: LetterFilter,
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Settling {
    /// What the effects returned, if they were done.
    pub fn outcome(&self) -> Option<Facts> {
        self.done.then(|| self.facts.clone())
    }

    /// A fact as it is typed: JSON where it is JSON, else text.
    pub fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
    }
}
