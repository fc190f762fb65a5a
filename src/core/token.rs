//! Tokens: who may ask a server over the network, and for what.
//!
//! A token is 256 random bits, so nobody can guess it, and its plain SHA-256 is enough at rest: slow
//! password hashes protect what people choose, which is guessable.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::digest::hex;
use super::time::Timestamp;

/// What every token begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "mp_";

/// What a token is good for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Looking.
    Read,
    /// Looking and acting.
    Operate,
}

impl Scope {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

/// What is known of a token. The token itself is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name, unique in its state directory.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// The SHA-256 of the token, in hexadecimal digits.
    pub sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
}

/// The text of a token over random bits.
pub fn text(bits: &[u8; 32]) -> String {
    format!("{PREFIX}{}", hex(bits))
}

/// What is kept of a token.
pub fn hashed(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// The one of these tokens that was presented. Every one is compared, and each as a whole: how long it
/// takes says nothing.
pub fn presented<'a>(tokens: &'a [Token], text: &str) -> Option<&'a Token> {
    let asked = hashed(text);
    tokens.iter().fold(None, |found, token| {
        let is_it = is_same(token.sha256.as_bytes(), asked.as_bytes());
        if is_it { Some(token) } else { found }
    })
}

/// Compares in a time that does not depend on where they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |differ, (a, b)| std::hint::black_box(differ | (a ^ b)));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_is_known_and_it_is_not_what_is_kept() {
        let token = |name: &str, bits| Token {
            name: name.to_owned(),
            scope: Scope::Read,
            sha256: hashed(&text(bits)),
            created_at: Timestamp(0),
            created_by: "ana".to_owned(),
        };
        let (one, other) = ([7; 32], [8; 32]);
        let tokens = [token("one", &one), token("other", &other)];
        assert_eq!(presented(&tokens, &text(&other)).unwrap().name, "other");
        for wrong in
            ["", PREFIX, &tokens[0].sha256, &text(&[9; 32]), &text(&one)[..66], &format!("{} ", text(&one))]
        {
            assert_eq!(presented(&tokens, wrong), None, "{wrong}");
        }
        assert!(!serde_json::to_string(&tokens).unwrap().contains(&text(&one)));
    }
}
