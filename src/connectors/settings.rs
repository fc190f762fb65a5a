//! Common ground of the connectors: reading the fields of `with` and of connections. `check` has
//! seen their types already; what is said here again is for callers that skipped it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{BuildFault, Site};
use crate::expr::Template;
use crate::mapping::Mapping;

impl BuildFault {
    /// A mistake in one field of `with` or of the connection.
    pub(crate) fn field(name: &str, message: impl Into<String>) -> Self {
        Self { field: Some(name.to_owned()), place: None, message: message.into(), hint: None }
    }
}

/// The text of a field; `None` when it is not there.
pub(crate) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, BuildFault> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(BuildFault::field(name, format!("'{name}' must be text"))),
    }
}

/// The text of a field that must be there.
pub(crate) fn required<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, BuildFault> {
    match text(fields, name)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(BuildFault::field(name, format!("'{name}' is missing"))),
    }
}

/// The texts in a field; none when it is not there.
pub(crate) fn texts(fields: &Map<String, Value>, name: &str) -> Result<Vec<String>, BuildFault> {
    let wrong = || BuildFault::field(name, format!("'{name}' must be a list of texts"));
    match fields.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(texts)) => {
            texts.iter().map(|text| text.as_str().map(ToOwned::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The number in a field; `None` when it is not there.
pub(crate) fn count(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, BuildFault> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(count) => Ok(Some(count)),
            None => Err(BuildFault::field(name, format!("'{name}' must be a whole number"))),
        },
    }
}

/// The duration in a field; `None` when it is not there.
pub(crate) fn duration(fields: &Map<String, Value>, name: &str) -> Result<Option<Duration>, BuildFault> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    parse_duration(text).map(Some).ok_or_else(|| BuildFault {
        hint: Some("write a number and a unit, for example 500ms, 30s, 5m, 1h 30m".to_owned()),
        ..BuildFault::field(name, format!("'{text}' is not a duration"))
    })
}

/// A human duration such as `30s` or `1h 30m`; `None` for anything else and for negative ones.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let signed: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(signed).ok()
}

/// Milliseconds as JSON can hold them.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The named fields of `with` as one template; fields that are not there are left out.
pub(crate) fn template(with: &Map<String, Value>, names: &[&str]) -> Result<Template, Vec<BuildFault>> {
    let mut faults = Vec::new();
    let mut chosen = Map::new();
    for name in names {
        let Some(value) = with.get(*name) else { continue };
        // Parsed one by one first, so that each mistake names its field.
        if let Err(fault) = Template::parse(value) {
            faults.push(BuildFault::field(name, fault.message));
        }
        chosen.insert((*name).to_owned(), value.clone());
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Template::parse(&Value::Object(chosen))
        .map_err(|fault| vec![BuildFault { field: None, place: None, message: fault.message, hint: None }])
}

/// Compiles the mapping file that `with.mapping` names.
pub(crate) fn mapping(site: &Site<'_>) -> Result<Mapping, Vec<BuildFault>> {
    let name = required(&site.step.with, "mapping").map_err(|fault| vec![fault])?;
    let Some(bytes) = site.files.get(name) else {
        return Err(vec![BuildFault {
            hint: Some("names begin at the workflow's folder".to_owned()),
            ..BuildFault::field("mapping", format!("the file '{name}' is not there"))
        }]);
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(vec![BuildFault::field("mapping", format!("the file '{name}' is not UTF-8"))]);
    };
    Mapping::compile(text, name, site.files).map_err(|faults| {
        let placed = |fault: crate::mapping::MappingFault| BuildFault {
            field: Some("mapping".to_owned()),
            place: Some((fault.file, fault.line, fault.column)),
            message: fault.message,
            hint: fault.hint,
        };
        faults.into_iter().map(placed).collect()
    })
}

/// Collects every mistake of two readings before giving up.
pub(crate) fn both<A, B>(
    first: Result<A, Vec<BuildFault>>,
    second: Result<B, Vec<BuildFault>>,
) -> Result<(A, B), Vec<BuildFault>> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(mut faults), Err(more)) => {
            faults.extend(more);
            Err(faults)
        }
        (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_human_and_never_negative() {
        let millis = |text: &str| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("30s"), Some(30_000));
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1h 30m"), Some(5_400_000));
        assert_eq!(millis("0s"), Some(0));
        for wrong in ["", "30", "soon", "-5s", "5 s s"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
