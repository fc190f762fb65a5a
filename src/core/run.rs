//! The state machine of a whole run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::event::{Event, IllegalRunEvent, RunEvent};
use super::execution::{DrivenBy, Execution};
use super::fault::Fault;
use super::id::RunId;
use super::inflow::Intake;
use super::steer::Steer;
use super::tally::Counts;
use super::time::Timestamp;

pub use super::origin::Origin;
pub use super::revision::{Cause, Revision};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// How its items stood when it was last closed as failed, for the steps of `on_failure`: however
    /// often these are begun, they tell the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing_items: Option<Counts>,
    /// How new its source is, as whatever started it says (rule R6); `None`: as new as the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The key it was started under, if one was given: it names the start, once and for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The trigger that started it, by its name; `None`: a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Who started it, when a person or a program did; runs of older builds do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// What identifies each outside system, without secrets, as it was pinned (rule R8).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, Map<String, Value>>,
    /// The steps whose doing was changed since the start, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<String, Revision>,
    /// What people and failing connections want of it.
    #[serde(default, skip_serializing_if = "Steer::is_empty")]
    pub steer: Steer,
    /// Messages that came and were none of ours, or damaged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub strays: u64,
    /// Alerts that were made of its events.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alerts: u64,
    /// Who drives its graph.
    #[serde(default, skip_serializing_if = "DrivenBy::is_embedded")]
    pub driven_by: DrivenBy,
    /// Its last execution, when another executor drives its graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Execution>,
    /// When a person let it go for good: it is not resumed any more (rule R9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
}

/// What the steps of `on_failure` may tell of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why it is closed as failed.
    pub fault: Fault,
    /// How its items stood then; `None` when an older build closed it.
    pub items: Option<Counts>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A pinned source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The path or URI it was read from.
    pub uri: String,
    /// The content address of its records; empty for a queue.
    pub records: String,
    /// The content address of the index of their positions; empty for a queue.
    pub index: String,
    /// How many there are; for a queue, by now.
    pub count: u64,
    /// What the system it was read from said of it; a file of this machine says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// For a queue: whether more items are taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intake: Option<Intake>,
}

impl Run {
    /// A run that is accepted and not begun.
    pub fn queued(id: RunId, workflow: &str, file: &str, definition: &str, started_at: Timestamp) -> Self {
        Self {
            id,
            workflow: workflow.to_owned(),
            file: file.to_owned(),
            definition: definition.to_owned(),
            files: BTreeMap::new(),
            input: Map::new(),
            profile: None,
            status: Status::Queued,
            started_at,
            ended_at: None,
            source: None,
            epoch: 0,
            closings: 0,
            fault: None,
            closing_items: None,
            version: None,
            key: None,
            trigger: None,
            started_by: None,
            connections: BTreeMap::new(),
            revisions: BTreeMap::new(),
            steer: Steer::default(),
            strays: 0,
            alerts: 0,
            driven_by: DrivenBy::default(),
            execution: None,
            released: None,
        }
    }

    /// How new its content is, where neither the item nor the file says more.
    pub fn newness(&self) -> String {
        self.version.clone().unwrap_or_else(|| self.started_at.0.to_string())
    }

    /// Its items come from a queue, as messages arrive.
    pub fn is_open_run(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.intake.is_some())
    }

    /// It takes in more items.
    pub fn takes_in(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.intake == Some(Intake::Open))
    }

    /// Why it is closed as failed, and with what.
    pub fn failure(&self) -> Option<Failure> {
        let fault = self.fault.clone()?;
        Some(Failure { fault, items: self.closing_items })
    }

    /// The number of the closing whose `on_failure` was begun and not ended, because the engine died
    /// or was stopped in it.
    pub fn open_closing(&self) -> Option<u32> {
        let cut_short = matches!(self.status, Status::Running | Status::Paused | Status::Interrupted);
        (cut_short && self.fault.is_some()).then_some(self.closings)
    }

    fn begin_closing(&mut self, fault: &Fault, items: Option<Counts>) {
        self.closings += 1;
        self.steer.free();
        self.fault = Some(fault.clone());
        self.closing_items = items;
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
        self.leave_execution();
        self.connections.extend(connections.clone());
        for (step, cause) in raised {
            let number = self.revisions.get(step).map_or(0, |revision| revision.number);
            self.revisions.insert(step.clone(), Revision { number: number + 1, cause: *cause });
        }
    }

    /// Something that its execution was told to be done is to be done anew: nobody joins it. Returns whether
    /// that is news.
    pub fn leave_execution(&mut self) -> bool {
        self.execution.as_mut().is_some_and(|execution| !std::mem::replace(&mut execution.left, true))
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

    fn take_note(&mut self, what: &RunEvent) {
        if let RunEvent::Alert { dead_letters: Some(_), message } = what {
            self.steer.alert = Some(message.clone());
        }
        if let (RunEvent::Mirrored { execution, entry }, Some(own)) = (what, &mut self.execution)
            && own.name == *execution
        {
            own.mirrored = own.mirrored.max(entry.number);
        }
        self.strays += u64::from(matches!(what, RunEvent::Stray { .. }));
    }

    /// Another engine takes it over.
    fn go_on(&mut self) {
        self.epoch += 1;
        self.ended_at = None;
        // A closing that was cut short stays open until the run is closed: this engine may die before
        // it has finished it, too.
        if self.open_closing().is_none() {
            self.fault = None;
        }
        self.steer.free();
    }

    /// Somebody else drives its graph from here on.
    fn hand_over(&mut self, what: &RunEvent) {
        (self.driven_by, self.execution) = match what {
            RunEvent::Handed { execution } => (DrivenBy::StepFunctions, Some(execution.clone())),
            _ => (DrivenBy::Embedded, None),
        };
    }

    /// Its items come from here, or no more of them do.
    fn draw_on(&mut self, what: &RunEvent) {
        match (what, &mut self.source) {
            (RunEvent::Pinned { source, .. }, _) => self.source = Some(source.clone()),
            (RunEvent::Rotated { why }, Some(source)) => source.intake = Some(*why),
            _ => {}
        }
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
            (
                status @ (S::Running | S::Paused),
                what @ (RunEvent::Pinned { .. } | RunEvent::Rotated { .. }),
            ) => {
                self.draw_on(what);
                status
            }
            (status @ (S::Running | S::Paused), what @ (RunEvent::Handed { .. } | RunEvent::TakenBack)) => {
                self.hand_over(what);
                status
            }
            (
                S::Running | S::Waiting | S::Interrupted | S::Paused | S::Failed | S::Succeeded,
                RunEvent::Resumed { .. },
            ) => {
                self.go_on();
                S::Running
            }
            (status, what @ (RunEvent::Redefined { .. } | RunEvent::Reconnected { .. }))
                if status != S::Cancelled =>
            {
                self.stand_on(what);
                status
            }
            (S::Queued | S::Running | S::Waiting | S::Paused, RunEvent::Interrupted) => {
                self.steer.rest();
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
            (S::Running | S::Paused, RunEvent::Closing { fault, items }) => {
                self.begin_closing(fault, *items);
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
            (status, what) if what.is_note() => {
                self.take_note(what);
                status
            }
            (status, what) => return Err(IllegalRunEvent { status, event: Box::new(what.clone()) }),
        };
        Ok(())
    }
}
