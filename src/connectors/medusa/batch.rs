//! The upsert of a batch: one lookup, one all-or-nothing write, and a verdict for each product.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};

use super::client::Shop;
use super::request::{self, text};
use super::variants;
use super::verdict::{self, Trouble};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome, Probed};
use crate::ports::{Call, Verdicts};

/// Products in one write at the second attempt. See [`groups`].
const SECOND_ATTEMPT_MAX: usize = 5;
/// The parts of the answer that are needed: small answers cost the server less.
const ANSWER: &[(&str, &str)] = &[("fields", "id,handle,external_id")];

/// What the shop holds, by external ID.
type Held = HashMap<String, Vec<Value>>;

/// Carries out one attempt for each product.
pub(super) async fn upsert(shop: &Shop, calls: &[Call]) -> Verdicts {
    let mut work = Work { shop, calls, sent: AtomicU64::new(0), outcomes: vec![None; calls.len()] };
    match lookup(shop, calls.iter().map(|call| &call.request), &work.sent).await {
        Ok(mut held) => {
            let mut waiting = groups(calls);
            while let Some(units) = waiting.pop() {
                waiting.extend(work.write(units, &mut held).await);
            }
        }
        Err(trouble) => work.outcomes.fill(Some(trouble.outcome())),
    }
    let missed = || Outcome::Unclear(Fault::new(name::NO_ANSWER, "the product is not in the answer"));
    let outcomes = work.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missed)).collect();
    Verdicts { outcomes, calls: work.sent.into_inner() }
}

/// Looks whether an earlier attempt was carried out.
pub(super) async fn probe(shop: &Shop, wanted: &Value) -> Probed {
    let held = match lookup(shop, std::iter::once(wanted), &AtomicU64::new(0)).await {
        Ok(held) => held,
        Err(trouble) => return Probed::Unknown(trouble.fault()),
    };
    match held.get(text(wanted, "external_id")).map(Vec::as_slice) {
        None | Some([]) => Probed::Absent,
        Some([product]) if variants::is_complete(product, wanted) => Probed::Done(facts(product, "found")),
        Some([_]) => Probed::Absent,
        Some(_) => Probed::Unknown(ambiguous(wanted)),
    }
}

/// How the products are grouped into writes. After an unclear end nobody knows which product of
/// many was to blame, and a record that the server cannot take answers 500 for all that are with
/// it. So later attempts go in smaller company, and the last ones alone.
fn groups(calls: &[Call]) -> Vec<Vec<usize>> {
    let of_attempt = |fits: fn(u32) -> bool| {
        let chosen = calls.iter().enumerate().filter(move |(_, call)| fits(call.attempt));
        chosen.map(|(at, _)| at).collect::<Vec<usize>>()
    };
    let first = of_attempt(|attempt| attempt <= 1);
    let second = of_attempt(|attempt| attempt == 2);
    let late = of_attempt(|attempt| attempt > 2);
    let split =
        |units: &[usize], size: usize| units.chunks(size.max(1)).map(<[usize]>::to_vec).collect::<Vec<_>>();
    [split(&first, first.len()), split(&second, SECOND_ATTEMPT_MAX), split(&late, 1)].concat()
}

/// Reads what the shop holds of these products. Answers are taken by the key in them, never by
/// their place: a server that does not know the filter answers with any products.
async fn lookup<'a>(
    shop: &Shop,
    wanted: impl Iterator<Item = &'a Value> + Clone,
    sent: &AtomicU64,
) -> Result<Held, Trouble> {
    let fields = variants::fields(wanted.clone());
    let keys: Vec<&str> = wanted.map(|product| text(product, "external_id")).collect();
    // External IDs are not unique, so there may be more products than keys.
    let limit = (keys.len() * 2 + 10).to_string();
    let mut query = vec![("limit", limit.as_str()), ("fields", fields.as_str())];
    query.extend(keys.iter().map(|key| ("external_id[]", *key)));
    let answer = shop.get("admin/products", &query, sent).await?;
    let mut held = Held::new();
    for product in answer["products"].as_array().into_iter().flatten() {
        let key = text(product, "external_id");
        if keys.contains(&key) {
            held.entry(key.to_owned()).or_default().push(product.clone());
        }
    }
    Ok(held)
}

/// A batch at work.
struct Work<'a> {
    shop: &'a Shop,
    calls: &'a [Call],
    sent: AtomicU64,
    outcomes: Vec<Option<Outcome>>,
}

