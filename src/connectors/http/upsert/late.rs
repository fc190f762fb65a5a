//! Texts that are known in two stages: when a step is prepared, and when the object that they speak
//! of was found. What an item says is never read as an expression: the stages are told apart when the
//! file is read.

use serde_json::Value;

use crate::core::digest::hex;
use crate::core::fault::{Fault, name};
use crate::core::scope::Scope;
use crate::expr::{ExprFault, Expression, Template, span_of_first};

/// What expressions call the found object.
pub(super) const FOUND: &str = "found";

/// One text, in parts.
#[derive(Clone, Debug)]
pub(super) struct Text(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Fixed(String),
    /// Of the item, the input, earlier steps or the run.
    Now(Template),
    /// Of the found object: a JSON pointer into it.
    Found(String),
}

impl Text {
    /// Reads a text with `${{ }}` in it.
    pub(super) fn parse(text: &str) -> Result<Self, ExprFault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(span) = span_of_first(rest) {
            if span.start > 0 {
                parts.push(Part::Fixed(rest[..span.start].to_owned()));
            }
            parts.push(part(&rest[span.clone()])?);
            rest = &rest[span.end..];
        }
        if !rest.is_empty() {
            parts.push(Part::Fixed(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether it speaks of the found object.
    pub(super) fn is_late(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Found(_)))
    }

    /// The parts that are known now; null stands for each that is not.
    pub(super) fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let part = |part: &Part| match part {
            Part::Fixed(text) => Ok(Value::String(text.clone())),
            // As a list, so that what an item says is told from what the file says.
            Part::Now(template) => template.render(scope).map(|value| Value::Array(vec![value])),
            Part::Found(_) => Ok(Value::Null),
        };
        self.0.iter().map(part).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    /// The whole text. `put` says how a value goes into it.
    pub(super) fn join(
        &self,
        prepared: &Value,
        found: &Value,
        put: fn(&str) -> String,
    ) -> Result<String, Fault> {
        let mut text = String::new();
        for (part, prepared) in self.0.iter().zip(prepared.as_array().into_iter().flatten()) {
            match part {
                Part::Fixed(fixed) => text.push_str(fixed),
                Part::Now(_) => text.push_str(&put(&inner(&prepared[0])?)),
                Part::Found(pointer) => text.push_str(&put(&inner(held(found, pointer)?)?)),
            }
        }
        Ok(text)
    }

    /// The value: as it is where the text is one expression and nothing else, else the whole text.
    fn value(&self, prepared: &Value, found: &Value) -> Result<Value, Fault> {
        match self.0.as_slice() {
            [Part::Found(pointer)] => held(found, pointer).cloned(),
            _ => self.join(prepared, found, ToOwned::to_owned).map(Value::String),
        }
    }
}

fn part(marked: &str) -> Result<Part, ExprFault> {
    let expression = Expression::parse(marked)?;
    let speaks_of_found = |name: Option<&String>| name.is_some_and(|name| name == FOUND);
    if !expression.references().iter().any(|reference| speaks_of_found(reference.names.first())) {
        return Template::parse(&Value::String(marked.to_owned())).map(Part::Now);
    }
    let names: Vec<&str> = expression.text().split('.').map(str::trim).collect();
    let is_name = |name: &&str| {
        !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    match names.split_first() {
        Some((&FOUND, path)) if !path.is_empty() && path.iter().all(is_name) => {
            Ok(Part::Found(["", &path.join("/")].join("/")))
        }
        _ => {
            let message = format!(
                "'{}': an expression over what was found is a plain path, for example found.id",
                expression.text()
            );
            Err(ExprFault { message })
        }
    }
}

fn held<'f>(found: &'f Value, pointer: &str) -> Result<&'f Value, Fault> {
    found.pointer(pointer).filter(|value| !value.is_null()).ok_or_else(|| {
        let path = pointer.replace('/', ".");
        Fault::new(name::MAPPING, format!("what was found has no value at '{FOUND}{path}'"))
    })
}

fn inner(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(Fault::new(name::MAPPING, "null, a list or an object cannot stand inside a text"))
        }
    }
}

/// Any value, with such texts in it.
#[derive(Clone, Debug)]
pub(super) struct Late {
    /// With null where texts speak of the found object.
    now: Template,
    /// Where those are, and what they say.
    later: Vec<(String, Text)>,
}

impl Late {
    pub(super) fn parse(value: &Value) -> Result<Self, ExprFault> {
        let mut now = value.clone();
        let mut later = Vec::new();
        part_off(&mut now, &mut String::new(), &mut later)?;
        Ok(Self { now: Template::parse(&now)?, later })
    }

    pub(super) fn is_late(&self) -> bool {
        !self.later.is_empty()
    }

    /// `[value, texts]`: what is known now, and the parts of what is not.
    pub(super) fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let texts = self.later.iter().map(|(_, text)| text.prepare(scope));
        Ok(Value::Array(vec![self.now.render(scope)?, texts.collect::<Result<_, _>>()?]))
    }

    /// The whole value.
    pub(super) fn fill(&self, prepared: &Value, found: &Value) -> Result<Value, Fault> {
        let mut value = prepared[0].clone();
        for ((pointer, text), prepared) in self.later.iter().zip(prepared[1].as_array().into_iter().flatten())
        {
            if let Some(hole) = value.pointer_mut(pointer) {
                *hole = text.value(prepared, found)?;
            }
        }
        Ok(value)
    }
}

/// Takes the texts out that speak of the found object.
fn part_off(value: &mut Value, at: &mut String, later: &mut Vec<(String, Text)>) -> Result<(), ExprFault> {
    let mut inside = |name: &str, inner: &mut Value| {
        let here = at.len();
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let done = part_off(inner, at, later);
        at.truncate(here);
        done
    };
    match value {
        Value::Object(members) => members.iter_mut().try_for_each(|(name, inner)| inside(name, inner)),
        Value::Array(members) => members
            .iter_mut()
            .enumerate()
            .try_for_each(|(position, inner)| inside(&position.to_string(), inner)),
        Value::String(written) => {
            let text = Text::parse(written)?;
            if text.is_late() {
                later.push((at.clone(), text));
                *value = Value::Null;
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// A value as a part of an address: everything but letters, digits and `-._~` is percent-encoded, so
/// that no item can reach another address than its own (RFC 3986, section 2.3).
pub(super) fn in_address(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex(&[byte]).to_uppercase());
        }
    }
    encoded
}
