//! Care for the state beside a running engine.

use std::path::PathBuf;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::acts::{answer, read};
use super::gate::Caller;
use super::{Service, problem};
use crate::view::{CollectOrder, Problem, ProblemKind, code};

/// Where a backup goes.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// An absolute path on the machine of the engine.
    pub file: PathBuf,
    /// Who asks.
    #[serde(default)]
    pub by: String,
}

/// Removes what nobody needs, in the name of whoever asks.
pub(super) async fn collect(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    order: Result<Json<CollectOrder>, JsonRejection>,
) -> Response {
    answer(match read(order) {
        Ok(order) => {
            let order = CollectOrder { by: caller.named(order.by), ..order };
            service.operator.collect(order).await
        }
        Err(problem) => Err(problem),
    })
}

pub(super) async fn backup(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    request: Result<Json<BackupRequest>, JsonRejection>,
) -> Response {
    let invalid = |detail: String| Problem::new(ProblemKind::Invalid, code::API_QUERY, detail);
    let request = match read(request) {
        Ok(request) => request,
        Err(problem) => return problem::response(&problem),
    };
    if !request.file.is_absolute() {
        return problem::response(&invalid("the path of a backup has to be absolute".to_owned()));
    }
    match service.operator.backup(request.file, caller.named(request.by)).await {
        Ok(backup) => Json(backup).into_response(),
        Err(problem) => problem::response(&problem),
    }
}
