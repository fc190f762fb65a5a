//! Care for the state beside a running engine.

use std::path::PathBuf;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::acts::answer;
use super::ordered::Ordered;
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

/// Removes what nobody needs.
pub(super) async fn collect(
    State(service): State<Service>,
    Ordered(order): Ordered<CollectOrder>,
) -> Response {
    answer(service.operator.collect(order).await)
}

pub(super) async fn backup(
    State(service): State<Service>,
    Ordered(request): Ordered<BackupRequest>,
) -> Response {
    if !request.file.is_absolute() {
        let detail = "the path of a backup has to be absolute";
        return problem::response(&Problem::new(ProblemKind::Invalid, code::API_QUERY, detail));
    }
    answer(service.operator.backup(request.file, request.by).await)
}
