//! Carries out rules: from what a step sees to what it makes. Values are borrowed on the way and
//! written once.

use std::borrow::Cow;

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::money;
use super::path::Frame;
use super::rule::{Kind, Money, Operand, Rule};
use super::shape;
use super::text::{self, Tidy};

/// Why a value could not be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The field, as a path in the result.
    pub(super) field: String,
    pub(super) message: String,
}

impl Refusal {
    /// The same refusal as seen from the object around.
    pub(super) fn within(mut self, name: &str) -> Self {
        if !self.field.is_empty() && !self.field.starts_with('[') {
            self.field.insert(0, '.');
        }
        self.field.insert_str(0, name);
        self
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { field: String::new(), message }
    }
}

/// A value, or `None` when there is none.
pub(super) type Made = Result<Option<Value>, Refusal>;

/// Makes the value of a rule. `above` holds the fields of the result that are made already.
pub(super) fn make(rule: &Rule, frame: Frame<'_>, above: Option<&Map<String, Value>>) -> Made {
    let applies = match (&rule.when, &rule.unless) {
        (Some(when), _) if !holds(when, frame)? => false,
        (_, Some(unless)) => !holds(unless, frame)?,
        _ => true,
    };
    let made =
        if applies { of_kind(&rule.kind, frame, above)?.filter(|value| !is_blank(value)) } else { None };
    match made {
        Some(value) => Ok(Some(value)),
        None => match &rule.default {
            Some(default) => Ok(Some(default.clone())),
            None if rule.required && applies => Err(nothing(&rule.kind).into()),
            None => Ok(None),
        },
    }
}

fn nothing(kind: &Kind) -> String {
    let operands = match kind {
        Kind::From(of) | Kind::Text(of, _) | Kind::Number(of, _) | Kind::Flag(of) => of,
        Kind::Money(money) => &money.amount,
        Kind::Slug { of, .. } => of,
        _ => return "required, but there is no value".to_owned(),
    };
    let paths: Vec<_> = operands
        .iter()
        .filter_map(|operand| match operand {
            Operand::Path(path) => Some(path.text()),
            Operand::Rule(_) => None,
        })
        .collect();
    format!("required, but {} has no value", paths.join(", "))
}

fn of_kind(kind: &Kind, frame: Frame<'_>, above: Option<&Map<String, Value>>) -> Made {
    match kind {
        Kind::From(of) => Ok(first(of, frame)?.map(Cow::into_owned)),
        Kind::Text(of, tidy) => Ok(first_text(of, tidy, frame)?.map(Value::String)),
        Kind::Number(of, mark) => match first(of, frame)? {
            Some(value) => {
                decimal(&value, *mark)?.map(|amount| Ok(money::number(amount)?.into())).transpose()
            }
            None => Ok(None),
        },
        Kind::Flag(of) => match first(of, frame)? {
            Some(value) => Ok(Some(Value::Bool(
                flag(&value).ok_or_else(|| format!("{value} is neither true nor false"))?,
            ))),
            None => Ok(None),
        },
        Kind::Constant(value) => Ok(Some(value.clone())),
        Kind::Expression(template) => {
            template.render(frame.scope).map(Some).map_err(|fault| fault.message.into())
        }
        Kind::Fields(fields) => object(fields, frame).map(|object| Some(Value::Object(object))),
        Kind::List(of) => {
            let mut list = Vec::with_capacity(of.len());
            for operand in of {
                list.extend(value(operand, frame)?.map(Cow::into_owned));
            }
            Ok(Some(Value::Array(list)))
        }
        Kind::Each(each) => shape::each(each, frame),
        Kind::Entries { of, key, make } => shape::entries(of, key, make, frame),
        Kind::Gather(of) => shape::gather(of, frame),
        Kind::Join(of, with) => join(of, with, frame),
        Kind::Split(of, at) => Ok(text_of(of, frame)?.map(|text| {
            text.split(at.as_str()).map(text::tidy).filter(|part| !part.is_empty()).map(Value::from).collect()
        })),
        Kind::Lookup(of, table) => match text_of(of, frame)? {
            Some(text) => Ok(table.get(&text::fold(&text)).cloned()),
            None => Ok(None),
        },
        Kind::Money(money) => price(money, frame),
        Kind::Category(of, tree) => {
            let mut names = Vec::new();
            visit(of, frame, &mut |value| {
                names.extend(text::of(value).map(|name| text::tidy(&name).into_owned()));
            })?;
            Ok(Some(tree.place(names)))
        }
        Kind::Attributes(attributes) => shape::attributes(attributes, frame),
        Kind::Images(of, max) => shape::images(of, *max, frame),
        Kind::Variants(variants) => shape::variants(variants, frame),
        Kind::Slug { of, end, max } => slug(of, end.as_ref(), *max, frame),
        Kind::Hash(of) => hash(of, frame, above),
    }
}

