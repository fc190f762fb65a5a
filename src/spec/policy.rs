//! Retry, timeout, batches and keys.

use std::time::Duration;

use super::codes;
use super::fields::{Object, count, duration, mistyped, object, one_of, text};
use super::node::{Node, Scalar};
use super::report::{Mistake, Notes};
use super::terms;
use crate::core::catalog::{Descriptor, Role};
use crate::core::retry::{Jitter, Retry};
use crate::core::workflow::{Batch, Idempotency, IdempotencyMode};

/// Used when neither step nor defaults say anything.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a claim holds when its owner is gone (rule R6).
const CLAIM: Duration = Duration::from_mins(5);
/// The longest redelivery of a queue: an earlier end would let an old message repeat an effect.
const KEEP: Duration = Duration::from_hours(14 * 24);
/// More attempts than this are a mistake for "forever", which `resume` does better.
const ATTEMPTS_MAX: u64 = 100;
/// A longer batch linger would look like a hang.
const LINGER_MAX: Duration = Duration::from_mins(1);

/// What happens after a failed attempt, and how long one may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) retry: Retry,
    pub(super) timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { retry: Retry::default(), timeout: TIMEOUT }
    }
}

/// Reads `retry` and `timeout`; what is not written is taken from `base`.
pub(super) fn policy(object: &Object<'_>, base: &Policy, notes: &mut Notes<'_>) -> Policy {
    let retry = object.get("retry").map_or(base.retry, |node| retry(node, base.retry, notes));
    let timeout = object.get("timeout").and_then(|node| terms::longer_than_nothing(node, "'timeout'", notes));
    Policy { retry, timeout: timeout.unwrap_or(base.timeout) }
}

fn retry(node: &Node, base: Retry, notes: &mut Notes<'_>) -> Retry {
    let mut read = base;
    let Some(mut section) = object(node, node.span, "'retry'", notes) else { return read };
    section.only(&["attempts", "backoff"], notes);
    if let Some(node) = section.get("attempts") {
        let attempts = count(node, "'attempts'", 1, ATTEMPTS_MAX, notes);
        read.attempts = attempts.and_then(|count| u32::try_from(count).ok()).unwrap_or(read.attempts);
    }
    let backoff = section.get("backoff").and_then(|node| object(node, node.span, "'backoff'", notes));
    let Some(mut backoff) = backoff else { return read };
    backoff.only(&["initial", "factor", "max", "jitter"], notes);
    if let Some(initial) = backoff.get("initial").and_then(|node| duration(node, "'initial'", notes)) {
        read.initial = initial;
    }
    if let Some(max) = backoff.get("max").and_then(|node| duration(node, "'max'", notes)) {
        read.max = max;
    }
    if let Some(factor) = backoff.get("factor").and_then(|node| factor(node, notes)) {
        read.factor = factor;
    }
    if let Some(node) = backoff.get("jitter") {
        match one_of(node, "'jitter'", &["full", "none"], notes) {
            Some("none") => read.jitter = Jitter::None,
            Some(_) => read.jitter = Jitter::Full,
            None => {}
        }
    }
    if read.max < read.initial {
        let node = backoff.get("max").or(backoff.get("initial"));
        let message = "the longest pause ('max') is shorter than the first ('initial')";
        notes.push(
            Mistake::new(codes::OUT_OF_RANGE, node.map_or(backoff.at, |node| node.span), message)
                .label(format!("the first is {:?}, the longest {:?}", read.initial, read.max)),
        );
    }
    read
}

fn factor(node: &Node, notes: &mut Notes<'_>) -> Option<f64> {
    let Some(Scalar::Number(number)) = node.scalar() else {
        return mistyped(node, "'factor'", "a number such as 2", notes);
    };
    let factor = number.as_f64().filter(|factor| (1.0..=100.0).contains(factor));
    if factor.is_none() {
        let message = "'factor' must be between 1 and 100";
        notes.push(Mistake::new(codes::OUT_OF_RANGE, node.span, message));
    }
    factor
}

/// Reads `batch`.
pub(super) fn batch(object_: &Object<'_>, known: Option<&Descriptor>, notes: &mut Notes<'_>) -> Batch {
    let mut read = Batch { max: known.map_or(1, |known| known.batch_default), linger: Duration::ZERO };
    let Some(node) = object_.get("batch") else { return read };
    let Some(mut section) = object(node, node.span, "'batch'", notes) else { return read };
    section.only(&["max", "linger"], notes);
    if let Some(known) = known.filter(|known| !takes_batches(known)) {
        let key = object_.entry("batch").map(|(key, _)| key.span);
        let message = format!("'{}' works on one item at a time, so 'batch' has no meaning", known.uses);
        notes.push(Mistake::new(codes::NO_EFFECT, key.unwrap_or(node.span), message).hint("remove 'batch'"));
        return read;
    }
    let most = u64::from(known.map_or(u32::MAX, |known| known.batch_max.max(1)));
    if let Some(node) = section.get("max") {
        let what =
            known.map_or_else(|| "'max'".to_owned(), |known| format!("'max' of a batch of '{}'", known.uses));
        let max = count(node, &what, 1, most, notes);
        read.max = max.and_then(|max| u32::try_from(max).ok()).unwrap_or(read.max);
    }
    if let Some(node) = section.get("linger")
        && let Some(linger) = duration(node, "'linger'", notes)
    {
        if linger > LINGER_MAX {
            let message = "'linger' is how long a call waits for more items; more than 1m looks like a hang";
            notes.push(Mistake::new(codes::OUT_OF_RANGE, node.span, message));
        }
        read.linger = linger;
    }
    read
}

fn takes_batches(known: &Descriptor) -> bool {
    matches!(known.role, Role::Effect { .. } | Role::Receive) && known.batch_max > 1
}

/// Reads `idempotency`.
pub(super) fn idempotency(object_: &Object<'_>, notes: &mut Notes<'_>) -> Option<Idempotency> {
    let node = object_.get("idempotency")?;
    let mut section = object(node, node.span, "'idempotency'", notes)?;
    section.only(&["key", "mode", "version", "claim", "keep"], notes);
    let hint = "write what the effect is about: key: \"${{ item.sku }}\"";
    let key = section
        .require("key", hint, notes)
        .and_then(|node| text(node, "'key'", notes))
        .unwrap_or_default()
        .to_owned();
    let mode = match section.get("mode").and_then(|node| one_of(node, "'mode'", &["latest", "once"], notes)) {
        Some("once") => IdempotencyMode::Once,
        Some(_) | None => IdempotencyMode::Latest,
    };
    let mut time = |name: &str, default: Duration| {
        section.get(name).and_then(|node| duration(node, &format!("'{name}'"), notes)).unwrap_or(default)
    };
    // Its version, an expression, is read where expressions are.
    Some(Idempotency { key, mode, claim: time("claim", CLAIM), keep: time("keep", KEEP), version: None })
}
