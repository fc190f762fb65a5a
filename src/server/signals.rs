//! Signals: sent to the engine, and those that it keeps.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};

use super::{Service, problem};
use crate::view::{Problem, ProblemKind, Sent, code};

pub(super) async fn send(
    State(service): State<Service>,
    sent: Result<Json<Sent>, JsonRejection>,
) -> Response {
    let sent = match sent {
        Ok(Json(sent)) => sent,
        Err(rejection) => {
            let detail = rejection.body_text();
            return problem::response(&Problem::new(ProblemKind::Invalid, code::API_BODY, detail));
        }
    };
    match (service.signaller)(sent).await {
        Ok(signalled) => Json(signalled).into_response(),
        Err(problem) => problem::response(&problem),
    }
}

pub(super) async fn kept(State(service): State<Service>) -> Response {
    match (service.kept)().await {
        Ok(signals) => Json(signals).into_response(),
        Err(problem) => problem::response(&problem),
    }
}
