//! How a shop lets us in: with a login, whose token ends, or with a secret key.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

/// Who we are.
pub(super) enum Credentials {
    /// A person's login. It gives a token, which costs the server next to nothing.
    Login {
        /// The email address.
        email: SecretString,
        /// The password.
        password: SecretString,
    },
    /// A secret API key. It never ends, and costs the server a password hash with every request:
    /// about 120 ms instead of 10.
    Key(SecretString),
}

/// A token that a login gave.
pub(super) struct Token {
    /// The token itself.
    pub(super) text: SecretString,
    /// When a new one should be had; `None`: the token does not say when it ends.
    renew_at: Option<Instant>,
}

impl Token {
    /// A token as it just arrived.
    pub(super) fn new(text: &str, now: Instant) -> Self {
        let renew_at = life(text).map(|life| now + life.mul_f64(RENEWED_AFTER));
        Self { text: text.into(), renew_at }
    }

    /// It is about to end.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

/// The part of a token's life after which a new one is asked for: a request that takes a minute, sent
/// with an hour's token, must still arrive with a good one.
const RENEWED_AFTER: f64 = 0.9;

/// How long a JWT lives, from its own words. The difference of two times of one clock: ours may go
/// wrong.
fn life(token: &str) -> Option<Duration> {
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let (from, to) = (claims["iat"].as_u64()?, claims["exp"].as_u64()?);
    to.checked_sub(from).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2lnbmF0dXJl", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_ends_and_one_that_says_nothing_never() {
        let now = Instant::now();
        let token = Token::new(&jwt(r#"{"iat":1000,"exp":1100,"name":"ü?>"}"#), now);
        assert!(!token.is_old(now + Duration::from_secs(89)));
        assert!(token.is_old(now + Duration::from_secs(90)));
        for silent in ["", "a.b.c", &jwt("{}"), &jwt(r#"{"iat":5,"exp":4}"#), &jwt("[")] {
            assert!(!Token::new(silent, now).is_old(now + Duration::from_hours(10_000)), "{silent}");
        }
    }
}
