//! A browser's way to present a token: in a cookie that no script reads and no other site sends.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::gate::COOKIE;
use super::{Service, ordered, problem};

/// What is kept of it in a browser.
const TERMS: &str = "Path=/; HttpOnly; SameSite=Strict";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Presented {
    token: String,
}

/// Keeps a token in the browser that asks, if it is one.
pub(super) async fn begin(
    State(service): State<Service>,
    headers: HeaderMap,
    presented: Result<Json<Presented>, JsonRejection>,
) -> Response {
    match ordered::read(presented) {
        Ok(Presented { token }) => match service.operator.token(&token) {
            Some(_) => (StatusCode::NO_CONTENT, kept(&headers, &token)).into_response(),
            None => problem::unauthorized(),
        },
        Err(problem) => problem::response(&problem),
    }
}

/// Forgets it.
pub(super) async fn end() -> Response {
    (StatusCode::NO_CONTENT, forgotten()).into_response()
}

/// The cookie that presents a token from now on; only over TLS, if that is how the browser came.
pub(super) fn kept(headers: &HeaderMap, token: &str) -> [(header::HeaderName, String); 1] {
    let is_secure =
        headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https:"));
    let secure = if is_secure { "; Secure" } else { "" };
    [(header::SET_COOKIE, format!("{COOKIE}={token}; {TERMS}{secure}"))]
}

/// The end of that cookie.
pub(super) fn forgotten() -> [(header::HeaderName, String); 1] {
    [(header::SET_COOKIE, format!("{COOKIE}=; {TERMS}; Max-Age=0"))]
}
