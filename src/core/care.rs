//! What can be said about the state as a whole: whether it is sound, what it holds, what may go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::Fault;
use super::id::RunId;
use super::run::Status;
use super::time::Timestamp;

/// How long a run can be resumed after its end, when its workflow file does not say (rule R9).
pub const RESUMABLE_FOR: Duration = Duration::from_hours(30 * 24);

/// What kind of damage was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The journal itself cannot be read here.
    Journal,
    /// A row does not have its checksum, or does not say what such a row says.
    Row,
    /// A row has a format that this version does not know.
    Format,
    /// A row belongs to a run that does not exist.
    RunMissing,
    /// Counts are not what the records come to.
    Tally,
    /// An item before the watermark is not at rest.
    Watermark,
    /// Records that should lie without a gap have one.
    Gap,
    /// A block says that a record has a row of its own, and it has none; or the reverse.
    Spill,
    /// The definition of a run cannot be used.
    Definition,
    /// A content-addressed file is missing.
    FileMissing,
    /// A content-addressed file is not what was put there.
    FileDamaged,
}

impl Damage {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Row => "row",
            Self::Format => "format",
            Self::RunMissing => "run_missing",
            Self::Tally => "tally",
            Self::Watermark => "watermark",
            Self::Gap => "gap",
            Self::Spill => "spill",
            Self::Definition => "definition",
            Self::FileMissing => "file_missing",
            Self::FileDamaged => "file_damaged",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of damage.
    pub kind: Damage,
    /// Where, in words.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

/// What was read while the state was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Rows of the journal.
    pub rows: u64,
    /// Runs.
    pub runs: u64,
    /// Items with a record.
    pub items: u64,
    /// Messages in embedded queues.
    pub messages: u64,
    /// Content-addressed files that rows name.
    pub files: u64,
}

/// Nothing wrong, but nobody needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collectable {
    /// Content-addressed files that no row names.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of runs whose removal was cut short.
    pub rows: u64,
    /// Files that a process left when it died, by name.
    pub leftovers: Vec<String>,
}

/// What a check of the state came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Nothing is wrong.
    pub sound: bool,
    /// What was read.
    pub seen: Seen,
    /// How many findings of each kind.
    pub counts: BTreeMap<String, u64>,
    /// Everything that is wrong, in the order of the rows.
    pub findings: Vec<Finding>,
    /// What `gc` would remove without asking anything.
    pub collectable: Collectable,
}

impl Verified {
    /// A finding more.
    pub fn add(&mut self, kind: Damage, place: impl Into<String>, what: impl Into<String>) {
        *self.counts.entry(kind.word().to_owned()).or_default() += 1;
        self.findings.push(Finding { kind, place: place.into(), what: what.into() });
    }
}

/// Rows of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSize {
    /// Which, in words.
    pub kind: String,
    /// How many.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
}

/// How much the state holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Rows by kind, the largest first.
    pub kinds: Vec<KindSize>,
    /// Items with a record.
    pub items: u64,
    /// Bytes of rows for each item; `None` without items.
    pub bytes_per_item: Option<u64>,
    /// Content-addressed files.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Bytes of the journal on disk: the rows, and room that it keeps.
    pub journal_bytes: u64,
    /// Journal and content-addressed files.
    pub total_bytes: u64,
}

/// What becomes of one run when the state is collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunFate {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: String,
    /// Where it stands.
    pub status: Status,
    /// Whether it goes.
    pub goes: bool,
    /// Why it goes, or stays.
    pub why: String,
    /// Its dead letters, each of which keeps a record of its own when the run goes.
    pub dead_letters: u64,
}

/// What a collection removes, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Collection {
    /// Whether it was carried out.
    pub done: bool,
    /// Every run, the oldest first.
    pub runs: Vec<RunFate>,
    /// Runs whose removal was cut short before, and is completed.
    pub completed: Vec<RunId>,
    /// Rows that are removed.
    pub rows: u64,
    /// Idempotency keys among them whose time is over.
    pub expired_keys: u64,
    /// Content-addressed files that are removed.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Backup {
    /// The file.
    pub file: String,
    /// Its bytes.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Runs in it.
    pub runs: u64,
    /// Content-addressed files in it.
    pub files: u64,
    /// The SHA-256 it ends with, which is of all before it.
    pub sha256: String,
}

/// A dead letter that outlived its run (rule R9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptDeadLetter {
    /// The run it was in.
    pub run: RunId,
    /// That run's workflow.
    pub workflow: String,
    /// Its item key, if its record has one.
    pub item: Option<String>,
    /// Its position in the source of the run.
    pub position: u64,
    /// The step it ended at.
    pub step: String,
    /// Why.
    pub fault: Option<Fault>,
    /// Attempts at that step.
    pub attempts: u32,
    /// When it became a dead letter.
    pub at: Timestamp,
    /// Its record: the value, or the text when that is not JSON; null when there is none.
    #[serde(default)]
    pub record: Value,
}

/// Why a run goes, or why it stays (rule R9).
///
/// # Errors
/// Why it stays.
pub fn may_go(
    status: Status,
    ended_at: Option<Timestamp>,
    released: Option<Timestamp>,
    resumable_for: Duration,
    now: Timestamp,
) -> Result<String, String> {
    if released.is_some() {
        return Ok("a person closed it".to_owned());
    }
    if !status.is_ended() {
        return Err(format!("it is {}: only `close` lets it go", status.word()));
    }
    let Some(ended_at) = ended_at else { return Err("nobody knows when it ended".to_owned()) };
    let (age, kept) = (now.since(ended_at), days(resumable_for));
    if age > resumable_for {
        return Ok(format!("it ended {} ago, and is kept for {kept}", days(age)));
    }
    let left = days(resumable_for.saturating_sub(age));
    Err(format!("it {} {} ago: kept for {kept}, {left} to go", status.word(), days(age)))
}

fn days(time: Duration) -> String {
    let hours = time.as_secs() / 3_600;
    match hours {
        0 => format!("{} min", time.as_secs() / 60),
        1..48 => format!("{hours} h"),
        _ => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn fate(status: Status, ended: Option<u64>, released: bool) -> Result<String, String> {
        let now = Timestamp(100 * DAY);
        may_go(status, ended.map(Timestamp), released.then_some(now), RESUMABLE_FOR, now)
    }

    #[test]
    fn a_run_goes_when_it_ended_long_ago_or_was_closed_and_never_otherwise() {
        use Status as S;
        for status in [S::Succeeded, S::Failed, S::Cancelled] {
            assert!(fate(status, Some(69 * DAY), false).is_ok());
            assert!(fate(status, Some(70 * DAY), false).is_err(), "to the millisecond");
            assert!(fate(status, None, false).is_err());
            assert!(fate(status, Some(99 * DAY), true).is_ok());
        }
        for status in [S::Queued, S::Running, S::Waiting, S::Paused, S::Interrupted] {
            assert!(fate(status, Some(DAY), false).is_err(), "{status:?} has no age");
            assert!(fate(status, None, true).is_ok());
        }
        let failed = fate(S::Failed, Some(98 * DAY), false).unwrap_err();
        assert_eq!(failed, "it failed 2 days ago: kept for 30 days, 28 days to go");
    }
}
