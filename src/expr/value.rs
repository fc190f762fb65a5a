//! Values on their way into and out of the evaluator.

use jiff::Timestamp as Instant;
use jsonata_core::value::JValue;
use serde_json::{Map, Number, Value};

use crate::core::number::survives_float;
use crate::core::time::Timestamp;

/// Whole numbers up to here are exact as binary floats.
const EXACT_MAX: u64 = 1 << 53;
/// As deep as JSON itself may nest when it is read back.
const DEPTH_MAX: usize = 120;
/// Digits that survive the way through a binary float and back.
const DIGITS: usize = 15;

/// A result that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotJson {
    /// A function or a pattern.
    Function,
    /// Nested deeper than anything could read back.
    TooDeep,
    /// Not a finite number.
    NotFinite,
}

/// Into the evaluator. Numbers that a binary float would damage become texts (rule R12).
pub(super) fn enter(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(yes) => JValue::Bool(*yes),
        Value::Number(number) => enter_number(number),
        Value::String(text) => JValue::from(text.as_str()),
        Value::Array(items) => JValue::array(items.iter().map(enter).collect()),
        Value::Object(fields) => {
            JValue::object(fields.iter().map(|(name, inner)| (name.clone(), enter(inner))).collect())
        }
    }
}

fn enter_number(number: &Number) -> JValue {
    let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match number.as_f64() {
        Some(float) if whole.map_or_else(|| survives_float(number), |size| size <= EXACT_MAX) => {
            JValue::Number(float)
        }
        Some(_) | None => JValue::from(number.to_string()),
    }
}

/// Out of the evaluator; `None` when there is no value.
pub(super) fn leave(value: &JValue) -> Result<Option<Value>, NotJson> {
    leave_at(value, 0)
}

fn leave_at(value: &JValue, depth: usize) -> Result<Option<Value>, NotJson> {
    if depth > DEPTH_MAX {
        return Err(NotJson::TooDeep);
    }
    Ok(Some(match value {
        JValue::Undefined => return Ok(None),
        JValue::Null => Value::Null,
        JValue::Bool(yes) => Value::Bool(*yes),
        JValue::Number(number) => Value::Number(leave_number(*number).ok_or(NotJson::NotFinite)?),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => Value::Array(
            items
                .iter()
                .filter_map(|item| leave_at(item, depth + 1).transpose())
                .collect::<Result<_, _>>()?,
        ),
        JValue::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(name, item)| {
                    leave_at(item, depth + 1).transpose().map(|item| item.map(|item| (name.clone(), item)))
                })
                .collect::<Result<Map<_, _>, _>>()?,
        ),
        JValue::Lambda(_) | JValue::Builtin { .. } | JValue::Regex { .. } => return Err(NotJson::Function),
    }))
}

/// Whole numbers as they are, others rounded to the digits that mean something.
fn leave_number(number: f64) -> Option<Number> {
    let rounded: f64 = format!("{number:.*e}", DIGITS - 1).parse().ok()?;
    whole(number).or_else(|| whole(rounded)).or_else(|| Number::from_f64(rounded))
}

fn whole(number: f64) -> Option<Number> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 is exact")]
    let exact = number.fract() == 0.0 && number.abs() <= EXACT_MAX as f64;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    exact.then_some(Number::from(number as i64))
}

/// An instant the way JSONata's `$now` writes it: `2026-01-31T12:00:00.000Z`.
pub(super) fn instant(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    // Beyond the year 9999 there is no such text; the number says as much.
    Instant::from_millisecond(millis).map_or_else(|_| millis.to_string(), |instant| format!("{instant:.3}"))
}
