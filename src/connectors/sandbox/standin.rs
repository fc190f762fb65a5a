//! What every stand-in is: calls in, answers and changes out. No IO, no clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::faults::Faults;

/// A call as it arrived.
#[derive(Debug)]
pub(super) struct Incoming {
    /// When it arrived, in milliseconds since 1970.
    pub(super) at: u64,
    /// When its work began, in milliseconds since 1970.
    pub(super) now: u64,
    /// The method, in capitals.
    pub(super) method: String,
    /// The path without the query.
    pub(super) path: String,
    /// The query, decoded, in its order.
    pub(super) query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// JSON.
    Json(Value),
    /// A page for people, where the real system answers with one.
    Page(String),
}

/// An answer, and what was done for it.
#[derive(Debug)]
pub(super) struct Reply {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Body,
    /// What was called, in the other system's words.
    pub(super) call: String,
    /// The keys it was about.
    pub(super) keys: Vec<String>,
    /// The keys that were written, once for each write.
    pub(super) wrote: Vec<String>,
    /// What has to be replayed to hold the same again.
    pub(super) changes: Vec<Value>,
}

impl Reply {
    /// An answer to a call that changed nothing.
    pub(super) fn json(call: &str, status: u16, body: Value) -> Self {
        Self {
            status,
            body: Body::Json(body),
            call: call.to_owned(),
            keys: Vec::new(),
            wrote: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// A page instead of JSON.
    pub(super) fn page(call: &str, status: u16, text: &str) -> Self {
        let page = format!("<!DOCTYPE html><html><body><h1>{text}</h1></body></html>\n");
        Self { body: Body::Page(page), ..Self::json(call, status, Value::Null) }
    }
}

/// One stand-in.
pub(super) trait Standin: Send {
    /// Does what the call asks and says what to answer. `refuses` names keys that the sandbox was
    /// told to refuse.
    fn answer(&mut self, incoming: &Incoming, refuses: &dyn Fn(&str) -> bool) -> Reply;

    /// How the real system answers when it is out of order.
    fn failure(&self, status: u16) -> Body;

    /// Applies a change that [`Reply::changes`] once held.
    fn replay(&mut self, change: &Value);

    /// The keys that are held now, each with its state in the other system's words.
    fn keys(&self) -> Vec<(String, String)>;

    /// Takes note of the faults that only this stand-in knows how to have.
    fn heed(&mut self, _faults: &Faults) {}

    /// What it would tell listeners, `{number, event}` of each behind the number `after`, oldest
    /// first. The numbers begin with 1 and survive a restart.
    fn events(&self, _after: u64) -> Vec<Value> {
        Vec::new()
    }

    /// Forgets every login.
    fn logout(&mut self) {}
}

/// One product of a stand-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its SKU or external ID.
    pub key: String,
    /// How often it was written, since the directory was made.
    pub writes: u64,
    /// Its state in the other system's words: `published`, `draft`, …
    pub state: String,
}

/// What one stand-in holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// How many products.
    pub products: u64,
    /// How many writes, of products that are gone too.
    pub writes: u64,
    /// The most writes of one product.
    pub writes_max: u64,
    /// Each product, in the order of the keys.
    pub items: Vec<Held>,
}

/// How often each key was written.
#[derive(Debug, Default)]
pub(super) struct Writes {
    by_key: BTreeMap<String, u64>,
}

impl Writes {
    pub(super) fn add(&mut self, wrote: &[String]) {
        for key in wrote {
            *self.by_key.entry(key.clone()).or_default() += 1;
        }
    }

    pub(super) fn holdings(&self, standin: &dyn Standin) -> Holdings {
        let writes_of = |key: &str| self.by_key.get(key).copied().unwrap_or(0);
        let mut items: Vec<Held> = standin
            .keys()
            .into_iter()
            .map(|(key, state)| Held { writes: writes_of(&key), key, state })
            .collect();
        items.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Holdings {
            products: items.len() as u64,
            writes: self.by_key.values().sum(),
            writes_max: self.by_key.values().copied().max().unwrap_or(0),
            items,
        }
    }
}
