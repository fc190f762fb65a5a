//! What people are told of a run: of what, to whom, in which words, and when it is tried again.
//!
//! An alert is made together with the event that causes it and is in the same commit. From there on it
//! stands for itself: its ID and its words stay the same however often it is sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::change::Change;
use super::digest;
use super::event::{Event, RunEvent};
use super::fault::{Fault, name};
use super::id::RunId;
use super::run::{Run, Status};
use super::steer::Halt;
use super::tally::Counts;
use super::time::Timestamp;

/// Pauses between the attempts, the first of which is made at once (Standard Webhooks, section "Deliverability and
/// reliability": its sample schedule). After the last one an alert is given up.
pub const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];
/// Longest pause that a receiver may ask for.
const PAUSE_MAX: Duration = Duration::from_hours(24);
/// How much longer than the schedule says a pause may be, as chance has it: what failed together does not
/// come back together.
const SPREAD: f64 = 0.1;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 2_000;

/// What people want to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// A run failed.
    Failed,
    /// A run pauses: a person wants it, or a connection does not answer.
    Paused,
    /// A run ended and did not fail: it succeeded, or a person cancelled it.
    Finished,
    /// More dead letters than the file wants.
    DeadLetters,
    /// A run came to rest with effects of which nobody knows whether they happened.
    InDoubt,
    /// What an `alert` step says, or the engine itself.
    Alert,
}

impl Concern {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Failed, Self::Paused, Self::Finished, Self::DeadLetters, Self::InDoubt, Self::Alert];

    /// The word for it in a workflow file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::DeadLetters => "dead_letters",
            Self::InDoubt => "in_doubt",
            Self::Alert => "alert",
        }
    }

    /// The type of what is sent about it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Failed => "run.failed",
            Self::Paused => "run.paused",
            Self::Finished => "run.finished",
            Self::DeadLetters => "dead_letters.over_threshold",
            Self::InDoubt => "effects.in_doubt",
            Self::Alert => "alert",
        }
    }
}

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Of what.
    pub on: Vec<Concern>,
    /// The connection that leads to them.
    pub to: String,
    /// Under which detail type a bus carries it; `None`: [`DETAIL_TYPE`].
    pub detail_type: Option<String>,
}

/// The detail type of alerts whose subscription names none.
pub const DETAIL_TYPE: &str = "RunAlert";

/// An alert that is to be delivered, or could not be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The run.
    pub run: RunId,
    /// Which alert of that run, from 0.
    pub number: u64,
    /// Its ID at whoever receives it: made from the run, the number and the receiver.
    pub id: u128,
    /// What it is about.
    pub concern: Concern,
    /// The connection that leads to whom it is for.
    pub to: String,
    /// Under which detail type a bus carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail_type: Option<String>,
    /// When what it tells of happened.
    pub at: Timestamp,
    /// What it says.
    pub data: Value,
    /// Attempts that failed.
    #[serde(default)]
    pub attempts: u32,
    /// When it is due; `None`: it is given up.
    pub next: Option<Timestamp>,
    /// Why it was not delivered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// What came of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Taken,
    /// Whom it is for wants no more.
    Unwanted(Fault),
    /// It was not, or perhaps not, taken.
    Failed {
        /// Why.
        fault: Fault,
        /// How long the receiver wants to be left alone, when it says so.
        pause: Option<Duration>,
    },
}

/// How a run stands when it tells something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its items by state.
    pub items: Counts,
    /// Effects in doubt.
    pub doubts: u64,
}

/// What an event is about by itself, and whether the run comes to rest by it. This is the whole decision.
fn meaning(what: &RunEvent) -> (Option<Concern>, bool) {
    match what {
        RunEvent::Closed { status: Status::Failed, .. } => (Some(Concern::Failed), true),
        RunEvent::Closed { .. } => (Some(Concern::Finished), true),
        RunEvent::Interrupted => (None, true),
        RunEvent::Paused { .. } => (Some(Concern::Paused), false),
        RunEvent::Alert { dead_letters: Some(_), .. } => (Some(Concern::DeadLetters), false),
        RunEvent::Alert { dead_letters: None, .. } => (Some(Concern::Alert), false),
        RunEvent::Started
        | RunEvent::Pinned { .. }
        | RunEvent::Rotated { .. }
        | RunEvent::Remarked { .. }
        | RunEvent::Resumed { .. }
        | RunEvent::Redefined { .. }
        | RunEvent::Reconnected { .. }
        | RunEvent::Tried { .. }
        | RunEvent::Unpaused { .. }
        | RunEvent::Cancelling { .. }
        | RunEvent::Handed { .. }
        | RunEvent::TakenBack
        | RunEvent::Halted { .. }
        | RunEvent::Mirrored { .. }
        | RunEvent::Closing { .. }
        | RunEvent::Released { .. }
        | RunEvent::Unheld { .. }
        | RunEvent::Settled { .. }
        | RunEvent::Signalled { .. }
        | RunEvent::Dropped { .. }
        | RunEvent::Stray { .. }
        | RunEvent::Redriven { .. }
        | RunEvent::Delivered { .. }
        | RunEvent::Undelivered { .. }
        | RunEvent::Setback { .. } => (None, false),
    }
}

