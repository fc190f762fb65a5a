//! What can be said of a record at the gate, before any step works on it.

use serde::{Deserialize, Serialize};

/// What a step has to say about one record of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Values that no two items of a run may share, by field name (rule R1).
    pub unique: Vec<(String, String)>,
    /// What a person may want to mend, though nothing fails; the same words for the same cause,
    /// because they are counted.
    pub remarks: Vec<String>,
}

impl Survey {
    /// Adds what another step has to say.
    pub fn extend(&mut self, other: Self) {
        self.unique.extend(other.unique);
        self.remarks.extend(other.remarks);
    }
}

/// A remark with the number of records it was made about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// What.
    pub text: String,
    /// About how many records.
    pub items: u64,
}
