//! A browser's way to present a token: in a cookie that no script reads and no other site sends.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::gate::COOKIE;
use super::{Service, acts, problem};

/// What is kept of it in a browser.
const TERMS: &str = "Path=/; HttpOnly; SameSite=Strict";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Presented {
    token: String,
}

/// Keeps a token in the browser that asks, if it is one.
pub(super) async fn begin(
    State(service): State<Service>,
    presented: Result<Json<Presented>, JsonRejection>,
) -> Response {
    match acts::read(presented) {
        Ok(Presented { token }) => match service.operator.token(&token) {
            Some(_) => kept(&format!("{COOKIE}={token}; {TERMS}")),
            None => problem::unauthorized(),
        },
        Err(problem) => problem::response(&problem),
    }
}

/// Forgets it.
pub(super) async fn end() -> Response {
    kept(&format!("{COOKIE}=; {TERMS}; Max-Age=0"))
}

fn kept(cookie: &str) -> Response {
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie.to_owned())]).into_response()
}
