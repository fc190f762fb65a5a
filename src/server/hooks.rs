//! What others send to hooks. Who sends is proven by what is sent, so no token is asked for; and until it
//! is proven, it costs little: a place among few, a body that is not long, a short time.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::{Service, gate, problem};
use crate::view::code;
use crate::webhook::Headers;

/// Longest wait for all of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// A place at a hook, for one delivery. Dropping it makes room for another.
#[derive(Debug)]
pub struct HookPlace {
    /// The hook.
    pub hook: String,
    /// Longest body that it takes, in bytes.
    pub body_max: usize,
    /// One of the few of this hook, and one of the few of all.
    pub permits: [OwnedSemaphorePermit; 2],
}

pub(super) async fn deliver(
    State(service): State<Service>,
    Path(hook): Path<String>,
    request: Request,
) -> Response {
    let place = match service.operator.hook(&hook) {
        Ok(place) => place,
        Err(problem) => return problem::response(&problem),
    };
    let (parts, body) = request.into_parts();
    let bounds = gate::Bounds { bytes: place.body_max, time: BODY_TIMEOUT };
    let body = match gate::whole(&parts.headers, body, bounds).await {
        Ok(body) => body,
        Err(status) => return problem::limit(status, bounds),
    };
    match service.operator.deliver(place, named(&parts.headers), body).await {
        Ok(delivered) => Json(delivered).into_response(),
        Err(problem) if problem.code == code::UNPROVEN => problem::unproven(&problem),
        Err(problem) => problem::response(&problem),
    }
}

fn named(headers: &HeaderMap) -> Headers {
    Headers::of(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}
