//! What is done: the paths that are not only read.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::{Caller, Way};
use super::ordered::Ordered;
use super::{Service, problem, reads};
use crate::core::id::RunId;
use crate::core::run::Status;
use crate::view::{
    Acted, Admitted, Examination, Order, Problem, ProblemKind, QueueView, ResumeOrder, StartOrder,
    TokenOrder, UnholdOrder, code,
};

/// The header whose value starts a run once.
const START_KEY: &str = "idempotency-key";
/// Longest start key, in letters: it is a key of the store.
pub(super) const START_KEY_MAX: usize = 200;

/// Who takes a token away: what is deleted has no body to say it in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoking {
    #[serde(default)]
    by: String,
}

pub(super) async fn act(
    State(service): State<Service>,
    Path(run): Path<String>,
    Ordered(order): Ordered<Order>,
) -> Response {
    answer(acted(&service, &run, order).await)
}

/// Does something to a run.
pub(super) async fn acted(service: &Service, run: &str, order: Order) -> Result<Acted, Problem> {
    service.operator.act(found(service, run).await?, order).await
}

pub(super) async fn start(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Ordered(order): Ordered<StartOrder>,
) -> Response {
    match start_key(&headers) {
        Ok(key) => admitted(started(&service, caller.way, order, key).await),
        Err(problem) => problem::response(&problem),
    }
}

/// Starts a run.
pub(super) async fn started(
    service: &Service,
    way: Way,
    order: StartOrder,
    key: Option<String>,
) -> Result<Admitted, Problem> {
    if order.file.is_some() && way == Way::Network {
        let detail = "a file is only named over the socket; over the network name a workflow that is served";
        return Err(Problem::new(ProblemKind::Forbidden, code::SCOPE, detail));
    }
    service.operator.start(order, key, way).await
}

pub(super) async fn resume(
    State(service): State<Service>,
    Path(run): Path<String>,
    Ordered(order): Ordered<ResumeOrder>,
) -> Response {
    admitted(resumed(&service, &run, order).await)
}

/// Goes on with a run.
pub(super) async fn resumed(service: &Service, run: &str, order: ResumeOrder) -> Result<Admitted, Problem> {
    service.operator.resume(found(service, run).await?, order).await
}

pub(super) async fn unpause(
    State(service): State<Service>,
    Ordered(order): Ordered<UnholdOrder>,
) -> Response {
    answer(unheld(&service, order).await)
}

/// Lets begin what is held.
pub(super) async fn unheld(service: &Service, order: UnholdOrder) -> Result<QueueView, Problem> {
    service.operator.unhold(order.what, order.by).await
}

async fn found(service: &Service, run: &str) -> Result<RunId, Problem> {
    let (archive, run) = (service.archive.clone(), run.to_owned());
    Ok(reads::waiting(move || archive.find(&run)).await?.id)
}

pub(super) async fn queue(State(service): State<Service>) -> Response {
    answer(service.operator.queue())
}

/// The files are read anew each time, which may wait.
pub(super) async fn workflows(State(service): State<Service>) -> Response {
    answer(reads::waiting(move || service.operator.workflows()).await)
}

pub(super) async fn examine(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Path(workflow): Path<String>,
) -> Response {
    answer(examined(&service, &caller, workflow).await)
}

/// Looks at what a workflow names outside, in the name of whoever asks.
pub(super) async fn examined(
    service: &Service,
    caller: &Caller,
    workflow: String,
) -> Result<Examination, Problem> {
    service.operator.examine(workflow, caller.named(String::new())).await
}

pub(super) async fn tokens(State(service): State<Service>) -> Response {
    answer(service.operator.tokens())
}

pub(super) async fn create_token(
    State(service): State<Service>,
    Ordered(order): Ordered<TokenOrder>,
) -> Response {
    answer(service.operator.create_token(order).await)
}

pub(super) async fn revoke_token(
    State(service): State<Service>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    asked: Result<Query<Revoking>, QueryRejection>,
) -> Response {
    answer(match asked {
        Ok(Query(Revoking { by })) => service.operator.revoke_token(name, caller.named(by)).await,
        Err(rejection) => Err(Problem::new(ProblemKind::Invalid, code::API_QUERY, rejection.body_text())),
    })
}

fn start_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(START_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key)
            if (1..=START_KEY_MAX).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(Some(key.to_owned()))
        }
        _ => {
            let detail = format!("an Idempotency-Key has 1 to {START_KEY_MAX} visible letters");
            Err(Problem::new(ProblemKind::Invalid, code::API_QUERY, detail))
        }
    }
}

/// 202 while it waits for its turn; 200 when it goes on, or was there before.
fn admitted(admitted: Result<Admitted, Problem>) -> Response {
    match admitted {
        Ok(run) if run.started && run.status == Status::Queued => {
            (StatusCode::ACCEPTED, Json(run)).into_response()
        }
        other => answer(other),
    }
}

pub(super) fn answer<T: Serialize>(done: Result<T, Problem>) -> Response {
    match done {
        Ok(value) => Json(value).into_response(),
        Err(problem) => problem::response(&problem),
    }
}
