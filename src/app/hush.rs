//! What other systems say, without our secrets: one that is sent may come back in an answer, and answers are kept
//! with failures and shown.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::core::catalog::{Catalog, Kind};
use crate::core::cell::Facts;
use crate::core::fault::Fault;
use crate::core::workflow::Connection;

use super::environment::OPEN;

/// Shorter texts are no secrets, and would be found in many that are none.
const SECRET_BYTES_MIN: usize = 4;
/// What stands in place of a secret whose field does not name a variable.
const HIDDEN: &str = "…";

/// The secrets of one connection, each with what is said in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hush(Vec<(String, String)>);

impl Hush {
    /// Those of a connection, whose fields have their variables replaced in `settings`.
    pub(super) fn of(connection: &Connection, settings: &Map<String, Value>, catalog: &Catalog) -> Self {
        let kind = catalog.connection(&connection.kind);
        let is_secret = |name: &str| {
            let fields = kind.map_or(&[][..], |kind| kind.fields).iter();
            fields
                .into_iter()
                .any(|field| field.name == name && matches!(field.kind, Kind::Secret | Kind::Secrets))
        };
        let mut hush = Self::default();
        let mut open = Vec::new();
        for (name, value) in settings {
            let written = connection.fields.get(name).unwrap_or(&Value::Null);
            match value {
                _ if is_secret(name) => hush.hide(value, written),
                // What such a section takes from the environment nobody needs to read.
                Value::Object(_) | Value::Array(_) => hush.hide_variables(value, written),
                value => open.extend(value.as_str()),
            }
            if let Some(password) = value.as_str().and_then(password_in) {
                hush.add(password, HIDDEN);
            }
        }
        for (secret, shown) in hush.0.clone() {
            // As a request says it who you are (RFC 7617), and as JSON says it.
            let pairs = open.iter().map(|user| format!("{user}:{secret}")).chain([format!("{secret}:")]);
            pairs.for_each(|pair| hush.add(&STANDARD.encode(pair), &shown));
            let quoted = Value::from(secret).to_string();
            hush.add(&quoted[1..quoted.len() - 1], &shown);
        }
        // A secret may be the beginning of another one.
        hush.0.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        hush.0.dedup();
        hush
    }

    fn hide(&mut self, value: &Value, written: &Value) {
        match value {
            Value::String(secret) => {
                let shown = written.as_str().filter(|text| text.contains(OPEN)).unwrap_or(HIDDEN);
                self.add(secret, shown);
                // What is told of it may be without what says its form.
                if let Some((_, bare)) = secret.split_once("whsec_") {
                    self.add(bare, shown);
                }
            }
            Value::Array(values) => values
                .iter()
                .enumerate()
                .for_each(|(at, value)| self.hide(value, written.get(at).unwrap_or(&Value::Null))),
            Value::Object(values) => values
                .iter()
                .for_each(|(name, value)| self.hide(value, written.get(name).unwrap_or(&Value::Null))),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Hides what came from variables, and leaves what is written out.
    fn hide_variables(&mut self, value: &Value, written: &Value) {
        match (value, written) {
            (Value::String(secret), Value::String(text)) if text.contains(OPEN) => self.add(secret, text),
            (Value::Array(values), Value::Array(texts)) => {
                values.iter().zip(texts).for_each(|(value, text)| self.hide_variables(value, text));
            }
            (Value::Object(values), Value::Object(_)) => values.iter().for_each(|(name, value)| {
                self.hide_variables(value, written.get(name).unwrap_or(&Value::Null));
            }),
            _ => {}
        }
    }

    fn add(&mut self, secret: &str, shown: &str) {
        if secret.len() >= SECRET_BYTES_MIN {
            self.0.push((secret.to_owned(), shown.to_owned()));
        }
    }

    /// The text without them.
    pub(super) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        for (secret, shown) in &self.0 {
            if clean.contains(secret.as_str()) {
                clean = Cow::Owned(clean.replace(secret.as_str(), shown));
            }
        }
        // Of a long answer only the beginning is told, which may end in one.
        let cut = self.0.iter().filter_map(|(secret, _)| begun(&clean, secret)).min();
        match cut {
            Some(end) => Cow::Owned(format!("{}{HIDDEN}", &clean[..end])),
            None => clean,
        }
    }

    pub(super) fn fault(&self, fault: Fault) -> Fault {
        let Fault { name, message } = fault;
        Fault { message: self.text(&message).into_owned(), name }
    }

    pub(super) fn facts(&self, facts: Facts) -> Facts {
        facts.into_iter().map(|(name, value)| (name, self.value(value))).collect()
    }

    pub(super) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text).into_owned()),
            Value::Array(values) => values.into_iter().map(|value| self.value(value)).collect(),
            Value::Object(values) => values
                .into_iter()
                .map(|(name, value)| (self.text(&name).into_owned(), self.value(value)))
                .collect(),
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }
}

/// Where a beginning of the secret ends the text, if enough of it does to be told.
fn begun(text: &str, secret: &str) -> Option<usize> {
    let lengths = (SECRET_BYTES_MIN..secret.len()).rev();
    let mut found = lengths.filter(|length| secret.is_char_boundary(*length));
    found.find(|length| text.ends_with(&secret[..*length])).map(|length| text.len() - length)
}

/// The password in an address, if one stands there.
fn password_in(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let (authority, _) = rest.split_once(['/', '?', '#']).unwrap_or((rest, ""));
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connectors::catalog;

    fn hush(kind: &str, written: &Value, settings: &Value) -> Hush {
        let fields = |value: &Value| value.as_object().unwrap().clone();
        let terms = crate::core::outlet::Terms::default();
        let connection = Connection { kind: kind.to_owned(), terms, fields: fields(written) };
        Hush::of(&connection, &fields(settings), &catalog())
    }

    #[test]
    fn a_secret_is_not_told_in_whatever_form_it_comes_back() {
        let written = json!({ "url": "http://shop", "email": "a@b.c", "password": "${env:PASSWORD}" });
        let settings = json!({ "url": "http://shop", "email": "a@b.c", "password": "tell \"nobody\"" });
        let hush = hush("medusa", &written, &settings);
        for told in [
            "you said tell \"nobody\"".to_owned(),
            json!({ "password": "tell \"nobody\"" }).to_string(),
            format!("Basic {}", STANDARD.encode("a@b.c:tell \"nobody\"")),
            "the beginning: tell \"no".to_owned(),
        ] {
            let clean = hush.text(&told);
            assert!(
                !clean.contains("nobody") && !clean.contains("tell \"") && !clean.contains("YUBiLmM6"),
                "{clean}"
            );
        }
        assert_eq!(hush.text("http://shop says a@b.c"), "http://shop says a@b.c", "what is no secret stays");
        assert_eq!(hush.text("it is tell \"nobody\"."), "it is ${env:PASSWORD}.");
    }

    #[test]
    fn a_password_in_an_address_is_one_and_facts_are_looked_through() {
        let address = json!({ "url": "redis://keys:long-and-secret@cache:6379/0" });
        let hush = hush("redis", &address, &address);
        let facts =
            Facts::from([("said".to_owned(), json!([{ "a long-and-secret": "is long-and-secret" }]))]);
        assert_eq!(hush.facts(facts)["said"], json!([{ "a …": "is …" }]));
    }
}
