//! Reads that agree. After an unclear end (a timeout, a reset, a death of the engine) the server may
//! still be at work on what it was sent: it goes on after a client hangs up. What a look shows then
//! is a moment, not a result: the product is not there yet, or has no variants yet. So what a product
//! is, is said only after two looks some time apart saw the same.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex as Turn;
use tokio::time::{Instant, sleep_until};

use super::client::Shop;
use super::lookup;
use super::verdict::Trouble;
use crate::core::fault::{Fault, name};

/// How far apart two looks are that have to agree. A create whose client had hung up was seen
/// half-made, and whole 1.5 s later; a batch of 50 takes 1.4 s from its first to its last step, and
/// a few seconds on a loaded machine, but each of its steps shows.
pub(super) const APART: Duration = Duration::from_secs(3);
/// Looks before we give up on a product that looks different each time.
const LOOKS_MAX: usize = 8;
/// Products in one look.
const LOOK_PRODUCTS_MAX: usize = 50;
/// How long a look is of use.
const KEPT: Duration = Duration::from_mins(5);

/// What was seen of products in doubt. A look takes in all of them, so that fifty doubts that one
/// batch left behind cost a few looks and one wait.
pub(super) struct Reads {
    /// How far apart looks are that have to agree.
    apart: Duration,
    seen: Mutex<HashMap<String, Sighting>>,
    /// Whoever has it looks; what is seen is everybody's.
    turn: Turn<()>,
}

/// What was seen of one external ID.
#[derive(Default)]
struct Sighting {
    /// The products with it, in no order that means anything.
    products: Vec<Value>,
    /// The same in a form in which equal content is equal.
    content: Vec<String>,
    /// The first of the looks that saw just this; `None`: nobody looked yet.
    since: Option<Instant>,
    /// The last one.
    last: Option<Instant>,
    /// When somebody last asked.
    asked: Option<Instant>,
}

/// What is known about one of them.
enum Known {
    /// Two looks agree, and the last is new enough.
    Settled(Vec<Value>),
    /// A look is due.
    Due,
    /// A look is of use only then.
    At(Instant),
}

impl Reads {
    pub(super) fn new(apart: Duration) -> Self {
        Self { apart, seen: Mutex::default(), turn: Turn::default() }
    }

    /// The products with each of these external IDs, as two looks saw them that agree; `None`: they
    /// look different each time.
    pub(super) async fn agreed(
        &self,
        shop: &Shop,
        keys: &[&str],
        sent: &AtomicU64,
    ) -> Result<Option<Vec<Vec<Value>>>, Trouble> {
        let asked = Instant::now();
        self.announce(keys, asked);
        let mut settled = Vec::new();
        for key in keys {
            match self.one(shop, key, asked, sent).await? {
                Some(products) => settled.push(products),
                None => return Ok(None),
            }
        }
        Ok(Some(settled))
    }

    /// Nobody is in doubt about these any more.
    pub(super) fn forget<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            seen.remove(key);
        }
    }

    async fn one(
        &self,
        shop: &Shop,
        key: &str,
        asked: Instant,
        sent: &AtomicU64,
    ) -> Result<Option<Vec<Value>>, Trouble> {
        for _ in 0..LOOKS_MAX {
            let turn = self.turn.lock().await;
            let mut known = self.known(key, asked);
            if matches!(known, Known::Due) {
                let keys = self.company(key);
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let held = lookup::by_external_id(shop, &keys, sent).await?;
                self.note(&keys, held, Instant::now());
                known = self.known(key, asked);
            }
            drop(turn);
            match known {
                Known::Settled(products) => return Ok(Some(products)),
                Known::At(at) => sleep_until(at).await,
                Known::Due => {}
            }
        }
        Ok(None)
    }

    fn announce(&self, keys: &[&str], now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, sighting| sighting.asked.is_some_and(|asked| now - asked < KEPT));
        for key in keys {
            seen.entry((*key).to_owned()).or_default().asked = Some(now);
        }
    }

    fn known(&self, key: &str, asked: Instant) -> Known {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sighting) = seen.get(key) else { return Known::Due };
        match (sighting.since, sighting.last) {
            (Some(since), Some(last)) if last >= asked && last >= since + self.apart => {
                Known::Settled(sighting.products.clone())
            }
            (Some(since), Some(last)) if last >= asked && Instant::now() < since + self.apart => {
                Known::At(since + self.apart)
            }
            _ => Known::Due,
        }
    }

    /// The external IDs of a look that this one is part of.
    fn company(&self, key: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others: Vec<(&String, &Sighting)> = seen.iter().filter(|(other, _)| *other != key).collect();
        others.sort_by_key(|(_, sighting)| sighting.last);
        let others = others.into_iter().map(|(other, _)| other.clone());
        std::iter::once(key.to_owned()).chain(others).take(LOOK_PRODUCTS_MAX).collect()
    }

    fn note(&self, keys: &[&str], mut held: lookup::Held, now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let products = held.remove(*key).unwrap_or_default();
            let content = content(&products);
            let Some(sighting) = seen.get_mut(*key) else { continue };
            if sighting.since.is_none() || sighting.content != content {
                sighting.content = content;
                sighting.since = Some(now);
            }
            sighting.products = products;
            sighting.last = Some(now);
        }
    }
}

/// Products come in any order, and so do the lists in them.
fn content(products: &[Value]) -> Vec<String> {
    let ordered = |product: &Value| {
        let mut product = product.clone();
        order(&mut product);
        product.to_string()
    };
    let mut content: Vec<String> = products.iter().map(ordered).collect();
    content.sort_unstable();
    content
}

fn order(value: &mut Value) {
    match value {
        Value::Array(members) => {
            members.iter_mut().for_each(order);
            members.sort_by_cached_key(Value::to_string);
        }
        Value::Object(members) => members.values_mut().for_each(order),
        _ => {}
    }
}

/// The fault of a product of which no two reads agree.
pub(super) fn unsettled() -> Fault {
    Fault::new(name::NO_ANSWER, "the product looks different at every look: somebody else is writing it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_lists_is_no_difference() {
        let one = json!({ "id": "p", "variants": [{ "id": "a", "prices": [1, 2] }, { "id": "b" }] });
        let other = json!({ "id": "p", "variants": [{ "id": "b" }, { "id": "a", "prices": [2, 1] }] });
        assert_eq!(content(&[one.clone(), json!({})]), content(&[json!({}), other]));
        assert_ne!(content(std::slice::from_ref(&one)), content(&[json!({ "id": "p", "variants": [] })]));
        assert_ne!(content(&[one]), content(&[]));
    }
}
