//! The HTTP API: everything that can be asked about runs and done to them, and beside it the page for people
//! (`page`). One router, whatever it listens on: a Unix socket in the state directory, and TCP.
//!
//! `routes` is the table of all paths; the router and `/openapi.json` are made from it. `gate` says who
//! comes in, `network` how connections are bounded, `operator` what is handed on to the engine.
//!
//! `{run}` is an ID, a unique prefix, `@latest` or `@failed`. Errors are problem documents
//! (RFC 9457) with our codes.

mod acts;
mod care;
mod gate;
mod health;
mod hooks;
mod hub;
mod live;
mod network;
mod openapi;
mod operator;
mod ordered;
mod page;
mod problem;
mod reads;
mod routes;
mod session;
mod signals;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};

use crate::view::{Archive, Problem, ProblemKind, code};

pub use care::BackupRequest;
pub use gate::{Access, Anonymous, Way};
pub use hooks::HookPlace;
pub use network::{Network, Reserved, reserve};
pub use operator::{Operator, no_hook, no_server};
pub use socket::{Bound, Error, Serving, bind, listen};

/// What the API answers from.
#[derive(Clone)]
pub struct Service {
    /// The records.
    pub archive: Archive,
    /// Does what is asked for.
    pub operator: Arc<dyn Operator>,
    /// What somebody without a token may do over the network.
    pub anonymous: Anonymous,
}

/// The API, and the page.
pub fn router(service: Service) -> Router {
    let routes = routes::ROUTES.iter().fold(page::routes(&service), |router, route| {
        let gate = gate::Gate { service: service.clone(), access: route.access, manner: &gate::API };
        router.route(route.path, (route.serve)().layer(from_fn_with_state(gate, gate::pass)))
    });
    routes
        .fallback(|| async { problem::response(&unknown_path()) })
        .method_not_allowed_fallback(|| async { problem::method_not_allowed() })
        .layer(Extension(hub::Hub::default()))
        .with_state(service)
}

/// What is answered while the engine behind the API goes away.
pub fn ending() -> Problem {
    Problem::new(ProblemKind::Unready, code::ENGINE_GONE, "the engine is ending").next("milepost list")
}

fn unknown_path() -> Problem {
    Problem::new(ProblemKind::NotFound, code::API_PATH, "there is nothing at this path; begin with /v1/runs")
}
