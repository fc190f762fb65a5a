//! Hooks: what others send becomes signals, by the one door for signals.
//!
//! ```text
//! raw bytes ─► verify ─► read (expressions) ─► ask, where it is only a hint ─► take in ─► answered
//! ```
//!
//! Nothing is kept before it is proven, and nothing is answered with success before it is durable. What
//! the sender calls it is the signal's ID, so that what comes again changes nothing.

mod make;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connectors::sandbox::Listener;
use crate::core::fault::Fault;
use crate::core::measures::Reception;
use crate::core::signal::{KEEP, Signal, TakenIn};
use crate::core::time::Timestamp;
use crate::ports::{Announced, Announcer, Signals as _, StoreError};
use crate::view::Delivered;
use crate::webhook::{Delivery, Headers, Proven, Reading, Source, Told};

use super::Engine;
use super::signal::signalled;

pub(super) use make::try_out;

/// How long the system that is asked may take: who sent the hint waits for our answer.
const ASKING_MAX: Duration = Duration::from_secs(10);

/// Most deliveries at once: each holds a body in memory, and may wait for the system that is asked.
const DELIVERIES_MAX: usize = 64;
/// Most of them to one hook: one sender that is loud, or whoever floods its hook, leaves room for the others.
const OF_ONE_HOOK_MAX: usize = 32;

/// Hooks by their names.
pub struct Hooks {
    by_name: BTreeMap<String, Arc<Hook>>,
    places: Arc<Semaphore>,
    received: Mutex<BTreeMap<(String, Reception), u64>>,
}

/// One hook.
struct Hook {
    /// The file that it stands in.
    file: PathBuf,
    source: Source,
    reading: Reading,
    body_max: usize,
    places: Arc<Semaphore>,
    /// Who is asked whether it is so.
    announcer: Option<Arc<dyn Announcer>>,
    /// Whether the stand-in of this process sends to it.
    stands_in: bool,
}

/// A delivery that did not become a signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// No hook is called so.
    #[error("there is no hook '{0}'")]
    Unknown(String),
    /// It is not proven from whom it is. Whoever sent it is told no more.
    #[error("it is not proven from whom this is")]
    Unproven,
    /// It is from whom it says, and the hook cannot make a signal of it: sent again it would not be better.
    #[error("{0}")]
    Content(String),
    /// It cannot be dealt with now: it is to be sent again.
    #[error("{0}")]
    Later(String),
}

impl From<StoreError> for HookError {
    fn from(error: StoreError) -> Self {
        Self::Later(format!("it could not be kept: {error}"))
    }
}

/// Room for one delivery, until it is dropped.
pub struct Room {
    /// The longest body that the hook takes, in bytes.
    pub body_max: usize,
    /// What is taken: of the hook, and of all.
    pub permits: [OwnedSemaphorePermit; 2],
}

/// Why there is no room for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// There is no such hook.
    Unknown,
    /// Too much is being sent to this hook.
    OfHook,
    /// Too much is being sent.
    OfAll,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            by_name: BTreeMap::new(),
            places: Arc::new(Semaphore::new(DELIVERIES_MAX)),
            received: Mutex::default(),
        }
    }
}

impl Hooks {
    /// Takes room for a delivery to a hook.
    ///
    /// # Errors
    /// [`NoRoom`]: nobody is waited for.
    pub fn room(&self, hook: &str) -> Result<Room, NoRoom> {
        let hook = self.by_name.get(hook).ok_or(NoRoom::Unknown)?;
        let of_hook = Arc::clone(&hook.places).try_acquire_owned().map_err(|_| NoRoom::OfHook)?;
        let of_all = Arc::clone(&self.places).try_acquire_owned().map_err(|_| NoRoom::OfAll)?;
        Ok(Room { body_max: hook.body_max, permits: [of_hook, of_all] })
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// What was sent to each of them since they were made, by what came of it.
    pub fn received(&self) -> BTreeMap<(String, Reception), u64> {
        self.lock().clone()
    }

    fn count(&self, hook: &str, result: &Result<Delivered, HookError>) {
        let reception = match result {
            Ok(Delivered { signalled: Some(signalled), .. }) if signalled.known => Reception::Known,
            Ok(Delivered { signalled: Some(_), .. }) => Reception::Signal,
            Ok(Delivered { signalled: None, .. }) => Reception::Nothing,
            Err(HookError::Unproven) => Reception::Unproven,
            Err(HookError::Content(_)) => Reception::Unreadable,
            Err(HookError::Later(_)) => Reception::Later,
            // Whoever sends to what is not there could make up names without an end.
            Err(HookError::Unknown(_)) => return,
        };
        *self.lock().entry((hook.to_owned(), reception)).or_default() += 1;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Reception), u64>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that the stand-in of this process sends to.
    pub(super) fn of_stand_in(&self) -> impl Iterator<Item = &str> {
        self.by_name.iter().filter(|(_, hook)| hook.stands_in).map(|(name, _)| name.as_str())
    }
}

impl Hook {
    /// What a proven delivery tells.
    fn read(&self, headers: &Headers, body: &[u8], now: Timestamp) -> Result<Option<Told>, HookError> {
        let body = serde_json::from_slice(body)
            .map_err(|error| HookError::Content(format!("the body is not JSON: {error}")))?;
        let told = self.reading.read(&self.source, headers, body, now);
        told.map_err(|fault| HookError::Content(fault.message))
    }
}

impl Engine {
    /// From now on the stand-in of this process, once a run wants it, sends its events to the hooks that
    /// hear from it, at the address of our server, for example `http://127.0.0.1:7300`.
    pub fn stand_in_tells(&self, hooks: &Hooks, server: &str) {
        for name in hooks.of_stand_in() {
            let (url, secret) = (format!("{server}/hooks/{name}"), self.stand_in_secret.clone());
            self.told.send_modify(|told| told.push(Listener { url, secret }));
        }
    }