/// An object, field by field, in the order of the file.
pub(super) fn object(fields: &[(String, Rule)], frame: Frame<'_>) -> Result<Map<String, Value>, Refusal> {
    let mut object = Map::with_capacity(fields.len());
    for (name, rule) in fields {
        if let Some(value) = make(rule, frame, Some(&object)).map_err(|refusal| refusal.within(name))? {
            object.insert(name.clone(), value);
        }
    }
    Ok(object)
}

/// Whether a condition holds: there is a value, and it is not false.
fn holds(operand: &Operand, frame: Frame<'_>) -> Result<bool, Refusal> {
    Ok(value(operand, frame)?.is_some_and(|value| *value != Value::Bool(false)))
}

/// What counts as no value.
pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.chars().all(char::is_whitespace),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The value of an operand, unless blank.
pub(super) fn value<'a>(operand: &'a Operand, frame: Frame<'a>) -> Result<Option<Cow<'a, Value>>, Refusal> {
    match operand {
        Operand::Path(path) if path.is_many() => {
            let mut list = Vec::new();
            path.visit(frame, &mut |value| list.push(value.clone()));
            Ok(if list.is_empty() { None } else { Some(Cow::Owned(Value::Array(list))) })
        }
        Operand::Path(path) => Ok(path.first(frame).filter(|value| !is_blank(value)).map(Cow::Borrowed)),
        Operand::Rule(rule) => Ok(make(rule, frame, None)?.map(Cow::Owned)),
    }
}

/// The first operand that has a value.
fn first<'a>(operands: &'a [Operand], frame: Frame<'a>) -> Result<Option<Cow<'a, Value>>, Refusal> {
    for operand in operands {
        if let Some(value) = value(operand, frame)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Hands over each value of an operand; lists are opened.
pub(super) fn visit(
    operand: &Operand,
    frame: Frame<'_>,
    seen: &mut dyn FnMut(&Value),
) -> Result<(), Refusal> {
    let mut open = |value: &Value| match value {
        Value::Array(list) => list.iter().for_each(&mut *seen),
        value => seen(value),
    };
    match operand {
        Operand::Path(path) => path.visit(frame, &mut open),
        Operand::Rule(rule) => {
            if let Some(value) = make(rule, frame, None)? {
                open(&value);
            }
        }
    }
    Ok(())
}

/// The scalar value of an operand as text, as it is.
pub(super) fn text_of<'a>(operand: &'a Operand, frame: Frame<'a>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(value) = value(operand, frame)? else { return Ok(None) };
    let text = match value {
        Cow::Borrowed(value) => text::of(value),
        Cow::Owned(Value::String(text)) => Some(Cow::Owned(text)),
        Cow::Owned(value) => text::of(&value).map(|text| Cow::Owned(text.into_owned())),
    };
    text.map(Some).ok_or_else(|| {
        "is a list or an object where a text is needed: use join, or name one element".to_owned().into()
    })
}

fn first_text(operands: &[Operand], tidy: &Tidy, frame: Frame<'_>) -> Result<Option<String>, Refusal> {
    for operand in operands {
        if let Some(text) = text_of(operand, frame)? {
            let tidied = tidy.apply(&text);
            if !tidied.is_empty() {
                return Ok(Some(tidied.into_owned()));
            }
        }
    }
    Ok(None)
}

fn join(of: &[Operand], with: &str, frame: Frame<'_>) -> Made {
    let mut joined = String::new();
    let mut fault = None;
    for operand in of {
        visit(operand, frame, &mut |value| match text::of(value) {
            Some(text) => {
                let text = text::tidy(&text);
                if !text.is_empty() {
                    if !joined.is_empty() {
                        joined.push_str(with);
                    }
                    joined.push_str(&text);
                }
            }
            None if value.is_null() => {}
            None => fault = Some("cannot join objects: name one of their fields".to_owned()),
        })?;
    }
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok(Some(Value::String(joined))),
    }
}

