//! The items of an open run, read from the store: their bodies are kept there until they are finished.

use std::sync::Arc;

use crate::core::fault::{Fault, name};
use crate::core::id::RunId;
use crate::core::inflow::Entrant;
use crate::ports::{Journal, Record, Records, StoreError};

/// Entrants read from the store in one go.
const SCAN: usize = 400;

/// What an open run has taken in.
pub struct Bodies {
    journal: Arc<dyn Journal>,
    run: RunId,
}

impl Bodies {
    /// Those of this run.
    pub fn of(journal: Arc<dyn Journal>, run: RunId) -> Self {
        Self { journal, run }
    }

    fn entrant(&self, position: u64) -> Result<Option<Entrant>, StoreError> {
        let found = self.journal.entrants(self.run, position, 1)?.pop();
        Ok(found.filter(|(at, _)| *at == position).map(|(_, entrant)| entrant))
    }

    fn read(&self, position: u64) -> Result<Record, StoreError> {
        let Some(entrant) = self.entrant(position)? else {
            let missing = Fault::new(name::VALIDATION, format!("nothing is known of item {position}"));
            return Ok(Record { key: None, value: Err(missing), version: None });
        };
        let Entrant { key, version, fault, .. } = entrant;
        let value = match (fault, self.journal.body(self.run, position)?) {
            (Some(fault), _) => Err(fault),
            (None, None) => Err(Fault::new(name::LET_GO, "its body was let go when it was finished")),
            (None, Some(body)) => serde_json::from_slice(&body)
                .map(Arc::new)
                .map_err(|error| Fault::new(name::INVALID_RECORD, format!("not JSON: {error}"))),
        };
        Ok(Record { key, value, version })
    }
}

impl Records for Bodies {
    fn record(&self, position: u64) -> Record {
        self.read(position).unwrap_or_else(|error| {
            let fault = Fault::new(name::VALIDATION, format!("failed to read item {position}: {error}"));
            Record { key: None, value: Err(fault), version: None }
        })
    }

    /// The newest item with this key: a product may come more than once.
    fn find(&self, key: &str) -> Option<u64> {
        let (mut found, mut from) = (None, 0);
        loop {
            let entrants = self.journal.entrants(self.run, from, SCAN).ok()?;
            let Some((last, _)) = entrants.last() else { return found };
            from = last + 1;
            let of_key = entrants.iter().rev().find(|(_, entrant)| entrant.key.as_deref() == Some(key));
            found = of_key.map(|(position, _)| *position).or(found);
        }
    }

    fn content(&self, position: u64) -> Option<Vec<u8>> {
        self.journal.body(self.run, position).ok()?
    }
}

/// Every event that has brought an item, with its position.
///
/// # Errors
/// [`StoreError`] when the records cannot be read.
pub(super) fn events(journal: &dyn Journal, run: RunId) -> Result<Vec<(u128, u64)>, StoreError> {
    let (mut events, mut from) = (Vec::new(), 0);
    loop {
        let entrants = journal.entrants(run, from, SCAN)?;
        let Some((last, _)) = entrants.last() else { return Ok(events) };
        from = last + 1;
        events.extend(entrants.iter().map(|(position, entrant)| (entrant.event_id, *position)));
    }
}
