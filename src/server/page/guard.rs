//! Which forms are let in: only those that this page made itself, in this process.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use uuid::Uuid;

use crate::view::{Problem, ProblemKind, code};

/// Knows the word that every form of this process carries. Another site can make a browser send a form, but
/// cannot read ours to learn the word.
#[derive(Clone)]
pub(super) struct Guard {
    word: Arc<str>,
}

impl Guard {
    pub(super) fn new() -> Self {
        // Not version 7: all its bits but six are chance.
        Self { word: Uuid::from_bytes(rand::random()).simple().to_string().into() }
    }

    /// What forms carry.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// Lets a form in that carries the word and comes, as far as the browser says, from this very host.
    ///
    /// # Errors
    /// [`code::FORM_REFUSED`]; nothing may be done then.
    pub(super) fn admit(&self, headers: &HeaderMap, word: &str) -> Result<(), Problem> {
        if !is_same_host(headers) || !is_equal(word.as_bytes(), self.word.as_bytes()) {
            let detail =
                "this form is not from this page as it is now: open the page again, and send it from there";
            return Err(Problem::new(ProblemKind::Refused, code::FORM_REFUSED, detail));
        }
        Ok(())
    }
}

fn is_same_host(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let of_origin =
        text(header::ORIGIN.as_str()).map(|origin| origin.split_once("://").map(|(_, host)| host));
    let from = text("sec-fetch-site");
    of_origin.is_none_or(|origin| origin == Some(host)) && from.is_none_or(|from| from == "same-origin")
}

/// Takes as long for every word of the right length.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_own_form_from_this_host_is_let_in() {
        let guard = Guard::new();
        let headers = |told: &[(&'static str, &'static str)]| {
            told.iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let admits = |told: Vec<_>, word: &str| guard.admit(&headers(&told), word).is_ok();
        let word = guard.word();
        let own = ("host", "127.0.0.1:7400");
        assert!(admits(
            vec![own, ("origin", "http://127.0.0.1:7400"), ("sec-fetch-site", "same-origin")],
            word
        ));
        assert!(admits(vec![own], word), "an old browser says nothing; the word is enough");
        assert!(!admits(vec![own, ("origin", "http://evil.example")], word));
        assert!(!admits(vec![own, ("origin", "http://127.0.0.1:7401")], word));
        assert!(!admits(vec![own, ("origin", "null")], word));
        assert!(!admits(vec![own, ("sec-fetch-site", "cross-site")], word));
        assert!(!admits(vec![own], "") && !admits(vec![own], &"0".repeat(word.len())));
        assert_ne!(Guard::new().word(), word);
    }
}
