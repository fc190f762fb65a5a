//! Idempotency keys (rule R6): who may carry out an effect, and what became of it. One set of rules
//! for every store of keys: a store only keeps rows, and changes each of them atomically.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cell::Facts;
use super::digest;
use super::time::Timestamp;
use super::version::Version;
use super::workflow::IdempotencyMode;

/// Names a key of an outside system: half of a SHA-256, so that two keys never share a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u128);

impl KeyId {
    /// The row of a key. `scope` identifies the outside system: the same key on another shop is
    /// another key.
    pub fn of(scope: &str, key: &str) -> Self {
        let mut named = Sha256::new();
        named.update((scope.len() as u64).to_be_bytes());
        named.update(scope);
        named.update(key);
        Self(digest::half(named))
    }
}

/// What a request says, as a number: half of a SHA-256 over its JSON, whatever the order of its
/// fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// The fingerprint of a rendered request, which holds no secrets.
    pub fn of(request: &Value) -> Self {
        Self(digest::half(digest::of(request)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Tells the attempts of one owner apart: only the newest one settles a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fence {
    /// The ownership epoch of the run.
    pub epoch: u32,
    /// The attempt, from 1.
    pub attempt: u32,
}

/// A request to carry out an effect under a key, alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The key.
    pub id: KeyId,
    /// What a second effect under the key means.
    pub mode: IdempotencyMode,
    /// What is to be sent.
    pub fingerprint: Fingerprint,
    /// How new it is.
    pub version: Version,
    /// The effect that asks: one run, step and unit.
    pub owner: u128,
    /// Its attempt.
    pub fence: Fence,
    /// The run means to do again what it did under this key itself; its own records say more than
    /// the key does.
    pub repeats_own: bool,
    /// How long the claim holds when its owner is gone.
    pub claim: Duration,
    /// How long the key is remembered.
    pub keep: Duration,
}

/// What a claim came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Claimed {
    /// The effect may be carried out; nobody else will meanwhile.
    Granted,
    /// The same content was applied last (or, under `once`, at all).
    AlreadyApplied {
        /// What that effect returned.
        facts: Facts,
        /// It was this very effect, in an attempt that nobody heard of.
        own: bool,
    },
    /// Newer content was applied.
    Stale {
        /// What that effect returned.
        facts: Facts,
    },
    /// Under `once`: other content was, or is being, applied under the key.
    Conflict {
        /// The fingerprint of that content.
        other: Fingerprint,
    },
    /// Somebody else is at it, until this instant at the latest.
    Busy {
        /// When the claim ends.
        until: Timestamp,
    },
}

/// How the effect of a claim ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// It was carried out, or need not be.
    Done {
        /// What it returned; `None`: nothing is known beyond what was known before.
        facts: Option<Facts>,
    },
    /// It surely was not.
    Undone,
}

/// What became of a claim that was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The key says what was asked for.
    Kept,
    /// The claim was not there any more, and somebody else was: perhaps both did it.
    Lost,
}

/// A claim that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The effect it is for.
    pub owner: u128,
    /// Its attempt.
    pub fence: Fence,
    /// What is being sent.
    pub fingerprint: Fingerprint,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// What was applied last under a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The effect.
    pub owner: u128,
    /// Its attempt.
    pub fence: Fence,
    /// What was sent.
    pub fingerprint: Fingerprint,
    /// How new it is.
    pub version: Version,
    /// When.
    pub at: Timestamp,
    /// How long it is remembered from then on.
    pub keep: Duration,
    /// What the effect returned.
    pub facts: Facts,
}

/// All that is known of a key. An empty row is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Who is at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What was applied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
}

/// Whether the row says nothing any more: it may be removed.
pub fn is_expired(row: &KeyRow, now: Timestamp) -> bool {
    live(row, now) == KeyRow::default()
}

/// When the row says nothing any more at the latest, if nothing happens.
pub fn expires(row: &KeyRow) -> Timestamp {
    let held = row.held.as_ref().map(|held| held.until);
    let kept = row.applied.as_ref().map(|applied| applied.at.after(applied.keep));
    held.into_iter().chain(kept).max().unwrap_or(Timestamp(0))
}

/// The row without what is over.
fn live(row: &KeyRow, now: Timestamp) -> KeyRow {
    KeyRow {
        held: row.held.clone().filter(|held| held.until > now),
        applied: row.applied.clone().filter(|applied| applied.at.after(applied.keep) > now),
    }
}

/// Judges a claim. Returns the row after it, when that differs.
pub fn claim(row: &KeyRow, claim: &Claim, now: Timestamp) -> (Claimed, Option<KeyRow>) {
    let mut next = live(row, now);
    let verdict = judge(&mut next, claim, now);
    (verdict, Some(next).filter(|next| next != row))
}

fn judge(next: &mut KeyRow, claim: &Claim, now: Timestamp) -> Claimed {
    let once = claim.mode == IdempotencyMode::Once;
    if let Some(applied) = &next.applied
        && !once
        && claim.version.compare(&applied.version) == Ordering::Less
    {
        return Claimed::Stale { facts: applied.facts.clone() };
    }
    if let Some(held) = &next.held
        && (held.owner != claim.owner || held.fence > claim.fence)
    {
        // What is under way under `latest` may still turn out to be the older one.
        return if once && held.fingerprint != claim.fingerprint {
            Claimed::Conflict { other: held.fingerprint }
        } else {
            Claimed::Busy { until: held.until }
        };
    }
    if let Some(applied) = &mut next.applied
        && !(claim.repeats_own && applied.owner == claim.owner)
    {
        if applied.fingerprint == claim.fingerprint {
            let version = claim.version.after(&applied.version);
            if version != applied.version && !once {
                applied.version = version;
                applied.at = now;
            }
            let (facts, own) = (applied.facts.clone(), applied.owner == claim.owner);
            next.held = None;
            return Claimed::AlreadyApplied { facts, own };
        }
        if once {
            return Claimed::Conflict { other: applied.fingerprint };
        }
    }
    let (owner, fence, fingerprint) = (claim.owner, claim.fence, claim.fingerprint);
    next.held = Some(Held { owner, fence, fingerprint, until: now.after(claim.claim) });
    Claimed::Granted
}

