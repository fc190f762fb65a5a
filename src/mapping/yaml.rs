//! YAML as a tree in which every value and every key knows where it stands. The only file of the
//! mapping that knows the YAML crate.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

/// A place in a file: line and column, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A text with its place.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) spot: Spot,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) spot: Spot,
    pub(super) shape: Shape,
}

/// What a value is. Numbers stay as they are written, so that `1.10` is not `1.1`.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Null,
    Flag(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(Word, Node)>),
}

impl Node {
    /// What kind of value it is, for messages.
    pub(super) fn noun(&self) -> &'static str {
        match self.shape {
            Shape::Null => "nothing",
            Shape::Flag(_) => "true or false",
            Shape::Number(_) => "a number",
            Shape::Text(_) => "a text",
            Shape::List(_) => "a list",
            Shape::Object(_) => "an object",
        }
    }

    /// A text, or a number or truth value as it is written.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.shape {
            Shape::Text(text) | Shape::Number(text) => Some(text.clone()),
            Shape::Flag(flag) => Some(flag.to_string()),
            Shape::Null | Shape::List(_) | Shape::Object(_) => None,
        }
    }

    /// The elements of a list; anything else is a list of one.
    pub(super) fn as_list(&self) -> &[Node] {
        if let Shape::List(nodes) = &self.shape { nodes } else { std::slice::from_ref(self) }
    }

    /// The same value as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.shape {
            Shape::Null => Value::Null,
            Shape::Flag(flag) => Value::Bool(*flag),
            Shape::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            Shape::Text(text) => Value::String(text.clone()),
            Shape::List(nodes) => nodes.iter().map(Self::to_json).collect(),
            Shape::Object(entries) => {
                let object: Map<_, _> =
                    entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect();
                Value::Object(object)
            }
        }
    }
}

/// Why a text is not YAML.
pub(super) struct Broken {
    pub(super) spot: Spot,
    pub(super) message: String,
}

/// Rules inside rules: deeper ones are a mistake, or an attempt to exhaust the stack.
const DEPTH_MAX: usize = 32;

/// Reads a YAML text.
pub(super) fn read(text: &str) -> Result<Node, Broken> {
    let budget = serde_saphyr::budget! { max_depth: DEPTH_MAX };
    let options = serde_saphyr::options! { strict_booleans: true, budget: budget };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(place(raw, text)),
        Err(error) => {
            let location = error.location();
            let spot = location.map_or(Spot { line: 1, column: 1 }, |known| spot(&known));
            let message = error.without_snippet().to_string();
            Err(Broken { spot, message: message.lines().next().unwrap_or("not YAML").to_owned() })
        }
    }
}

fn spot(location: &serde_saphyr::Location) -> Spot {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Spot { line: number(location.line()), column: number(location.column()) }
}

/// A value as the deserializer sees it.
enum Raw {
    Null,
    Flag(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Object(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn place(raw: Spanned<Raw>, text: &str) -> Node {
    let shape = match raw.value {
        Raw::Null => Shape::Null,
        Raw::Flag(flag) => Shape::Flag(flag),
        Raw::Number => Shape::Number(written(&raw.defined, text)),
        Raw::Text(text) => Shape::Text(text),
        Raw::List(values) => Shape::List(values.into_iter().map(|value| place(value, text)).collect()),
        Raw::Object(entries) => Shape::Object(
            entries
                .into_iter()
                .map(|(key, value)| {
                    (Word { spot: spot(&key.referenced), text: key.value }, place(value, text))
                })
                .collect(),
        ),
    };
    Node { spot: spot(&raw.referenced), shape }
}

/// The characters of a number as they stand in the file.
fn written(location: &serde_saphyr::Location, text: &str) -> String {
    let span = location.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(start, length)| {
        let start = usize::try_from(start).ok()?;
        text.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    });
    range.unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut object: Vec<(Spanned<String>, Spanned<Raw>)> = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Raw>>()? {
            if object.iter().any(|(known, _)| known.value == key.value) {
                return Err(A::Error::custom(format!("'{}' is written twice", key.value)));
            }
            object.push((key, value));
        }
        Ok(Raw::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_written_and_everything_has_a_place() {
        let Ok(node) = read("a: 1.10\nb: [x, 0644]\n1203: no\n\"q\": 'ü: y'\nz: 2.50 # c\n") else {
            panic!("not read")
        };
        let Shape::Object(entries) = &node.shape else { panic!("{node:?}") };
        assert_eq!(entries[0].1.scalar().as_deref(), Some("1.10"));
        let Shape::List(list) = &entries[1].1.shape else { panic!("{node:?}") };
        assert_eq!(list[1].scalar().as_deref(), Some("0644"));
        assert_eq!(list[1].spot, Spot { line: 2, column: 8 });
        assert_eq!((entries[2].0.text.as_str(), entries[2].0.spot.line), ("1203", 3));
        assert_eq!(entries[2].1.scalar().as_deref(), Some("no"));
        assert_eq!(entries[4].1.scalar().as_deref(), Some("2.50"));
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_place() {
        for (text, line) in [("a: [1", 1), ("a: 1\na: 2\n", 2), ("a:\n\tb: 1\n", 2)] {
            let Err(broken) = read(text) else { panic!("{text}") };
            assert!(broken.spot.line >= line, "{text}: {}", broken.message);
        }
    }
}
