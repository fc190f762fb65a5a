//! What happens to a run, in the words in which it is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::alert::Concern;
use super::execution::{Entry, Execution};
use super::fault::Fault;
use super::inflow::Intake;
use super::run::{Cause, Source, Status};
use super::steer::{Halt, Relief};
use super::survey::Remark;
use super::tally::Counts;
use super::time::Timestamp;

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
    /// An open run takes in no more items. From running or paused.
    Rotated {
        /// Why.
        why: Intake,
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
        /// Who asked for it; left out when nobody did: an engine goes on with what was interrupted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
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
    /// Another executor drives its graph from here on. From running or paused.
    Handed {
        /// The execution there.
        execution: Execution,
    },
    /// The engine drives its graph itself from here on. From running or paused.
    TakenBack,
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
        /// How its items stood then; events of older builds do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        items: Option<Counts>,
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
    /// A person let a run begin that the server held; changes nothing about the run. From any state.
    Unheld {
        /// Who.
        by: String,
    },
    /// A person sent the signal that an item waited for; changes nothing about the run. From any state.
    Signalled {
        /// The step that waited.
        step: String,
        /// The item's position in the source.
        item: u64,
        /// The signal.
        signal: String,
        /// Its ID.
        id: String,
        /// Who.
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
    /// An execution of it was ended by the engine, or was to be; changes nothing. From any state.
    Halted {
        /// What its executor knows it by.
        execution: String,
        /// Why.
        why: Fault,
        /// Why the executor could not be told: it may go on, and its orders are refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
    },
    /// The history of its execution went on by one entry. From any state.
    Mirrored {
        /// What its executor knows the execution by.
        execution: String,
        /// The entry.
        entry: Entry,
    },
    /// Something to tell people; changes nothing. From any state.
    Alert {
        /// What.
        message: String,
        /// How many dead letters there are, when it is about them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dead_letters: Option<u64>,
    },
    /// An alert was taken by whom it was for; changes nothing. From any state.
    Delivered {
        /// What it was about.
        alert: Concern,
        /// The connection that leads to them.
        to: String,
        /// Its ID there.
        id: String,
        /// The attempt in which it was taken.
        attempt: u32,
    },
    /// An alert is given up, and kept; changes nothing. From any state.
    Undelivered {
        /// What it was about.
        alert: Concern,
        /// The connection that leads to whom it was for.
        to: String,
        /// Its ID there.
        id: String,
        /// The last attempt.
        attempt: u32,
        /// Why.
        fault: Fault,
    },
    /// A message came that is none of ours, or is damaged; told once for each message. It is left to
    /// its queue, and changes nothing. From any state.
    Stray {
        /// The step that received it.
        step: String,
        /// What the queue calls the message.
        id: String,
        /// How often it had been received by then.
        receives: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// Messages of dead letters that begin anew were put back from the dead-letter queue, or not;
    /// changes nothing: the items need none. From any state.
    Redriven {
        /// The step that receives them.
        step: String,
        /// How many; `None`: all that are there, and the queue moves them by itself.
        messages: Option<u64>,
        /// Why they were not, or not all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
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

impl RunEvent {
    /// It tells people something and changes nothing about where the run stands.
    pub fn is_note(&self) -> bool {
        matches!(
            self,
            Self::Alert { .. }
                | Self::Halted { .. }
                | Self::Mirrored { .. }
                | Self::Unheld { .. }
                | Self::Signalled { .. }
                | Self::Remarked { .. }
                | Self::Settled { .. }
                | Self::Dropped { .. }
                | Self::Stray { .. }
                | Self::Redriven { .. }
                | Self::Delivered { .. }
                | Self::Undelivered { .. }
                | Self::Setback { .. }
        )
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::fault::name;
    use crate::core::id::RunId;
    use crate::core::run::Run;

    #[test]
    fn a_closing_of_an_older_build_is_read_and_its_counts_are_not_known() {
        let fault = Fault::new(name::TIMEOUT, "no answer");
        let written = json!({ "kind": "closing", "fault": fault });
        let what: RunEvent = serde_json::from_value(written.clone()).unwrap();
        let mut run = Run::queued(RunId(1), "w", "w.yaml", "d", Timestamp(0));
        run.status = Status::Running;
        run.apply(&Event { at: Timestamp(1), what: what.clone() }).unwrap();
        let failure = run.failure().unwrap();
        assert_eq!((failure.fault, failure.items, run.closings), (fault, None, 1));
        assert_eq!(serde_json::to_value(&what).unwrap(), written);
    }
}
