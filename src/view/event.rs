//! Events: what happened to a run, in order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::problem::Problem;
use super::run::SourceView;
use super::when::When;
use crate::core::event::{Event, RunEvent};
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::run::{Cause, Run, Status};
use crate::core::steer::{Halt, Relief};

/// Events on a page when nothing else is asked for.
const LIMIT_DEFAULT: usize = 500;
/// Most events on a page.
const LIMIT_MAX: usize = 5_000;
/// Digits of a content address in a sentence.
const ADDRESS_SHOWN: usize = 12;

/// Events in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<EventView>,
    /// The number of the first event that is not on this page, whether it has happened or not.
    pub next: u64,
    /// Where the run stands; once it has ended, or its engine has, no more events come by
    /// themselves.
    pub status: Status,
}

/// One event. Fields that its kind does not have are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its number in the run, from 0.
    pub event: u64,
    /// When, RFC 3339.
    pub at: String,
    /// What: `started`, `pinned`, `remarked`, `resumed`, `redefined`, `reconnected`, `interrupted`,
    /// `paused`, `tried`, `unpaused`, `cancelling`, `closing`, `closed`, `released`, `settled`,
    /// `dropped`, `unheld`, `signalled`, `alert`, `delivered`, `undelivered`, `stray`, `redriven`, `setback`,
    /// or of its execution: `handed`, `taken_back`, `halted`, `mirrored`.
    pub kind: String,
    /// The step it happened at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The key of the item it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// What became of the step, the item or the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The connection that is held, tried or let go, or that leads to whom an alert is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// When the connection is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<When>,
    /// The attempt it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The hash of the resume plan that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The source that was pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceView>,
    /// Records that are dead letters from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<u64>,
    /// What the queue calls the message that came astray, or its receiver an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// How often that message had been received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receives: Option<u32>,
    /// How many messages were put back into the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// How many items it is about; for what the gate says, about how many records of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Something to tell people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// One event with what it belongs to, for those who read no others of its run.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedView {
    /// The workflow of the run.
    pub workflow: String,
    /// The event; its number is not known.
    pub event: EventView,
}

impl Archive {
    /// Up to `limit` events beginning with number `from`.
    pub fn events(&self, reference: &str, from: u64, limit: Option<usize>) -> Result<EventPage, Problem> {
        let run = self.find(reference)?;
        let limit = limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let events = self.journal().events(run.id, from, limit)?;
        let next = events.last().map_or(from, |(number, _)| number + 1);
        let events = events.into_iter().map(|(number, event)| self.event_view(&run, number, event)).collect();
        Ok(EventPage { events, next, status: self.status(&run) })
    }

    /// An event of a run as it is recorded; `None` when the run is gone.
    pub fn recorded(&self, run: RunId, event: Event) -> Result<Option<RecordedView>, Problem> {
        let Some(run) = self.journal().run(run)? else { return Ok(None) };
        let event = self.event_view(&run, 0, event);
        Ok(Some(RecordedView { workflow: run.workflow, event }))
    }

    pub(super) fn event_view(&self, run: &Run, number: u64, event: Event) -> EventView {
        let view = |kind: &str| EventView {
            event: number,
            at: When(event.at).to_string(),
            kind: kind.to_owned(),
            ..EventView::default()
        };
        match event.what {
            RunEvent::Started => EventView { by: run.started_by.clone(), ..view("started") },
            RunEvent::Pinned { .. } | RunEvent::Rotated { .. } | RunEvent::Remarked { .. } => {
                sourced(event.what, view)
            }
            RunEvent::Resumed { plan, by } => EventView { plan: Some(plan), by, ..view("resumed") },
            RunEvent::Redefined { .. } | RunEvent::Reconnected { .. } => redone(event.what, view),
            RunEvent::Interrupted => view("interrupted"),
            RunEvent::Paused { .. }
            | RunEvent::Tried { .. }
            | RunEvent::Unpaused { .. }
            | RunEvent::Cancelling { .. } => steered(event.what, view),
            RunEvent::Closing { fault, .. } => EventView { error: Some(fault), ..view("closing") },
            RunEvent::Closed { status, fault } => {
                EventView { status: Some(status.word().to_owned()), error: fault, ..view("closed") }
            }
            RunEvent::Handed { .. }
            | RunEvent::TakenBack
            | RunEvent::Halted { .. }
            | RunEvent::Mirrored { .. } => executed(event.what, view),
            RunEvent::Unheld { by } => EventView { by: Some(by), ..view("unheld") },
            RunEvent::Released { by } => EventView { by: Some(by), ..view("released") },
            RunEvent::Settled { step, item, done, by } => EventView {
                by: Some(by),
                step: Some(step),
                item: item.map(|position| self.label(run, position)),
                status: Some(if done { "done" } else { "not_done" }.to_owned()),
                ..view("settled")
            },
            RunEvent::Signalled { step, item, signal, id, by } => EventView {
                by: Some(by),
                step: Some(step),
                item: Some(self.label(run, item)),
                message: Some(format!("{signal} ({id})")),
                ..view("signalled")
            },
            RunEvent::Alert { message, dead_letters } => {
                EventView { message: Some(message), items: dead_letters, ..view("alert") }
            }
            RunEvent::Stray { .. }
            | RunEvent::Redriven { .. }
            | RunEvent::Delivered { .. }
            | RunEvent::Undelivered { .. } => of_messages(event.what, view),
            RunEvent::Dropped { step, item, reason, by } => EventView {
                by: Some(by),
                step: Some(step),
                item: item.map(|position| self.label(run, position)),
                message: reason,
                ..view("dropped")
            },
            RunEvent::Setback { step, item, state, attempt, fault } => EventView {
                step: Some(step),
                item: item.map(|position| self.label(run, position)),
                status: Some(state),
                attempt: Some(attempt),
                error: Some(fault),
                ..view("setback")
            },
        }
    }
}

