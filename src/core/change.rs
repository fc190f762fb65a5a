//! What one commit may change. A commit is a list of these, applied all or not at all.

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::claims::{KeyId, KeyRow};
use super::event::Event;
use super::id::{RunId, Unit};
use super::inflow::Entrant;
use super::progress::Progress;
use super::queue::Carried;
use super::run::Run;
use super::signal::Awaiting;
use super::start::StartKey;
use super::tally::Calls;
use super::time::Timestamp;
use super::trigger::Mark;

/// One durable change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Puts the record of a run as a whole.
    Run(Box<Run>),
    /// Puts what was started under a key.
    StartKey(StartKey),
    /// Forgets a start key. Unknown ones are no error.
    ForgetStartKey(String),
    /// Appends to a run's events.
    Event(RunId, Event),
    /// Puts the progress of a unit; the run's tally moves with it.
    Progress(RunId, Unit, Progress),
    /// Adds to a step's calls. The unit only says which track the step is on.
    Calls(RunId, Unit, usize, Calls),
    /// Every item before this position is at rest.
    Watermark(RunId, u64),
    /// Puts how an item of an open run came in.
    Entrant(RunId, u64, Box<Entrant>),
    /// Puts the body of an item of an open run; `None` lets it go.
    Body(RunId, u64, Option<Vec<u8>>),
    /// Puts what is known of an idempotency key; `None` removes it.
    Key(KeyId, Option<Box<KeyRow>>),
    /// Puts messages into embedded queues; one with a known ID in the same queue is dropped.
    Enqueue(Vec<Message>),
    /// Puts messages that carry their content into queues that all runs share; one with a known ID in
    /// the same queue is dropped.
    Share(Vec<(Message, Carried)>),
    /// A message was received: counts it and hides it.
    Received {
        /// Which.
        receipt: Receipt,
        /// Hidden until then.
        until: Timestamp,
    },
    /// Hides a received message until another instant; an instant that is past shows it again.
    Hide {
        /// Which.
        receipt: Receipt,
        /// Hidden until then.
        until: Timestamp,
    },
    /// Removes a message. Unknown ones are no error: deliveries come twice.
    Delete(Receipt),
    /// Moves a message to the queue's dead-letter queue.
    Bury(Receipt),
    /// Puts what a trigger remembers, or forgets it. Unknown ones are no error.
    Mark(Box<Mark>),
    /// Puts an alert that is to be delivered, or was given up; `None` removes it: it was delivered.
    Alert {
        /// The run that it is about.
        run: RunId,
        /// Which alert of that run.
        number: u64,
        /// The alert.
        alert: Option<Box<Alert>>,
    },
    /// An item begins to wait for a signal. One that is kept, and counts for it, is put into its queue;
    /// else the next one will be.
    Await(Box<Awaiting>),
}

/// A message on an embedded queue: a reference to an item (rule R2). Content only goes with it where
/// others than its own run read the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The queue it is in.
    pub queue: String,
    /// The run it belongs to.
    pub run: RunId,
    /// The item it is about; `None` for an event about the run.
    pub item: Option<u64>,
    /// Our own stable event ID.
    pub event_id: u128,
    /// The event's detail type.
    pub detail_type: String,
    /// The digest of the item's content when it was published.
    pub digest: String,
}

/// Names one message in one queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Receipt {
    /// The queue.
    pub queue: String,
    /// The run.
    pub run: RunId,
    /// The event ID.
    pub event_id: u128,
}

impl Message {
    /// The receipt that names it.
    pub fn receipt(&self) -> Receipt {
        Receipt { queue: self.queue.clone(), run: self.run, event_id: self.event_id }
    }
}
