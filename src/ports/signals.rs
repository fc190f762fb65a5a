//! Signals: taking them in, and asking those who do not tell by themselves.

use async_trait::async_trait;
use serde_json::Value;

use super::StoreError;
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::signal::{Awaiting, Kept, Signal, TakenIn};

/// Signals, and who waits for them. Implemented by the sled store, and in memory for the simulation.
#[async_trait]
pub trait Signals: Send + Sync {
    /// Takes signals in, all or none, and says what became of each. When it returns `Ok`, they are
    /// durable, and so are the messages for the items that they woke; one that came before, under the
    /// same name, key and ID, changes nothing. This is the one door for signals, whoever sends them.
    async fn take_in(&self, signals: Vec<Signal>) -> Result<Vec<TakenIn>, StoreError>;

    /// Up to `limit` items of a run that wait for signals in this queue: in an order of the store's own,
    /// those that come behind the one at `behind`. Some may have been woken, or may have given up,
    /// meanwhile.
    fn awaited(
        &self,
        run: RunId,
        queue: &str,
        behind: Option<&Awaiting>,
        limit: usize,
    ) -> Result<Vec<Awaiting>, StoreError>;

    /// The signal that is kept under this one's name, key and ID, if there is one.
    fn kept_signal(&self, signal: &Signal) -> Result<Option<Kept>, StoreError>;

    /// Every signal that is kept.
    fn kept_signals(&self) -> Result<Vec<Kept>, StoreError>;
}

/// Something outside that does not tell by itself what it announces, and can be asked. Implemented by
/// connectors, and by a fake that the tests of `signal.wait` ask.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// Most keys that are asked for at once.
    fn keys_max(&self) -> usize;

    /// What it announces of these keys now: none for a key that it does not announce. Changes nothing
    /// outside.
    ///
    /// # Errors
    /// It was not reached, or refused.
    async fn announced(&self, keys: &[String]) -> Result<Vec<Announced>, Fault>;
}

/// What is announced of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The key, as it was asked for.
    pub key: String,
    /// How new what is announced is, in the words of the other side.
    pub version: Option<String>,
    /// What else it says.
    pub payload: Value,
}
