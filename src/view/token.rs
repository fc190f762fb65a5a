//! Tokens as people see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::when::When;
use crate::core::token::{Scope, Token};

/// A token that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenOrder {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// Who asks.
    #[serde(default)]
    pub by: String,
}

/// A token in a list; its text is not known any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// When it was made.
    pub created_at: When,
    /// Who made it.
    pub created_by: String,
}

/// A token that was made: the only time that its text is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// What is known of it from now on.
    #[serde(flatten)]
    pub about: TokenView,
    /// The text that whoever asks presents.
    pub token: String,
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        let Token { name, scope, created_at, created_by, .. } = token.clone();
        Self { name, scope, created_at: When(created_at), created_by }
    }
}
