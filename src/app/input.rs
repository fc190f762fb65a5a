//! The input of a run: defaults, then what the command gave, each with the kind it must have.

use std::path::Path;

use serde_json::{Map, Value};

use crate::core::workflow::{Input, InputKind, Workflow};

/// Joins defaults and given values. Paths come out absolute, because a resume may be typed in
/// another folder: defaults begin in the folder of the workflow file, given ones in ours.
///
/// # Errors
/// Which input is unknown, missing or of the wrong kind, and what to type.
pub(super) fn join(
    workflow: &Workflow,
    given: &[(String, String)],
    base: &Path,
) -> Result<Map<String, Value>, String> {
    for (name, _) in given {
        if !workflow.input.contains_key(name) {
            let known: Vec<&str> = workflow.input.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "it takes none".to_owned()
            } else {
                format!("it takes {}", known.join(", "))
            };
            return Err(format!("the workflow has no input '{name}': {known}"));
        }
    }
    let mut joined = Map::new();
    for (name, input) in &workflow.input {
        let text = given.iter().rev().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        let value = match (text, &input.default) {
            (Some(text), _) => parsed(name, text, input)?,
            (None, Some(default)) => from_default(default, input, base),
            (None, None) => return Err(format!("the input '{name}' is missing: add --input {name}=…")),
        };
        joined.insert(name.clone(), value);
    }
    Ok(joined)
}

fn parsed(name: &str, text: &str, input: &Input) -> Result<Value, String> {
    let wrong = |expected: &str| format!("the input '{name}' must be {expected}, not '{text}'");
    match input.kind {
        InputKind::Text => Ok(Value::from(text)),
        InputKind::Uri if has_scheme(text) => Ok(Value::from(text)),
        InputKind::Uri => {
            let absolute =
                std::path::absolute(text).map_err(|error| format!("{}: {error}", wrong("a path")))?;
            Ok(Value::from(absolute.to_string_lossy()))
        }
        InputKind::Number => {
            text.parse::<serde_json::Number>().map(Value::Number).map_err(|_| wrong("a number"))
        }
        InputKind::Bool => text.parse::<bool>().map(Value::Bool).map_err(|_| wrong("true or false")),
    }
}

fn from_default(default: &Value, input: &Input, base: &Path) -> Value {
    match (input.kind, default) {
        (InputKind::Uri, Value::String(path)) if !has_scheme(path) => {
            Value::from(base.join(path).to_string_lossy())
        }
        (_, default) => default.clone(),
    }
}

fn has_scheme(text: &str) -> bool {
    text.contains("://")
}