/// Settles a claim. Returns the row after it, when that differs.
pub fn settle(row: &KeyRow, claim: &Claim, end: &End, now: Timestamp) -> (Settled, Option<KeyRow>) {
    let mut next = live(row, now);
    let settled = close(&mut next, claim, end, now);
    (settled, Some(next).filter(|next| next != row))
}

fn close(next: &mut KeyRow, claim: &Claim, end: &End, now: Timestamp) -> Settled {
    let newer = |owner: u128, fence: Fence| owner != claim.owner || fence > claim.fence;
    let taken = next.held.as_ref().is_some_and(|held| newer(held.owner, held.fence));
    let End::Done { facts } = end else {
        if !taken {
            next.held = None;
        }
        return Settled::Kept;
    };
    let overtaken = next.applied.as_ref().is_some_and(|applied| match claim.mode {
        _ if applied.owner == claim.owner => applied.fence > claim.fence,
        IdempotencyMode::Latest => claim.version.compare(&applied.version) == Ordering::Less,
        IdempotencyMode::Once => true,
    });
    if taken || overtaken {
        return Settled::Lost;
    }
    let known = || next.applied.as_ref().map(|applied| applied.facts.clone()).unwrap_or_default();
    let facts = facts.clone().unwrap_or_else(known);
    let before = next.applied.as_ref().map(|applied| &applied.version);
    let version = before.map_or_else(|| claim.version.clone(), |before| claim.version.after(before));
    next.held = None;
    next.applied = Some(Applied {
        owner: claim.owner,
        fence: claim.fence,
        fingerprint: claim.fingerprint,
        version,
        at: now,
        keep: claim.keep,
        facts,
    });
    Settled::Kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fingerprint_is_about_content_not_about_the_order_of_fields() {
        let of = |value: Value| Fingerprint::of(&value);
        assert_eq!(of(json!({ "a": 1, "b": [true, null] })), of(json!({ "b": [true, null], "a": 1 })));
        for other in [json!({ "a": 2, "b": [true, null] }), json!({ "a": 1, "b": [null, true] }), json!({})] {
            assert_ne!(of(json!({ "a": 1, "b": [true, null] })), of(other));
        }
        assert_ne!(of(json!(["ab", ""])), of(json!(["a", "b"])));
        assert_ne!(of(json!("1")), of(json!(1)));
    }

    #[test]
    fn what_is_stored_names_keys_and_requests_as_ever() {
        assert_eq!(KeyId::of("shop", "SKU-1").0, 0xd63b_344a_c991_1574_00ba_d87b_0ba2_0f61);
        let request = json!({ "a": 1, "b": [true, null] });
        assert_eq!(Fingerprint::of(&request).0, 0x0612_0f3c_9476_3f40_ee51_5b55_8a5c_fe7e);
    }

    #[test]
    fn the_same_key_on_another_system_is_another_key() {
        assert_ne!(KeyId::of("shop-a", "x"), KeyId::of("shop-b", "x"));
        assert_ne!(KeyId::of("a", "bc"), KeyId::of("ab", "c"));
    }

    #[test]
    fn a_key_stays_closed_to_what_was_old_when_the_clock_of_the_next_upload_is_behind() {
        let claim_of = |version: Version, content: u128| Claim {
            id: KeyId(1),
            mode: IdempotencyMode::Latest,
            fingerprint: Fingerprint(content),
            version,
            owner: content,
            fence: Fence { epoch: 1, attempt: 1 },
            repeats_own: false,
            claim: Duration::from_mins(1),
            keep: Duration::from_mins(10),
        };
        let upload = |at, sequencer| Version::of_object(Timestamp(at), "b/k", Some(sequencer));
        let by_hand = claim_of(Version("1500".into()), 9);
        // The second one says other content, or the same again.
        for content in [2, 1] {
            let mut row = KeyRow::default();
            for (version, content) in [(upload(2_000, "01"), 1), (upload(1_000, "02"), content)] {
                let asks = claim_of(version, content);
                let (claimed, claimed_row) = claim(&row, &asks, Timestamp(1));
                row = claimed_row.unwrap();
                if claimed == Claimed::Granted {
                    let done = End::Done { facts: None };
                    row = settle(&row, &asks, &done, Timestamp(2)).1.unwrap();
                }
                let (refused, _) = claim(&row, &by_hand, Timestamp(3));
                assert!(matches!(refused, Claimed::Stale { .. }), "{refused:?} after {row:?}");
            }
            let again = claim_of(upload(1_000, "02"), content);
            let (known, _) = claim(&row, &again, Timestamp(4));
            assert!(matches!(known, Claimed::AlreadyApplied { .. }), "{known:?} after {row:?}");
        }
    }

    #[test]
    fn what_is_over_is_as_if_it_never_was() {
        let applied = Applied {
            owner: 1,
            fence: Fence { epoch: 1, attempt: 1 },
            fingerprint: Fingerprint(1),
            version: Version("1".into()),
            at: Timestamp(1_000),
            keep: Duration::from_millis(500),
            facts: Facts::new(),
        };
        let row = KeyRow { held: None, applied: Some(applied) };
        assert!(!is_expired(&row, Timestamp(1_499)));
        assert!(is_expired(&row, Timestamp(1_500)));
        assert_eq!(expires(&row), Timestamp(1_500));
    }
}
