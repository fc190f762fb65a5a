//! Signals: what somebody outside says about a key, and who waits for it (rule R7).
//!
//! A signal becomes a message for each item that waits for it, in the commit that takes it in; one
//! that came before the wait is found by the item in the commit in which it begins to wait. Which
//! signal counts for whom is decided here and nowhere else.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cell::{Facts, SkipReason, State};
use super::change::Message;
use super::digest;
use super::event::{Event, RunEvent};
use super::id::RunId;
use super::plan::Track;
use super::progress::Progress;
use super::queue::Carried;
use super::time::Timestamp;
use super::version::Version;

/// How long a signal is kept when nothing is said: as long as idempotency keys, the longest
/// redelivery of those who send them.
pub const KEEP: Duration = Duration::from_hours(14 * 24);
/// The longest that a signal is kept: nobody means a thousand years.
pub const KEEP_MAX: Duration = Duration::from_hours(3_650 * 24);
/// How long an item waits when the step does not say.
pub const TIMEOUT: Duration = Duration::from_hours(1);
/// What the queues of messages for waiting steps begin with.
const QUEUE: &str = "signal.wait/";
/// Longest name, key or ID, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 512;
/// Longest payload as JSON, in bytes: it is kept with every item that it wakes.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024;

/// What somebody outside says about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// What happened, for example `product.published`.
    pub name: String,
    /// What it is about.
    pub key: String,
    /// What the sender calls it. One that came before under this name and key is the same signal.
    pub id: String,
    /// When it was taken in.
    pub at: Timestamp,
    /// How new what it tells of is, if the sender says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Only items of this workflow are meant; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// What else the sender says.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    /// Which person sent it; `None`: a system, and the ID says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Kept until then, for those who begin to wait later. Not after `at`: what can be asked for again
    /// is not kept.
    pub until: Timestamp,
}

/// A signal that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The signal.
    pub signal: Signal,
    /// How many waiting items it has woken.
    pub woke: u64,
}

/// What became of a signal that was taken in. It is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenIn {
    /// It came before, under the same ID: nothing was done.
    pub known: bool,
    /// How many waiting items it has woken by now.
    pub woke: u64,
    /// How many items wait for it, and have done what it is about since it was true.
    pub too_old_for: u64,
    /// Kept until then.
    pub until: Timestamp,
}

/// What a step waits for, as it was prepared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The signal's name.
    pub signal: String,
    /// What it is to be about.
    pub key: String,
    /// What it tells of must be at least as new as this, if it says how new that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// An item that waits for a signal. Its record says so too, and that is what counts: this says where
/// the item is found by what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaiting {
    /// The run.
    pub run: RunId,
    /// The item's position.
    pub item: u64,
    /// The step's place on the item track.
    pub step: u32,
    /// Where its message goes.
    pub queue: String,
    /// The run's workflow.
    pub workflow: String,
    /// What it waits for.
    pub subject: Subject,
    /// Its own effect began then: what was said before is about something else.
    pub since: Timestamp,
    /// When it began to wait: what is kept no longer by then does not count. Waits of older builds do
    /// not say; nothing is asked of them but by signals that come later.
    #[serde(default)]
    pub at: Timestamp,
    /// When it gives up.
    pub until: Timestamp,
}

/// A signal's name and key, as few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub u128);

impl Topic {
    /// The topic of a name and a key.
    pub fn of(name: &str, key: &str) -> Self {
        Self(half_of(&[name, key]))
    }
}

impl Signal {
    /// What it is about.
    pub fn topic(&self) -> Topic {
        Topic::of(&self.name, &self.key)
    }

    /// Its ID, as few bytes.
    pub fn digest(&self) -> u128 {
        half_of(&[&self.id])
    }

    /// Whether it is newer than the effect of the item that waits. Where both sides say how new the
    /// content is, that decides, because it is one clock's word; else the time at which it was taken in,
    /// against the time at which the effect began.
    pub fn counts_for(&self, subject: &Subject, since: Timestamp) -> bool {
        match (&self.version, &subject.after) {
            (Some(version), Some(after)) => {
                Version(version.clone()).compare(&Version(after.clone())) != Ordering::Less
            }
            _ => self.at >= since,
        }
    }

