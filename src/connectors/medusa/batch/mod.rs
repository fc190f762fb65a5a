//! The upsert of a batch: one lookup, one all-or-nothing write, and a verdict for each product.
//! `follow` writes what has no place in the batch, `after` what hangs on products that are there;
//! `probe` is the look after an unclear end.

mod after;
mod follow;
mod probe;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;

use serde_json::{Value, json};

use super::client::Shop;
use super::group::{self, Group};
use super::plan::{self, Change, Plan};
use super::reads::{self, Reads};
use super::references::{self, References};
use super::request::text;
use super::storefront::Storefront;
use super::variants::Surplus;
use super::verdict::{self, Trouble};
use super::{culprit, lookup};
use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};
use crate::ports::{Call, Verdicts};
pub(super) use probe::probe;

/// The parts of the answer that are needed: small answers cost the server less.
const ANSWER: &[(&str, &str)] = &[("fields", "id,handle,external_id")];

/// What a step works with.
pub(super) struct Trade {
    pub(super) shop: Shop,
    pub(super) references: References,
    pub(super) reads: Reads,
    pub(super) surplus: Surplus,
    /// Where products that were written are looked for as buyers see them.
    pub(super) storefront: Option<Storefront>,
}

/// Carries out one attempt for each product.
pub(super) async fn upsert(trade: &Trade, calls: &[Call]) -> Verdicts {
    let mut work = Work {
        trade,
        calls,
        bodies: vec![Value::Null; calls.len()],
        plans: HashMap::new(),
        tried: HashSet::new(),
        begun: HashSet::new(),
        sent: AtomicU64::new(0),
        outcomes: vec![None; calls.len()],
    };
    let units = work.resolve((0..calls.len()).collect()).await;
    for units in group::rounds(&units, &work.bodies) {
        work.round(units).await;
    }
    let missed = || Outcome::Unclear(Fault::new(name::NO_ANSWER, "the product is not in the answer"));
    let outcomes: Vec<Outcome> =
        work.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missed)).collect();
    let ended = calls.iter().zip(&outcomes).filter(|(_, outcome)| !matches!(outcome, Outcome::Unclear(_)));
    trade.reads.forget(ended.map(|(call, _)| text(&call.request, "external_id")));
    Verdicts { outcomes, calls: work.sent.into_inner() }
}

/// A batch at work.
struct Work<'a> {
    trade: &'a Trade,
    calls: &'a [Call],
    /// What is wanted, with ids in place of names.
    bodies: Vec<Value>,
    plans: HashMap<usize, Plan>,
    /// What was refused alone and is tried once more.
    tried: HashSet<usize>,
    /// Of what the shop took at least one write in this attempt.
    begun: HashSet<usize>,
    sent: AtomicU64,
    outcomes: Vec<Option<Outcome>>,
}

