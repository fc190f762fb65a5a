//! What is done to a run: the one path that is not only read.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::{Service, problem, reads};
use crate::view::{Order, Problem, ProblemKind, code};

pub(super) async fn act(
    State(service): State<Service>,
    Path(run): Path<String>,
    order: Result<Json<Order>, JsonRejection>,
) -> Response {
    let order = match order {
        Ok(Json(order)) => order,
        Err(rejection) => {
            let detail = rejection.body_text();
            return problem::response(&Problem::new(ProblemKind::Invalid, code::API_BODY, detail));
        }
    };
    let archive = service.archive.clone();
    let acted = match reads::waiting(move || archive.find(&run)).await {
        Ok(run) => (service.actor)(run.id, order).await,
        Err(problem) => Err(problem),
    };
    match acted {
        Ok(acted) => Json(acted).into_response(),
        Err(problem) => problem::response(&problem),
    }
}
