//! The request of an `http.request` step.

use serde_json::{Value, json};

use super::{BuildFault, settings};
use crate::core::fault::{Fault, name};
use crate::core::scope::Scope;
use crate::expr::Template;

/// The checked fields of the step.
pub(super) struct Request {
    /// The method, in capitals.
    pub(super) method: String,
    /// The statuses that count as success; empty: 200 to 299.
    pub(super) expect: Vec<u16>,
    template: Template,
}

impl Request {
    pub(super) fn read(with: &serde_json::Map<String, Value>) -> Result<Self, Vec<BuildFault>> {
        let url = settings::required(with, "url").map_err(|fault| vec![fault]);
        let method = settings::text(with, "method").map_err(|fault| vec![fault]);
        let fields = settings::both(method, settings::both(expect(with), headers(with)));
        let template = settings::template(with, &["url", "headers", "body"]);
        let (_, ((method, (expect, ())), template)) = settings::both(url, settings::both(fields, template))?;
        Ok(Self { method: method.unwrap_or("GET").to_owned(), expect, template })
    }

    /// Whether the method is one that changes nothing by its definition.
    pub(super) fn reads_only(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Whether a status counts as success.
    pub(super) fn expects(&self, status: u16) -> bool {
        if self.expect.is_empty() { (200..300).contains(&status) } else { self.expect.contains(&status) }
    }

    pub(super) fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let rendered = self.template.render(scope)?;
        let Some(url) = rendered["url"].as_str() else {
            return Err(Fault::new(name::MAPPING, "'url' is not text"));
        };
        let mut request = json!({ "method": self.method, "url": url });
        for member in ["headers", "body"] {
            if let Some(value) = rendered.get(member) {
                request[member] = value.clone();
            }
        }
        Ok(request)
    }
}

fn expect(with: &serde_json::Map<String, Value>) -> Result<Vec<u16>, Vec<BuildFault>> {
    let wrong = || {
        vec![BuildFault {
            hint: Some("write a list, for example [200, 404]".to_owned()),
            ..BuildFault::field("expect", "'expect' must be a list of HTTP statuses")
        }]
    };
    let status = |value: &Value| {
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        number.filter(|status| (100..600).contains(status))
    };
    match with.get("expect") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(listed)) => listed.iter().map(status).collect::<Option<Vec<_>>>().ok_or_else(wrong),
        Some(single) => status(single).map(|status| vec![status]).ok_or_else(wrong),
    }
}

fn headers(with: &serde_json::Map<String, Value>) -> Result<(), Vec<BuildFault>> {
    match with.get("headers") {
        None | Some(Value::Null | Value::Object(_)) => Ok(()),
        Some(_) => Err(vec![BuildFault::field("headers", "'headers' must be names and values")]),
    }
}
