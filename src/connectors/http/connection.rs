//! A connection to any HTTP API: where it is, and how we prove who we are.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::BuildFault;
use super::client::Caller;
use crate::connectors::wire::{self, Answer, Broken, Redirects};
use crate::connectors::{Site, settings};
use crate::core::catalog::{ConnectionKind, Field, Kind};

/// The header of an API key when the connection does not say.
const API_KEY_HEADER: &str = "x-api-key";

/// What an `http` connection takes. At most one of `bearer`, `user` with `password`, and `api_key`.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "http",
    summary: "any HTTP API that speaks JSON",
    fields: &[
        Field { name: "url", kind: Kind::Plain, required: true },
        Field { name: "headers", kind: Kind::Any, required: false },
        Field { name: "bearer", kind: Kind::Secret, required: false },
        Field { name: "user", kind: Kind::Plain, required: false },
        Field { name: "password", kind: Kind::Secret, required: false },
        Field { name: "api_key", kind: Kind::Secret, required: false },
        Field { name: "api_key_header", kind: Kind::Plain, required: false },
    ],
};

/// One API, ready to be called.
pub(super) struct Link {
    /// Where it is, without a slash at the end.
    pub(super) url: String,
    headers: HeaderMap,
    caller: Caller,
}

impl Link {
    /// Reads the connection of a step.
    ///
    /// # Errors
    /// A field of the connection is wrong.
    pub(super) fn of(site: &Site<'_>) -> Result<Self, BuildFault> {
        let url = wire::base_url(&site.settings)?;
        // Whatever answers elsewhere must not see the key, so no redirect is followed.
        let caller = Caller::new(site.step.timeout, Redirects::Refused)?;
        Ok(Self { url, headers: headers(&site.settings)?, caller })
    }

    /// Sends `{method, path, headers?, body?}`; the path begins behind the connection's address.
    pub(super) async fn send(&self, request: &Value) -> Result<Answer, Broken> {
        let path = request["path"].as_str().unwrap_or_default();
        let mut whole = json!({ "method": request["method"], "url": format!("{}{path}", self.url) });
        for member in ["headers", "body"] {
            if let Some(value) = request.get(member) {
                whole[member] = value.clone();
            }
        }
        self.caller.send(&whole, &self.headers).await
    }
}

fn headers(settings: &Map<String, Value>) -> Result<HeaderMap, BuildFault> {
    let mut headers = HeaderMap::new();
    let written = match settings.get("headers") {
        None | Some(Value::Null) => None,
        Some(Value::Object(written)) => Some(written),
        Some(_) => return Err(BuildFault::field("headers", "'headers' must be names and values")),
    };
    for (name, value) in written.into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let (name, value) = header(name, &text, "headers")?;
        headers.insert(name, value);
    }
    headers.extend(proof(settings)?);
    Ok(headers)
}

/// The header that says who we are.
fn proof(settings: &Map<String, Value>) -> Result<Option<(HeaderName, HeaderValue)>, BuildFault> {
    let text = |name: &str| settings::text(settings, name);
    let pair = |one: &str, other: &str| {
        let message = format!("'{one}' goes with '{other}', which is not there");
        Err(BuildFault::field(one, message))
    };
    let proof = match (text("bearer")?, text("user")?, text("password")?, text("api_key")?) {
        (None, None, None, None) if text("api_key_header")?.is_some() => {
            return pair("api_key_header", "api_key");
        }
        (None, None, None, None) => return Ok(None),
        (Some(token), None, None, None) => header("authorization", &format!("Bearer {token}"), "bearer")?,
        (None, Some(user), Some(password), None) => {
            let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
            header("authorization", &format!("Basic {pair}"), "password")?
        }
        (None, None, None, Some(key)) => {
            header(text("api_key_header")?.unwrap_or(API_KEY_HEADER), key, "api_key")?
        }
        (None, Some(_), None, None) => return pair("user", "password"),
        (None, None, Some(_), None) => return pair("password", "user"),
        (bearer, _, _, _) => {
            let field = if bearer.is_some() { "bearer" } else { "api_key" };
            let message = "only one of 'bearer', 'user' with 'password', and 'api_key' can count";
            return Err(BuildFault::field(field, message));
        }
    };
    Ok(Some(proof))
}

/// A header whose value is never shown.
fn header(name: &str, value: &str, field: &str) -> Result<(HeaderName, HeaderValue), BuildFault> {
    let wrong = || BuildFault::field(field, format!("'{field}' does not make a valid header"));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    value.set_sensitive(parsed == AUTHORIZATION || field == "api_key");
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proved(fields: &Value) -> Result<Option<(String, String)>, Option<String>> {
        let fields = fields.as_object().cloned().unwrap_or_default();
        let shown =
            |(name, value): (HeaderName, HeaderValue)| (name.to_string(), value.to_str().unwrap().to_owned());
        proof(&fields).map(|proof| proof.map(shown)).map_err(|fault| fault.field)
    }

    #[test]
    fn there_are_three_ways_to_prove_who_we_are_and_never_two_at_once() {
        let header = |name: &str, value: &str| Ok(Some((name.to_owned(), value.to_owned())));
        assert_eq!(proved(&json!({})), Ok(None));
        assert_eq!(proved(&json!({ "bearer": "t" })), header("authorization", "Bearer t"));
        // The example of RFC 7617.
        let basic = json!({ "user": "Aladdin", "password": "open sesame" });
        assert_eq!(proved(&basic), header("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(proved(&json!({ "api_key": "k" })), header("x-api-key", "k"));
        let named = json!({ "api_key": "k", "api_key_header": "X-Token" });
        assert_eq!(proved(&named), header("x-token", "k"));
        for (wrong, field) in [
            (json!({ "user": "u" }), "user"),
            (json!({ "password": "p" }), "password"),
            (json!({ "api_key_header": "X" }), "api_key_header"),
            (json!({ "bearer": "t", "api_key": "k" }), "bearer"),
            (json!({ "user": "u", "password": "p", "api_key": "k" }), "api_key"),
            (json!({ "bearer": "a\nb" }), "bearer"),
        ] {
            assert_eq!(proved(&wrong), Err(Some(field.to_owned())), "{wrong}");
        }
    }
}
