//! What hangs on products that are there: stock, and whether buyers see them. A product that is
//! written and fails here is done in part, and says so.

use serde_json::Value;

use super::super::stock;
use super::{Trade, Work};
use crate::core::retry::Outcome;

impl Work<'_> {
    /// Brings the stock of these products in line, as far as they are done, and looks them up as
    /// buyers see them.
    pub(super) async fn after(&mut self, mut units: Vec<usize>) {
        units.retain(|unit| matches!(self.outcomes[*unit], Some(Outcome::Done(_))));
        if units.is_empty() {
            return;
        }
        let Trade { shop, references, storefront, .. } = self.trade;
        let requests: Vec<&Value> = units.iter().map(|unit| &self.calls[*unit].request).collect();
        let settled = stock::settle(shop, references, &requests, &self.sent).await;
        for (unit, settled) in units.iter().zip(settled) {
            match settled {
                Ok(false) => {}
                Ok(true) => self.stocked(*unit),
                Err(trouble) => self.end(*unit, trouble),
            }
        }
        let Some(storefront) = storefront else { return };
        units.retain(|unit| matches!(self.outcomes[*unit], Some(Outcome::Done(_))));
        let id = |unit: &usize| match &self.outcomes[*unit] {
            Some(Outcome::Done(facts)) => facts["id"].as_str().unwrap_or_default(),
            _ => "",
        };
        let products: Vec<(&str, &Value)> =
            units.iter().map(|unit| (id(unit), &self.calls[*unit].request)).collect();
        let seen = storefront.verify(shop, &products, &self.sent).await;
        for (unit, seen) in units.into_iter().zip(seen) {
            if let Err(trouble) = seen {
                self.end(unit, trouble);
            }
        }
    }

    /// Stock was written.
    fn stocked(&mut self, unit: usize) {
        self.begun.insert(unit);
        if let Some(Outcome::Done(facts)) = &mut self.outcomes[unit]
            && facts["action"] == "unchanged"
        {
            facts.insert("action".to_owned(), Value::from("updated"));
        }
    }
}
