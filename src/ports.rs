//! Every boundary of the engine. A trait is here only when it has two implementations, and its
//! doc comment says what is true when it returns.

mod alerts;
mod executor;
mod interest;
mod newest;
mod signals;
mod source;
mod triggers;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::core::alert::Alert;
use crate::core::care::KeptDeadLetter;
use crate::core::change::{Change, Message};
use crate::core::claims::{Claim, Claimed, End, Settled};
use crate::core::deed::Deed;
use crate::core::event::Event;
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::inflow::{Entrant, Rotation};
use crate::core::progress::Progress;
use crate::core::queue::{Carried, Delivery, Receive, Received, Ticket};
use crate::core::retry::{Outcome, Probed};
use crate::core::run::Run;
use crate::core::scope::Scope;
use crate::core::start::StartKey;
use crate::core::survey::Survey;
use crate::core::tally::Tally;
use crate::core::time::Timestamp;
use crate::core::version::Version;

pub use alerts::{Courier, Couriers, Due, Outbox};
pub use executor::{Begun, Executor, Heard};
pub use interest::{Interest, Waiting};
pub use newest::newest_first;
pub use signals::{Announced, Announcer, Signals};
pub use source::{Pinned, Record, Records, Source, SurveyOf, Unread};
pub use triggers::{Marks, Trigger};

/// The store failed. After an error of a write nothing more is accepted: stop the engine.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Durable records of runs. Implemented by the sled store and, for the simulation, in memory.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Applies all changes or none. When it returns `Ok`, they survive a power cut.
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError>;

    /// The record of a run, if there is one.
    fn run(&self, run: RunId) -> Result<Option<Run>, StoreError>;

    /// Up to `limit` runs that are older than `before` (`None`: of all), newest first.
    fn runs_before(&self, before: Option<RunId>, limit: usize) -> Result<Vec<Run>, StoreError>;

    /// Every run, newest first.
    fn runs(&self) -> Result<Vec<Run>, StoreError> {
        self.runs_before(None, usize::MAX)
    }

    /// Every run that has not ended, newest first.
    fn unended(&self) -> Result<Vec<Run>, StoreError> {
        let mut runs = self.runs()?;
        runs.retain(|run| !run.status.is_ended());
        Ok(runs)
    }

    /// How many runs there are.
    fn run_count(&self) -> Result<usize, StoreError> {
        Ok(self.runs()?.len())
    }

    /// What was started under a key, if anything was.
    fn started_under(&self, key: &str) -> Result<Option<StartKey>, StoreError>;

    /// The progress of one unit; `None` when it has no record.
    fn progress(&self, run: RunId, unit: Unit) -> Result<Option<Progress>, StoreError>;

    /// The progress of up to `limit` items that have a record, ascending from `from`.
    fn items(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError>;

    /// The same without the facts: what effects returned is most of a record, and whoever counts or looks for
    /// something does without.
    fn outlines(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Progress)>, StoreError> {
        let mut items = self.items(run, from, limit)?;
        for (_, progress) in &mut items {
            *progress = progress.outline();
        }
        Ok(items)
    }

    /// The counts of the track that `unit` flows through.
    fn tally(&self, run: RunId, unit: Unit) -> Result<Tally, StoreError>;

    /// Every item before this position is at rest.
    fn watermark(&self, run: RunId) -> Result<u64, StoreError>;

    /// What is remembered of the messages that brought the items of an open run, up to `limit`, ascending from `from`.
    fn entrants(&self, _run: RunId, _from: u64, _limit: usize) -> Result<Vec<(u64, Entrant)>, StoreError> {
        Ok(Vec::new())
    }

    /// The body of an item of an open run; `None` once it was let go.
    fn body(&self, _run: RunId, _position: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    /// What people did that is about no one run, newest first with its numbers: up to `limit` of those
    /// before `before`, or of all.
    fn deeds(&self, _before: Option<u64>, _limit: usize) -> Result<Vec<(u64, Deed)>, StoreError> {
        Ok(Vec::new())
    }

    /// Up to `limit` dead letters whose runs are gone, by run and position, behind `after`.
    fn kept_dead_letters(
        &self,
        _after: Option<(RunId, u64)>,
        _limit: usize,
    ) -> Result<Vec<KeptDeadLetter>, StoreError> {
        Ok(Vec::new())
    }

    /// The alerts that are to be delivered or were given up, of one run or of all, by run and number.
    fn alerts(&self, _of: Option<RunId>) -> Result<Vec<Alert>, StoreError> {
        Ok(Vec::new())
    }

    /// Up to `limit` events beginning with number `from` (from 0), with their numbers.
    fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Event)>, StoreError>;
}

