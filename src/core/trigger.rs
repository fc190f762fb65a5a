//! What starts runs from outside, and what it says.

use super::digest::hex;
use super::queue::{Stray, Ticket};
use super::version::Version;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Digits of a digest in a start key: half of a SHA-256, so that two starts never share a key.
const DIGITS: usize = 32;

/// Something that happened outside, for which one run is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// What the run is about: the value of the trigger's input.
    pub subject: String,
    /// What tells this occasion from every other one of the trigger, and is the same however often
    /// it is told.
    pub identity: String,
    /// How new the subject is (rule R6); `None`: as new as its run.
    pub version: Option<Version>,
}

/// What becomes of what happens while a workflow has no room for another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenBusy {
    /// It stays where it is: nothing is listened to meanwhile.
    Stays,
    /// Its run is recorded, and waits in line.
    Waits,
    /// It is passed over, when a run that the trigger started has not ended.
    Skips,
}

/// Something that a trigger remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The trigger, as [`name_of`] names it.
    pub of: String,
    /// What is remembered something of.
    pub subject: String,
    /// What; `None` forgets it.
    pub seen: Option<String>,
}

/// The name under which a trigger remembers: another one for each workflow, profile and trigger.
pub fn name_of(workflow: &str, profile: Option<&str>, trigger: &str) -> String {
    serde_json::json!([workflow, profile, trigger]).to_string()
}

/// One message about occasions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened, in the order of the message.
    pub occasions: Vec<Occasion>,
    /// What the message says beside that, and why it starts nothing.
    pub passed_over: Vec<String>,
    /// Names this delivery of the message.
    pub ticket: Ticket,
}

/// What listening came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing happened.
    Nothing,
    /// A message.
    Notice(Notice),
    /// Something that cannot be read. It shows again, until whoever owns the queue takes it away.
    Stray(Stray),
}

/// The start key of an occasion: one for each workflow, profile and trigger, so that two workflows
/// which hear of one upload both start. A workflow is known by its name.
pub fn start_key(workflow: &str, profile: Option<&str>, trigger: &str, identity: &str) -> String {
    let mut digest = Sha256::new();
    // A profile is no empty text.
    for part in [profile.unwrap_or_default(), identity] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest = hex(&digest.finalize());
    format!("{workflow}/{trigger}/{}", &digest[..DIGITS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workflow_profile_and_trigger_starts_its_own_run_once() {
        let key = start_key("sync", Some("production"), "uploads", "a");
        assert_eq!(key, start_key("sync", Some("production"), "uploads", "a"));
        assert!(key.starts_with("sync/uploads/"), "{key}");
        for other in [
            start_key("copy", Some("production"), "uploads", "a"),
            start_key("sync", None, "uploads", "a"),
            start_key("sync", Some("test"), "uploads", "a"),
            start_key("sync", Some("production"), "returns", "a"),
            start_key("sync", Some("production"), "uploads", "b"),
            start_key("sync", Some("productiona"), "uploads", ""),
        ] {
            assert_ne!(key, other);
        }
        let longest = "x".repeat(64);
        assert!(start_key(&longest, Some(&longest), &longest, &"k".repeat(2_000)).len() <= 200);
    }
}
