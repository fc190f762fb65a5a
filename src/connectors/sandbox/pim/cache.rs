//! Data Hub's output cache, which a site may have switched on and the stand-in always has: the
//! same request gets the same answer for half a minute, a mutation too, unless something was saved
//! meanwhile. A failed mutation saves nothing, so its answer stays.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// How long an answer stays, in milliseconds.
const LIFE_MS: u64 = 30_000;
/// Most answers that are kept.
const ANSWERS_MAX: usize = 1000;

/// The answers that were given.
#[derive(Debug, Default)]
pub(super) struct Cache {
    answers: HashMap<[u8; 32], (u64, Value)>,
}

/// What an answer is kept under: the whole body.
pub(super) fn key(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

impl Cache {
    /// The answer to the same request, if it is young enough.
    pub(super) fn get(&self, key: &[u8; 32], now: u64) -> Option<&Value> {
        let (at, answer) = self.answers.get(key)?;
        (now.saturating_sub(*at) < LIFE_MS).then_some(answer)
    }

    /// Keeps an answer.
    pub(super) fn put(&mut self, key: [u8; 32], now: u64, answer: Value) {
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
        }
        self.answers.insert(key, (now, answer));
    }

    /// Something was saved.
    pub(super) fn clear(&mut self) {
        self.answers.clear();
    }
}
