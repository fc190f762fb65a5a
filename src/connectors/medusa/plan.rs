//! What is to be done about one product: the state of the shop decides.

use serde_json::{Map, Value};

use super::compare;
use super::request::text;
use super::variants::{self, Surplus};
use crate::core::cell::Facts;
use crate::core::fault::{Fault, name};

/// What the shop holds of a wanted product.
#[derive(Debug)]
enum Standing<'a> {
    /// Nothing, and its handle is free.
    Absent,
    /// It.
    Ours(&'a Value),
    /// Several products with its external ID. The shop does not prevent that.
    Several(Vec<&'a str>),
    /// Another product stands at its handle.
    Taken(&'a Value),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// It is not there: create it.
    Create,
    /// It is there: these writes make it what is wanted.
    Change(Change),
    /// It is there and all that is wanted.
    Nothing(Facts),
    /// Nothing can be done. The content is at fault, or the shop's.
    Refuse(Fault),
}

/// What makes a product that is there what is wanted. One write at least.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Its id.
    pub(super) id: String,
    /// The members of a product update; empty when none is needed.
    pub(super) product: Map<String, Value>,
    /// A body for its options route, before the variants.
    pub(super) options: Option<Value>,
    /// Bodies for its variants route, in order.
    pub(super) variants: Vec<Value>,
    /// It is what an unfinished create leaves, or one that is still at work.
    pub(super) is_torn: bool,
    /// What is to be told when it is done.
    pub(super) facts: Facts,
}

/// Decides. `named` are the products with the wanted external ID, `holder` the one with its handle.
pub(super) fn of(named: &[Value], holder: Option<&Value>, wanted: &Value, surplus: Surplus) -> Plan {
    let key = text(wanted, "external_id");
    match standing(named, holder, wanted) {
        Standing::Absent => Plan::Create,
        Standing::Ours(held) => change(held, wanted, surplus),
        Standing::Several(ids) => {
            let message = format!("several products have the external_id '{key}': {}", ids.join(", "));
            Plan::Refuse(Fault::new(name::REFUSED, message))
        }
        Standing::Taken(other) => {
            let (handle, id) = (text(wanted, "handle"), text(other, "id"));
            let owner = match other["external_id"].as_str() {
                Some(owner) => format!("the external_id '{owner}'"),
                None => "no external_id".to_owned(),
            };
            let message = format!(
                "the handle '{handle}' of the product '{key}' belongs to the product {id}, which has {owner}"
            );
            Plan::Refuse(Fault::new(name::REFUSED, message))
        }
    }
}

/// What is told of a product, and what was done to it.
pub(super) fn facts(product: &Value, action: &str) -> Facts {
    Facts::from([
        ("id".to_owned(), product["id"].clone()),
        ("handle".to_owned(), product["handle"].clone()),
        ("action".to_owned(), Value::from(action)),
    ])
}

fn standing<'a>(named: &'a [Value], holder: Option<&'a Value>, wanted: &Value) -> Standing<'a> {
    match (named, holder) {
        ([], None) => Standing::Absent,
        // A server that cannot be asked for external IDs still shows whose the handle is.
        ([], Some(holder)) if holder["external_id"] == wanted["external_id"] => Standing::Ours(holder),
        ([one], Some(holder)) if holder["id"] == one["id"] => Standing::Ours(one),
        ([one], None) => Standing::Ours(one),
        ([] | [_], Some(holder)) => Standing::Taken(holder),
        (several, _) => Standing::Several(several.iter().map(|one| text(one, "id")).collect()),
    }
}

fn change(held: &Value, wanted: &Value, surplus: Surplus) -> Plan {
    let product = compare::product(held, wanted);
    let options = compare::options(held, wanted);
    let variants = variants::writes(held, wanted, surplus);
    if product.is_empty() && options.is_none() && variants.is_empty() {
        return Plan::Nothing(facts(held, "unchanged"));
    }
    let is_torn = variants::is_torn(held, wanted);
    let mut facts = facts(held, if is_torn { "repaired" } else { "updated" });
    if let Some(handle) = product.get("handle") {
        facts.insert("handle".to_owned(), handle.clone());
    }
    Plan::Change(Change { id: text(held, "id").to_owned(), product, options, variants, is_torn, facts })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({ "external_id": "K1", "handle": "h1", "title": "t", "variants": [{
            "title": "one", "sku": "K1-1", "manage_inventory": true,
            "prices": [{ "currency_code": "eur", "amount": 1 }],
        }], "options": [{ "title": "Size", "values": ["one"] }], "sales_channels": [{ "id": "sc" }] })
    }

    fn held() -> Value {
        let mut held = wanted();
        held["id"] = json!("prod_1");
        held["options"][0]["values"] = json!([{ "value": "one" }]);
        held["variants"][0]["id"] = json!("variant_1");
        held["variants"][0]["inventory_items"] = json!([{ "inventory_item_id": "iitem_1" }]);
        held
    }

    fn planned(named: &[Value], holder: Option<&Value>) -> Plan {
        of(named, holder, &wanted(), Surplus::Keep)
    }

    #[test]
    fn who_stands_where_decides_first() {
        let other = json!({ "id": "prod_9", "external_id": "K9", "handle": "h1" });
        assert_eq!(planned(&[], None), Plan::Create);
        let Plan::Refuse(fault) = planned(&[], Some(&other)) else { panic!("a conflict") };
        assert_eq!(
            fault.message,
            "the handle 'h1' of the product 'K1' belongs to the product prod_9, which has the external_id 'K9'"
        );
        assert!(matches!(planned(&[held()], Some(&other)), Plan::Refuse(_)), "ours is to get its handle");
        let nameless = json!({ "id": "prod_9", "external_id": null, "handle": "h1" });
        let Plan::Refuse(fault) = planned(&[], Some(&nameless)) else { panic!("a conflict") };
        assert!(fault.message.ends_with("which has no external_id"), "{fault}");
        let Plan::Refuse(fault) = planned(&[held(), other], None) else { panic!("which one?") };
        assert_eq!(fault.message, "several products have the external_id 'K1': prod_1, prod_9");
        for (named, holder) in [(vec![held()], None), (vec![held()], Some(held())), (vec![], Some(held()))] {
            let Plan::Nothing(facts) = planned(&named, holder.as_ref()) else { panic!("it is there") };
            assert_eq!(facts["action"], "unchanged");
        }
    }

    /// The states that a server's death was seen to leave, and what mends each.
    #[test]
    fn every_state_of_an_unfinished_create_is_repaired() {
        let create = json!({ "create": wanted()["variants"], "update": [] });
        let remake = vec![json!({ "delete": ["variant_1"] }), create.clone()];
        let channels = json!({ "sales_channels": [{ "id": "sc" }] });
        let torn = |change: fn(&mut Value)| {
            let mut held = held();
            change(&mut held);
            let Plan::Change(change) = planned(&[held], None) else { panic!("not repaired") };
            assert!(change.is_torn);
            assert_eq!((change.facts["action"].as_str(), &change.options), (Some("repaired"), &None));
            (Value::Object(change.product), change.variants)
        };
        assert_eq!(torn(|held| held["variants"] = json!([])), (json!({}), vec![create.clone()]));
        assert_eq!(
            torn(|held| {
                held["variants"] = json!([]);
                held["sales_channels"] = json!([]);
            }),
            (channels, vec![create])
        );
        assert_eq!(torn(|held| held["variants"][0]["prices"] = json!([])), (json!({}), remake.clone()));
        assert_eq!(
            torn(|held| {
                held["variants"][0]["prices"] = json!([]);
                held["variants"][0]["inventory_items"] = json!([]);
            }),
            (json!({}), remake)
        );
    }

    #[test]
    fn a_change_says_what_it_will_be_called() {
        let mut held = held();
        held["handle"] = json!("old");
        let Plan::Change(change) = planned(&[held], None) else { panic!("not changed") };
        assert_eq!(Value::Object(change.product), json!({ "handle": "h1" }));
        assert_eq!((&change.facts["handle"], &change.facts["action"]), (&json!("h1"), &json!("updated")));
    }
}
