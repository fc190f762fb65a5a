//! Somebody who asks for a page, and how it goes out: with headers that forbid everything it does not need, and
//! with a tag, so that a browser that looks again and finds nothing new gets no body.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::super::Service;
use super::super::gate::{Caller, Way};
use super::super::problem::status;
use super::super::reads::waiting;
use super::shell::{Frame, Here};
use super::words::commands;
use crate::view::{Archive, Problem, ProblemKind, code};

/// Nothing but our own style, script and pictures; no frames, no other host, no script in the text.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Somebody who asks for a page, or sends a form.
pub(super) struct Visit {
    pub(super) service: Service,
    pub(super) caller: Caller,
    /// The tag of the page that their browser still has.
    known: Option<HeaderValue>,
}

impl FromRequestParts<Service> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Infallible> {
        let nobody = Caller { way: Way::Network, token: None };
        Ok(Self {
            service: service.clone(),
            caller: parts.extensions.get().cloned().unwrap_or(nobody),
            known: parts.headers.get(header::IF_NONE_MATCH).cloned(),
        })
    }
}

impl Visit {
    /// Whether their browser has seen this page before.
    pub(super) fn comes_again(&self) -> bool {
        self.known.is_some()
    }

    /// Answers with a page that is made from the records, on a thread where waiting is allowed.
    pub(super) async fn shows(
        self,
        make: impl FnOnce(&Archive, &Caller) -> Result<Markup, Problem> + Send + 'static,
    ) -> Response {
        let (archive, caller) = (self.service.archive.clone(), self.caller.clone());
        let page = waiting(move || make(&archive, &caller)).await;
        self.answer(page)
    }

    /// Answers with a page that was made, or with what hindered it.
    pub(super) fn answer(&self, made: Result<Markup, Problem>) -> Response {
        match made {
            Ok(page) => self.found(page.into_string()),
            Err(problem) => refused(Some(&self.caller), &problem),
        }
    }

    fn found(&self, page: String) -> Response {
        let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(page.as_bytes()), page.len());
        let is_known = self.known.as_ref().is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let tagged = [(header::ETAG, tag)];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers(), tagged).into_response();
        }
        (headers(), tagged, page).into_response()
    }

    /// The page to look at after something was done. Asking again, as a browser does that reloads, asks for
    /// that page only.
    pub(super) fn done(&self, acted: Result<String, Problem>) -> Response {
        match acted {
            Ok(place) => Redirect::to(&place).into_response(),
            Err(problem) => refused(Some(&self.caller), &problem),
        }
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
pub(super) fn refused(caller: Option<&Caller>, problem: &Problem) -> Response {
    let frame = Frame::new("Not possible", Here::Elsewhere, caller);
    whole(status(problem), &frame.around(&trouble(problem)))
}

/// A page as it is, known to the browser or not.
pub(super) fn whole(status: StatusCode, page: &Markup) -> Response {
    (status, headers(), page.0.clone()).into_response()
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

/// What is wrong, in a box.
pub(super) fn trouble(problem: &Problem) -> Markup {
    html! {
        div.head { h1 { "This is not possible" } }
        div.box.bad {
            p { (problem.detail) }
            @if !problem.candidates.is_empty() {
                ul { @for candidate in &problem.candidates { li { code { (candidate) } } } }
            }
            p.quiet { (problem.code) }
        }
        @if !problem.next.is_empty() { (commands(&problem.next)) }
        p { a href="/" { "All runs" } }
    }
}
