//! Control characters: databases refuse a whole record for one NUL, and nobody sees them.

use serde_json::{Map, Value};

/// What is done about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Control {
    /// They are taken out, and a remark says so.
    #[default]
    Remove,
    /// A record with one is refused.
    Refuse,
}

/// Everything that Unicode calls a control character, but for the ones that part words and lines.
fn is_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r')
}

/// The first control character of a text. Bytes decide nearly always.
fn first_in(text: &str) -> Option<char> {
    if !is_suspicious(text.as_bytes()) {
        return None;
    }
    text.chars().find(|character| is_control(*character))
}

/// Whether a control character may be among these bytes. They are looked at in pieces of a fixed length, without
/// a branch between them; the last piece may overlap the one before.
fn is_suspicious(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<32>() {
        bytes.as_chunks::<32>().0.iter().any(has_suspicious) || has_suspicious(last)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
        has_suspicious(first) || has_suspicious(last)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        has_suspicious(first) || has_suspicious(last)
    } else {
        bytes.iter().any(|byte| has_suspicious(&[*byte]))
    }
}

fn has_suspicious<const LENGTH: usize>(bytes: &[u8; LENGTH]) -> bool {
    let suspicious = |byte: u8| {
        let low = byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r';
        // Behind 0xc2 come the controls beyond ASCII, and some more.
        low || byte == 0x7f || byte == 0xc2
    };
    bytes.iter().fold(false, |found, byte| found | suspicious(*byte))
}

/// Where a record has its first control character: the field at its top, and the character.
pub(super) fn find(record: &Value) -> Option<(String, char)> {
    match record {
        Value::Object(members) => members.iter().find_map(|(name, inner)| {
            let found = first_in(name).or_else(|| first(inner))?;
            Some((clean(name), found))
        }),
        other => first(other).map(|found| (String::new(), found)),
    }
}

fn first(value: &Value) -> Option<char> {
    match value {
        Value::String(text) => first_in(text),
        Value::Array(list) => list.iter().find_map(first),
        Value::Object(members) => {
            members.iter().find_map(|(name, inner)| first_in(name).or_else(|| first(inner)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Takes them out of everything.
pub(super) fn remove(value: &mut Value) {
    match value {
        Value::String(text) if first_in(text).is_some() => *text = clean(text),
        Value::Array(list) => list.iter_mut().for_each(remove),
        Value::Object(members) => {
            members.values_mut().for_each(remove);
            if members.keys().any(|name| first_in(name).is_some()) {
                let cleaned: Map<String, Value> =
                    std::mem::take(members).into_iter().map(|(name, inner)| (clean(&name), inner)).collect();
                *members = cleaned;
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|character| !is_control(*character)).collect()
}

/// What is to be said at the gate of a record that has one.
pub(super) fn remark(record: &Value) -> Option<String> {
    let (field, _) = find(record)?;
    Some(format!("{field}: control characters are taken out"))
}

/// Why a record with one is refused.
pub(super) fn refusal(record: &Value) -> Option<String> {
    let (field, found) = find(record)?;
    Some(format!("{field}: has the control character U+{:04X}", u32::from(found)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn they_are_found_wherever_they_are_and_taken_out_alone() {
        let mut record = json!({
            "a": "tab\tline\r\nümlaut\u{a0}", "list": [{ "d\u{0}": "x\u{0}y\u{1b}[0m\u{85}\u{7f}" }],
        });
        assert_eq!(find(&record), Some(("list".to_owned(), '\0')));
        assert_eq!(remark(&record).as_deref(), Some("list: control characters are taken out"));
        assert_eq!(refusal(&record).as_deref(), Some("list: has the control character U+0000"));
        remove(&mut record);
        let clean = json!({ "a": "tab\tline\r\nümlaut\u{a0}", "list": [{ "d": "xy[0m" }] });
        assert_eq!(record, clean);
        assert_eq!(find(&record), None);
    }

    #[test]
    fn none_is_overlooked_wherever_it_stands_in_a_long_text() {
        for at in 0..100 {
            for character in ('\0'..='\u{ff}').filter(|character| is_control(*character)) {
                let text = format!("{}{character}{}", "ä\t".repeat(at), "z".repeat(100 - at));
                assert_eq!(first_in(&text), Some(character), "U+{:04X} at {at}", u32::from(character));
            }
            assert_eq!(first_in(&"\u{a0}\n".repeat(at)), None);
        }
    }
}
