//! Kinds of fields, told by the shape that Data Hub takes them in, and how a value that is held is
//! compared with one that is wanted.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// What a value of an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A scalar, a list of scalars, or an object of the site's own that is read as it is written.
    Plain,
    /// `{value, unit}` or `{value, unitId}`.
    Quantity,
    /// `{id}` or `{type, fullpath}`: one relation, or an image.
    Reference,
    /// A list of those.
    References,
    /// `{images: [{id}]}`.
    Gallery,
}

/// The kind of a value.
pub(super) fn of(value: &Value) -> Kind {
    match value {
        Value::Object(members) if has_only(members, &["value"], &["unit", "unitId"]) => Kind::Quantity,
        Value::Object(members) if is_reference(members) => Kind::Reference,
        Value::Object(members) if members.get("images").is_some_and(Value::is_array) => Kind::Gallery,
        Value::Array(listed) if !listed.is_empty() => {
            let all = listed.iter().all(|one| one.as_object().is_some_and(is_reference));
            if all { Kind::References } else { Kind::Plain }
        }
        _ => Kind::Plain,
    }
}

fn has_only(members: &Map<String, Value>, required: &[&str], others: &[&str]) -> bool {
    required.iter().all(|name| members.contains_key(*name))
        && members.keys().all(|name| required.contains(&name.as_str()) || others.contains(&name.as_str()))
}

fn is_reference(members: &Map<String, Value>) -> bool {
    let others = ["id", "fullpath", "type", "metadata"];
    let addressed = members.contains_key("id") || members.contains_key("fullpath");
    addressed && has_only(members, &[], &others)
}

/// Writes a value as it has to go: a gallery says that it replaces what is there, for without that
/// Data Hub appends, and a repeat would show each image twice; an ID that is a text, as answers
/// have it, becomes the number that inputs take.
pub(super) fn written(mut value: Value) -> Value {
    match of(&value) {
        Kind::Gallery => {
            value["replace"] = Value::Bool(true);
            value["images"].as_array_mut().into_iter().flatten().for_each(number_id);
        }
        Kind::Reference => number_id(&mut value),
        Kind::References => value.as_array_mut().into_iter().flatten().for_each(number_id),
        Kind::Plain | Kind::Quantity => {}
    }
    value
}

fn number_id(reference: &mut Value) {
    let Some(members) = reference.as_object_mut() else { return };
    let number = members.get("id").and_then(Value::as_str).and_then(|id| id.parse::<i64>().ok());
    if let Some(number) = number {
        members.insert("id".to_owned(), Value::from(number));
    }
}

/// What a query has to ask for, to compare the field with this value.
pub(super) fn selection(name: &str, wanted: &Value) -> String {
    match of(wanted) {
        Kind::Plain => name.to_owned(),
        Kind::Quantity => format!("{name}{{value unit{{id abbreviation}}}}"),
        Kind::Reference => format!("{name}{{{}}}", address(wanted)),
        Kind::References => format!("{name}{{{}}}", address(&wanted[0])),
        Kind::Gallery => format!("{name}{{image{{id}}}}"),
    }
}

/// The member that a reference is told by.
fn address(reference: &Value) -> &'static str {
    if reference.get("id").is_some() { "id" } else { "fullpath" }
}

/// Whether a field holds a value. What cannot be compared is not the same.
pub(super) fn same(held: &Value, wanted: &Value) -> bool {
    match of(wanted) {
        Kind::Plain => same_plain(held, wanted),
        Kind::Quantity => {
            let (unit, of_unit) = match wanted.get("unitId") {
                Some(id) => (id, "id"),
                None => (&wanted["unit"], "abbreviation"),
            };
            same_plain(&held["value"], &wanted["value"]) && same_plain(&held["unit"][of_unit], unit)
        }
        Kind::Reference => same_reference(held, wanted),
        Kind::References => same_list(held, wanted, same_reference),
        Kind::Gallery => {
            same_list(held, &wanted["images"], |held, wanted| same_reference(&held["image"], wanted))
        }
    }
}

fn same_reference(held: &Value, wanted: &Value) -> bool {
    let by = address(wanted);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    text(&held[by]) == text(&wanted[by])
}

fn same_list(held: &Value, wanted: &Value, same: impl Fn(&Value, &Value) -> bool) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (held, wanted) = (list(held), list(wanted));
    held.len() == wanted.len() && held.iter().zip(&wanted).all(|(held, wanted)| same(held, wanted))
}

