//! What people did that is about no one run: rows with numbers, of which the newest are kept.

use crate::core::deed::{Deed, KEPT_MAX};

use super::cells;
use super::codec;
use super::error::Error;
use super::keys;
use super::rows::Rows;
use super::stage::Stage;

impl Stage {
    pub(super) fn deed(&mut self, deed: &Deed) -> Result<(), Error> {
        let newest = match self.newest_below(keys::DEEDS) {
            Some(staged) => Some(staged),
            None => self.stored().deeds(None, 1)?.first().map(|(number, _)| *number),
        };
        let number = newest.map_or(0, |number| number + 1);
        if let Some(oldest) = number.checked_sub(KEPT_MAX) {
            self.remove(keys::deed(oldest));
        }
        self.put(keys::deed(number), &cells::put_json(serde_json::to_value(deed)))
    }
}

impl Rows {
    /// Up to `limit` deeds, newest first: those before `before`, or all.
    pub(super) fn deeds(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Deed)>, Error> {
        let Some(last) = before.unwrap_or(u64::MAX).checked_sub(1) else { return Ok(Vec::new()) };
        let rows = self.range(keys::deed(0), keys::deed(last)).rev().take(limit);
        let deeds = rows.map(|row| {
            let (key, payload) = row?;
            let deed = cells::from_json(&payload).map_err(codec::at(&key))?;
            Ok((keys::last_number(&key).unwrap_or_default(), deed))
        });
        deeds.collect()
    }
}
