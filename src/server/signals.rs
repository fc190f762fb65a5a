//! Signals: sent to the engine, and those that it keeps.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use axum::{Extension, Json};

use super::gate::Caller;
use super::{Service, acts, reads};
use crate::view::Sent;

pub(super) async fn send(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    sent: Result<Json<Sent>, JsonRejection>,
) -> Response {
    acts::answer(match acts::read(sent) {
        Ok(sent) => {
            let sent = Sent { by: caller.named(sent.by.clone()), ..sent };
            service.operator.signal(sent).await
        }
        Err(problem) => Err(problem),
    })
}

pub(super) async fn kept(State(service): State<Service>) -> Response {
    acts::answer(reads::waiting(move || service.operator.signals()).await)
}