    /// Whether it is meant for items of this workflow.
    pub fn is_for(&self, workflow: &str) -> bool {
        self.workflow.as_ref().is_none_or(|wanted| wanted == workflow)
    }

    /// Whether it ends the wait of an item.
    pub fn wakes(&self, awaiting: &Awaiting) -> bool {
        self.is_for(&awaiting.workflow) && self.counts_for(&awaiting.subject, awaiting.since)
    }

    /// The message for an item that waits.
    pub fn message(&self, awaiting: &Awaiting) -> (Message, Carried) {
        let message = Message {
            queue: awaiting.queue.clone(),
            run: awaiting.run,
            item: Some(awaiting.item),
            event_id: half_of(&[&self.name, &self.key, &self.id, &awaiting.item.to_string()]),
            detail_type: self.name.clone(),
            digest: String::new(),
        };
        let content = serde_json::to_value(self).unwrap_or_default();
        let (key, version) = (Some(self.key.clone()), self.version.clone());
        (message, Carried { key, version, content: Arc::new(content) })
    }

    /// What is told of it in the run of an item that it wakes: that a person did that. What systems tell is
    /// only in the record of the item.
    pub fn told(&self, awaiting: &Awaiting) -> Option<Event> {
        let what = RunEvent::Signalled {
            step: awaiting.queue.strip_prefix(QUEUE).unwrap_or_default().to_owned(),
            item: awaiting.item,
            signal: self.name.clone(),
            id: self.id.clone(),
            by: self.by.clone()?,
        };
        Some(Event { at: self.at, what })
    }

    /// The signal that a message carries.
    pub fn carried(carried: Option<&Carried>) -> Option<Self> {
        serde_json::from_value((*carried?.content).clone()).ok()
    }

    /// What the step that waited for it returns.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::from([
            ("signal".to_owned(), Value::from(self.name.as_str())),
            ("key".to_owned(), Value::from(self.key.as_str())),
            ("id".to_owned(), Value::from(self.id.as_str())),
        ]);
        let version = self.version.as_ref().map_or(Value::Null, |version| json!(version));
        for (name, value) in [("version", version), ("payload", self.payload.clone())] {
            if !value.is_null() {
                facts.insert(name.to_owned(), value);
            }
        }
        facts
    }

    /// What is wrong with it, if it cannot be taken in.
    pub fn wrong(&self) -> Option<String> {
        for (what, text) in [("name", &self.name), ("key", &self.key), ("id", &self.id)] {
            if text.is_empty() || text.len() > TEXT_BYTES_MAX {
                return Some(format!("a signal's {what} has 1 to {TEXT_BYTES_MAX} bytes"));
            }
        }
        if self.until > self.at.after(KEEP_MAX) {
            return Some(format!("a signal is kept for at most {} days", KEEP_MAX.as_secs() / 86_400));
        }
        let is_long = self.payload.to_string().len() > PAYLOAD_BYTES_MAX;
        is_long.then(|| format!("a signal's payload has at most {PAYLOAD_BYTES_MAX} bytes as JSON"))
    }
}

impl Kept {
    /// Whether it is over: as if it had never come, whether or not it was removed by now.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.signal.until
    }

    /// Whether it ends the wait of an item that begins to wait.
    pub fn wakes(&self, awaiting: &Awaiting) -> bool {
        !self.is_expired(awaiting.at) && self.signal.wakes(awaiting)
    }
}

impl Subject {
    /// The topic that it waits for.
    pub fn topic(&self) -> Topic {
        Topic::of(&self.signal, &self.key)
    }

    /// What the record of the item says while it waits.
    pub fn facts(&self) -> Facts {
        Facts::from([
            ("signal".to_owned(), Value::from(self.signal.as_str())),
            ("key".to_owned(), Value::from(self.key.as_str())),
        ])
    }
}

