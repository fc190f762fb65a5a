//! Names within what AWS allows, and unique without asking anybody.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::core::digest::hex;

/// The longest name of an activity, a state machine or a state.
pub(super) const NAME_MAX: usize = 80;
/// What all that we make in an account begins with, so that a policy can name it.
const BEGIN: &str = "milepost-";
/// How many digits of a digest tell names apart.
const DIGITS: usize = 10;

/// How activities are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The ARN of an activity without its name: `arn:aws:states:REGION:ACCOUNT:activity:`.
    arn: String,
    engine: String,
}

/// An activity over which orders come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What is ordered over it.
    pub serves: Serves,
}

/// What is ordered over an activity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Serves {
    /// The work of a step, or its skipping.
    Step(String),
    /// The judgement of the run.
    Close,
    /// A step of `on_failure`, by its position (from 0).
    Closing(usize),
}

impl Naming {
    /// Names in one region of one account for one engine.
    ///
    /// `arn` is the ARN of an activity up to its name. `engine` is a short name of the state directory, of
    /// letters, digits, `-` and `_`: two engines must not take each other's orders.
    pub fn new(arn: &str, engine: &str) -> Self {
        Self { arn: arn.to_owned(), engine: engine.to_owned() }
    }

    /// The activity that serves this of a workflow.
    pub fn activity(&self, workflow: &str, serves: Serves) -> Activity {
        let (kind, what) = match &serves {
            Serves::Step(step) => ("step", step.clone()),
            Serves::Close => ("close", "close".to_owned()),
            Serves::Closing(position) => ("closing", format!("on_failure-{position}")),
        };
        let name = self.told_apart(workflow, &what, &json!([self.engine, workflow, kind, what]));
        Activity { arn: format!("{}{name}", self.arn), name, serves }
    }

    /// The state machine of a workflow under the definition with this digest.
    pub(super) fn machine(&self, workflow: &str, digest: &str) -> String {
        self.told_apart(workflow, "", &json!([self.engine, workflow, digest]))
    }

    /// A name for people, and a digest of what it means: `a-b` and `c` are not `a` and `b-c`. No letters but
    /// those that every part of AWS takes.
    fn told_apart(&self, workflow: &str, what: &str, meant: &Value) -> String {
        let digest = &hex(&Sha256::digest(meant.to_string()))[..DIGITS];
        let parts = [self.engine.as_str(), workflow, what].join("-");
        let most = NAME_MAX - BEGIN.len() - DIGITS - 1;
        let kept: String = parts.trim_end_matches('-').chars().take(most).collect();
        format!("{BEGIN}{kept}-{digest}")
    }
}

/// The name itself when it is short enough, else its beginning and a digest of the whole.
pub(super) fn fitted(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_MAX - DIGITS - 1).collect();
    format!("{kept}-{}", &hex(&Sha256::digest(name))[..DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_tell_apart_what_differs() {
        let naming = Naming::new("arn:aws:states:eu-central-1:123456789012:activity:", "e1");
        let name = |workflow: &str, serves| naming.activity(workflow, serves).name;
        assert_eq!(name("sync", Serves::Step("pim".into())), "milepost-e1-sync-pim-3cb02ec3b3");
        assert_ne!(name("sync", Serves::Close), name("sync", Serves::Step("close".into())));
        assert_ne!(name("a-b", Serves::Step("c".into())), name("a", Serves::Step("b-c".into())));
        let long = |end: &str| name(&"w".repeat(64), Serves::Step(format!("{}{end}", "s".repeat(60))));
        assert_eq!(long("one").len(), NAME_MAX);
        assert_ne!(long("one"), long("two"));
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        assert!(name("sync", Serves::Closing(3)).chars().all(allowed));
    }
}