/// A truth value, as sources write them.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        value => match text::fold(&text::of(value)?).as_str() {
            "true" | "yes" | "y" | "1" | "on" => Some(true),
            "false" | "no" | "n" | "0" | "off" => Some(false),
            _ => None,
        },
    }
}

fn decimal(value: &Value, mark: money::Mark) -> Result<Option<Decimal>, Refusal> {
    money::decimal(value, mark).map_err(Refusal::from)
}

fn price(money: &Money, frame: Frame<'_>) -> Made {
    let amount = match first(&money.amount, frame)? {
        Some(value) => decimal(&value, money.mark)?,
        None => None,
    };
    let Some(amount) = amount else { return Ok(None) };
    if amount.is_sign_negative() && !amount.is_zero() {
        return Err(format!("{amount} is less than zero").into());
    }
    if let Some(above) = &money.above
        && let Some(limit) = value(above, frame)?
        && decimal(&limit, money.mark)?.is_some_and(|limit| amount <= limit)
    {
        return Ok(None);
    }
    let from = text_of(&money.currency, frame)?.ok_or_else(|| "the amount has no currency".to_owned())?;
    let from = money::currency(&from)?;
    let amount = if money.in_minor { money::from_minor(amount, &from)? } else { amount };
    let (sum, currency, rate_date) = match (&money.to, &money.rates) {
        (Some(to), Some(rates)) if *to != from => {
            (rates.convert(amount, &from, to)?, to.clone(), Some(rates.date.clone()))
        }
        _ => (amount, from, None),
    };
    let digits = money::rounded(sum, money::minor_digits(&currency));
    let mut object = Map::with_capacity(3);
    // Amounts are texts: no reader on the way can turn them into binary floats.
    object.insert("amount".to_owned(), Value::String(digits.to_string()));
    object.insert("currency".to_owned(), Value::String(currency));
    object.extend(rate_date.map(|date| ("rate_date".to_owned(), Value::String(date))));
    Ok(Some(Value::Object(object)))
}

fn slug(of: &[Operand], end: Option<&Operand>, max: usize, frame: Frame<'_>) -> Made {
    let end = match end {
        Some(end) => text_of(end, frame)?.map(|text| text::slug(&text, max, '-')).unwrap_or_default(),
        None => String::new(),
    };
    let room = if end.is_empty() { max } else { max.saturating_sub(end.chars().count() + 1) };
    let mut start = String::new();
    for operand in of {
        if start.is_empty()
            && let Some(text) = text_of(operand, frame)?
        {
            start = text::slug(&text, room, '-');
        }
    }
    if !start.is_empty() && !end.is_empty() {
        start.push('-');
    }
    Ok(Some(Value::String(start + &end)))
}

/// A content hash of the values as JSON.
fn hash(of: &[Operand], frame: Frame<'_>, above: Option<&Map<String, Value>>) -> Made {
    let mut bytes = Vec::with_capacity(4096);
    let written = if of.is_empty() {
        serde_json::to_writer(&mut bytes, &above)
    } else {
        let mut parts = Vec::with_capacity(of.len());
        for operand in of {
            parts.push(value(operand, frame)?);
        }
        serde_json::to_writer(&mut bytes, &parts)
    };
    written.map_err(|error| error.to_string())?;
    Ok(Some(Value::String(digest(&bytes))))
}

/// The first 128 bits of the SHA-256 in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let nibbles = digest[..16].iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(u32::from(nibble), 16)).collect()
}
