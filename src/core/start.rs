//! Start keys: a key names the start of a run, once and for all (rule R6 at the door). The key and
//! the run that it names are made in one commit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::RunId;
use super::run::Run;
use super::time::Timestamp;

/// How long a key is remembered after its run ended: longer than anybody delivers anything again.
pub const KEEP: Duration = Duration::from_hours(14 * 24);

/// What was started under a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartKey {
    /// The key as it was given.
    pub key: String,
    /// The run.
    pub run: RunId,
    /// What was asked for.
    pub asked: Fingerprint,
    /// Remembered until then whatever becomes of the run's records; `None`: as long as those say.
    /// Whoever removes the records of a run that has ended puts this first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a start asks for, as two digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of the definition, the files it names, and the profile.
    pub definition: String,
    /// Of the input.
    pub input: String,
}

impl StartKey {
    /// Whether the key may be forgotten, and be used for another start. `run` is the run as it is
    /// recorded, `None` when its records were removed.
    pub fn is_expired(&self, run: Option<&Run>, now: Timestamp) -> bool {
        let of_run = run.filter(|run| run.status.is_ended()).and_then(|run| run.ended_at);
        match (self.until, of_run) {
            (Some(until), _) => now >= until,
            (None, Some(ended)) => now >= ended.after(KEEP),
            // A run that has not ended protects its key. One that is gone without a word does not.
            (None, None) => run.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Status;

    fn run() -> Run {
        let fields = serde_json::json!({
            "id": RunId(1).to_string(), "workflow": "w", "file": "w.yaml", "definition": "d", "files": {},
            "input": {}, "profile": null, "status": "running", "started_at": 1, "ended_at": null,
            "source": null, "epoch": 1, "closings": 0, "fault": null,
        });
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn a_key_outlives_its_run_by_its_keep() {
        let asked = Fingerprint { definition: "d".to_owned(), input: "i".to_owned() };
        let key = StartKey { key: "k".to_owned(), run: RunId(1), asked, until: None };
        let at = Timestamp(5_000);
        let ended = |status| Run { ended_at: Some(at), status, ..run() };
        let running = Run { ended_at: None, status: Status::Interrupted, ..run() };
        assert!(!key.is_expired(Some(&running), Timestamp(u64::MAX)), "it may still be resumed");
        for status in [Status::Succeeded, Status::Failed, Status::Cancelled] {
            assert!(!key.is_expired(Some(&ended(status)), Timestamp(at.after(KEEP).0 - 1)));
            assert!(key.is_expired(Some(&ended(status)), at.after(KEEP)));
        }
        let kept = StartKey { until: Some(at), ..key };
        assert!(!kept.is_expired(None, Timestamp(4_999)) && kept.is_expired(None, at));
    }
}
