//! The tree that the later stages read: values with their places.

use serde_json::{Map, Number, Value};

use super::place::Span;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// A word, number or text; `plain` when it stands without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of an entry.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

/// A scalar by its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
}

impl Node {
    pub(super) fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.data {
            Data::Scalar { text, plain: true } => Some(resolve(text)),
            Data::Scalar { text, plain: false } => Some(Scalar::Text(text)),
            Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The text as written, also of a number or a word such as `true`; `None` when there is
    /// nothing.
    pub(super) fn written(&self) -> Option<&str> {
        match (&self.data, self.scalar()) {
            (_, Some(Scalar::Null)) => None,
            (Data::Scalar { text, .. }, _) => Some(text),
            (Data::List(_) | Data::Map(_), _) => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    pub(super) fn map(&self) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            Data::Scalar { .. } | Data::List(_) => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            Data::Scalar { .. } | Data::Map(_) => None,
        }
    }

    /// The whole value as JSON.
    pub(super) fn json(&self) -> Value {
        match &self.data {
            Data::Scalar { .. } => match self.scalar() {
                Some(Scalar::Bool(yes)) => Value::Bool(yes),
                Some(Scalar::Number(number)) => Value::Number(number),
                Some(Scalar::Text(text)) => Value::String(text.to_owned()),
                Some(Scalar::Null) | None => Value::Null,
            },
            Data::List(items) => Value::Array(items.iter().map(Self::json).collect()),
            Data::Map(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.text.clone(), node.json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Every text inside, keys left out, each with its place.
    pub(super) fn texts(&self) -> Vec<(&str, Span)> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(node) = open.pop() {
            match &node.data {
                Data::Scalar { text, .. } => found.push((text.as_str(), node.span)),
                Data::List(items) => open.extend(items.iter().rev()),
                Data::Map(entries) => open.extend(entries.iter().rev().map(|(_, node)| node)),
            }
        }
        found
    }

    /// What it is, for "expected …, found …".
    pub(super) fn what(&self) -> String {
        match (&self.data, self.scalar()) {
            (Data::List(_), _) => "a list".to_owned(),
            (Data::Map(_), _) => "a mapping".to_owned(),
            (_, Some(Scalar::Null) | None) => "nothing".to_owned(),
            (_, Some(Scalar::Bool(yes))) => format!("{yes}"),
            (_, Some(Scalar::Number(number))) => format!("the number {number}"),
            (_, Some(Scalar::Text(""))) => "an empty text".to_owned(),
            (_, Some(Scalar::Text(_))) => "a text".to_owned(),
        }
    }
}

/// What a word without quotes means. Stricter than YAML: only `true`, `false`, `null`, `~` and
/// numbers without leading zeros are not texts, so that nothing is damaged on the way.
fn resolve(text: &str) -> Scalar<'_> {
    match text {
        "" | "~" | "null" => Scalar::Null,
        "true" => Scalar::Bool(true),
        "false" => Scalar::Bool(false),
        _ => number(text).map_or(Scalar::Text(text), Scalar::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if leading_zero || !digits.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = text.parse::<u64>().ok().map(Number::from);
        return unsigned.or_else(|| text.parse::<i64>().ok().map(Number::from));
    }
    let decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    decimal.then(|| text.parse::<f64>().ok().and_then(Number::from_f64)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_and_words_lose_their_spelling() {
        for text in
            ["NO", "yes", "True", "0644", "1_000", "12345678901234567890123", "1.2.3", "+5", ".5", "on"]
        {
            assert_eq!(resolve(text), Scalar::Text(text));
        }
        assert_eq!(resolve("-3"), Scalar::Number(Number::from(-3)));
        assert_eq!(resolve("0.5"), Scalar::Number(Number::from_f64(0.5).unwrap()));
        assert_eq!(resolve("~"), Scalar::Null);
    }
}
