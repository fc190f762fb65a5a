//! Problem documents over HTTP (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::gate::Bounds;
use crate::view::{Problem, ProblemKind, code};

/// A problem with what HTTP wants to see beside it.
#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    status: u16,
    #[serde(flatten)]
    problem: &'a Problem,
}

/// The answer for a problem.
pub(super) fn response(problem: &Problem) -> Response {
    document(status(problem.kind), problem)
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

/// What is wrong with such a body.
pub(super) fn too_much(bounds: Bounds) -> Problem {
    let (bytes, seconds) = (bounds.bytes / 1024, bounds.time.as_secs());
    let detail = format!("what is sent has at most {bytes} KiB and comes within {seconds} seconds");
    Problem::new(ProblemKind::Invalid, code::API_LIMIT, detail)
}

/// The answer for a method that a path does not have.
pub(super) fn method_not_allowed() -> Response {
    let problem = Problem::new(
        ProblemKind::Invalid,
        code::API_METHOD,
        "this path is not asked like this: /openapi.json has every path with its methods",
    );
    document(StatusCode::METHOD_NOT_ALLOWED, &problem)
}

/// The HTTP status that a kind of trouble has.
pub(super) fn status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::Invalid => StatusCode::BAD_REQUEST,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::Refused => StatusCode::CONFLICT,
        ProblemKind::Forbidden => StatusCode::FORBIDDEN,
        ProblemKind::Unready => StatusCode::SERVICE_UNAVAILABLE,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn document(status: StatusCode, problem: &Problem) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let document = Document { title, status: status.as_u16(), problem };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let mut answer = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    answer
}
