//! Idempotency keys of one engine. What was applied, and claims that another life must respect
//! (`mode: once`), are rows; the claims of `mode: latest` are in memory alone: the state directory
//! has one owner, so what a dead engine had claimed is free, and the version decides between runs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::core::cell::Facts;
use crate::core::change::Change;
use crate::core::claims::{
    self, Applied, Claim, Claimed, End, Fence, Fingerprint, Held, KeyId, KeyRow, Settled,
};
use crate::core::time::Timestamp;
use crate::core::version::Version;
use crate::core::workflow::IdempotencyMode;
use crate::ports::Answered;

use super::error::Damage;
use super::pack::{self, Words};
use super::wire::{Input, put_bytes, put_number};

/// Rows in memory from which on it is looked for those that nobody needs any more.
const SWEEP_MIN: usize = 4096;

/// The keys that somebody is at, and those whose rows are not committed yet.
#[derive(Default)]
pub(super) struct KeyTable(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    live: HashMap<KeyId, Live>,
    sweep_at: usize,
}

struct Live {
    row: KeyRow,
    /// The row as it is stored once all its changes are committed.
    stored: KeyRow,
    uncommitted: usize,
}

impl KeyTable {
    /// Judges claims, in their order. `read` gives the stored row of a key.
    pub(super) fn claim<E>(
        &self,
        claims: &[Claim],
        now: Timestamp,
        read: impl Fn(KeyId) -> Result<Option<KeyRow>, E>,
    ) -> Result<Answered<Claimed>, E> {
        let mut inner = self.lock();
        inner.sweep(now);
        let mut answered = Answered { verdicts: Vec::with_capacity(claims.len()), changes: Vec::new() };
        for claim in claims {
            let judge = |row: &KeyRow| claims::claim(row, claim, now);
            answered.verdicts.push(inner.change(claim, &read, judge, &mut answered.changes)?);
        }
        Ok(answered)
    }

    /// Settles claims, in their order.
    pub(super) fn settle<E>(
        &self,
        ends: &[(Claim, End)],
        now: Timestamp,
        read: impl Fn(KeyId) -> Result<Option<KeyRow>, E>,
    ) -> Result<Answered<Settled>, E> {
        let mut inner = self.lock();
        let mut answered = Answered { verdicts: Vec::with_capacity(ends.len()), changes: Vec::new() };
        for (claim, end) in ends {
            let judge = |row: &KeyRow| claims::settle(row, claim, end, now);
            answered.verdicts.push(inner.change(claim, &read, judge, &mut answered.changes)?);
        }
        Ok(answered)
    }

