//! Problem documents over HTTP (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::gate::Bounds;
use crate::view::{Problem, ProblemKind, code};

/// The content type of problem documents.
const KIND: &str = "application/problem+json";
/// When to ask again what cannot be answered now, in seconds.
pub(super) const RETRY_AFTER: &str = "5";

/// A problem with what HTTP wants to see beside it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Document<'a> {
    /// The words of the status.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    #[serde(flatten)]
    problem: &'a Problem,
}

/// The answer for a problem.
pub(super) fn response(problem: &Problem) -> Response {
    document(status(problem), problem)
}

/// The answer for a problem, with a status that says more than its kind.
pub(super) fn answer(status: StatusCode, problem: &Problem) -> Response {
    document(status, problem)
}

/// The answer for somebody whom nobody knows. It does not say what was wrong with a token.
pub(super) fn unauthorized() -> Response {
    let problem =
        Problem::new(ProblemKind::Forbidden, code::TOKEN, "a token is needed: authorization: Bearer …")
            .next("milepost token create NAME");
    let mut answer = document(StatusCode::UNAUTHORIZED, &problem);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

/// The answer for somebody who did not prove who it is. It does not say what was wrong.
pub(super) fn unproven(problem: &Problem) -> Response {
    let mut answer = document(StatusCode::UNAUTHORIZED, problem);
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Webhook"));
    answer
}

/// The answer for a body that is too large or came too slowly.
pub(super) fn limit(status: StatusCode, bounds: Bounds) -> Response {
    document(status, &too_much(bounds))
}

/// The whole answer, as it is on the wire, for a connection that there is no room for.
pub(super) fn no_room() -> Vec<u8> {
    let problem =
        Problem::new(ProblemKind::Unready, code::API_BUSY, "too many connections: come again later");
    let body = body(StatusCode::SERVICE_UNAVAILABLE, &problem);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {KIND}\r\nretry-after: {RETRY_AFTER}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// What is wrong with such a body.
pub(super) fn too_much(bounds: Bounds) -> Problem {
    let (bytes, seconds) = (bounds.bytes / 1024, bounds.time.as_secs());
    let detail = format!("what is sent has at most {bytes} KiB and comes within {seconds} seconds");
    Problem::new(ProblemKind::Invalid, code::API_LIMIT, detail)
}

/// The answer for a method that a path does not have.
pub(super) fn method_not_allowed() -> Response {
    let detail = "this path is not asked like this: /openapi.json has every path with its methods";
    response(&Problem::new(ProblemKind::Invalid, code::API_METHOD, detail))
}

/// The HTTP status that a problem has: that of its code where HTTP has a word for it, else that of its kind.
pub(super) fn status(problem: &Problem) -> StatusCode {
    match problem.code.as_str() {
        code::API_METHOD => return StatusCode::METHOD_NOT_ALLOWED,
        code::API_KIND => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        code::API_BODY | code::START_REFUSED => return StatusCode::UNPROCESSABLE_ENTITY,
        code::HOOK_BUSY => return StatusCode::TOO_MANY_REQUESTS,
        // Whether a beginning is enough depends on the runs that are there.
        code::RUN_AMBIGUOUS => return StatusCode::CONFLICT,
        code::STEP_UNKNOWN => return StatusCode::NOT_FOUND,
        _ => {}
    }
    match problem.kind {
        ProblemKind::Invalid => StatusCode::BAD_REQUEST,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::Refused => StatusCode::CONFLICT,
        ProblemKind::Forbidden => StatusCode::FORBIDDEN,
        ProblemKind::Unready => StatusCode::SERVICE_UNAVAILABLE,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn document(status: StatusCode, problem: &Problem) -> Response {
    let mut answer = (status, [(header::CONTENT_TYPE, KIND)], body(status, problem)).into_response();
    if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&status) {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    answer
}

fn body(status: StatusCode, problem: &Problem) -> Vec<u8> {
    let title = status.canonical_reason().unwrap_or("Error");
    serde_json::to_vec(&Document { title, status: status.as_u16(), problem }).unwrap_or_default()
}
