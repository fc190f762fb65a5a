//! The state machine of one step for one unit. One match; whatever is not listed is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::Fault;
use super::time::Timestamp;

/// What an effect returned that later steps or people need: IDs, not products.
pub type Facts = BTreeMap<String, Value>;

/// Where a unit stands at one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not begun.
    #[default]
    Pending,
    /// An intent is durable and no outcome is.
    Running,
    /// An attempt failed; the next starts at this instant.
    Backoff(Timestamp),
    /// Waiting for a message or for time; given up (or, for a timer, over) at this instant.
    Waiting(Timestamp),
    /// Perhaps done. Looked at again at this instant; `None`: a person decides.
    InDoubt(Option<Timestamp>),
    /// Surely done.
    Succeeded,
    /// Not needed.
    Skipped(SkipReason),
    /// Attempts used up, or the content refused. On the run track this is called `failed`.
    DeadLettered,
    /// The run was cancelled before the unit got here.
    Cancelled,
}

/// Why a step was not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its `when` was false, or every step it needs was skipped for that reason.
    Condition,
    /// The other side already holds this content.
    AlreadyApplied,
    /// The other side already holds newer content.
    Stale,
}

/// How an effect in doubt is settled (rule R3), in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettleBy {
    /// The connector looks it up.
    Probe,
    /// A repeat is harmless.
    Repeat,
    /// A person decides.
    Person,
}

impl SettleBy {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Repeat => "repeat",
            Self::Person => "person",
        }
    }
}

impl State {
    /// Nothing more will happen here by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped(_) | Self::DeadLettered | Self::Cancelled)
    }

    /// The steps after this one may go on.
    pub fn is_passed(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped(_))
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Backoff(_) => "backoff",
            Self::Waiting(_) => "waiting",
            Self::InDoubt(_) => "in_doubt",
            Self::Succeeded => "succeeded",
            Self::Skipped(_) => "skipped",
            Self::DeadLettered => "dead_lettered",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is durable about one step for one unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Where it stands.
    pub state: State,
    /// Attempts that ended, over the whole life of the run.
    pub attempts: u32,
    /// Attempts that ended in the present budget (rule R4); a resume begins a new one.
    pub spent: u32,
    /// Looks at the other side that failed since the doubt began.
    pub looks: u32,
    /// When the state last changed.
    pub at: Timestamp,
    /// What the effect returned.
    pub facts: Facts,
    /// The last thing that went wrong; kept after a later success too.
    pub fault: Option<Fault>,
}

/// What happens to a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A call is about to leave. From pending, or from backoff.
    Intended,
    /// Surely done. From running; from waiting (it came); from in-doubt (found, or its message
    /// arrived); from pending (a step without effects that must leave a record).
    Done {
        /// What it returned.
        facts: Facts,
    },
    /// Not needed. From pending or running.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// Surely not done. From running; from in-doubt when the budget is used up.
    Refused {
        /// Why.
        fault: Fault,
        /// When the next attempt starts; `None`: no more attempts.
        until: Option<Timestamp>,
    },
    /// Cannot even be tried: the content is at fault, or what it waited for did not come. From
    /// pending, backoff or waiting.
    Faulted {
        /// Why.
        fault: Fault,
    },
    /// Perhaps done. From running.
    Unclear {
        /// Why.
        fault: Fault,
        /// When it is looked at; `None`: a person decides.
        until: Option<Timestamp>,
    },
    /// The engine died after the intent. From running; costs no attempt.
    Lost {
        /// When it is looked at; `None`: a person decides.
        until: Option<Timestamp>,
    },
    /// The look itself failed. From in-doubt.
    Unsettled {
        /// Why.
        fault: Fault,
        /// When it is looked at again; `None`: a person decides.
        until: Option<Timestamp>,
    },
    /// Surely not done, or harmless to repeat. From in-doubt.
    Reopened {
        /// When the next attempt starts.
        until: Timestamp,
    },
    /// Waits for a message or for time. From pending.
    Parked {
        /// When the wait ends.
        until: Timestamp,
    },
    /// What it sent was lost on the way: a resume sends it again, under the same ID. From
    /// succeeded.
    Resent,
    /// A resume gives a new budget. From dead-lettered, cancelled, in-doubt, backoff or waiting.
    Revived,
    /// The run was cancelled. From every state that is not final, but running.
    Cancelled,
}

