//! Whether what is there is what was wanted.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::BuildFault;
use super::answers::pointer;

/// The parts that are compared: where each is in the body, and where in the found object.
#[derive(Clone, Debug, Default)]
pub(super) struct Compare(Vec<(String, String)>);

impl Compare {
    /// Reads the field: a list of pointers, or pairs of them.
    pub(super) fn read(with: &Map<String, Value>) -> Result<Self, BuildFault> {
        let pairs = match with.get("compare") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(listed)) => listed
                .iter()
                .map(|written| pointer(written, "compare").map(|pointer| (pointer.clone(), pointer)))
                .collect::<Result<_, _>>()?,
            Some(Value::Object(pairs)) => pairs
                .iter()
                .map(|(sent, held)| {
                    let sent = pointer(&Value::String(sent.clone()), "compare")?;
                    Ok((sent, pointer(held, "compare")?))
                })
                .collect::<Result<_, BuildFault>>()?,
            Some(_) => {
                let message = "'compare' must be a list of JSON pointers, or pairs of them";
                return Err(BuildFault::field("compare", message));
            }
        };
        Ok(Self(pairs))
    }

    /// Whether nothing is compared: then what is there is never known to be right.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every part is there as it was wanted.
    pub(super) fn holds(&self, wanted: &Value, held: &Value) -> bool {
        !self.is_empty()
            && self.0.iter().all(|(sent, at)| {
                same(wanted.pointer(sent).unwrap_or(&Value::Null), held.pointer(at).unwrap_or(&Value::Null))
            })
    }
}

/// Whether a server holds what was sent. It may add members to objects, write a number as a text, and
/// drop what is empty; nothing else.
fn same(wanted: &Value, held: &Value) -> bool {
    if is_nothing(wanted) || is_nothing(held) {
        return is_nothing(wanted) && is_nothing(held);
    }
    match (wanted, held) {
        (Value::Object(wanted), Value::Object(held)) => {
            wanted.iter().all(|(name, wanted)| same(wanted, held.get(name).unwrap_or(&Value::Null)))
        }
        (Value::Array(wanted), Value::Array(held)) => {
            wanted.len() == held.len() && wanted.iter().zip(held).all(|(wanted, held)| same(wanted, held))
        }
        (Value::Number(_), _) | (_, Value::Number(_)) => {
            wanted == held
                || matches!((decimal(wanted), decimal(held)), (Some(one), Some(other)) if one == other)
        }
        _ => wanted == held,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_servers_do_to_values_is_forgiven() {
        for (wanted, held, expected) in [
            (json!(19.99), json!("19.9900"), true),
            (json!(19.99), json!(19.990), true),
            (json!("19.99"), json!("19.990"), false),
            (json!(0.3), json!(0.300_000_000_000_000_04), false),
            (json!(5), json!(5.0), true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), true),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), false),
            (json!([1, 2]), json!([2, 1]), false),
            (json!([1]), json!([1, 2]), false),
            (json!(""), Value::Null, true),
            (json!([]), Value::Null, true),
            (json!(false), Value::Null, false),
            (json!("x"), Value::Null, false),
            (Value::Null, json!("x"), false),
            (json!("1"), json!(true), false),
        ] {
            assert_eq!(same(&wanted, &held), expected, "{wanted} {held}");
        }
    }

    #[test]
    fn parts_may_be_elsewhere_in_the_answer_and_without_parts_nothing_holds() {
        let pairs = json!({ "compare": { "/price": "/data/0/amount" } });
        let compare = Compare::read(pairs.as_object().unwrap()).unwrap();
        assert!(compare.holds(&json!({"price": 2}), &json!({"data": [{"amount": "2.00"}]})));
        assert!(!compare.holds(&json!({"price": 2}), &json!({"price": 2})));
        assert!(!Compare::default().holds(&json!({}), &json!({})));
        for wrong in [json!("/a"), json!(["a"]), json!({"a": "/b"}), json!({"/a": 5})] {
            assert!(Compare::read(json!({ "compare": wrong }).as_object().unwrap()).is_err(), "{wrong}");
        }
    }
}