/// Whether anybody may want to know of an event.
pub fn may_concern(subscriptions: &[Subscription], what: &RunEvent) -> bool {
    let (own, rests) = meaning(what);
    let wants = |concern| subscriptions.iter().any(|subscription| subscription.on.contains(&concern));
    own.is_some_and(wants) || (rests && wants(Concern::InDoubt))
}

/// The alerts of an event that has happened to a run; the run counts them. They are to be durable with it.
pub fn of(run: &mut Run, subscriptions: &[Subscription], event: &Event, standing: &Standing) -> Vec<Alert> {
    let (own, rests) = meaning(&event.what);
    let doubt = (rests && standing.doubts > 0).then_some(Concern::InDoubt);
    let mut alerts = Vec::new();
    for concern in own.into_iter().chain(doubt) {
        for Subscription { on, to, detail_type } in subscriptions {
            if !on.contains(&concern) {
                continue;
            }
            let number = run.alerts;
            run.alerts += 1;
            alerts.push(Alert {
                run: run.id,
                number,
                id: id(run.id, number, to),
                concern,
                to: to.clone(),
                detail_type: detail_type.clone(),
                at: event.at,
                data: data(run, concern, &event.what, standing),
                attempts: 0,
                next: Some(event.at),
                fault: None,
            });
        }
    }
    alerts
}

fn id(run: RunId, number: u64, to: &str) -> u128 {
    digest::half(digest::of(&json!(["alert", run, number, to])))
}

fn data(run: &Run, concern: Concern, what: &RunEvent, standing: &Standing) -> Value {
    let mut data = json!({
        "run": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "reason": reason(concern, what, standing),
        "items": standing.items,
        "in_doubt": standing.doubts,
        "next": next(run, concern),
    });
    if let Some(profile) = &run.profile {
        data["profile"] = Value::from(profile.as_str());
    }
    data
}

fn reason(concern: Concern, what: &RunEvent, standing: &Standing) -> Option<String> {
    let reason = match (concern, what) {
        (Concern::InDoubt, _) => {
            let (count, noun) = (standing.doubts, if standing.doubts == 1 { "effect" } else { "effects" });
            Some(format!("{count} {noun} may or may not have happened"))
        }
        (_, RunEvent::Closed { fault: Some(fault), .. }) => Some(fault.to_string()),
        (_, RunEvent::Paused { halt: Halt::Person { name } }) => Some(format!("{name} paused it")),
        (_, RunEvent::Paused { halt: Halt::Connection { connection, fault, .. } }) => {
            Some(format!("no answer from {connection}: {fault}"))
        }
        (_, RunEvent::Alert { message, .. }) => Some(message.clone()),
        _ => None,
    };
    reason.map(|text| text.chars().take(REASON_CHARS_MAX).collect())
}

/// What to type next.
fn next(run: &Run, concern: Concern) -> String {
    let id = run.id;
    let waits_for_a_person = || run.fault.as_ref().is_some_and(|fault| fault.name == name::IN_DOUBT);
    match concern {
        // A resume alone would fail again: a person decides first.
        Concern::Failed if waits_for_a_person() => format!("milepost effects {id} --in-doubt"),
        Concern::Failed => format!("milepost resume {id} --plan"),
        Concern::Paused => format!("milepost unpause {id}"),
        Concern::Finished => format!("milepost show {id}"),
        Concern::DeadLetters => format!("milepost dead-letters list --run {id}"),
        Concern::InDoubt => format!("milepost effects {id} --in-doubt"),
        Concern::Alert => format!("milepost events {id}"),
    }
}

impl Alert {
    /// Its ID as receivers see it.
    pub fn name(&self) -> String {
        format!("msg_{:032x}", self.id)
    }

    /// What is sent: `{type, timestamp, data}`, as Standard Webhooks have it. `written` writes an instant.
    pub fn body(&self, written: impl FnOnce(Timestamp) -> String) -> Value {
        json!({ "type": self.concern.kind(), "timestamp": written(self.at), "data": self.data })
    }

    /// What is to be made durable after an attempt; `chance` is in `0.0..1.0`.
    pub fn answered(self, answer: Answer, now: Timestamp, chance: f64) -> Vec<Change> {
        let Self { run, number, concern: alert, .. } = self;
        let (to, id, attempt) = (self.to.clone(), self.name(), self.attempts + 1);
        let event = |what| Change::Event(run, Event { at: now, what });
        let (fault, next) = match answer {
            Answer::Taken => {
                let gone = Change::Alert { run, number, alert: None };
                return vec![gone, event(RunEvent::Delivered { alert, to, id, attempt })];
            }
            Answer::Unwanted(fault) => (fault, None),
            Answer::Failed { fault, pause } => {
                let own = PAUSES.get(self.attempts as usize);
                let own = own.map(|pause| pause.mul_f64(1.0 + SPREAD * chance));
                (fault, own.map(|own| now.after(own.max(pause.unwrap_or_default().min(PAUSE_MAX)))))
            }
        };
        let left = Self { attempts: attempt, next, fault: Some(fault.clone()), ..self };
        let kept = Change::Alert { run, number, alert: Some(Box::new(left)) };
        match next {
            Some(_) => vec![kept],
            None => vec![kept, event(RunEvent::Undelivered { alert, to, id, attempt, fault })],
        }
    }
}
