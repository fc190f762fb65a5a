//! The state machine of a whole run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::Fault;
use super::id::RunId;
use super::steer::{Halt, Relief, Steer};
use super::survey::Remark;
use super::time::Timestamp;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted, not begun.
    Queued,
    /// An engine works on it; when none holds the state directory it is shown as interrupted.
    Running,
    /// All that is left waits for messages or for time.
    Waiting,
    /// A person or a failing connection stopped it for now.
    Paused,
    /// Its engine stopped before the end.
    Interrupted,
    /// Ended; dead letters were tolerated.
    Succeeded,
    /// Ended; resumable until it is closed.
    Failed,
    /// Ended by a person.
    Cancelled,
}

impl Status {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Interrupted => "interrupted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Ended, for now or for good.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// What is durable about a run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its ID.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The path of the workflow file as it was given.
    pub file: String,
    /// The content address of the definition's bytes.
    pub definition: String,
    /// The content addresses of the files it names, by the name as written.
    pub files: BTreeMap<String, String>,
    /// The input after defaults.
    pub input: Map<String, Value>,
    /// The profile it was started with.
    pub profile: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// The pinned source, after the gate.
    pub source: Option<Source>,
    /// The ownership epoch (rule R10): 1 for the start, one more for each resume.
    pub epoch: u32,
    /// How often it was closed as failed.
    pub closings: u32,
    /// Why it failed, if it did.
    pub fault: Option<Fault>,
    /// The key it was started under, if one was given: it names the start, once and for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What identifies each outside system, without secrets, as it was pinned (rule R8).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, Map<String, Value>>,
    /// The steps whose doing was changed since the start, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<String, Revision>,
    /// What people and failing connections want of it.
    #[serde(default, skip_serializing_if = "Steer::is_empty")]
    pub steer: Steer,
    /// When a person let it go for good: it is not resumed any more (rule R9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
}

/// How often, and last why, what a step does was changed under a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// The number of the present revision, from 1.
    pub number: u32,
    /// Why there is one.
    pub cause: Cause,
}

/// Why what was done at a step is out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The step itself, or a file it names, was changed.
    Definition,
    /// A step before it was changed.
    Upstream,
    /// The outside system it works with is another one.
    Connection,
}

impl Cause {
    /// The words for it in a plan.
    pub fn words(self) -> &'static str {
        match self {
            Self::Definition => "definition changed",
            Self::Upstream => "upstream changed",
            Self::Connection => "connection changed",
        }
    }
}

/// A pinned source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The path or URI it was read from.
    pub uri: String,
    /// The content address of its records.
    pub records: String,
    /// The content address of the index of their positions.
    pub index: String,
    /// How many there are.
    pub count: u64,
}

/// What happens to a run. The stored events of a run are these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunEvent {
    /// An engine began to work on it. From queued.
    Started,
    /// The source is pinned and validated. From running or paused.
    Pinned {
        /// The pinned source.
        source: Source,
        /// Records that are dead letters from the start.
        rejected: u64,
    },
    /// The gate has something to say that a person may want to mend; changes nothing. From any
    /// state.
    Remarked {
        /// What, and about how many records.
        remark: Remark,
    },
    /// An engine goes on with it. From running (its engine died), interrupted, paused or failed; from
    /// succeeded when items were selected.
    Resumed {
        /// The plan that was carried out.
        plan: String,
    },
    /// It goes on under another definition. From any status that can be resumed.
    Redefined {
        /// The content address of the definition's bytes.
        definition: String,
        /// The content addresses of the files it names.
        files: BTreeMap<String, String>,
        /// What identifies outside systems that it names for the first time.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        connections: BTreeMap<String, Map<String, Value>>,
        /// The steps whose work is out of date by that, with the reason.
        raised: BTreeMap<String, Cause>,
    },
    /// A person accepted that connections are not what they were. From any status that can be
    /// resumed.
    Reconnected {
        /// What identifies them now, by name.
        connections: BTreeMap<String, Map<String, Value>>,
        /// The steps whose work is out of date by that, with the reason; none when the systems only
        /// moved.
        raised: BTreeMap<String, Cause>,
    },
    /// The engine was asked to stop, or is gone. From queued, running, waiting or paused.
    Interrupted,
    /// No new attempt begins; those under way end. From running, waiting or paused (for another
    /// reason).
    Paused {
        /// Why.
        halt: Halt,
    },
    /// A connection that is held was tried, and does not answer yet. From paused.
    Tried {
        /// Which.
        connection: String,
        /// What went wrong.
        fault: Fault,
        /// When it is tried again.
        next: Timestamp,
    },
    /// One reason for the pause is gone; the run goes on when it was the last. From paused.
    Unpaused {
        /// Which.
        relief: Relief,
    },
    /// A person gives it up: no attempt begins any more, and it is closed as cancelled once those
    /// under way have ended. From every state but succeeded and cancelled.
    Cancelling {
        /// Who.
        by: String,
    },
    /// `on_failure` begins. From running or paused; the run is running until it is closed.
    Closing {
        /// Why.
        fault: Fault,
    },
    /// It ended. From running or paused; once a person gave it up, from every state but succeeded
    /// and cancelled.
    Closed {
        /// Succeeded, failed or cancelled.
        status: Status,
        /// Why it failed, if it did.
        fault: Option<Fault>,
    },
    /// A person let it go for good. From failed, interrupted, succeeded or cancelled.
    Released {
        /// Who.
        #[serde(default)]
        by: String,
    },
    /// A person said what became of an effect; changes nothing about the run. From any state.
    Settled {
        /// The step.
        step: String,
        /// The item's position in the source; `None` for a run step.
        item: Option<u64>,
        /// Whether the effect was done.
        done: bool,
        /// Who.
        #[serde(default)]
        by: String,
    },
    /// A person gave a dead letter up for good; changes nothing about the run. From any state.
    Dropped {
        /// The step.
        step: String,
        /// The item's position in the source.
        item: Option<u64>,
        /// Why, if that was said.
        reason: Option<String>,
        /// Who.
        by: String,
    },
    /// Something to tell people; changes nothing. From any state.
    Alert {
        /// What.
        message: String,
        /// How many dead letters there are, when it is about them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dead_letters: Option<u64>,
    },
    /// An attempt, or an item, did not succeed; changes nothing about the run. From any state.
    Setback {
        /// The step.
        step: String,
        /// The item's position in the source; `None` for a run step.
        item: Option<u64>,
        /// What became of it: `backoff`, `in_doubt` or `dead_lettered`.
        state: String,
        /// The attempt it happened in.
        attempt: u32,
        /// Why.
        fault: Fault,
    },
}

