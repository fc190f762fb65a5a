//! What has no place in the batch: the options and variants of products that are there, and the
//! inventory items that stand in their way. Here a change is done step by step, so it can end half-way.

use serde_json::Value;

use super::super::orphans;
use super::super::plan::{self, Change, Plan};
use super::super::verdict::{self, Trouble};
use super::Work;
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};
use crate::core::retry::Outcome;

impl Work<'_> {
    /// The products of an accepted batch. `created` is not in our order. What has no place in the
    /// batch follows, product by product.
    pub(super) async fn accepted(&mut self, group: &[usize], answer: &Value) -> Result<(), Trouble> {
        // All or nothing: whatever was in it is written.
        let is_written =
            |unit: &&usize| matches!(&self.plans[*unit], Plan::Change(change) if !change.product.is_empty());
        self.begun.extend(group.iter().filter(is_written));
        let mut broken = None;
        for unit in group {
            let unit = *unit;
            let ended = match (&self.plans[&unit], &broken) {
                (Plan::Change(change), None) => {
                    let change = change.clone();
                    self.follow(unit, &change).await.map(|()| change.facts)
                }
                // Nothing more is sent of it.
                (Plan::Change(_), Some(trouble)) => Err(Trouble::of_read(Trouble::clone(trouble))),
                _ => self.created(unit, answer),
            };
            match ended {
                Ok(facts) => self.outcomes[unit] = Some(Outcome::Done(facts)),
                Err(trouble) => {
                    let is_outage = matches!(trouble, Trouble::Sure { .. } | Trouble::Unsure(_));
                    self.end(unit, trouble.clone());
                    if is_outage && matches!(self.plans[&unit], Plan::Change(_)) {
                        broken = broken.or(Some(trouble));
                    }
                }
            }
        }
        broken.map_or(Ok(()), Err)
    }

    /// What is told of a product that was created.
    fn created(&mut self, unit: usize, answer: &Value) -> Result<Facts, Trouble> {
        let wanted = &self.bodies[unit]["external_id"];
        let mut listed = answer["created"].as_array().into_iter().flatten();
        match listed.find(|product| product["external_id"] == *wanted) {
            Some(product) => {
                self.begun.insert(unit);
                Ok(plan::facts(product, "created"))
            }
            None => Err(Trouble::Unsure(Fault::new(name::NO_ANSWER, "the product is not in the answer"))),
        }
    }

    /// The rest of a change: option values first, because the variants name them.
    async fn follow(&mut self, unit: usize, change: &Change) -> Result<(), Trouble> {
        if let Some(options) = &change.options {
            self.post_part(unit, &change.id, "options", options).await?;
        }
        for body in &change.variants {
            match self.post_part(unit, &change.id, "variants", body).await {
                Err(Trouble::Content(fault)) if verdict::says_item_taken(&fault) => {
                    if !self.remove_orphans(unit).await? {
                        return Err(Trouble::Content(fault));
                    }
                    self.post_part(unit, &change.id, "variants", body).await?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn post_part(&mut self, unit: usize, id: &str, part: &str, body: &Value) -> Result<(), Trouble> {
        let route = format!("admin/products/{id}/{part}/batch");
        self.trade.shop.post(&route, &[("fields", "id")], body, &self.sent).await?;
        self.begun.insert(unit);
        Ok(())
    }

    /// Removes the inventory items that stand in the way of a product. Returns whether there was any.
    pub(super) async fn remove_orphans(&mut self, unit: usize) -> Result<bool, Trouble> {
        let shop = &self.trade.shop;
        let orphans = orphans::find(shop, &self.bodies[unit], &self.sent).await?;
        for id in &orphans {
            shop.delete(&format!("admin/inventory-items/{id}"), &self.sent).await?;
            self.begun.insert(unit);
        }
        Ok(!orphans.is_empty())
    }
}