    /// Takes what somebody sent to a hook. When it returns, what it became is durable, and so is whom it
    /// woke; what came before changes nothing.
    ///
    /// # Errors
    /// [`HookError`]: nothing was kept.
    pub async fn deliver(
        &self,
        hooks: &Hooks,
        name: &str,
        headers: Headers,
        body: Bytes,
    ) -> Result<Delivered, HookError> {
        let result = self.dealt_with(hooks, name, headers, body).await;
        hooks.count(name, &result);
        result
    }

    async fn dealt_with(
        &self,
        hooks: &Hooks,
        name: &str,
        headers: Headers,
        body: Bytes,
    ) -> Result<Delivered, HookError> {
        let hook = hooks.by_name.get(name).ok_or_else(|| HookError::Unknown(name.to_owned()))?;
        let now = self.ports.clock.now();
        let proven = hook.source.verify(Delivery { headers: &headers, body: &body }, now);
        let proven = proven.map_err(|refused| {
            tracing::warn!(hook = name, "what was sent is refused: {refused}");
            HookError::Unproven
        })?;
        let reader = Arc::clone(hook);
        // Expressions compute, and bodies are long: not on a thread that others wait for.
        let reading = tokio::task::spawn_blocking(move || reader.read(&headers, &body, now));
        let told =
            reading.await.map_err(|error| HookError::Content(format!("it cannot be read: {error}")))?;
        let told = told.inspect_err(|error| {
            tracing::warn!(hook = name, "what was sent is no signal: {error}");
        })?;
        let Some(told) = told else { return Ok(nothing(name)) };
        let mut signal = signal(name, proven, told, now)?;
        if let Some(announcer) = &hook.announcer {
            match self.store.kept_signal(&signal)? {
                // It was asked about before. It is taken in again all the same: that waits until what is
                // seen here is durable.
                Some(kept) => signal = kept.signal,
                None => match asked(announcer.as_ref(), &signal.key).await? {
                    Some(announced) => {
                        (signal.version, signal.payload) = (announced.version, announced.payload);
                    }
                    None => return Ok(nothing(name)),
                },
            }
        }
        let mut taken = self.store.take_in(vec![signal.clone()]).await?;
        let taken = taken.pop().ok_or_else(|| HookError::Later("it was not taken in".to_owned()))?;
        Ok(became(name, signal, taken))
    }
}

/// The signal that a delivery tells of. Hooks do not share what their senders call things.
fn signal(hook: &str, proven: Proven, told: Told, at: Timestamp) -> Result<Signal, HookError> {
    let Told { signal: name, key, id, version, payload } = told;
    let id = format!("{hook}/{}", id.unwrap_or(proven.id));
    let until = at.after(KEEP);
    let signal = Signal { name, key, id, at, version, workflow: None, payload, by: None, until };
    match signal.wrong() {
        Some(wrong) => Err(HookError::Content(wrong)),
        None => Ok(signal),
    }
}

/// What the system that is asked announces of a key; `None`: nothing, so the hint was wrong, or is out of
/// date.
async fn asked(announcer: &dyn Announcer, key: &str) -> Result<Option<Announced>, HookError> {
    let keys = [key.to_owned()];
    let away = |fault: Fault| HookError::Later(format!("who is asked about it does not answer: {fault}"));
    match tokio::time::timeout(ASKING_MAX, announcer.announced(&keys)).await {
        Ok(Ok(all)) => Ok(all.into_iter().find(|announced| announced.key == key)),
        Ok(Err(fault)) => Err(away(fault)),
        Err(_) => Err(HookError::Later("who is asked about it takes too long".to_owned())),
    }
}

fn became(hook: &str, signal: Signal, taken: TakenIn) -> Delivered {
    Delivered { hook: hook.to_owned(), signalled: Some(signalled(signal, taken)) }
}

fn nothing(hook: &str) -> Delivered {
    Delivered { hook: hook.to_owned(), signalled: None }
}
