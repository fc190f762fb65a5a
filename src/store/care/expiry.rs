//! Which rows have a time after which they may go, whatever becomes of runs.

use crate::core::claims as rules;
use crate::core::signal::{self, Awaiting, Kept};
use crate::core::start::StartKey;
use crate::core::time::Timestamp;

use super::super::cells;
use super::super::claims;
use super::super::keys;

/// Whether the time of a row is over at `now`. Only rows with an expiry of their own are ever
/// asked about here; everything else goes with its run. A row that cannot be read is not expired.
///
/// A kind of row with an expiry adds its letter here, and nowhere else.
pub(super) fn is_expired(key: &[u8], payload: &[u8], now: Timestamp) -> bool {
    if key.starts_with(keys::STARTS) {
        // One whose run is still there goes with nothing: see [`super::gc`].
        let started: Result<StartKey, _> = cells::from_json(payload);
        return started.is_ok_and(|started| started.until.is_some_and(|until| now >= until));
    }
    if key.starts_with(keys::SIGNALS) {
        return cells::from_json::<Kept>(payload).is_ok_and(|kept| kept.is_expired(now));
    }
    if key.starts_with(keys::AWAITING) {
        // Longer than the wait: it goes on while nobody could be asked.
        let waits: Result<Awaiting, _> = cells::from_json(payload);
        return waits.is_ok_and(|waits| now >= waits.until.after(signal::KEEP));
    }
    key.starts_with(keys::KEYS) && claims::row(payload).is_ok_and(|row| rules::is_expired(&row, now))
}