/// The store of keys cannot be asked, or did not answer. Nothing is known of what was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeysError(pub String);

/// What a store of keys answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered<T> {
    /// One for each that was asked, in that order.
    pub verdicts: Vec<T>,
    /// To be committed together with what follows from the answer; a store of its own has none.
    pub changes: Vec<Change>,
}

/// Idempotency keys (rule R6), by the rules of [`crate::core::claims`]. Implemented by the sled
/// store, in memory for the simulation, and by connectors that many engines share.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Claims keys. Whoever is granted one is alone with it until it is settled, or until the claim
    /// ends by itself.
    ///
    /// # Errors
    /// [`KeysError`]: no call may leave. Claims may have been granted all the same; their owners
    /// can claim again.
    async fn claim(&self, claims: &[Claim]) -> Result<Answered<Claimed>, KeysError>;

    /// Says how effects ended. When it returns `Ok`, and the changes are committed, others know.
    ///
    /// # Errors
    /// [`KeysError`]: the claims stay until they end by themselves. May be repeated.
    async fn settle(&self, ends: &[(Claim, End)]) -> Result<Answered<Settled>, KeysError>;
}

/// Why a queue gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The engine's own store failed: nothing more is accepted.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The other side was not reached, or refused. Messages show again by themselves.
    #[error("{0}")]
    Away(Fault),
}

/// A durable queue that messages are received from. Implemented by the sled store, in memory for the
/// simulation, and by connectors.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Takes what is visible; waits up to `wait` when nothing is. What is returned is hidden, and
    /// counted as received, durably.
    ///
    /// # Errors
    /// [`QueueError`]: messages may have been taken all the same, and show again by themselves.
    async fn receive(&self, receive: &Receive) -> Result<Received, QueueError>;

    /// Removes messages for good. Those that are gone already are no error.
    ///
    /// # Errors
    /// [`QueueError`]: some may be gone, the others show again by themselves.
    async fn delete(&self, tickets: Vec<Ticket>) -> Result<(), QueueError>;

    /// Hides messages for this much longer from now; zero shows them at once. Those that are gone
    /// already are no error.
    ///
    /// # Errors
    /// [`QueueError`]: some may not be hidden longer.
    async fn hide(&self, tickets: Vec<Ticket>, visibility: Duration) -> Result<(), QueueError>;

    /// Puts messages back that went to the queue's dead-letter queue: those of the run and the items
    /// that `receive` names, all that are there when it names no items. Returns how many; `None`: the
    /// other side moves them by itself, and may go on with that.
    ///
    /// # Errors
    /// [`QueueError`]: some may be back, and some may be in both queues.
    async fn redrive(&self, receive: &Receive) -> Result<Option<u64>, QueueError>;

    /// Waits for the receives that nobody waits for any more, and returns what they took. An error of
    /// one is dropped: what it took shows again by itself.
    async fn last(&self, _receive: &Receive) -> Received {
        // Where the other side notices that nobody waits, they took nothing.
        Received::default()
    }
}

/// The engine's own queue: the one that messages can also be put into.
#[async_trait]
pub trait OwnQueue: Queue {
    /// Puts messages. When it returns `Ok` they are durable. A message whose ID is already in the
    /// queue is not put twice.
    async fn send(&self, messages: Vec<Message>) -> Result<(), StoreError>;

    /// The same for a queue that all runs share ([`crate::core::queue::SHARED`]), whose messages carry
    /// their content.
    async fn share(&self, messages: Vec<(Message, Carried)>) -> Result<(), StoreError>;
}

/// Content-addressed files: immutable bytes by digest.
pub trait Pins: Send + Sync {
    /// Keeps bytes and returns their address. When it returns `Ok` they survive a power cut.
    fn put(&self, bytes: &[u8]) -> Result<String, StoreError>;

    /// Starts a file whose size is not known yet.
    fn create(&self) -> Result<Box<dyn PinWriter>, StoreError>;

    /// The bytes at an address.
    fn get(&self, address: &str) -> Result<Vec<u8>, StoreError>;

    /// Opens an address for reading at positions.
    fn open(&self, address: &str) -> Result<std::fs::File, StoreError>;

    /// An empty file without a name, for whoever asked to write and read: gone when it is closed,
    /// however the process ends.
    fn scratch(&self) -> Result<std::fs::File, StoreError>;
}

