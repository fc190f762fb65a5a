//! A record's bytes to its value: what `serde_json` makes of them, with room made beforehand. Records of one
//! source are alike, and their objects are made in one piece.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Members of a usual record.
const MEMBERS: usize = 32;
/// Members of a usual object within one, and elements of a usual list.
const MEMBERS_WITHIN: usize = 2;
const ELEMENTS: usize = 4;

/// The name under which `serde_json` hands over a number as it is written: it is no name of a member. Asked
/// for, because it is its own affair.
static NUMBER: LazyLock<String> = LazyLock::new(|| {
    let name = Named.deserialize(&mut serde_json::Deserializer::from_str("0.5"));
    name.unwrap_or_default()
});

/// Reads a record.
///
/// # Errors
/// Those of `serde_json`.
pub(super) fn read(bytes: &[u8]) -> serde_json::Result<Value> {
    // To look at all bytes at once is cheaper than at those of each text; what is no UTF-8 is told with its place.
    let Ok(text) = std::str::from_utf8(bytes) else { return serde_json::from_slice(bytes) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Reading { members: MEMBERS }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Makes a value, an object with room for so many members.
#[derive(Clone, Copy)]
struct Reading {
    members: usize,
}

const WITHIN: Reading = Reading { members: MEMBERS_WITHIN };

impl<'de> DeserializeSeed<'de> for Reading {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(WITHIN)? {
            if list.is_empty() {
                list.reserve(ELEMENTS);
            }
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Some(first) = members.next_key::<String>()? else { return Ok(Value::Object(Map::new())) };
        if first == *NUMBER {
            let written: String = members.next_value()?;
            return written.parse::<Number>().map(Value::Number).map_err(A::Error::custom);
        }
        let mut object = Map::with_capacity(self.members);
        object.insert(first, members.next_value_seed(WITHIN)?);
        while let Some(name) = members.next_key()? {
            object.insert(name, members.next_value_seed(WITHIN)?);
        }
        Ok(Value::Object(object))
    }
}

/// Finds the name of the first member of an object.
struct Named;

impl<'de> DeserializeSeed<'de> for Named {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<String, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Named {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<String, A::Error> {
        let name: Option<String> = members.next_key()?;
        members.next_value::<IgnoredAny>()?;
        Ok(name.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_by_the_library_itself() {
        for text in [
            r#"{"a":1,"b":[],"c":{},"d":null,"e":[true,false,"x\n\u00e4"],"a":{"b":{"c":[[1,2],{}]}}}"#,
            "[1, -1, 0, -0, 1.0, 1.50, 1e5, 1E-7, 12345678901234567890, 123456789012345678901234567890.1]",
            r#"{"first":0.1000000000000000055511151231257827,"second":-9223372036854775809}"#,
            " \"text\" ",
            "17",
            "0.5",
            "null",
            r#"{"$serde_json::private::Number":"1.5"}"#,
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            let made = read(text.as_bytes()).unwrap();
            assert_eq!(made, expected, "{text}");
            assert_eq!(made.to_string(), expected.to_string(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_in_the_same_words() {
        let deep = "[".repeat(200);
        for text in [
            "",
            "{",
            "{\"a\":1",
            "{\"a\" 1}",
            "[1,]",
            "tru",
            "1 2",
            "01",
            "{\"a\":\"\u{1}\"}",
            "\"\\x\"",
            &deep,
        ] {
            let expected = serde_json::from_str::<Value>(text).unwrap_err().to_string();
            assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
        let expected = serde_json::from_slice::<Value>(b"{\"a\":\"\xff\"}").unwrap_err().to_string();
        assert_eq!(read(b"{\"a\":\"\xff\"}").unwrap_err().to_string(), expected);
    }
}
