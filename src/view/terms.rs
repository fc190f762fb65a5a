//! On what terms a run is resumed: the options of `resume`, the same on the command line and over
//! HTTP.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::core::letter::LetterFilter;

/// Selects the items that did not succeed.
pub const ITEMS_FAILED: &str = "failed";
/// Selects the dead letters.
pub const ITEMS_DEAD_LETTERED: &str = "dead-lettered";

/// On what terms a run is resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeTerms {
    /// The items to work on: `failed`, `dead-lettered`, or keys and positions (`#17`). Empty: all,
    /// and the steps of the run itself.
    pub items: Vec<String>,
    /// With `dead-lettered`: only these.
    #[serde(default)]
    pub letters: LetterFilter,
}

impl ResumeTerms {
    /// The options as they are typed, each with a space before it.
    pub fn options(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            // Writing to a string cannot fail.
            let _ = write!(text, " --items {}", quoted(item));
        }
        text
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/@+,".contains(letter);
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
        let terms = ResumeTerms { items, ..ResumeTerms::default() };
        assert_eq!(terms.options(), r" --items A-1 --items '#17' --items 'it'\''s'");
        assert_eq!(ResumeTerms::default().options(), "");
    }
}
