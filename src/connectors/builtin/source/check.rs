//! Whether a record is what the workflow expects. Pure: the same bytes give the same answer when
//! the record is read again.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use super::reading;
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::scope::{Scope, Steps};
use crate::core::time::Timestamp;
use crate::expr::Expression;

/// Most reasons told about one record: the rest is seldom news.
const REASONS_MAX: usize = 5;
/// Longest reason, in characters: schema messages repeat the value, which may be a whole record.
const REASON_CHARS_MAX: usize = 160;

/// What is asked of a record.
pub(super) struct Checker {
    pub(super) schema: Option<Validator>,
    /// Paths that must lead to a value, with their names as JSON pointers.
    pub(super) required: Vec<String>,
    pub(super) key: Expression,
    pub(super) key_text: String,
}

/// A record that was read.
pub(super) struct Checked {
    pub(super) key: Option<String>,
    pub(super) value: Arc<Value>,
    pub(super) valid: bool,
}

/// A text that is not JSON.
pub(super) struct NotJson {
    pub(super) message: String,
    /// The text is JSON, but deeper than we read: the file around it is in order.
    pub(super) too_deep: bool,
}

impl Checker {
    /// Reads and checks a record.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<Checked, NotJson> {
        Ok(self.judge(Arc::new(parse(bytes)?)))
    }

    /// Checks a record.
    pub(super) fn judge(&self, value: Arc<Value>) -> Checked {
        let key = self.key(&value).ok();
        let valid = key.is_some()
            && value.is_object()
            && self.required.iter().all(|pointer| has(&value, pointer))
            && self.schema.as_ref().is_none_or(|schema| schema.is_valid(&value));
        Checked { key, value, valid }
    }

    /// Reads a record that was found valid before.
    pub(super) fn trust(&self, bytes: &[u8]) -> Result<Checked, NotJson> {
        let value = Arc::new(parse(bytes)?);
        Ok(Checked { key: self.key(&value).ok(), value, valid: true })
    }

    /// Why a record is invalid: JSON pointers and what is wrong there.
    pub(super) fn reasons(&self, value: &Arc<Value>) -> Vec<String> {
        if !value.is_object() {
            return vec!["/: the record is no object".to_owned()];
        }
        let mut reasons: Vec<String> = Vec::new();
        if let Some(schema) = &self.schema {
            let errors = schema.iter_errors(value).take(REASONS_MAX);
            reasons.extend(errors.map(|error| {
                let pointer = error.instance_path().to_string();
                let place = if pointer.is_empty() { "/" } else { &pointer };
                shortened(&format!("{place}: {error}"))
            }));
        }
        let missing = self.required.iter().filter(|pointer| !has(value, pointer));
        reasons.extend(missing.map(|pointer| format!("{pointer}: required, but there is no value")));
        reasons.extend(self.key(value).err());
        reasons.truncate(REASONS_MAX);
        reasons
    }

    /// The item key: a text or a whole number.
    fn key(&self, value: &Arc<Value>) -> Result<String, String> {
        let found = self.key.evaluate(&scope(value)).map_err(|fault: Fault| fault.message)?;
        let text = match found {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            Some(Value::Null) | None => String::new(),
            Some(_) => {
                return Err(format!("the item key {} is neither a text nor a whole number", self.key_text));
            }
        };
        match text.trim() {
            "" => Err(format!("the item key {} has no value", self.key_text)),
            key if key.len() == text.len() => Ok(text),
            key => Ok(key.to_owned()),
        }
    }
}

/// The value of a JSON text.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, NotJson> {
    reading::read(bytes).map_err(|error| {
        let message = error.to_string();
        let what = message.rsplit_once(" at line").map_or(message.as_str(), |(what, _)| what);
        let (line, column) = (error.line(), error.column());
        NotJson {
            too_deep: what.starts_with("recursion limit"),
            message: format!("{what} (line {line}, column {column} of the record)"),
        }
    })
}

/// Whether a pointer leads to a value that is not empty.
fn has(value: &Value, pointer: &str) -> bool {
    match value.pointer(pointer) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(_) => true,
    }
}

fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// An item key sees the record alone, so that the same record has the same key in every run.
fn scope(item: &Arc<Value>) -> Scope {
    thread_local! {
        static NOTHING: Arc<Value> = const { Value::Null }.into();
    }
    let nothing = NOTHING.with(Arc::clone);
    Scope {
        run: RunId(0),
        started_at: Timestamp(0),
        version: "0".into(),
        unit: Unit::Run,
        input: Arc::clone(&nothing),
        item: Arc::clone(item),
        digest: Arc::default(),
        steps: Steps::default(),
        sent: None,
    }
}
