//! How a page goes out: with headers that forbid everything it does not need, and with a tag, so that a browser
//! that looks again and finds nothing new gets no body.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::super::problem::status;
use super::shell::{Here, frame};
use crate::view::{Problem, ProblemKind, code};

/// Nothing but our own style, script and pictures; no frames, no other host, no script in the text.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The answer for a page that was made, or for what hindered it.
pub(super) fn answer(asked: &HeaderMap, made: Result<Markup, Problem>) -> Response {
    match made {
        Ok(page) => found(asked, page.into_string()),
        Err(problem) => refused(&problem),
    }
}

/// What a form asked for.
///
/// # Errors
/// [`code::API_QUERY`] says what cannot be read.
pub(super) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let wrong = |rejection: QueryRejection| {
        Problem::new(ProblemKind::Invalid, code::API_QUERY, rejection.body_text())
    };
    query.map(|Query(asked)| asked).map_err(wrong)
}

/// A page that says what is wrong.
pub(super) fn refused(problem: &Problem) -> Response {
    let page = frame("Not possible", Here::Elsewhere, false, &trouble(problem));
    (status(problem.kind), headers(), page.into_string()).into_response()
}

fn found(asked: &HeaderMap, page: String) -> Response {
    let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(page.as_bytes()), page.len());
    let known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let tagged = [(header::ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, headers(), tagged).into_response();
    }
    (headers(), tagged, page).into_response()
}

fn headers() -> [(header::HeaderName, &'static str); 5] {
    [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "private, no-cache"),
    ]
}

fn trouble(problem: &Problem) -> Markup {
    html! {
        div.head { h1 { "This is not possible" } }
        div.box.bad {
            p { (problem.detail) }
            @if !problem.candidates.is_empty() {
                ul { @for candidate in &problem.candidates { li { code { (candidate) } } } }
            }
            p.quiet { (problem.code) }
        }
        @if !problem.next.is_empty() { (super::words::commands(&problem.next)) }
        p { a href="/" { "All runs" } }
    }
}
