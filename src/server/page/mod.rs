//! The page: the same archive as the API, for people. HTML made here, one style sheet, one small script; nothing
//! is fetched from anywhere else. Everything can be read and done without the script; with it, what is on the
//! page follows the run.
//!
//! | path | shows |
//! | --- | --- |
//! | `/` | runs |
//! | `/runs/{run}` | one run: its graph, its steps, its errors by cause |
//! | `/runs/{run}/items`, `…/items/{item}` | its items; the whole story of one |
//! | `/runs/{run}/effects` | what is known about every effect; what only a person can tell |
//! | `/runs/{run}/timeline`, `…/events`, `…/workflow` | when its steps worked, what happened, the pinned file |
//! | `/runs/{run}/plan` | what a resume would do, and the button that does exactly that |
//! | `/dead-letters` | dead letters of all runs |
//!
//! Forms send POST to the paths in `acts`; `guard` says which of them are let in.

mod acts;
mod answer;
mod effects;
mod events;
mod guard;
mod item;
mod items;
mod json;
mod letters;
mod picture;
mod plan;
mod run;
mod runs;
mod shell;
#[cfg(test)]
mod tests;
mod timeline;
mod words;
mod workflow;

use axum::Router;
use axum::extract::FromRef;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::Service;
use guard::Guard;

/// What the pages are made from.
#[derive(Clone)]
struct Desk {
    service: Service,
    guard: Guard,
}

impl FromRef<Desk> for Service {
    fn from_ref(desk: &Desk) -> Self {
        desk.service.clone()
    }
}

/// The routes of the page.
pub(super) fn routes(service: Service) -> Router {
    let desk = Desk { service, guard: Guard::new() };
    Router::new()
        .route("/", get(runs::show))
        .route("/runs/{run}", get(run::show))
        .route("/runs/{run}/items", get(items::show))
        .route("/runs/{run}/items/{item}", get(item::show))
        .route("/runs/{run}/effects", get(effects::show))
        .route("/runs/{run}/timeline", get(timeline::show))
        .route("/runs/{run}/events", get(events::show))
        .route("/runs/{run}/workflow", get(workflow::show))
        .route("/runs/{run}/plan", get(plan::show))
        .route("/runs/{run}/resume", post(acts::resume))
        .route("/runs/{run}/act", post(acts::act))
        .route("/runs/{run}/settle", post(acts::settle))
        .route("/runs/{run}/drop", post(acts::drop))
        .route("/dead-letters", get(letters::show))
        .route("/page/style.css", get(async || asset("text/css; charset=utf-8", include_str!("style.css"))))
        .route(
            "/page/page.js",
            get(async || asset("text/javascript; charset=utf-8", include_str!("page.js"))),
        )
        .route("/page/icon.svg", get(async || asset("image/svg+xml", include_str!("icon.svg"))))
        .with_state(desk)
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
}
