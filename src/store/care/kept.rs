//! Dead letters that outlive their runs.

use crate::core::care::KeptDeadLetter;
use crate::core::id::RunId;
use crate::ports::StoreError;

use super::super::Store;
use super::super::cells;
use super::super::codec;
use super::super::error::{Damage, Error};
use super::super::keys;
use super::super::rows::Rows;
use super::super::stage::Sweep;
use super::words;

/// Spells a kept dead letter.
pub(super) fn encode(letter: &KeptDeadLetter) -> Vec<u8> {
    cells::put_json(serde_json::to_value(letter))
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(payload: &[u8]) -> Result<KeptDeadLetter, Damage> {
    cells::from_json(payload)
}

impl Store {
    /// Dead letters whose runs are gone, by run and position, up to `limit` of those behind
    /// `after`.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn kept_dead_letters(
        &self,
        after: Option<(RunId, u64)>,
        limit: usize,
    ) -> Result<Vec<KeptDeadLetter>, StoreError> {
        Ok(kept(self.rows()?, after, limit)?)
    }

    /// Removes a kept dead letter for good. Unknown ones are no error.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn forget_dead_letter(&self, run: RunId, position: u64) -> Result<(), StoreError> {
        let remove = vec![keys::kept(run, position)];
        self.0.writer.sweep(Sweep { remove, ..Sweep::default() }).await
    }
}

fn kept(rows: &Rows, after: Option<(RunId, u64)>, limit: usize) -> Result<Vec<KeptDeadLetter>, Error> {
    let from = after
        .map_or_else(|| keys::KEPT.to_vec(), |(run, position)| keys::kept(run, position.saturating_add(1)));
    let mut letters = Vec::new();
    for row in rows.range(from, keys::kept(RunId(u128::MAX), u64::MAX)) {
        if letters.len() == limit {
            break;
        }
        let (key, payload) = row?;
        // While the run is there its own record tells; a removal was cut short before it began.
        if let Some(run) = words::run_in(&key)
            && rows.db.contains_key(keys::run(run))?
        {
            continue;
        }
        letters.push(decode(&payload).map_err(codec::at(&key))?);
    }
    Ok(letters)
}
