//! The headers of a delivery.

use serde_json::{Map, Value};

/// Headers by their names in lower case, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Those whose values are text; what is not cannot prove anything.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let text = |(name, value): (&str, &'a [u8])| {
            let value = std::str::from_utf8(value).ok()?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Self(pairs.into_iter().filter_map(text).collect())
    }

    /// The value of a header that came once: of two, nobody knows which one counts.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value.as_str())
    }

    /// All that came once, as expressions see them, without those that prove who sent them.
    pub(super) fn shown(&self, hidden: &[&str]) -> Value {
        let is_hidden = |name: &str| {
            let always = ["authorization", "cookie", "proxy-authorization"];
            always.into_iter().chain(hidden.iter().copied()).any(|hidden| hidden.eq_ignore_ascii_case(name))
        };
        let shown = self.0.iter().filter(|(name, _)| !is_hidden(name) && self.one(name).is_some());
        Value::Object(
            shown.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect::<Map<_, _>>(),
        )
    }
}