impl Work<'_> {
    /// Writes these products in one call. Returns what is still to be written: the halves of what
    /// was refused, or a product that turned out to be there.
    async fn write(&mut self, mut units: Vec<usize>, held: &mut Held) -> Vec<Vec<usize>> {
        units.retain(|unit| {
            let wanted = &self.calls[*unit].request;
            let several = held.get(text(wanted, "external_id")).is_some_and(|found| found.len() > 1);
            if several {
                let fault = ambiguous(wanted);
                self.outcomes[*unit] = Some(Outcome::Refused { fault, again: Again::Never });
            }
            !several
        });
        if units.is_empty() {
            return Vec::new();
        }
        let body = self.body(&units, held);
        match self.shop.post("admin/products/batch", ANSWER, &body, &self.sent).await {
            Ok(answer) => {
                for unit in units {
                    let outcome = self.accepted(unit, held, &answer).await;
                    self.outcomes[unit] = Some(outcome);
                }
                Vec::new()
            }
            // All or nothing, so nothing was done: the culprit is in one of the halves.
            Err(Trouble::Content(_)) if units.len() > 1 => {
                let later = units.split_off(units.len() / 2);
                vec![later, units]
            }
            Err(Trouble::Content(fault)) => self.refused(units[0], fault, held).await,
            Err(trouble) => {
                for unit in units {
                    self.outcomes[unit] = Some(trouble.clone().outcome());
                }
                Vec::new()
            }
        }
    }

    fn body(&self, units: &[usize], held: &Held) -> Value {
        let (mut create, mut update) = (Vec::new(), Vec::new());
        for unit in units {
            let wanted = &self.calls[*unit].request;
            match known(held, wanted) {
                None => create.push(wanted.clone()),
                Some(product) => {
                    let mut changed = wanted.clone();
                    if let Some(members) = changed.as_object_mut() {
                        // Always refused in an update; and the list of variants deletes what it
                        // does not name. Both have routes of their own.
                        members.remove("options");
                        members.remove("variants");
                    }
                    changed["id"] = product["id"].clone();
                    update.push(changed);
                }
            }
        }
        json!({ "create": create, "update": update })
    }

    /// The verdict for a product of an accepted batch. `created` is not in our order.
    async fn accepted(&self, unit: usize, held: &Held, answer: &Value) -> Outcome {
        let wanted = &self.calls[unit].request;
        let listed = |list: &str, key: &str, value: &str| {
            let mut listed = answer[list].as_array().into_iter().flatten();
            listed.find(|product| text(product, key) == value).cloned()
        };
        let Some(before) = known(held, wanted) else {
            let key = text(wanted, "external_id");
            return match listed("created", "external_id", key) {
                Some(product) => Outcome::Done(facts(&product, "created")),
                None => Outcome::Unclear(Fault::new(name::NO_ANSWER, "the product is not in the answer")),
            };
        };
        let id = text(before, "id");
        let Some(product) = listed("updated", "id", id) else {
            return Outcome::Unclear(Fault::new(name::NO_ANSWER, "the product is not in the answer"));
        };
        for body in variants::writes(before, wanted) {
            let path = format!("admin/products/{id}/variants/batch");
            if let Err(trouble) = self.shop.post(&path, &[], &body, &self.sent).await {
                return trouble.outcome();
            }
        }
        Outcome::Done(facts(&product, "updated"))
    }

    /// A product that was refused on its own. "Already exists" is not "done": what exists is read
    /// back, and when it is ours it is brought up to what is wanted.
    async fn refused(&mut self, unit: usize, fault: Fault, held: &mut Held) -> Vec<Vec<usize>> {
        let wanted = &self.calls[unit].request;
        let key = text(wanted, "external_id");
        let outcome = if verdict::says_handle_taken(&fault) && known(held, wanted).is_none() {
            match self.by_handle(wanted).await {
                Ok(Some(product)) if text(&product, "external_id") == key => {
                    held.insert(key.to_owned(), vec![product]);
                    return vec![vec![unit]];
                }
                Ok(Some(product)) => {
                    let handle = text(wanted, "handle");
                    let owner = &product["external_id"];
                    let message =
                        format!("the handle '{handle}' belongs to the product with external_id {owner}");
                    Outcome::Refused { fault: Fault::new(name::REFUSED, message), again: Again::Never }
                }
                // It is taken and not there: another create is still at work, or failing.
                Ok(None) => Outcome::Refused { fault, again: Again::Later },
                Err(trouble) => trouble.outcome(),
            }
        } else {
            Trouble::Content(fault).outcome()
        };
        self.outcomes[unit] = Some(outcome);
        Vec::new()
    }

    async fn by_handle(&self, wanted: &Value) -> Result<Option<Value>, Trouble> {
        let handle = text(wanted, "handle");
        let fields = variants::fields(std::iter::once(wanted));
        let query = [("handle", handle), ("fields", fields.as_str())];
        let answer = self.shop.get("admin/products", &query, &self.sent).await?;
        let mut products = answer["products"].as_array().into_iter().flatten();
        Ok(products.find(|product| text(product, "handle") == handle).cloned())
    }
}

fn known<'a>(held: &'a Held, wanted: &Value) -> Option<&'a Value> {
    held.get(text(wanted, "external_id")).and_then(|found| found.first())
}

fn ambiguous(wanted: &Value) -> Fault {
    let key = text(wanted, "external_id");
    Fault::new(name::REFUSED, format!("several products have the external_id '{key}'"))
}

fn facts(product: &Value, action: &str) -> Facts {
    Facts::from([
        ("id".to_owned(), product["id"].clone()),
        ("handle".to_owned(), product["handle"].clone()),
        ("action".to_owned(), Value::from(action)),
    ])
}
