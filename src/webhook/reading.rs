//! What a delivery means: a signal, computed by the expressions of its hook.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::headers::Headers;
use super::verify::Source;
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::scope::{Scope, Sent, Steps};
use crate::core::time::Timestamp;
use crate::core::workflow::Hook;
use crate::expr::{ExprFault, Expression, Template};

/// The expressions of a hook.
#[derive(Clone, Debug)]
pub struct Reading {
    signal: String,
    when: Option<Expression>,
    key: Template,
    id: Option<Template>,
    version: Option<Template>,
    payload: Option<Template>,
}

/// What a delivery tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What happened.
    pub signal: String,
    /// What it is about.
    pub key: String,
    /// What the sender calls it in the body; `None`: what proved it says that.
    pub id: Option<String>,
    /// How new what it tells of is.
    pub version: Option<String>,
    /// What else it says.
    pub payload: Value,
}

impl Reading {
    /// The expressions of a hook, parsed.
    ///
    /// # Errors
    /// The first that is none.
    pub fn of(hook: &Hook) -> Result<Self, ExprFault> {
        let text = |text: &String| Template::parse(&Value::from(text.as_str()));
        Ok(Self {
            signal: hook.signal.clone(),
            when: hook.when.as_deref().map(Expression::parse).transpose()?,
            key: text(&hook.key)?,
            id: hook.id.as_ref().map(text).transpose()?,
            version: hook.version.as_ref().map(text).transpose()?,
            payload: hook.payload.as_ref().map(Template::parse).transpose()?,
        })
    }

    /// What a proven delivery tells; `None`: nothing that the hook is made for. Expressions see the headers
    /// without those that prove who sent them, and take the time of its arrival for now.
    ///
    /// # Errors
    /// A value is missing, or is not what it has to be.
    pub fn read(
        &self,
        source: &Source,
        headers: &Headers,
        body: Value,
        now: Timestamp,
    ) -> Result<Option<Told>, Fault> {
        let sent = Sent { body: Arc::new(body), headers: Arc::new(headers.shown(&source.proofs())) };
        let scope = scope(sent, now);
        if let Some(when) = &self.when {
            match when.evaluate(&scope)? {
                Some(Value::Bool(true)) => {}
                Some(Value::Bool(false)) => return Ok(None),
                other => {
                    let got = other.unwrap_or(Value::Null);
                    return Err(wrong(format!("'when' must give true or false, not {got}")));
                }
            }
        }
        let text = |what: &str, template: &Option<Template>| match template {
            Some(template) => rendered(what, template, &scope),
            None => Ok(None),
        };
        let key = rendered("key", &self.key, &scope)?.ok_or_else(|| wrong("'key' gives nothing"))?;
        Ok(Some(Told {
            signal: self.signal.clone(),
            key,
            id: text("id", &self.id)?,
            version: text("version", &self.version)?,
            payload: self.payload.as_ref().map_or(Ok(Value::Null), |payload| payload.render(&scope))?,
        }))
    }
}

/// A text, or a number as it is written; nothing where the expression gives null.
fn rendered(what: &str, template: &Template, scope: &Scope) -> Result<Option<String>, Fault> {
    match template.render(scope)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Err(wrong(format!("'{what}' gives nothing"))),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        other => Err(wrong(format!("'{what}' must give a text or a number, not {other}"))),
    }
}

fn wrong(message: impl Into<String>) -> Fault {
    Fault::new(name::MAPPING, message)
}

fn scope(sent: Sent, now: Timestamp) -> Scope {
    Scope {
        run: RunId(0),
        started_at: now,
        version: Arc::from(""),
        unit: Unit::Run,
        input: Arc::default(),
        item: Arc::default(),
        digest: Arc::new(OnceLock::new()),
        steps: Steps::default(),
        sent: Some(sent),
    }
}
