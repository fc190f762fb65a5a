//! One request of the step as the file describes it.

use serde_json::{Map, Value, json};

use super::late::{FOUND, Late, Text, in_address};
use super::{BuildFault, settings};
use crate::core::fault::{Fault, name};
use crate::core::scope::Scope;

/// What is sent, once everything in it is known.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    method: String,
    url: Text,
    /// `headers` and `body`, those that are written.
    rest: Late,
}

impl Operation {
    /// Reads the section `name` of `with`.
    pub(super) fn read(section: &Map<String, Value>, name: &str, method: &str) -> Result<Self, BuildFault> {
        let place = |field: &str| format!("{name}.{field}");
        let method =
            settings::text(section, "method").map_err(|fault| within(fault, name))?.unwrap_or(method);
        let url = settings::required(section, "url").map_err(|fault| within(fault, name))?;
        if !url.starts_with('/') {
            return Err(BuildFault {
                hint: Some("the connection says the rest: write url: /products".to_owned()),
                ..BuildFault::field(&place("url"), format!("'{}' must begin with '/'", place("url")))
            });
        }
        let wrong = |field: &str, message: String| BuildFault::field(&place(field), message);
        let url = Text::parse(url).map_err(|fault| wrong("url", fault.message))?;
        let mut rest = Map::new();
        for field in ["headers", "body"] {
            let Some(value) = section.get(field).filter(|value| !value.is_null()) else { continue };
            if field == "headers" && !value.is_object() {
                return Err(wrong(field, format!("'{}' must be names and values", place(field))));
            }
            // Read alone first, so that a mistake names its field.
            Late::parse(value).map_err(|fault| wrong(field, fault.message))?;
            rest.insert(field.to_owned(), value.clone());
        }
        let rest = Late::parse(&Value::Object(rest)).map_err(|fault| wrong("body", fault.message))?;
        Ok(Self { method: method.to_owned(), url, rest })
    }

    /// Whether it speaks of the found object.
    pub(super) fn is_late(&self) -> bool {
        self.url.is_late() || self.rest.is_late()
    }

    /// What is known of it before anything is looked up.
    pub(super) fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "path": self.url.prepare(scope)?, "rest": self.rest.prepare(scope)? }))
    }

    /// The whole request: `{method, path, headers?, body?}`.
    ///
    /// # Errors
    /// What it needs of the found object is not there, or the address is not the one that was meant.
    pub(super) fn request(&self, prepared: &Value, found: &Value, body: &Value) -> Result<Value, Fault> {
        let path = self.url.join(&prepared["path"], found, in_address)?;
        let way = path.split(['?', '#']).next().unwrap_or_default();
        if way.split('/').any(|part| matches!(part, "." | "..")) {
            let message = format!("the address {way} would lead elsewhere");
            return Err(Fault::new(name::MAPPING, message));
        }
        let mut request = json!({ "method": self.method, "path": path });
        if !body.is_null() {
            request["body"] = body.clone();
        }
        if let Value::Object(rest) = self.rest.fill(&prepared["rest"], found)? {
            for (member, value) in rest {
                request[member.as_str()] = value;
            }
        }
        Ok(request)
    }
}

/// A mistake as seen from the section around.
pub(super) fn within(fault: BuildFault, section: &str) -> BuildFault {
    BuildFault { field: fault.field.map(|field| format!("{section}.{field}")), ..fault }
}

/// Refuses what speaks of the found object where nothing is looked up.
pub(super) fn needs_lookup(operation: &Operation, name: &str) -> Result<(), BuildFault> {
    if !operation.is_late() {
        return Ok(());
    }
    let message = format!("'{name}' speaks of '{FOUND}', but nothing is looked up");
    Err(BuildFault { hint: Some("add 'lookup'".to_owned()), ..BuildFault::field(name, message) })
}
