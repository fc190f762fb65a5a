//! The state machine of one step for one unit. One match; whatever is not listed is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::{Fault, name};
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
    /// Given up by a person.
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
    /// Attempts that are over, over the whole life of the run; one whose engine died is over too.
    pub attempts: u32,
    /// Attempts that ended in the present budget (rule R4); a crash spends none, and a resume begins
    /// a new budget.
    pub spent: u32,
    /// Looks at the other side that failed since the doubt began.
    pub looks: u32,
    /// Attempts that perhaps happened, of which nobody will ever know: a harmless repeat left them
    /// behind, or a person gave the unit up. One that was sent again counts: it is never said not to
    /// have happened. The present doubt, if there is one, is not counted.
    pub doubts: u32,
    /// How often it was done, and begun again on purpose: it was out of date, or what it sent was
    /// lost.
    pub redone: u32,
    /// The revision of the step that the present state was reached under; see
    /// [`super::plan::PlanStep::revision`].
    pub revision: u32,
    /// When the state last changed.
    pub at: Timestamp,
    /// When the last attempt began; kept only where a step behind this one waits for a signal, which
    /// must be newer.
    pub began: Option<Timestamp>,
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
    /// Not needed. From pending, backoff or running.
    Skipped {
        /// Why.
        reason: SkipReason,
        /// What the effect returned when it was applied before, if it was.
        facts: Facts,
    },
    /// Surely not done. From running.
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
    /// It failed for the sake of a connection that is held, or the engine broke it off: surely not
    /// done, and nothing of the budget is spent. From running; from in-doubt, when it was a look.
    Postponed {
        /// Why.
        fault: Fault,
        /// When the next attempt, or look, may start.
        until: Timestamp,
    },
    /// Perhaps done, over a connection that is held: costs nothing of the budget. From running.
    Unheard {
        /// Why.
        fault: Fault,
        /// When it is looked at; `None`: a person decides.
        until: Option<Timestamp>,
    },
    /// Perhaps done. From running.
    Unclear {
        /// Why.
        fault: Fault,
        /// When it is looked at; `None`: a person decides.
        until: Option<Timestamp>,
    },
    /// The engine died after the intent. From running; costs nothing of the budget.
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
    /// Surely not there, whatever earlier attempts came to: somebody looked. From in-doubt.
    Absent {
        /// When the next attempt starts; `None`: no more attempts.
        until: Option<Timestamp>,
    },
    /// The doubt is left behind, because a repeat is harmless. From in-doubt.
    Repeated {
        /// When the next attempt starts; `None`: no more attempts.
        until: Option<Timestamp>,
    },
    /// A person says what became of it. From in-doubt; from dead-lettered, cancelled, backoff or
    /// succeeded when doubts were left behind.
    Settled {
        /// What it returned when it was done; `None`: it was not done.
        done: Option<Facts>,
    },
    /// Waits for a message or for time. From pending.
    Parked {
        /// When the wait ends.
        until: Timestamp,
        /// What it waits for, where that is to be told.
        facts: Facts,
    },
    /// What it sent was lost on the way: a resume sends it again, under the same ID. From
    /// succeeded.
    Resent,
    /// It was reached under an earlier revision of its step: it begins anew. From succeeded, skipped,
    /// dead-lettered, backoff or waiting.
    Outdated,
    /// A resume gives a new budget. From dead-lettered, in-doubt, backoff or waiting.
    Revived,
    /// A person gave it up. From dead-lettered, and from every state that is not final, but
    /// running.
    Cancelled,
}

impl Kind {
    /// How many attempts end with it when one is running, and what that costs of the budget.
    fn ends(&self) -> (u32, u32) {
        match self {
            Self::Done { .. } | Self::Skipped { .. } | Self::Refused { .. } | Self::Unclear { .. } => (1, 1),
            Self::Lost { .. } | Self::Postponed { .. } | Self::Unheard { .. } => (1, 0),
            _ => (0, 0),
        }
    }

