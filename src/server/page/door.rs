//! How a browser comes in: a person shows a token once, and a cookie that no script reads and no other site
//! sends shows it from then on.

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::super::gate::{Manner, Refusal};
use super::super::{Service, problem, session};
use super::shell::{Frame, Here};
use super::visit::{refused, whole};
use super::words::query;

/// How a page is asked for, and its forms are sent.
pub(super) const PAGE: Manner =
    Manner { sent: "application/x-www-form-urlencoded", names_its_site: true, refuse };

/// Where everybody may go.
const HOME: &str = "/";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// Where they wanted to go.
    to: String,
}

#[derive(Deserialize)]
pub(super) struct Presented {
    token: String,
    #[serde(default)]
    to: String,
}

/// Whoever only looks is asked for a token; whoever acts is told so, because their form is lost.
fn refuse(parts: &Parts, refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Unknown if parts.method == Method::GET => {
            let to = parts.uri.path_and_query().map_or(HOME, |path| path.as_str());
            Redirect::to(&format!("/login{}", query(&[("to", Some(to.to_owned()))]))).into_response()
        }
        Refusal::Unknown => whole(StatusCode::UNAUTHORIZED, &form(HOME, Said::LoggedOut)),
        Refusal::NotEnough(problem) => refused(None, problem),
        Refusal::TooMuch(_, bounds) => refused(None, &problem::too_much(*bounds)),
    }
}

pub(super) async fn show(asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let to = asked.map(|Query(asked)| asked.to).unwrap_or_default();
    whole(StatusCode::OK, &form(own(&to), Said::Nothing))
}

pub(super) async fn enter(
    State(service): State<Service>,
    headers: HeaderMap,
    presented: Result<Form<Presented>, FormRejection>,
) -> Response {
    let Ok(Form(Presented { token, to })) = presented else {
        return whole(StatusCode::BAD_REQUEST, &form(HOME, Said::Nothing));
    };
    let token = token.trim();
    if service.operator.token(token).is_none() {
        return whole(StatusCode::UNAUTHORIZED, &form(own(&to), Said::Unknown));
    }
    (session::kept(&headers, token), Redirect::to(own(&to))).into_response()
}

pub(super) async fn leave() -> Response {
    (session::forgotten(), Redirect::to("/login")).into_response()
}

/// A path of this server, never one that leads away.
fn own(path: &str) -> &str {
    let mut letters = path.bytes();
    let begins = letters.next() == Some(b'/') && !matches!(letters.next(), Some(b'/' | b'\\'));
    if begins && path.bytes().all(|letter| letter.is_ascii_graphic()) { path } else { HOME }
}

/// What came before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    /// A token that is not known here.
    Unknown,
    /// A form without any.
    LoggedOut,
}

fn form(to: &str, said: Said) -> Markup {
    let content = html! {
        div.door data-to=(to) {
            h1 { "Log in" }
            p.quiet { "With a token of this server. Whoever runs it makes one:" }
            p { code { "milepost token create NAME --scope operate" } }
            @if said == Said::Unknown { div.box.bad { p { "This token is not known here." } } }
            @if said == Said::LoggedOut { div.box.bad { p { "Nobody was logged in, so nothing was done." } } }
            form method="post" action="/login" {
                input type="hidden" name="to" value=(to);
                label { span { "Token" } input type="password" name="token" autocomplete="current-password" required autofocus; }
                button.main type="submit" { "Log in" }
            }
            p.small { a href=(to) { "I am logged in already" } }
        }
    };
    Frame::new("Log in", Here::Door, None).around(&content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_login_nobody_is_led_away() {
        assert_eq!(own("/runs/@latest?a=b#c"), "/runs/@latest?a=b#c");
        for away in ["", "runs", "//evil", "/\\evil", "https://evil", "/\t/evil", "/a b", "/a\r\nb", "/ü"] {
            assert_eq!(own(away), HOME, "{away}");
        }
    }
}
