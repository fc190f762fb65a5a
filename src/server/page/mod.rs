//! The page: the same records as the API, for people, and its acts by the same code. HTML made here, one style
//! sheet, one small script; nothing is fetched from anywhere else. Everything can be read and done without the
//! script; with it, what is on the page follows the run.
//!
//! `PAGES` is the table of its paths. Everybody comes in through the same `gate` as to the API: whoever has a
//! token logs in with it (`door`). These paths are for browsers and no promise, so `/openapi.json` has none of them.

mod acts;
mod connections;
mod door;
mod effects;
mod events;
mod item;
mod items;
mod json;
mod letters;
mod line;
mod picture;
mod plan;
mod run;
mod runs;
mod shell;
#[cfg(test)]
mod tests;
mod timeline;
mod visit;
mod words;
mod workflow;
mod workflows;

use axum::Router;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};

use super::Service;
use super::gate::{self, Access, Gate};
use door::PAGE;

/// A path, what it asks of whoever comes, and what answers.
type Page = (&'static str, Access, fn() -> MethodRouter<Service>);

/// All of them.
const PAGES: &[Page] = &[
    ("/", Access::Read, || get(runs::show)),
    ("/runs/{run}", Access::Read, || get(run::show)),
    ("/runs/{run}/items", Access::Read, || get(items::show)),
    ("/runs/{run}/items/{item}", Access::Read, || get(item::show)),
    ("/runs/{run}/effects", Access::Read, || get(effects::show)),
    ("/runs/{run}/timeline", Access::Read, || get(timeline::show)),
    ("/runs/{run}/events", Access::Read, || get(events::show)),
    ("/runs/{run}/workflow", Access::Read, || get(workflow::show)),
    ("/runs/{run}/plan", Access::Read, || get(plan::show)),
    ("/dead-letters", Access::Read, || get(letters::show)),
    ("/workflows", Access::Read, || get(workflows::show)),
    ("/connections", Access::Read, || get(connections::show)),
    ("/runs/{run}/resume", Access::Operate, || post(acts::resume)),
    ("/runs/{run}/act", Access::Operate, || post(acts::act)),
    ("/runs/{run}/settle", Access::Operate, || post(acts::settle)),
    ("/runs/{run}/drop", Access::Operate, || post(acts::drop)),
    ("/workflows/{workflow}/start", Access::Operate, || post(acts::start)),
    ("/workflows/{workflow}/examine", Access::Operate, || post(acts::examine)),
    ("/unpause", Access::Operate, || post(acts::unpause)),
    ("/login", Access::Open, || get(door::show).post(door::enter)),
    ("/logout", Access::Open, || post(door::leave)),
    ("/page/style.css", Access::Open, || {
        get(async || asset("text/css; charset=utf-8", include_str!("style.css")))
    }),
    ("/page/page.js", Access::Open, || {
        get(async || asset("text/javascript; charset=utf-8", include_str!("page.js")))
    }),
    ("/page/icon.svg", Access::Open, || get(async || asset("image/svg+xml", include_str!("icon.svg")))),
];

/// The routes of the page.
pub(super) fn routes(service: &Service) -> Router<Service> {
    PAGES.iter().fold(Router::new(), |router, (path, access, serve)| {
        let gate = Gate { service: service.clone(), access: *access, manner: &PAGE };
        router.route(path, serve().layer(from_fn_with_state(gate, gate::pass)))
    })
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
}