    /// What went wrong, if something did.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Refused { fault, .. }
            | Self::Postponed { fault, .. }
            | Self::Unheard { fault, .. }
            | Self::Faulted { fault }
            | Self::Unclear { fault, .. }
            | Self::Unsettled { fault, .. } => Some(fault),
            _ => None,
        }
    }
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
        let (ended, cost) = if self.state == S::Running { kind.ends() } else { (0, 0) };
        if let Some(fault) = kind.fault() {
            self.fault = Some(fault.clone());
        }
        self.state = match (self.state, kind) {
            (S::Pending | S::Backoff(_), Kind::Intended) => S::Running,
            (S::Running | S::Waiting(_) | S::InDoubt(_) | S::Pending, Kind::Done { facts }) => {
                self.facts = facts;
                S::Succeeded
            }
            (S::Pending | S::Backoff(_) | S::Running, Kind::Skipped { reason, facts }) => {
                self.facts = facts;
                S::Skipped(reason)
            }
            (S::Running, Kind::Refused { until, .. }) => until.map_or(S::DeadLettered, S::Backoff),
            (S::Pending | S::Backoff(_) | S::Waiting(_), Kind::Faulted { .. }) => S::DeadLettered,
            (S::Running, Kind::Unclear { until, .. }) => {
                self.looks = 0;
                S::InDoubt(until)
            }
            (S::Running, Kind::Postponed { until, .. }) => S::Backoff(until),
            (S::InDoubt(_), Kind::Postponed { until, .. }) => S::InDoubt(Some(until)),
            (S::Running, Kind::Lost { until } | Kind::Unheard { until, .. }) => {
                self.looks = 0;
                S::InDoubt(until)
            }
            (S::InDoubt(_), Kind::Unsettled { until, .. }) => {
                self.looks += 1;
                S::InDoubt(until)
            }
            (S::InDoubt(_), Kind::Absent { until }) => {
                self.doubts = 0;
                self.tried_again(until)
            }
            (S::InDoubt(_), Kind::Repeated { until }) => {
                self.doubts += 1;
                self.tried_again(until)
            }
            (state, Kind::Settled { done }) if self.is_doubtful() => self.settled(state, done),
            (S::Pending, Kind::Parked { until, facts }) => {
                self.facts = facts;
                S::Waiting(until)
            }
            (state, kind) if begins_anew(state, &kind) => {
                self.redone += u32::from(state == S::Succeeded && self.attempts > 0);
                self.spent = 0;
                S::Pending
            }
            (S::InDoubt(_), Kind::Revived) => {
                self.spent = 0;
                self.looks = 0;
                S::InDoubt(Some(at))
            }
            (S::Pending | S::Backoff(_) | S::Waiting(_) | S::DeadLettered, Kind::Cancelled) => S::Cancelled,
            (S::InDoubt(_), Kind::Cancelled) => {
                self.doubts += 1;
                S::Cancelled
            }
            (state, kind) => return Err(IllegalTransition { state, kind: Box::new(kind) }),
        };
        self.attempts += ended;
        self.spent += cost;
        self.at = at;
        Ok(self)
    }

    /// Whether an attempt perhaps happened: now, or left behind.
    pub fn is_doubtful(&self) -> bool {
        self.doubts > 0 || matches!(self.state, State::InDoubt(_))
    }

    /// Where a doubt goes that ended without the effect being known as done.
    fn tried_again(&mut self, until: Option<Timestamp>) -> State {
        let Some(until) = until else {
            let lost = || Fault::new(name::LOST, "no attempt left, and nobody knows of the effect");
            self.fault.get_or_insert_with(lost);
            return State::DeadLettered;
        };
        State::Backoff(until)
    }

    /// Where a doubtful cell goes when a person says what became of it. One that was given up, or
    /// has another attempt before it, stays there unless the effect was done.
    fn settled(&mut self, state: State, done: Option<Facts>) -> State {
        self.doubts = 0;
        match (state, done) {
            (_, Some(facts)) => {
                self.facts.extend(facts);
                State::Succeeded
            }
            (State::InDoubt(_), None) => {
                self.spent = 0;
                State::Pending
            }
            (state, None) => state,
        }
    }
}

/// Whether an event takes a cell back to its beginning.
fn begins_anew(state: State, kind: &Kind) -> bool {
    use State as S;
    match kind {
        Kind::Revived => matches!(state, S::DeadLettered | S::Backoff(_) | S::Waiting(_)),
        Kind::Resent => state == S::Succeeded,
        Kind::Outdated => {
            state.is_passed() || matches!(state, S::DeadLettered | S::Backoff(_) | S::Waiting(_))
        }
        _ => false,
    }
}