/// The queue of the engine's own that messages for a waiting step lie in.
pub fn queue(step: &str) -> String {
    format!("{QUEUE}{step}")
}

/// Since when a signal counts for a unit at this progress; `None`: it had no effect.
pub fn since(track: &Track, progress: &Progress, step: usize) -> Option<Timestamp> {
    let began = |at: usize| {
        let cell = &progress.cells[at];
        match cell.state {
            State::Skipped(SkipReason::Condition) => None,
            State::Skipped(SkipReason::AlreadyApplied | SkipReason::Stale) => Some(cell.at),
            _ => cell.began.or(Some(cell.at)),
        }
    };
    track.steps[step].follows.iter().filter_map(|at| began(*at)).max()
}

/// Half of a digest of texts: two of a trillion signals meet by chance once in 10^14 tries.
fn half_of(texts: &[&str]) -> u128 {
    let mut said = Sha256::new();
    for text in texts {
        said.update((text.len() as u64).to_be_bytes());
        said.update(text);
    }
    digest::half(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::catalog::Role;
    use crate::core::cell::SettleBy;
    use crate::core::tests::{effect, pure, step};

    fn signal() -> Signal {
        Signal {
            name: "product.published".to_owned(),
            key: "SKU-1".to_owned(),
            id: "1".to_owned(),
            at: Timestamp(20),
            version: None,
            workflow: None,
            payload: Value::Null,
            by: None,
            until: Timestamp(30),
        }
    }

    fn awaiting() -> Awaiting {
        let subject = Subject { signal: signal().name, key: signal().key, after: None };
        Awaiting {
            run: RunId(1),
            item: 7,
            step: 2,
            queue: queue("published"),
            workflow: "w".to_owned(),
            subject,
            since: Timestamp(10),
            at: Timestamp(25),
            until: Timestamp(100),
        }
    }

    #[test]
    fn a_signal_must_be_newer_than_the_nearest_effects_before_the_wait() {
        let track = Track::new(vec![
            effect("first", &[], SettleBy::Probe),
            effect("pim", &[0], SettleBy::Probe),
            pure("map", &[1]),
            effect("search", &[0], SettleBy::Probe),
            step("published", Role::Listen, &[2, 3]),
        ]);
        assert_eq!(track.steps[4].follows, [1, 3]);
        let followed: Vec<usize> = (0..5).filter(|at| track.is_followed(*at)).collect();
        assert_eq!(followed, [1, 3], "when these began is kept");
    }

    #[test]
    fn one_that_is_over_wakes_nobody_who_begins_to_wait_then() {
        let kept = Kept { signal: signal(), woke: 0 };
        let wakes = |at: u64| kept.wakes(&Awaiting { at: Timestamp(at), ..awaiting() });
        assert_eq!([20, 29, 30, 31].map(wakes), [true, true, false, false]);
        let asked = Signal { until: signal().at, ..signal() };
        assert!(asked.wakes(&awaiting()), "what is not kept wakes whoever waits already");
    }

    #[test]
    fn a_wait_of_an_older_build_is_read() {
        let mut row = serde_json::to_value(awaiting()).unwrap();
        row.as_object_mut().unwrap().remove("at");
        let read: Awaiting = serde_json::from_value(row).unwrap();
        assert_eq!(read, Awaiting { at: Timestamp(0), ..awaiting() });
        assert!(signal().wakes(&read), "a signal that comes now ends it");
    }

    #[test]
    fn what_is_stored_names_topics_signals_and_their_messages_as_ever() {
        let signal = signal();
        assert_eq!(signal.topic().0, 0xcdf0_a6fb_ffdb_d898_803a_bc73_4341_65f1);
        assert_eq!(awaiting().subject.topic(), signal.topic());
        assert_eq!(signal.digest(), 0x031d_c88d_0ec0_c52d_518b_bc28_b322_da93);
        let (message, _) = signal.message(&awaiting());
        assert_eq!(message.event_id, 0x8139_02a3_1d67_0bc3_f738_519c_30a7_630b);
    }
}
