//! Values with `${{ }}` in their texts.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{ExprFault, Expression, Reference};
use crate::core::fault::{Fault, name};
use crate::core::scope::Scope;

const OPEN: &str = "${{";
const CLOSE: &str = "}}";
/// Closing marks that are tried for one opening mark: JSONata itself may contain `}}`.
const CLOSE_TRIES: usize = 32;

/// Any value with `${{ }}` in its texts. A text that is one expression renders to the value of
/// that expression; a text with expressions inside renders to text.
#[derive(Clone, Debug)]
pub struct Template {
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    /// No expression anywhere inside.
    Fixed(Value),
    /// One expression and nothing else.
    Whole(Expression),
    Text(Vec<Part>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

#[derive(Clone, Debug)]
enum Part {
    Fixed(String),
    Expression(Expression),
}

impl Template {
    /// Parses every expression in `value`.
    ///
    /// # Errors
    /// The first text that is not an expression, or an opening mark without a closing one.
    pub fn parse(value: &Value) -> Result<Self, ExprFault> {
        Ok(Self { node: Node::parse(value)? })
    }

    /// The value with every expression replaced.
    ///
    /// # Errors
    /// A missing value, a value that has no text inside a text, or what the evaluator says.
    pub fn render(&self, scope: &Scope) -> Result<Value, Fault> {
        self.node.render(scope)
    }

    /// Every expression in it, in order.
    pub fn expressions(&self) -> Vec<&Expression> {
        let mut found = Vec::new();
        self.node.collect(&mut found);
        found
    }

    /// What its expressions look at.
    pub fn references(&self) -> Vec<&Reference> {
        self.expressions().into_iter().flat_map(Expression::references).collect()
    }

    /// Whether it is one expression and nothing else.
    pub fn is_expression(&self) -> bool {
        matches!(self.node, Node::Whole(_))
    }

    /// Whether no expression is in it.
    pub fn is_fixed(&self) -> bool {
        matches!(self.node, Node::Fixed(_))
    }
}

/// Where the first expression with its marks stands in a text, as bytes; to its end when it is
/// not closed.
pub fn span_of_first(text: &str) -> Option<Range<usize>> {
    let start = text.find(OPEN)?;
    let (_, end) = closed(text, start).unwrap_or((start..start, text.len()));
    Some(start..end)
}

/// The text between the marks, when they stand around the whole text, else the text itself.
pub(super) fn without_marks(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)).map_or(text, str::trim)
}

impl Node {
    fn parse(value: &Value) -> Result<Self, ExprFault> {
        let node = match value {
            Value::String(text) if text.contains(OPEN) => Self::parse_text(text)?,
            Value::Array(items) => Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            Value::Object(fields) => Self::Object(
                fields
                    .iter()
                    .map(|(name, inner)| Ok((name.clone(), Self::parse(inner)?)))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::Fixed(value.clone()),
        };
        let fixed = match &node {
            Self::List(items) => items.iter().all(|item| matches!(item, Self::Fixed(_))),
            Self::Object(fields) => fields.iter().all(|(_, inner)| matches!(inner, Self::Fixed(_))),
            Self::Fixed(_) | Self::Whole(_) | Self::Text(_) => false,
        };
        Ok(if fixed { Self::Fixed(value.clone()) } else { node })
    }

    fn parse_text(text: &str) -> Result<Self, ExprFault> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(start) = text[at..].find(OPEN).map(|found| at + found) {
            let Some((inner, end)) = closed(text, start) else {
                return Err(ExprFault { message: format!("'{OPEN}' has no closing '{CLOSE}'") });
            };
            let expression = Expression::parse(&text[inner])?;
            if text[..start].trim().is_empty() && text[end..].trim().is_empty() {
                return Ok(Self::Whole(expression));
            }
            if at < start {
                parts.push(Part::Fixed(text[at..start].to_owned()));
            }
            parts.push(Part::Expression(expression));
            at = end;
        }
        if at < text.len() {
            parts.push(Part::Fixed(text[at..].to_owned()));
        }
        Ok(Self::Text(parts))
    }

    fn render(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Whole(expression) => expression.value(scope)?,
            Self::Text(parts) => Value::String(text(parts, scope)?),
            Self::List(items) => {
                Value::Array(items.iter().map(|item| item.render(scope)).collect::<Result<_, _>>()?)
            }
            Self::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, inner)| Ok((name.clone(), inner.render(scope)?)))
                    .collect::<Result<Map<_, _>, Fault>>()?,
            ),
        })
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a Expression>) {
        match self {
            Self::Fixed(_) => {}
            Self::Whole(expression) => found.push(expression),
            Self::Text(parts) => found.extend(parts.iter().filter_map(|part| match part {
                Part::Fixed(_) => None,
                Part::Expression(expression) => Some(expression),
            })),
            Self::List(items) => items.iter().for_each(|item| item.collect(found)),
            Self::Object(fields) => fields.iter().for_each(|(_, inner)| inner.collect(found)),
        }
    }
}

fn text(parts: &[Part], scope: &Scope) -> Result<String, Fault> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Fixed(fixed) => text.push_str(fixed),
            Part::Expression(expression) => match expression.value(scope)? {
                Value::String(inner) => text.push_str(&inner),
                Value::Number(number) => text.push_str(&number.to_string()),
                Value::Bool(yes) => text.push_str(if yes { "true" } else { "false" }),
                other => {
                    let what = match other {
                        Value::Null => "null",
                        Value::Array(_) => "a list",
                        _ => "an object",
                    };
                    let message =
                        format!("'{}' is {what}, which cannot stand inside a text", expression.text());
                    return Err(Fault::new(name::MAPPING, message));
                }
            },
        }
    }
    Ok(text)
}

/// For the opening mark at `start`: what stands inside, and where the text goes on after the
/// closing mark. The first closing mark that leaves a valid expression counts, else the first.
fn closed(text: &str, start: usize) -> Option<(Range<usize>, usize)> {
    let begin = start + OPEN.len();
    let mut candidates = text[begin..]
        .match_indices(CLOSE)
        .flat_map(|(at, _)| {
            // `}}}` may close an object first.
            let more = text[begin + at + CLOSE.len()..].starts_with('}');
            [Some(begin + at), more.then_some(begin + at + 1)]
        })
        .flatten()
        .map(|end| (begin..end, end + CLOSE.len()))
        .take(CLOSE_TRIES)
        .peekable();
    let first = candidates.peek().cloned();
    candidates.find(|(inner, _)| super::jsonata::inspect(text[inner.clone()].trim()).is_ok()).or(first)
}
