//! What a lookup found. A server may ignore a filter that it does not know and answer with whatever
//! it has, so what came back counts only when its key is the one that was asked for.

use serde_json::{Map, Value};

use super::answers::{self, Trouble, pointer};
use super::late::Text;
use super::operation::{Operation, within};
use super::{BuildFault, settings};

use crate::connectors::wire::Answer;
use crate::core::fault::{Fault, name};

/// The section `lookup`.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) operation: Operation,
    /// Statuses that say that there is nothing.
    pub(super) absent: Vec<u16>,
    /// Where in the answer the object is, or the list of objects.
    at: String,
    /// Where in an object its key is, and what the key must be.
    pub(super) key: Option<(String, Text)>,
}

/// What a lookup found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Nothing,
    One(Value),
}

impl Lookup {
    /// Reads the section.
    pub(super) fn read(section: &Map<String, Value>) -> Result<Self, Vec<BuildFault>> {
        let operation = Operation::read(section, "lookup", "GET").map_err(|fault| vec![fault]);
        let absent = absent(section).map_err(|fault| vec![fault]);
        let at = match section.get("at") {
            None | Some(Value::Null) => Ok(String::new()),
            Some(written) => pointer(written, "at").map_err(|fault| vec![within(fault, "lookup")]),
        };
        let key = key(section).map_err(|fault| vec![fault]);
        let ((operation, absent), (at, key)) =
            settings::both(settings::both(operation, absent), settings::both(at, key))?;
        Ok(Self { operation, absent, at, key })
    }

    /// Where in an answer the object is.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    /// The object in the answer that has the key.
    pub(super) fn found(&self, answer: &Answer, key: &str) -> Result<Found, Trouble> {
        let unread = |message: &str| Trouble::Sure {
            fault: Fault::new(name::NO_ANSWER, message),
            again: crate::core::retry::Again::Later,
        };
        let whole = answer.json().ok_or_else(|| unread("the answer to the lookup is not JSON"))?;
        let listed = match whole.pointer(&self.at) {
            None | Some(Value::Null) => return Ok(Found::Nothing),
            Some(Value::Array(listed)) => listed.as_slice(),
            Some(object @ Value::Object(_)) => std::slice::from_ref(object),
            Some(_) => return Err(unread("the answer to the lookup has no object where 'at' says")),
        };
        let Some((pointer, _)) = &self.key else {
            return match listed {
                [object] if whole.pointer(&self.at).is_some_and(Value::is_object) => {
                    Ok(Found::One(object.clone()))
                }
                _ => Err(Trouble::never(
                    "the lookup answers a list: 'key' and 'equals' say which one is meant",
                )),
            };
        };
        let is_ours = |object: &&Value| match object.pointer(pointer) {
            Some(Value::String(text)) => text == key,
            Some(Value::Number(number)) => number.to_string() == key,
            _ => false,
        };
        let ours: Vec<&Value> = listed.iter().filter(is_ours).collect();
        match ours.as_slice() {
            [] => Ok(Found::Nothing),
            [object] => Ok(Found::One((*object).clone())),
            several => Err(Trouble::never(format!("{} objects have the key '{key}'", several.len()))),
        }
    }
}

fn absent(section: &Map<String, Value>) -> Result<Vec<u16>, BuildFault> {
    let statuses = match section.get("absent") {
        None | Some(Value::Null) => return Ok(vec![404]),
        Some(Value::Array(listed)) => listed.iter().map(answers::status).collect::<Option<Vec<_>>>(),
        Some(single) => answers::status(single).map(|status| vec![status]),
    };
    statuses.ok_or_else(|| BuildFault {
        hint: Some("write a list, for example [404, 410]".to_owned()),
        ..BuildFault::field("lookup.absent", "'lookup.absent' must be HTTP statuses")
    })
}

fn key(section: &Map<String, Value>) -> Result<Option<(String, Text)>, BuildFault> {
    let written = |name: &str| section.get(name).filter(|value| !value.is_null());
    match (written("key"), written("equals")) {
        (None, None) => Ok(None),
        (Some(key), Some(equals)) => {
            let key = pointer(key, "key").map_err(|fault| within(fault, "lookup"))?;
            let equals = equals.as_str().map(Text::parse);
            match equals {
                Some(Ok(equals)) => Ok(Some((key, equals))),
                Some(Err(fault)) => Err(BuildFault::field("lookup.equals", fault.message)),
                None => Err(BuildFault::field("lookup.equals", "'lookup.equals' must be text")),
            }
        }
        (Some(_), None) => Err(BuildFault {
            hint: Some("write equals: \"${{ item.sku }}\"".to_owned()),
            ..BuildFault::field("lookup.key", "'key' goes with 'equals', which is not there")
        }),
        (None, Some(_)) => Err(BuildFault {
            hint: Some("write key: /sku, where the key is in an object".to_owned()),
            ..BuildFault::field("lookup.equals", "'equals' goes with 'key', which is not there")
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(with: &Value, body: &Value, key: &str) -> Result<Found, Trouble> {
        let lookup = Lookup::read(with.as_object().unwrap()).unwrap();
        let answer = Answer { status: 200, retry_after: None, body: body.to_string().into_bytes() };
        lookup.found(&answer, key)
    }

    #[test]
    fn what_a_server_sends_that_ignored_the_filter_is_never_taken() {
        let with = json!({ "url": "/p?sku=A", "at": "/items", "key": "/sku", "equals": "A" });
        let others = json!({ "items": [{ "sku": "B" }, { "sku": "a" }, { "name": "A" }] });
        assert_eq!(find(&with, &others, "A"), Ok(Found::Nothing));
        let among = json!({ "items": [{ "sku": "B" }, { "sku": "A", "id": 7 }] });
        assert_eq!(find(&with, &among, "A"), Ok(Found::One(json!({ "sku": "A", "id": 7 }))));
        let twice = json!({ "items": [{ "sku": "A" }, { "sku": "A" }] });
        assert!(matches!(find(&with, &twice, "A"), Err(Trouble::Sure { .. })));
        assert_eq!(find(&with, &json!({ "items": [] }), "A"), Ok(Found::Nothing));
        let number = json!({ "url": "/p", "key": "/nr", "equals": "5" });
        assert!(matches!(find(&number, &json!([{ "nr": 5 }]), "5"), Ok(Found::One(_))));
    }

    #[test]
    fn a_single_object_needs_no_key_but_a_list_does() {
        let with = json!({ "url": "/p/A" });
        assert_eq!(find(&with, &json!({ "x": 1 }), ""), Ok(Found::One(json!({ "x": 1 }))));
        assert!(find(&with, &json!([{ "x": 1 }]), "").is_err());
    }
}