/// What is another one than before.
fn redone(what: RunEvent, view: impl Fn(&str) -> EventView) -> EventView {
    match what {
        RunEvent::Redefined { definition, raised, .. } => EventView {
            message: Some(changed(&format!("definition {}", short(&definition)), &raised)),
            ..view("redefined")
        },
        RunEvent::Reconnected { connections, raised } => {
            let names: Vec<&str> = connections.keys().map(String::as_str).collect();
            EventView {
                message: Some(changed(&format!("connection {}", names.join(", ")), &raised)),
                ..view("reconnected")
            }
        }
        // Every other event has a view of its own.
        _ => EventView::default(),
    }
}

/// What became of messages.
fn of_messages(what: RunEvent, view: impl Fn(&str) -> EventView) -> EventView {
    match what {
        RunEvent::Stray { step, id, receives, reason } => EventView {
            step: Some(step),
            message_id: Some(id),
            receives: Some(receives),
            message: Some(reason),
            ..view("stray")
        },
        RunEvent::Redriven { step, messages, fault } => {
            let itself = "the queue moves the messages of its dead-letter queue back by itself";
            let message = (messages.is_none() && fault.is_none()).then(|| itself.to_owned());
            EventView { step: Some(step), messages, message, error: fault, ..view("redriven") }
        }
        RunEvent::Delivered { alert, to, id, attempt } => EventView {
            message: Some(alert.kind().to_owned()),
            connection: Some(to),
            message_id: Some(id),
            attempt: Some(attempt),
            ..view("delivered")
        },
        RunEvent::Undelivered { alert, to, id, attempt, fault } => EventView {
            message: Some(alert.kind().to_owned()),
            connection: Some(to),
            message_id: Some(id),
            attempt: Some(attempt),
            error: Some(fault),
            ..view("undelivered")
        },
        // Every other event has a view of its own.
        _ => EventView::default(),
    }
}

/// What is said about the source of the run.
fn sourced(what: RunEvent, view: impl Fn(&str) -> EventView) -> EventView {
    match what {
        RunEvent::Pinned { source, rejected } => {
            EventView { source: Some(SourceView::of(&source)), rejected: Some(rejected), ..view("pinned") }
        }
        RunEvent::Rotated { why } => EventView { message: why.words().map(str::to_owned), ..view("rotated") },
        RunEvent::Remarked { remark } => {
            EventView { items: Some(remark.items), message: Some(remark.text), ..view("remarked") }
        }
        // Every other event has a view of its own.
        _ => EventView::default(),
    }
}

/// What concerns the execution of a run whose graph another executor drives.
fn executed(what: RunEvent, view: impl Fn(&str) -> EventView) -> EventView {
    match what {
        RunEvent::Handed { execution } => EventView {
            message: Some(execution.name),
            connection: Some(execution.connection),
            ..view("handed")
        },
        RunEvent::TakenBack => view("taken_back"),
        RunEvent::Halted { execution, why, fault: None } => {
            EventView { message: Some(execution), error: Some(why), ..view("halted") }
        }
        RunEvent::Halted { execution, why, fault: Some(fault) } => EventView {
            message: Some(format!("{execution} could not be told ({}): {}", why.name, why.message)),
            error: Some(fault),
            ..view("halted")
        },
        RunEvent::Mirrored { entry, .. } => EventView {
            message: Some(format!("{} {}", entry.number, entry.kind)),
            step: entry.state,
            error: entry.fault,
            ..view("mirrored")
        },
        // Every other event has a view of its own.
        _ => EventView::default(),
    }
}

/// What people and failing connections want of the run.
fn steered(what: RunEvent, view: impl Fn(&str) -> EventView) -> EventView {
    let of_connection = |kind: &str, connection, fault, next| EventView {
        connection: Some(connection),
        error: Some(fault),
        next: Some(When(next)),
        ..view(kind)
    };
    match what {
        RunEvent::Paused { halt: Halt::Person { name } } => EventView { by: Some(name), ..view("paused") },
        RunEvent::Paused { halt: Halt::Connection { connection, fault, next } } => {
            of_connection("paused", connection, fault, next)
        }
        RunEvent::Tried { connection, fault, next } => of_connection("tried", connection, fault, next),
        RunEvent::Unpaused { relief: Relief::Person { name } } => {
            EventView { by: Some(name), ..view("unpaused") }
        }
        RunEvent::Unpaused { relief: Relief::Connection { connection } } => {
            EventView { connection: Some(connection), ..view("unpaused") }
        }
        RunEvent::Cancelling { by } => EventView { by: Some(by), ..view("cancelling") },
        // Every other event has a view of its own.
        _ => EventView::default(),
    }
}

/// The beginning of a content address: enough to tell two apart.
fn short(address: &str) -> &str {
    address.get(..ADDRESS_SHOWN).unwrap_or(address)
}

/// What was changed, and which steps are out of date by that.
fn changed(what: &str, raised: &BTreeMap<String, Cause>) -> String {
    let steps: Vec<String> =
        raised.iter().map(|(step, cause)| format!("{step} ({})", cause.words())).collect();
    if steps.is_empty() { what.to_owned() } else { format!("{what}; to run again: {}", steps.join(", ")) }
}