/// An event that the present state does not accept: a defect of the engine, never of a workflow.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a cell that is {state:?} does not accept {kind:?}")]
pub struct IllegalTransition {
    /// Where the cell stood.
    pub state: State,
    /// What was to happen.
    pub kind: Box<Kind>,
}

impl Cell {
    /// The cell after `kind` happened to it at `at`.
    ///
    /// # Errors
    /// [`IllegalTransition`] when the present state does not accept it.
    pub fn next(mut self, kind: Kind, at: Timestamp) -> Result<Self, IllegalTransition> {
        use State as S;
        let ends_attempt = self.state == S::Running
            && matches!(
                kind,
                Kind::Done { .. } | Kind::Skipped { .. } | Kind::Refused { .. } | Kind::Unclear { .. }
            );
        self.state = match (self.state, kind) {
            (S::Pending | S::Backoff(_), Kind::Intended) => S::Running,
            (S::Running | S::Waiting(_) | S::InDoubt(_) | S::Pending, Kind::Done { facts }) => {
                self.facts = facts;
                S::Succeeded
            }
            (S::Pending | S::Running, Kind::Skipped { reason }) => S::Skipped(reason),
            (S::Running | S::InDoubt(_), Kind::Refused { fault, until }) => {
                self.fault = Some(fault);
                until.map_or(S::DeadLettered, S::Backoff)
            }
            (S::Pending | S::Backoff(_) | S::Waiting(_), Kind::Faulted { fault }) => {
                self.fault = Some(fault);
                S::DeadLettered
            }
            (S::Running, Kind::Unclear { fault, until }) => {
                self.fault = Some(fault);
                self.looks = 0;
                S::InDoubt(until)
            }
            (S::Running, Kind::Lost { until }) => {
                self.looks = 0;
                S::InDoubt(until)
            }
            (S::InDoubt(_), Kind::Unsettled { fault, until }) => {
                self.fault = Some(fault);
                self.looks += 1;
                S::InDoubt(until)
            }
            (S::InDoubt(_), Kind::Reopened { until }) => S::Backoff(until),
            (S::Pending, Kind::Parked { until }) => S::Waiting(until),
            (S::DeadLettered | S::Cancelled | S::Backoff(_) | S::Waiting(_), Kind::Revived) => {
                self.spent = 0;
                S::Pending
            }
            (S::Succeeded, Kind::Resent) => {
                self.spent = 0;
                S::Pending
            }
            (S::InDoubt(_), Kind::Revived) => {
                self.spent = 0;
                self.looks = 0;
                S::InDoubt(Some(at))
            }
            (S::Pending | S::Backoff(_) | S::Waiting(_) | S::InDoubt(_), Kind::Cancelled) => S::Cancelled,
            (state, kind) => return Err(IllegalTransition { state, kind: Box::new(kind) }),
        };
        if ends_attempt {
            self.attempts += 1;
            self.spent += 1;
        }
        self.at = at;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Fault {
        Fault::new("X", "no")
    }

    #[test]
    fn an_attempt_is_counted_when_it_ends_and_not_when_the_engine_dies() {
        let at = Timestamp(5);
        let running = Cell::default().next(Kind::Intended, at).unwrap();
        assert_eq!(running.attempts, 0);
        let lost = running.clone().next(Kind::Lost { until: Some(at) }, at).unwrap();
        assert_eq!((lost.attempts, lost.state), (0, State::InDoubt(Some(at))));
        let refused = running.next(Kind::Refused { fault: fault(), until: Some(at) }, at).unwrap();
        assert_eq!((refused.attempts, refused.spent), (1, 1));
    }

    #[test]
    fn a_late_outcome_is_refused() {
        let at = Timestamp(5);
        let done = Cell::default().next(Kind::Done { facts: Facts::new() }, at).unwrap();
        for kind in [Kind::Intended, Kind::Done { facts: Facts::new() }, Kind::Revived, Kind::Cancelled] {
            assert!(done.clone().next(kind, at).is_err());
        }
        let cell = Cell::default();
        assert!(cell.clone().next(Kind::Unclear { fault: fault(), until: None }, at).is_err());
        assert!(cell.next(Kind::Reopened { until: at }, at).is_err());
    }
}
