//! Signals: sent to the engine, and those that it keeps.

use axum::extract::State;
use axum::response::Response;

use super::ordered::Ordered;
use super::{Service, acts, reads};
use crate::view::Sent;

pub(super) async fn send(State(service): State<Service>, Ordered(sent): Ordered<Sent>) -> Response {
    acts::answer(service.operator.signal(sent).await)
}

pub(super) async fn kept(State(service): State<Service>) -> Response {
    acts::answer(reads::waiting(move || service.operator.signals()).await)
}
