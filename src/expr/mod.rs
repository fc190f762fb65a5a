//! Expressions: JSONata inside `${{ }}`, one evaluator with one rule in every field.
//!
//! An expression looks at one object: `{ input, item, steps, run: { id, started_at } }`; that of a hook
//! at what was sent to it: `{ body, headers }`.
//!
//! - A text that is one expression becomes the value of that expression; a text with expressions
//!   inside becomes text, and only texts, numbers and booleans may stand inside a text.
//! - A missing value is a fault, unless the expression itself supplies a default
//!   (`item.brand ?? "none"`).
//! - A plain path such as `item.sku` is looked up natively and hands its value on untouched.
//!   Everything else is JSONata, whose numbers are binary floats: numbers that those would
//!   change (whole ones beyond 2^53, more than about 15 digits) enter it as texts, and what comes out is rounded to 15 significant
//!   digits, as JSONata's own `$string` does, so that `19.99 * 100` is 1999.
//! - The same scope gives the same value, today and after a crash: `$now` and `$millis` are the
//!   start of the run, `$random` is derived from run, unit and expression; `$eval`, `$shuffle`
//!   and `$toMillis` without a year are refused.
//!
//! The evaluator's values cannot leave a thread, so an [`Expression`] keeps its text, and each
//! thread parses it once.

mod jsonata;
mod path;
mod portable;
mod references;
mod template;
mod value;

use std::sync::Arc;

use serde_json::Value;

use crate::core::fault::Fault;
use crate::core::scope::Scope;

use path::PlainPath;
pub use portable::{Holds, Outside, Why};
pub use references::Reference;
pub use template::{Template, span_of_first};

/// The longest expression, in bytes. A longer one belongs into a mapping.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// A text that is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprFault {
    /// What is wrong, with the evaluator's code.
    pub message: String,
}

/// One expression.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Arc<str>,
    plain: Option<Arc<PlainPath>>,
    references: Arc<[Reference]>,
    roots: Arc<jsonata::Roots>,
    pinned: bool,
}

impl Expression {
    /// Parses the text of one expression, with or without `${{ }}` around it.
    ///
    /// # Errors
    /// The text is not JSONata, or uses a function that would not give the same value twice.
    pub fn parse(text: &str) -> Result<Self, ExprFault> {
        let text = template::without_marks(text);
        if text.is_empty() {
            return Err(ExprFault { message: "the expression is empty".to_owned() });
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(ExprFault {
                message: format!("the expression is longer than {TEXT_BYTES_MAX} bytes"),
            });
        }
        let found = jsonata::inspect(text)?;
        Ok(Self {
            text: text.into(),
            plain: PlainPath::parse(text).map(Arc::new),
            roots: Arc::new(jsonata::Roots::of(&found)),
            pinned: found.impure,
            references: found.references.into(),
        })
    }

    /// Its value; `None` when there is none.
    ///
    /// # Errors
    /// The evaluator's words: a wrong type, too much time, too deep a recursion.
    pub fn evaluate(&self, scope: &Scope) -> Result<Option<Value>, Fault> {
        if let Some(found) = self.plain.as_ref().and_then(|plain| plain.look_up(scope)) {
            return Ok(found.into_owned());
        }
        jsonata::evaluate(&self.text, &self.roots, self.pinned, scope)
    }

    /// Its text, without `${{ }}`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it looks at, as far as that can be told without running it.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The operators in it that AWS Step Functions does not have.
    pub fn newer_operators(&self) -> Vec<&'static str> {
        portable::newer(&self.text)
    }

    /// What of it AWS Step Functions cannot be asked: nothing, when it means the same there and cannot fail.
    /// `holds` says what is known of the value that these names lead to; `None`: it is not there.
    pub fn outside(&self, holds: &dyn Fn(&[String]) -> Option<Holds>) -> Vec<Outside> {
        portable::outside(&self.text, holds)
    }

    /// The value, or the fault of a value that is missing.
    fn value(&self, scope: &Scope) -> Result<Value, Fault> {
        self.evaluate(scope)?.ok_or_else(|| {
            Fault::new(
                crate::core::fault::name::MAPPING,
                format!("'{0}' has no value here; write a default if that may be: {0} ?? \"…\"", self.text),
            )
        })
    }
}

#[cfg(test)]
mod tests;