/// An event with its time, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: RunEvent,
}

/// An event that the present status does not accept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a run that is {} does not accept {event:?}", status.word())]
pub struct IllegalRunEvent {
    /// Where the run stood.
    pub status: Status,
    /// What was to happen.
    pub event: Box<RunEvent>,
}

impl Run {
    /// The number of the closing whose `on_failure` was begun and not ended, because the engine died
    /// or was stopped in it.
    pub fn open_closing(&self) -> Option<u32> {
        let cut_short = matches!(self.status, Status::Running | Status::Paused | Status::Interrupted);
        (cut_short && self.fault.is_some()).then_some(self.closings)
    }

    /// Takes over another definition, or other connections, and counts a revision more for each step
    /// whose work is out of date by that.
    fn stand_on(&mut self, what: &RunEvent) {
        let (connections, raised) = match what {
            RunEvent::Redefined { definition, files, connections, raised } => {
                self.definition.clone_from(definition);
                self.files.clone_from(files);
                (connections, raised)
            }
            RunEvent::Reconnected { connections, raised } => (connections, raised),
            _ => return,
        };
        self.connections.extend(connections.clone());
        for (step, cause) in raised {
            let number = self.revisions.get(step).map_or(0, |revision| revision.number);
            self.revisions.insert(step.clone(), Revision { number: number + 1, cause: *cause });
        }
    }

    /// A person gave it up, or it ended as cancelled: nothing more is done for it.
    pub fn is_given_up(&self) -> bool {
        self.status == Status::Cancelled || (self.steer.cancelled_by.is_some() && self.is_open())
    }

    /// It could still be cancelled.
    fn is_open(&self) -> bool {
        !matches!(self.status, Status::Succeeded | Status::Cancelled)
    }

    fn may_close(&self, from: Status) -> bool {
        matches!(from, Status::Running | Status::Paused)
            || (self.steer.cancelled_by.is_some() && self.is_open())
    }

    /// Applies one event.
    ///
    /// # Errors
    /// [`IllegalRunEvent`] when the present status does not accept it; the run is then unchanged.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalRunEvent> {
        use Status as S;
        self.status = match (self.status, &event.what) {
            (S::Queued, RunEvent::Started) => {
                self.epoch = 1;
                S::Running
            }
            (status @ (S::Running | S::Paused), RunEvent::Pinned { source, .. }) => {
                self.source = Some(source.clone());
                status
            }
            (
                S::Running | S::Waiting | S::Interrupted | S::Paused | S::Failed | S::Succeeded,
                RunEvent::Resumed { .. },
            ) => {
                self.epoch += 1;
                self.ended_at = None;
                // A closing that was cut short stays open until the run is closed: this engine may
                // die before it has finished it, too.
                if self.open_closing().is_none() {
                    self.fault = None;
                }
                self.steer.free();
                S::Running
            }
            (
                S::Queued | S::Running | S::Waiting | S::Interrupted | S::Paused | S::Failed | S::Succeeded,
                RunEvent::Redefined { .. } | RunEvent::Reconnected { .. },
            ) => {
                self.stand_on(&event.what);
                self.status
            }
            (S::Queued | S::Running | S::Waiting | S::Paused, RunEvent::Interrupted) => {
                self.steer.free();
                S::Interrupted
            }
            (S::Running | S::Waiting | S::Paused, RunEvent::Paused { .. })
            | (S::Paused, RunEvent::Tried { .. } | RunEvent::Unpaused { .. }) => {
                self.steer.hear(event);
                if self.steer.is_paused() { S::Paused } else { S::Running }
            }
            (status, RunEvent::Cancelling { by }) if self.is_open() => {
                self.steer.cancelled_by = Some(by.clone());
                status
            }
            (S::Running | S::Paused, RunEvent::Closing { fault }) => {
                self.closings += 1;
                self.steer.free();
                self.fault = Some(fault.clone());
                S::Running
            }
            (from, RunEvent::Closed { status, fault }) if self.may_close(from) => {
                self.steer.free();
                self.ended_at = Some(event.at);
                self.fault.clone_from(fault);
                *status
            }
            (S::Failed | S::Interrupted | S::Succeeded | S::Cancelled, RunEvent::Released { .. }) => {
                self.released = Some(event.at);
                self.status
            }
            (status, RunEvent::Alert { dead_letters: Some(_), message }) => {
                self.steer.alert = Some(message.clone());
                status
            }
            (
                status,
                RunEvent::Alert { .. }
                | RunEvent::Remarked { .. }
                | RunEvent::Settled { .. }
                | RunEvent::Dropped { .. }
                | RunEvent::Setback { .. },
            ) => status,
            (status, what) => return Err(IllegalRunEvent { status, event: Box::new(what.clone()) }),
        };
        Ok(())
    }
}
