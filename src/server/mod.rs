//! The HTTP API: everything that can be asked about runs and done to them, and beside it the page for people (`page`).
//! One router, whatever it listens on; now a Unix socket in the state directory.
//!
//! | path | answers |
//! | --- | --- |
//! | `/v1/runs?status&workflow&search&after&limit` | a page of the runs, newest first |
//! | `/v1/runs/{run}` | one run with its steps |
//! | `/v1/runs/{run}/items?status&step&key&after&limit` | a page of its items |
//! | `/v1/runs/{run}/items/{item}` | everything about one item |
//! | `/v1/runs/{run}/events?from&limit` | a page of its events |
//! | `/v1/runs/{run}/causes?limit` | its dead letters and doubts by cause |
//! | `/v1/runs/{run}/effects?item&step&verdict&doubt&after&limit` | a page of its effect ledger |
//! | `/v1/runs/{run}/effect-counts` | how many effects are known how |
//! | `/v1/runs/{run}/timeline` | when its steps worked |
//! | `/v1/runs/{run}/definition` | its workflow file and what that names, as pinned |
//! | `/v1/dead-letters?run&step&error&before&since&after&limit` | a page of the dead letters of all runs |
//! | `/v1/runs/{run}/dead-letters/{item}` | everything about an item, its record included |
//! | `/v1/runs/{run}/plan?terms` | what a resume on these terms (JSON) would do |
//! | POST `/v1/runs/{run}/actions` | takes an [`Order`] such as `{"action": "close", "by": "ana"}` |
//! | `POST /v1/state/backup` | writes a backup to `{"file"}`, a path of the engine's machine |
//!
//! `{run}` is an ID, a unique prefix, `@latest` or `@failed`. Errors are problem documents
//! (RFC 9457) with our codes.

mod acts;
mod care;
mod page;
mod problem;
mod reads;
mod socket;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::core::care::Backup;
use crate::core::id::RunId;
use crate::core::resume::ResumePlan;
use crate::view::{Acted, Archive, Order, Problem, ProblemKind, ResumeOrder, ResumeTerms, code};

pub use care::BackupRequest;
pub use socket::{Error, Serving, listen};

/// Plans a resume without doing anything.
pub type Planner = Arc<dyn Fn(RunId, ResumeTerms) -> Planning + Send + Sync>;

/// A resume plan that is being made.
pub type Planning = Pin<Box<dyn Future<Output = Result<ResumePlan, Problem>> + Send>>;

/// Does something to a run.
pub type Actor = Arc<dyn Fn(RunId, Order) -> Acting + Send + Sync>;

/// Resumes a run; returns once it is being worked on.
pub type Resumer = Arc<dyn Fn(RunId, ResumeOrder) -> Acting + Send + Sync>;

/// Something that is being done to a run.
pub type Acting = Pin<Box<dyn Future<Output = Result<Acted, Problem>> + Send>>;
/// Takes a backup to a file.
pub type Keeper = Arc<dyn Fn(PathBuf) -> BackingUp + Send + Sync>;

/// A backup that is being taken.
pub type BackingUp = Pin<Box<dyn Future<Output = Result<Backup, Problem>> + Send>>;

/// What the API answers from.
#[derive(Clone)]
pub struct Service {
    /// The records.
    pub archive: Archive,
    /// Plans resumes.
    pub planner: Planner,
    /// Does what is asked for.
    pub actor: Actor,
    /// Resumes.
    pub resumer: Resumer,
    /// Takes backups.
    pub keeper: Keeper,
}

/// Who calls, as whoever let the request in has found out; it stands among the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub String);

/// The API, and the page.
pub fn router(service: Service) -> Router {
    let page = page::routes(service.clone());
    Router::new()
        .route("/v1/runs", get(reads::runs))
        .route("/v1/runs/{run}", get(reads::show))
        .route("/v1/runs/{run}/items", get(reads::items))
        .route("/v1/runs/{run}/items/{item}", get(reads::item))
        .route("/v1/runs/{run}/events", get(reads::events))
        .route("/v1/runs/{run}/causes", get(reads::causes))
        .route("/v1/runs/{run}/effects", get(reads::effects))
        .route("/v1/runs/{run}/effect-counts", get(reads::effect_counts))
        .route("/v1/runs/{run}/timeline", get(reads::timeline))
        .route("/v1/runs/{run}/definition", get(reads::definition))
        .route("/v1/dead-letters", get(reads::dead_letters))
        .route("/v1/runs/{run}/dead-letters/{item}", get(reads::dead_letter))
        .route("/v1/runs/{run}/plan", get(reads::plan))
        .route("/v1/runs/{run}/actions", post(acts::act))
        .route("/v1/state/backup", post(care::backup))
        .fallback(|| async { problem::response(&unknown_path()) })
        .method_not_allowed_fallback(|| async { problem::method_not_allowed() })
        .with_state(service)
        .merge(page)
}

/// What is answered while the engine behind the API goes away.
pub fn ending() -> Problem {
    Problem::new(ProblemKind::Refused, code::ENGINE_GONE, "the engine is ending").next("milepost list")
}

fn unknown_path() -> Problem {
    Problem::new(ProblemKind::NotFound, code::API_PATH, "there is nothing at this path; begin with /v1/runs")
}