/// A content-addressed file that is being written.
pub trait PinWriter: std::io::Write + Send {
    /// Ends the file and returns its address. When it returns `Ok` it survives a power cut; when
    /// the writer is dropped without this, nothing is left.
    fn finish(self: Box<Self>) -> Result<String, StoreError>;
}

/// The time of day and the passing of time. Implemented by the system and by the simulation.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now. It may be set back, or forth.
    fn now(&self) -> Timestamp;

    /// How much time has passed since some moment, which is always the same one in this process. It is
    /// never set: of a time of day that is not set either, it is that.
    fn passed(&self) -> Duration {
        Duration::from_millis(self.now().0)
    }

    /// Returns at `until` or later.
    async fn sleep_until(&self, until: Timestamp);
}

/// Runs jobs that compute, away from the threads that wait. Implemented by a pool of threads and,
/// for the simulation, in place.
pub trait Compute: Send + Sync {
    /// Takes a job; it runs once, soon. A job tells of its end by itself.
    fn submit(&self, job: Box<dyn FnOnce() + Send>);
}

/// What one step does before any call: pure, repeatable, on a computing thread.
pub trait Prepare: Send + Sync {
    /// For a pure step its output; for an effect the request to send, whole and without secrets;
    /// for a timer the wait in milliseconds; for a receiver `{digest}`, what the item's message must
    /// carry.
    ///
    /// # Errors
    /// A fault of the content: the unit is a dead letter at this step.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault>;

    /// Whether somebody else computes, who can be at several units at once: then units that are prepared
    /// at the same time are asked for together.
    fn is_shared(&self) -> bool {
        false
    }

    /// The same as [`Prepare::prepare`] for several units, in their order. One bad unit does not spoil
    /// the others.
    fn prepare_all(&self, scopes: &[Scope]) -> Vec<Result<Value, Fault>> {
        scopes.iter().map(|scope| self.prepare(scope)).collect()
    }

    /// What can be said of an item at the gate, computed without the rest of the output. Most
    /// steps have nothing to say.
    fn survey(&self, _scope: &Scope) -> Survey {
        Survey::default()
    }
}

/// One unit of a call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The run.
    pub run: RunId,
    /// The unit.
    pub unit: Unit,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Names what the effect is about; the same in every attempt. The declared key, else
    /// run/step/item.
    pub key: String,
    /// A stable ID for the effect, derived from run, step and unit.
    pub effect_id: u128,
    /// What `prepare` made.
    pub request: Value,
    /// How new that is (rule R6): what the step's key declares, else what the scope says.
    pub version: Version,
}

/// What a call came to.
#[derive(Clone, Debug)]
pub struct Verdicts {
    /// One outcome per unit, in the order of the call.
    pub outcomes: Vec<Outcome>,
    /// How many requests were sent.
    pub calls: u64,
}

/// A step that changes or reads something outside. Implemented by connectors and by the
/// simulated outside world.
#[async_trait]
pub trait Effect: Prepare {
    /// Carries out one attempt for each unit. Never retries by itself, never drops a unit: an
    /// unclear end is [`Outcome::Unclear`], and one bad unit does not spoil the others.
    async fn call(&self, calls: &[Call]) -> Verdicts;

    /// Looks up whether an earlier attempt was carried out. Changes nothing outside.
    async fn probe(&self, call: &Call) -> Probed;

    /// What people are told once this call was carried out; most effects say nothing.
    fn says(&self, _call: &Call) -> Option<String> {
        None
    }
}

/// A step that waits for the item's message. Implemented by the embedded bus, by connectors, and by
/// the simulation.
pub trait Receiver: Prepare {
    /// Where the messages come from.
    fn queue(&self) -> Arc<dyn Queue>;

    /// How they are received.
    fn receive(&self, run: RunId) -> Receive;
}

/// A queue as the source: its messages are the items of an open run. Implemented by the source step,
/// over any queue, and by the simulation.
pub trait Stream: Receiver {
    /// When a run has taken in enough.
    fn rotation(&self) -> Rotation;

    /// The item that a message brings: where it came from, with the fault that makes it a dead
    /// letter, and its body. Pure; runs on a computing thread.
    fn item(&self, delivery: &Delivery) -> (Entrant, Vec<u8>);
}

/// What a step is, ready to work.
#[derive(Clone)]
pub enum Worker {
    /// A source.
    Source(Arc<dyn Source>),
    /// A queue as the source.
    Stream(Arc<dyn Stream>),
    /// A pure step or a timer.
    Pure(Arc<dyn Prepare>),
    /// A step that waits for messages.
    Receiver(Arc<dyn Receiver>),
    /// An effect.
    Effect(Arc<dyn Effect>),
}