    /// These changes are visible to every later `read`.
    pub(super) fn committed(&self, ids: &[KeyId]) {
        if ids.is_empty() {
            return;
        }
        let mut inner = self.lock();
        for id in ids {
            if let Some(live) = inner.live.get_mut(id) {
                live.uncommitted = live.uncommitted.saturating_sub(1);
                inner.let_go(*id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn change<E, V>(
        &mut self,
        claim: &Claim,
        read: impl Fn(KeyId) -> Result<Option<KeyRow>, E>,
        judge: impl FnOnce(&KeyRow) -> (V, Option<KeyRow>),
        changes: &mut Vec<Change>,
    ) -> Result<V, E> {
        let live = match self.live.entry(claim.id) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let row = read(claim.id)?.unwrap_or_default();
                place.insert(Live { stored: row.clone(), row, uncommitted: 0 })
            }
        };
        let (verdict, next) = judge(&live.row);
        if let Some(next) = next {
            let held = next.held.clone().filter(|_| claim.mode == IdempotencyMode::Once);
            let stored = KeyRow { held, applied: next.applied.clone() };
            if stored != live.stored {
                let row = (stored != KeyRow::default()).then(|| Box::new(stored.clone()));
                changes.push(Change::Key(claim.id, row));
                live.uncommitted += 1;
                live.stored = stored;
            }
            live.row = next;
        }
        self.let_go(claim.id);
        Ok(verdict)
    }

    /// A row that is as it is stored need not be in memory.
    fn let_go(&mut self, id: KeyId) {
        if self.live.get(&id).is_some_and(|live| live.uncommitted == 0 && live.row == live.stored) {
            self.live.remove(&id);
        }
    }

    /// Forgets claims that are over and that nobody asked about since.
    fn sweep(&mut self, now: Timestamp) {
        if self.live.len() < self.sweep_at.max(SWEEP_MIN) {
            return;
        }
        let is_over = |row: &KeyRow| row.held.as_ref().is_none_or(|held| held.until <= now);
        self.live.retain(|_, live| live.uncommitted > 0 || !is_over(&live.row));
        self.sweep_at = self.live.len() * 2;
    }
}

/// The keys that changes are about.
pub(super) fn ids(changes: &[Change]) -> Vec<KeyId> {
    let id = |change: &Change| match change {
        Change::Key(id, _) => Some(*id),
        _ => None,
    };
    changes.iter().filter_map(id).collect()
}

const APPLIED: u8 = 1;
const HELD: u8 = 2;
const OVERWRITTEN: u8 = 4;
const NUMBER: u8 = 0;
const TEXT: u8 = 1;

/// A row as a payload.
pub(super) fn put_row(row: &KeyRow) -> Vec<u8> {
    let mut words = Words::default();
    let mut body = Vec::with_capacity(96);
    let overwritten = row.applied.as_ref().is_some_and(|applied| applied.overwritten);
    let parts = [(row.applied.is_some(), APPLIED), (row.held.is_some(), HELD), (overwritten, OVERWRITTEN)];
    body.push(parts.iter().map(|(is_there, part)| u8::from(*is_there) * part).sum());
    if let Some(applied) = &row.applied {
        put_effect(&mut body, applied.owner, applied.fence, applied.fingerprint);
        put_version(&mut body, &applied.version);
        put_number(&mut body, applied.at.0);
        put_number(&mut body, u64::try_from(applied.keep.as_millis()).unwrap_or(u64::MAX));
        put_number(&mut body, applied.facts.len() as u64);
        for (name, value) in &applied.facts {
            words.put(&mut body, name);
            pack::put_value(&mut body, &mut words, value);
        }
    }
    if let Some(held) = &row.held {
        put_effect(&mut body, held.owner, held.fence, held.fingerprint);
        put_number(&mut body, held.until.0);
    }
    let mut out = Vec::with_capacity(body.len() + 32);
    words.write(&mut out);
    out.extend_from_slice(&body);
    out
}

/// Reads what [`put_row`] wrote.
pub(super) fn row(payload: &[u8]) -> Result<KeyRow, Damage> {
    let mut input = Input::new(payload);
    let words = Words::read(&mut input)?;
    let parts = input.byte()?;
    if parts & !(APPLIED | HELD | OVERWRITTEN) != 0 {
        return Err(Damage("a key has an unknown part"));
    }
    let mut row = KeyRow::default();
    if parts & APPLIED != 0 {
        let (owner, fence, fingerprint) = effect(&mut input)?;
        let version = version(&mut input)?;
        let at = Timestamp(input.number()?);
        let keep = Duration::from_millis(input.number()?);
        let mut facts = Facts::new();
        for _ in 0..input.length()? {
            let name = words.get(&mut input)?;
            facts.insert(name, pack::value(&mut input, &words)?);
        }
        let overwritten = parts & OVERWRITTEN != 0;
        row.applied = Some(Applied { owner, fence, fingerprint, version, at, keep, facts, overwritten });
    }
    if parts & HELD != 0 {
        let (owner, fence, fingerprint) = effect(&mut input)?;
        row.held = Some(Held { owner, fence, fingerprint, until: Timestamp(input.number()?) });
    }
    input.end()?;
    Ok(row)
}

fn put_effect(out: &mut Vec<u8>, owner: u128, fence: Fence, fingerprint: Fingerprint) {
    out.extend_from_slice(&owner.to_be_bytes());
    put_number(out, u64::from(fence.epoch));
    put_number(out, u64::from(fence.attempt));
    out.extend_from_slice(&fingerprint.0.to_be_bytes());
}

fn effect(input: &mut Input<'_>) -> Result<(u128, Fence, Fingerprint), Damage> {
    let owner = u128::from_be_bytes(input.array()?);
    let fence = Fence { epoch: input.small()?, attempt: input.small()? };
    Ok((owner, fence, Fingerprint(u128::from_be_bytes(input.array()?))))
}

/// Most versions are instants: a number takes half of its digits.
fn put_version(out: &mut Vec<u8>, version: &Version) {
    match version.0.parse::<u64>() {
        Ok(number) if number.to_string() == version.0 => {
            out.push(NUMBER);
            put_number(out, number);
        }
        _ => {
            out.push(TEXT);
            put_bytes(out, version.0.as_bytes());
        }
    }
}

fn version(input: &mut Input<'_>) -> Result<Version, Damage> {
    Ok(Version(match input.byte()? {
        NUMBER => input.number()?.to_string(),
        TEXT => input.text()?.to_owned(),
        _ => return Err(Damage("a version has an unknown form")),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(version: &str) -> Applied {
        Applied {
            owner: u128::MAX - 5,
            fence: Fence { epoch: 3, attempt: 2 },
            fingerprint: Fingerprint(1 << 100),
            version: Version(version.to_owned()),
            at: Timestamp(1_763_820_000_000),
            keep: Duration::from_hours(14 * 24),
            facts: Facts::from([
                ("id".to_owned(), json!("prod_01K9ZQ3M4N5P6Q7R8S9T0V1W2X")),
                ("action".to_owned(), json!("created")),
            ]),
            overwritten: false,
        }
    }

    #[test]
    fn a_row_survives_its_spelling_and_a_typical_one_is_small() {
        let held = Held {
            owner: 7,
            fence: Fence { epoch: 1, attempt: 1 },
            fingerprint: Fingerprint(9),
            until: Timestamp(5),
        };
        let typical = applied("1763820000000");
        for known in [
            KeyRow::default(),
            KeyRow { held: Some(held.clone()), applied: None },
            KeyRow { held: None, applied: Some(typical.clone()) },
            KeyRow { held: Some(held), applied: Some(applied("2026-01-01T00:00:00Z")) },
            KeyRow { held: None, applied: Some(applied("007")) },
            KeyRow { held: None, applied: Some(Applied { overwritten: true, ..applied("1") }) },
        ] {
            assert_eq!(row(&put_row(&known)), Ok(known));
        }
        let bytes = put_row(&KeyRow { held: None, applied: Some(typical) }).len();
        assert!(bytes <= 100, "{bytes} bytes");
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let whole = put_row(&KeyRow { held: None, applied: Some(applied("1")) });
        for end in 0..whole.len() {
            assert!(row(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(row(&[0, 8]).is_err());
    }
}
