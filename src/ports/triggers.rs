//! What starts runs from outside, and what it remembers.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::StoreError;
use crate::core::fault::Fault;
use crate::core::queue::Ticket;
use crate::core::trigger::{Heard, WhenBusy};

/// Something outside that starts runs: it is listened to, and told what was dealt with. Implemented by
/// connectors.
#[async_trait]
pub trait Trigger: Send + Sync {
    /// Waits for the next message, for as long as the trigger is made to. What is returned is hidden
    /// from others for a while, and shows again unless it is done by then.
    ///
    /// # Errors
    /// The other side was not reached, or refused. Nothing is lost: messages show again.
    async fn next(&self) -> Result<Heard, Fault>;

    /// A message is dealt with and never comes again. One that is gone already is no error.
    ///
    /// # Errors
    /// It may show again.
    async fn done(&self, ticket: &Ticket) -> Result<(), Fault>;

    /// What becomes of what happens while there is no room for another run.
    fn when_busy(&self) -> WhenBusy {
        WhenBusy::Stays
    }
}

/// What triggers remember from one life of the engine to the next. Implemented by the sled store and in
/// memory.
#[async_trait]
pub trait Marks: Send + Sync {
    /// What the trigger of this name remembers, by subject.
    fn marks(&self, of: &str) -> Result<BTreeMap<String, String>, StoreError>;

    /// Remembers, and forgets what is `None`; all of it or nothing. When it returns `Ok`, that survives a
    /// power cut.
    async fn mark(&self, of: &str, marks: BTreeMap<String, Option<String>>) -> Result<(), StoreError>;
}
