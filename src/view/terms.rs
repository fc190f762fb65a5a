//! On what terms a run is resumed: the options of `resume`, the same on the command line and over
//! HTTP.

use std::fmt::Write as _;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::core::execution::DrivenBy;
use crate::core::id::RunId;
use crate::core::letter::LetterFilter;

/// Selects the items that did not succeed.
pub const ITEMS_FAILED: &str = "failed";
/// Selects the dead letters.
pub const ITEMS_DEAD_LETTERED: &str = "dead-lettered";

/// On what terms a run is resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeTerms {
    /// The items to work on: `failed`, `dead-lettered`, or keys and positions (`#17`). Empty: all,
    /// and the steps of the run itself.
    #[serde(default)]
    pub items: Vec<String>,
    /// With `dead-lettered`: only these.
    #[serde(default, deserialize_with = "object")]
    pub letters: LetterFilter,
    /// The definition to go on under.
    #[serde(default)]
    pub definition: DefinitionChoice,
    /// What is accepted of connections that are not what they were.
    #[serde(default)]
    pub accept: Option<Acceptance>,
    /// Who drives its graph from here on; left out: who did before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<DrivenBy>,
}

/// Reads an object as one: a list that happens to fit its members in order is none.
pub(super) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let members = Map::<String, Value>::deserialize(deserializer)?;
    serde_json::from_value(Value::Object(members)).map_err(Error::custom)
}

/// Which definition a run goes on under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionChoice {
    /// The one that is stored with the run.
    #[default]
    Stored,
    /// The file that the run was started from, as it is now.
    Current,
}

/// What is accepted of connections that are not what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// Each is another system now: what was done over it is done anew.
    Replaced,
    /// Each is the same system at another address: what was done stays done.
    Moved,
}

impl FromStr for DefinitionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stored" => Ok(Self::Stored),
            "current" => Ok(Self::Current),
            _ => Err("expected 'stored' or 'current'".to_owned()),
        }
    }
}

impl FromStr for Acceptance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "replaced" => Ok(Self::Replaced),
            "moved" => Ok(Self::Moved),
            _ => Err("expected 'replaced' or 'moved'".to_owned()),
        }
    }
}

impl ResumeTerms {
    /// The command that resumes on these terms: a redrive when only certain dead letters are meant. Their
    /// age is left out, because it is counted from the time of the command.
    pub fn command(&self, run: RunId) -> String {
        if self.letters == LetterFilter::default() {
            return format!("milepost resume {run}{}", self.options());
        }
        let option = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(" --{name} {}", argument(value))).unwrap_or_default()
        };
        let (step, error) = (option("step", &self.letters.step), option("error", &self.letters.error));
        format!("milepost dead-letters redrive {run}{step}{error}")
    }

    /// The options of `resume` as they are typed, each with a space before it.
    pub fn options(&self) -> String {
        let mut text = String::new();
        if self.definition == DefinitionChoice::Current {
            text.push_str(" --definition current");
        }
        for item in &self.items {
            // Writing to a string cannot fail.
            let _ = write!(text, " --items {}", argument(item));
        }
        match self.accept {
            None => {}
            Some(Acceptance::Replaced) => text.push_str(" --accept-connection"),
            Some(Acceptance::Moved) => text.push_str(" --accept-connection=moved"),
        }
        if let Some(executor) = self.executor {
            let _ = write!(text, " --executor {}", executor.word());
        }
        text
    }
}

/// A word of a command as it has to be typed in a shell.
pub fn argument(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+@:,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_can_be_pasted_into_a_shell() {
        let items = ["A-1", "#17", "it's"].map(str::to_owned).to_vec();
        let mut terms = ResumeTerms { items, ..ResumeTerms::default() };
        assert_eq!(terms.options(), r" --items A-1 --items '#17' --items 'it'\''s'");
        terms = ResumeTerms { accept: Some(Acceptance::Moved), ..ResumeTerms::default() };
        terms.definition = DefinitionChoice::Current;
        assert_eq!(terms.options(), " --definition current --accept-connection=moved");
        assert_eq!(ResumeTerms::default().options(), "");
    }
}