/// 5 and 5.0 are the same number to a server that has only one kind; nothing and an empty text
/// are the same to one that stores no empty texts; a moment may be written in several ways.
fn same_plain(held: &Value, wanted: &Value) -> bool {
    match (held, wanted) {
        (Value::Number(held), Value::Number(wanted)) => held.as_f64() == wanted.as_f64(),
        (Value::Null, Value::String(wanted)) => wanted.is_empty(),
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (held, wanted) if held == wanted => true,
        (held, wanted) => {
            let moments = (moment(held), moment(wanted));
            matches!(moments, (Some((held, dated)), Some((wanted, also))) if held == wanted && (dated || also))
        }
    }
}

/// Seconds since 1970, and whether the value can be nothing but a time.
fn moment(value: &Value) -> Option<(i64, bool)> {
    let Some(text) = value.as_str() else { return Some((value.as_i64()?, false)) };
    if let Ok(seconds) = text.parse() {
        return Some((seconds, false));
    }
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let written = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(written.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    Some((time?.as_second(), true))
}

/// Whether an object holds the wanted member values, each as it is written. Others may be there.
pub(super) fn holds(held: &Value, wanted: &Value) -> bool {
    match (held, wanted) {
        (Value::Object(held), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| holds(held.get(name).unwrap_or(&Value::Null), wanted))
        }
        (held, wanted) => same_plain(held, wanted),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shape_tells_the_kind_and_the_kind_what_to_ask_for() {
        for (value, kind, asked) in [
            (json!("x"), Kind::Plain, "f"),
            (json!(["x"]), Kind::Plain, "f"),
            (json!({ "colour": "red" }), Kind::Plain, "f"),
            (json!({ "value": 1.5, "unit": "kg" }), Kind::Quantity, "f{value unit{id abbreviation}}"),
            (json!({ "id": 5 }), Kind::Reference, "f{id}"),
            (json!({ "type": "object", "fullpath": "/x" }), Kind::Reference, "f{fullpath}"),
            (json!([{ "id": 5 }, { "id": 6 }]), Kind::References, "f{id}"),
            (json!({ "images": [{ "id": 5 }] }), Kind::Gallery, "f{image{id}}"),
        ] {
            assert_eq!((of(&value), selection("f", &value).as_str()), (kind, asked), "{value}");
        }
    }

    #[test]
    fn a_gallery_always_replaces_and_ids_go_as_numbers() {
        let wanted = json!({ "replace": true, "images": [{ "id": 5 }] });
        assert_eq!(written(json!({ "images": [{ "id": "5" }] })), wanted);
        assert_eq!(written(json!({ "replace": false, "images": [{ "id": 5 }] })), wanted);
        assert_eq!(written(json!([{ "type": "object", "id": "7" }])), json!([{ "type": "object", "id": 7 }]));
    }

    #[test]
    fn what_is_held_is_compared_by_kind() {
        let unit = json!({ "id": "kg", "abbreviation": "kg" });
        let yes = [
            (json!(5.0), json!(5)),
            (json!(null), json!("")),
            (json!("2026-11-22T00:00:00Z"), json!("2026-11-22")),
            (json!("2026-11-22T00:00:00+00:00"), json!("1795305600")),
            (json!({ "value": 2, "unit": unit }), json!({ "value": 2.0, "unit": "kg" })),
            (json!([{ "id": "5" }]), json!([{ "id": 5 }])),
            (json!([{ "image": { "id": "5" } }]), json!({ "images": [{ "id": 5 }] })),
        ];
        for (held, wanted) in yes {
            assert!(same(&held, &wanted), "{held} {wanted}");
        }
        let no = [
            (json!("05"), json!("5")),
            (json!(null), json!(0)),
            (json!("2026-11-23"), json!("2026-11-22")),
            (json!({ "value": 2, "unit": unit }), json!({ "value": 2, "unit": "g" })),
            (json!(null), json!({ "value": 2, "unit": "g" })),
            (json!([{ "id": "5" }, { "id": "6" }]), json!([{ "id": 5 }])),
            (json!({ "id": "5" }), json!({ "id": 6 })),
            (json!([]), json!({ "images": [{ "id": 5 }] })),
        ];
        for (held, wanted) in no {
            assert!(!same(&held, &wanted), "{held} {wanted}");
        }
    }
}
