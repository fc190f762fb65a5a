//! Problem documents over HTTP (RFC 9457).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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

/// The answer for a method that a path does not have.
pub(super) fn method_not_allowed() -> Response {
    let problem = Problem::new(
        ProblemKind::Invalid,
        code::API_METHOD,
        "this path is not asked like this: actions take POST, all others GET",
    );
    document(StatusCode::METHOD_NOT_ALLOWED, &problem)
}

/// The HTTP status that a kind of trouble has.
pub(super) fn status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::Invalid => StatusCode::BAD_REQUEST,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::Refused => StatusCode::CONFLICT,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn document(status: StatusCode, problem: &Problem) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let document = Document { title, status: status.as_u16(), problem };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