impl Work<'_> {
    /// Puts ids in place of names. Returns the units that have a body.
    async fn resolve(&mut self, units: Vec<usize>) -> Vec<usize> {
        let requests: Vec<&Value> = units.iter().map(|unit| &self.calls[*unit].request).collect();
        let resolved = self.trade.references.resolve(&self.trade.shop, &requests, &self.sent).await;
        let mut open = Vec::new();
        for (unit, body) in units.into_iter().zip(resolved) {
            match body {
                Ok(body) => {
                    self.bodies[unit] = body;
                    open.push(unit);
                }
                Err(trouble) => self.end(unit, trouble),
            }
        }
        open
    }

    /// Deals with products of which no two are the same.
    async fn round(&mut self, units: Vec<usize>) {
        let open = self.look(units.clone()).await;
        let mut waiting = group::groups(&open, self.calls, |unit| group::size(&self.bodies[unit]));
        // The last is written first, and what failed before must not keep others from being written.
        waiting.reverse();
        while let Some(group) = waiting.pop() {
            match self.write(group).await {
                Ok(rest) => waiting.extend(rest),
                Err(trouble) => {
                    // Whoever comes now would only wait for the same; nothing of it was sent.
                    let trouble = trouble.of_read();
                    for unit in waiting.drain(..).flatten() {
                        self.end(unit, trouble.clone());
                    }
                }
            }
        }
        self.after(units).await;
    }

    /// Reads what the shop holds and decides. Returns the units for which something is to be written.
    async fn look(&mut self, units: Vec<usize>) -> Vec<usize> {
        let keys: Vec<&str> = units.iter().map(|unit| text(&self.bodies[*unit], "external_id")).collect();
        let named = match lookup::by_external_id(&self.trade.shop, &keys, &self.sent).await {
            Ok(mut held) => keys.iter().map(|key| held.remove(*key).unwrap_or_default()).collect(),
            Err(trouble) => return self.end_all(&units, &trouble),
        };
        let open = self.decide(&units, named).await;
        // What may still be at work elsewhere is not to be judged by one look.
        let is_moving = |unit: &usize| {
            let is_torn = matches!(&self.plans[unit], Plan::Change(Change { is_torn: true, .. }));
            is_torn || self.calls[*unit].attempt > 1
        };
        let (moving, mut settled): (Vec<usize>, Vec<usize>) = open.into_iter().partition(is_moving);
        settled.extend(self.look_twice(moving).await);
        settled
    }

    /// The same for products that may be in the middle of a change.
    async fn look_twice(&mut self, units: Vec<usize>) -> Vec<usize> {
        if units.is_empty() {
            return units;
        }
        let keys: Vec<&str> = units.iter().map(|unit| text(&self.bodies[*unit], "external_id")).collect();
        match self.trade.reads.agreed(&self.trade.shop, &keys, &self.sent).await {
            Ok(Some(named)) => self.decide(&units, named).await,
            Ok(None) => {
                self.end_all(&units, &Trouble::Sure { fault: reads::unsettled(), again: Again::Later })
            }
            Err(trouble) => self.end_all(&units, &trouble),
        }
    }

    /// Decides about products that were looked up by their external IDs; the handles of those that
    /// do not have theirs yet are looked up here.
    async fn decide(&mut self, units: &[usize], named: Vec<Vec<Value>>) -> Vec<usize> {
        let has_handle = |unit: usize, named: &[Value]| matches!(named, [one] if one["handle"] == self.bodies[unit]["handle"]);
        let lacking = units.iter().zip(&named).filter(|(unit, named)| !has_handle(**unit, named));
        let handles: Vec<&str> = lacking.map(|(unit, _)| text(&self.bodies[*unit], "handle")).collect();
        let holders = match lookup::by_handle(&self.trade.shop, &handles, &self.sent).await {
            Ok(holders) => holders,
            Err(trouble) => return self.end_all(units, &trouble),
        };
        let mut open = Vec::new();
        for (unit, named) in units.iter().copied().zip(named) {
            let body = &self.bodies[unit];
            let holder = holders.get(text(body, "handle")).and_then(|holders| holders.first());
            let wanted = references::left_to_people(&self.calls[unit].request, &named, body);
            match plan::of(&named, holder, &wanted, self.trade.surplus) {
                Plan::Nothing(facts) => self.outcomes[unit] = Some(Outcome::Done(facts)),
                Plan::Refuse(fault) => self.end(unit, Trouble::Sure { fault, again: Again::Never }),
                plan => {
                    self.plans.insert(unit, plan);
                    open.push(unit);
                }
            }
        }
        open
    }

    /// Writes these products in one call. Returns what is still to be written: the parts of what was
    /// refused, or a product that is tried again.
    ///
    /// # Errors
    /// The shop is not to be had; these products have their verdicts, and nobody should go on.
    async fn write(&mut self, group: Group) -> Result<Vec<Group>, Trouble> {
        let (mut create, mut update, mut order) = (Vec::new(), Vec::new(), Vec::new());
        let mut changed = Vec::new();
        for unit in &group {
            match &self.plans[unit] {
                Plan::Change(Change { id, product, .. }) if !product.is_empty() => {
                    let mut body = product.clone();
                    body.insert("id".to_owned(), Value::from(id.as_str()));
                    update.push(Value::Object(body));
                    changed.push(*unit);
                }
                Plan::Create => {
                    create.push(self.bodies[*unit].clone());
                    order.push(*unit);
                }
                _ => {}
            }
        }
        order.append(&mut changed);
        let answer = if order.is_empty() {
            Ok(Value::Null)
        } else {
            let body = json!({ "create": create, "update": update });
            self.trade.shop.post("admin/products/batch", ANSWER, &body, &self.sent).await
        };
        match answer {
            Ok(answer) => {
                self.accepted(&group, &answer).await?;
                Ok(Vec::new())
            }
            Err(trouble @ (Trouble::Content(_) | Trouble::Stumbled(_))) if group.len() > 1 => {
                // All or nothing, so nothing was done: somebody in here is to blame.
                let named = culprit::named(&trouble.fault().message, &create, &update);
                let named = named.into_iter().map(|place| order[place]).collect();
                Ok(group::parts(group, &named))
            }
            Err(trouble @ (Trouble::Content(_) | Trouble::Stumbled(_))) => {
                Ok(self.refused(group[0], trouble).await)
            }
            Err(trouble) => {
                self.end_all(&group, &trouble);
                Err(trouble)
            }
        }
    }

    /// A product that was refused on its own; it is tried once more when something could be done
    /// about the reason.
    async fn refused(&mut self, unit: usize, trouble: Trouble) -> Vec<Group> {
        let is_first = self.tried.insert(unit);
        let open = if is_first { self.clear_the_way(unit, &trouble).await } else { Vec::new() };
        if !open.is_empty() {
            return vec![open];
        }
        if self.outcomes[unit].is_none() {
            let fault = trouble.clone().fault();
            // Its handle is taken, and two looks found nobody there: somebody's create is failing.
            let is_passing = !is_first && verdict::says_handle_taken(&fault);
            self.end(unit, if is_passing { Trouble::Sure { fault, again: Again::Later } } else { trouble });
        }
        Vec::new()
    }

    /// "Already exists" is not "done", and not the end either: what exists is looked at, and what
    /// stands in the way is removed. Returns the product if it can be written now.
    async fn clear_the_way(&mut self, unit: usize, trouble: &Trouble) -> Vec<usize> {
        let fault = trouble.clone().fault();
        if verdict::says_handle_taken(&fault) && self.plans[&unit] == Plan::Create {
            // Another create was faster, and is perhaps still at work.
            return self.look_twice(vec![unit]).await;
        }
        if verdict::says_item_taken(&fault) {
            return match self.remove_orphans(unit).await {
                Ok(true) => vec![unit],
                Ok(false) => Vec::new(),
                Err(trouble) => self.end_all(&[unit], &trouble),
            };
        }
        if self.trade.references.forget(&fault).await {
            let resolved = self.resolve(vec![unit]).await;
            return if resolved.is_empty() { resolved } else { self.look(resolved).await };
        }
        Vec::new()
    }

    /// Ends a product that is not as it should be. What the shop took of it is not forgotten here.
    fn end(&mut self, unit: usize, trouble: Trouble) {
        let outcome = trouble.outcome(self.calls[unit].attempt);
        let is_begun = self.begun.contains(&unit);
        self.outcomes[unit] = Some(if is_begun { outcome.in_part() } else { outcome });
    }

    /// Ends all; returns those that are left, which are none.
    fn end_all(&mut self, units: &[usize], trouble: &Trouble) -> Vec<usize> {
        for unit in units {
            self.end(*unit, trouble.clone());
        }
        Vec::new()
    }
}
