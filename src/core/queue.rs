//! Messages as queues give them, and how they are received.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::change::{Message, Receipt};
use super::id::RunId;
use super::selection::Positions;

/// A message as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// How often it was received, this time included.
    pub receives: u32,
    /// Names this delivery to its queue.
    pub ticket: Ticket,
    /// What travels with it, where the queue carries more than references.
    pub carried: Option<Carried>,
}

/// The product itself, as a message carries it for readers that have no pinned source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The item's key in the run that published it.
    pub key: Option<String>,
    /// How new the content is, as the run that published it says (rule R6).
    pub version: Option<String>,
    /// The product.
    pub content: Arc<Value>,
}

/// Stands in the place of the run for a queue of our own that all runs share: its messages carry
/// their content, and whoever comes first takes them.
pub const SHARED: RunId = RunId(0);

/// Names a delivery to the queue that it came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ticket {
    /// A message in the engine's own queue.
    Own(Receipt),
    /// What another queue calls this delivery; the next delivery of the message has another.
    Given(Arc<str>),
}

/// A message that is none of ours, or is damaged: nobody can say which item it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// What the queue calls the message; the same at every delivery.
    pub id: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// What is wrong with it.
    pub reason: String,
    /// Names this delivery to its queue.
    pub ticket: Ticket,
}

/// What one receive brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The messages.
    pub deliveries: Vec<Delivery>,
    /// What is no message.
    pub strays: Vec<Stray>,
}

impl Received {
    /// How many there are of both.
    pub fn len(&self) -> usize {
        self.deliveries.len() + self.strays.len()
    }

    /// Whether it brought nothing.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.strays.is_empty()
    }
}

/// Which messages are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All.
    #[default]
    All,
    /// Those for these items.
    Items(Arc<Positions>),
    /// Those that brought items into an open run, by their events: they name items of other runs.
    Events(Arc<BTreeSet<u128>>),
}

impl Only {
    /// How many messages there are at least, if each is there once; `None`: nobody knows.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Items(items) => Some(items.count()),
            Self::Events(events) => Some(events.len() as u64),
        }
    }
}

/// How a queue is received from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    /// The queue's name.
    pub queue: String,
    /// Only messages of this run, where the queue can tell (the embedded one can).
    pub run: RunId,
    /// Only these messages, where the queue can tell (the embedded one can).
    pub only: Only,
    /// Most messages per call.
    pub max: usize,
    /// How long to wait for the first one.
    pub wait: Duration,
    /// How long a received message stays hidden.
    pub visibility: Duration,
    /// After so many receives a message goes to the dead-letter queue instead.
    pub receives_max: u32,
    /// How many receives are under way at once.
    pub pollers: usize,
    /// Whether what travels with the messages is wanted, beside the references.
    pub content: bool,
}

impl Receive {
    /// Whether a message of this event, for this item, may be taken.
    pub fn takes(&self, item: Option<u64>, event_id: u128) -> bool {
        match &self.only {
            Only::All => true,
            Only::Items(items) => item.is_some_and(|item| items.contains(item)),
            Only::Events(events) => events.contains(&event_id),
        }
    }
}
