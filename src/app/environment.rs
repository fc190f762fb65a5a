//! `${env:NAME}` in connections: replaced at the edge, in values only, never in stored text.

use serde_json::{Map, Value};

use crate::connectors::BuildFault;

/// Where names are looked up.
pub(super) enum Environment {
    /// The environment of this process.
    Process,
    /// Nowhere: `check` must pass on a machine that has none of the secrets.
    Absent,
}

/// Stands for a secret that is not there: it has the form of an address, so that connectors which
/// look at the form accept it, and nothing answers under `.invalid`.
const ABSENT: &str = "http://absent.invalid";
/// How a variable begins.
pub(super) const OPEN: &str = "${env:";

/// The fields with every `${env:NAME}` replaced.
///
/// # Errors
/// Names every field with a variable that is not set, so that a person exports them all at once.
pub(super) fn resolve(
    fields: &Map<String, Value>,
    from: &Environment,
) -> Result<Map<String, Value>, Vec<BuildFault>> {
    let mut resolved = Map::new();
    let mut faults = Vec::new();
    for (name, value) in fields {
        match replaced(value, from) {
            Ok(value) => drop(resolved.insert(name.clone(), value)),
            Err(variable) => faults.push(BuildFault {
                field: Some(name.clone()),
                place: None,
                message: format!("the environment variable {variable} is not set"),
                hint: Some(format!("export {variable}=… and start again")),
            }),
        }
    }
    if faults.is_empty() { Ok(resolved) } else { Err(faults) }
}

/// The variables that fields name and that are not set, each once.
pub(super) fn unset(fields: &Map<String, Value>) -> Vec<String> {
    let text = Value::Object(fields.clone()).to_string();
    let named = text.split(OPEN).skip(1).filter_map(|after| Some(after.split_once('}')?.0.to_owned()));
    let mut unset: Vec<String> = named.filter(|name| std::env::var(name).is_err()).collect();
    unset.sort();
    unset.dedup();
    unset
}

fn replaced(value: &Value, from: &Environment) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => Value::String(replaced_text(text, from)?),
        Value::Array(values) => {
            Value::Array(values.iter().map(|value| replaced(value, from)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), replaced(value, from)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

fn replaced_text(text: &str, from: &Environment) -> Result<String, String> {
    let mut rest = text;
    let mut result = String::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((name, behind)) = after.split_once('}') else { break };
        result.push_str(before);
        match from {
            Environment::Process => result.push_str(&std::env::var(name).map_err(|_| name.to_owned())?),
            Environment::Absent => result.push_str(ABSENT),
        }
        rest = behind;
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_is_not_set_is_named_with_its_field() {
        let fields = serde_json::json!({ "url": "${env:MILEPOST_NEVER_SET}/api", "key": "${env:NOR_THIS}" });
        let faults = resolve(fields.as_object().unwrap(), &Environment::Process).unwrap_err();
        let named: Vec<_> = faults.iter().map(|fault| fault.field.as_deref()).collect();
        assert_eq!(named, [Some("url"), Some("key")]);
        assert!(faults[0].message.contains("MILEPOST_NEVER_SET"));
        let checked = resolve(fields.as_object().unwrap(), &Environment::Absent).unwrap();
        assert_eq!(checked["url"], "http://absent.invalid/api");
    }
}
