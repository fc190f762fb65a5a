//! What people and failing connections want of a run: that it pauses, that it ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Event, RunEvent};
use super::fault::Fault;
use super::time::Timestamp;

/// What a run is asked for, as it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Steer {
    /// Who cancelled it. No attempt begins after that, in this engine or a later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_by: Option<String>,
    /// Who paused it, until they say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// The connections that are held, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<String, Hold>,
    /// What people were told when its dead letters became more than they want; told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
}

/// A pause that a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

/// A connection that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Trials that failed.
    pub trials: u32,
    /// The last thing that went wrong.
    pub fault: Fault,
    /// When it is tried next.
    pub next: Timestamp,
}

/// Why a run pauses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Halt {
    /// A person asked for it.
    Person {
        /// Who.
        name: String,
    },
    /// Calls over a connection fail, one after the other.
    Connection {
        /// Which; a step without a connection is its own.
        connection: String,
        /// The last thing that went wrong.
        fault: Fault,
        /// When it is tried.
        next: Timestamp,
    },
}

/// Why a pause is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Relief {
    /// A person asked for it.
    Person {
        /// Who.
        name: String,
    },
    /// The connection answers again.
    Connection {
        /// Which.
        connection: String,
    },
}

impl Steer {
    /// Whether nobody ever wanted anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether anything keeps the run from going on.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some() || !self.holds.is_empty()
    }

    /// Takes in what pauses the run, or lets it go on; any other event changes nothing.
    pub(super) fn hear(&mut self, event: &Event) {
        let since = event.at;
        match &event.what {
            RunEvent::Paused { halt: Halt::Person { name } } => {
                self.paused.get_or_insert(Paused { by: name.clone(), since });
            }
            RunEvent::Paused { halt: Halt::Connection { connection, fault, next } } => {
                let hold = Hold { since, trials: 0, fault: fault.clone(), next: *next };
                self.holds.insert(connection.clone(), hold);
            }
            RunEvent::Tried { connection, fault, next } => {
                if let Some(hold) = self.holds.get_mut(connection) {
                    hold.trials += 1;
                    hold.fault = fault.clone();
                    hold.next = *next;
                }
            }
            RunEvent::Unpaused { relief: Relief::Person { .. } } => self.paused = None,
            RunEvent::Unpaused { relief: Relief::Connection { connection } } => {
                self.holds.remove(connection);
            }
            _ => {}
        }
    }

    /// Nobody works on it any more, so no connection is held. A pause that a person asked for stays,
    /// until somebody resumes the run.
    pub(super) fn rest(&mut self) {
        self.holds.clear();
    }

    /// Nothing keeps it from going on any more.
    pub(super) fn free(&mut self) {
        self.paused = None;
        self.holds.clear();
    }
}
