//! What each path answers. Reading the store may wait, so every answer is made on a thread where
//! waiting is allowed.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Service, problem};
use crate::view::{
    Archive, DeedFilter, EffectFilter, ItemFilter, LetterQuery, Problem, ProblemKind, ResumeTerms, RunFilter,
    code,
};

/// Reads at once: enough that a few long ones do not hold up the short ones.
const READERS_MAX: usize = 6;
static READERS: Semaphore = Semaphore::const_new(READERS_MAX);

/// Groups of causes when nothing else is asked for.
const CAUSES_DEFAULT: usize = 20;

type Asked<T> = Result<Query<T>, QueryRejection>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    from: Option<u64>,
    limit: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CausesQuery {
    limit: Option<usize>,
}

/// The terms are JSON: they hold lists, which a query has no form for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanQuery {
    #[schemars(with = "ResumeTerms", extend("contentMediaType" = "application/json"))]
    terms: Option<String>,
}

pub(super) async fn runs(State(service): State<Service>, query: Asked<RunFilter>) -> Response {
    asked(service, query, |archive, filter| archive.runs(&filter)).await
}

pub(super) async fn deeds(State(service): State<Service>, query: Asked<DeedFilter>) -> Response {
    asked(service, query, |archive, filter| archive.deeds(&filter)).await
}

pub(super) async fn show(State(service): State<Service>, Path(run): Path<String>) -> Response {
    answer(service, move |archive| archive.show(&run)).await
}

pub(super) async fn items(
    State(service): State<Service>,
    Path(run): Path<String>,
    query: Asked<ItemFilter>,
) -> Response {
    asked(service, query, move |archive, filter| archive.items(&run, &filter)).await
}

pub(super) async fn item(
    State(service): State<Service>,
    Path((run, item)): Path<(String, String)>,
) -> Response {
    answer(service, move |archive| archive.item(&run, &item)).await
}

pub(super) async fn events(
    State(service): State<Service>,
    Path(run): Path<String>,
    query: Asked<EventsQuery>,
) -> Response {
    asked(service, query, move |archive, query| archive.events(&run, query.from.unwrap_or(0), query.limit))
        .await
}

pub(super) async fn causes(
    State(service): State<Service>,
    Path(run): Path<String>,
    query: Asked<CausesQuery>,
) -> Response {
    asked(service, query, move |archive, query| archive.causes(&run, query.limit.unwrap_or(CAUSES_DEFAULT)))
        .await
}

pub(super) async fn effects(
    State(service): State<Service>,
    Path(run): Path<String>,
    query: Asked<EffectFilter>,
) -> Response {
    asked(service, query, move |archive, filter| archive.effects(&run, &filter)).await
}

pub(super) async fn held_connections(State(service): State<Service>) -> Response {
    answer(service, Archive::held_connections).await
}

pub(super) async fn timeline(State(service): State<Service>, Path(run): Path<String>) -> Response {
    answer(service, move |archive| archive.timeline(&run)).await
}

pub(super) async fn definition(State(service): State<Service>, Path(run): Path<String>) -> Response {
    answer(service, move |archive| archive.definition(&run)).await
}

pub(super) async fn effect_counts(State(service): State<Service>, Path(run): Path<String>) -> Response {
    answer(service, move |archive| archive.effect_counts(&run)).await
}

pub(super) async fn dead_letters(State(service): State<Service>, query: Asked<LetterQuery>) -> Response {
    asked(service, query, |archive, query| archive.dead_letters(&query)).await
}

pub(super) async fn dead_letter(
    State(service): State<Service>,
    Path((run, item)): Path<(String, String)>,
) -> Response {
    answer(service, move |archive| archive.dead_letter(&run, &item)).await
}

pub(super) async fn plan(
    State(service): State<Service>,
    Path(run): Path<String>,
    query: Asked<PlanQuery>,
) -> Response {
    let terms = match read_terms(query) {
        Ok(terms) => terms,
        Err(detail) => {
            return problem::response(&Problem::new(ProblemKind::Invalid, code::API_QUERY, detail));
        }
    };
    let found = waiting({
        let archive = service.archive.clone();
        move || archive.find(&run)
    });
    let planned = match found.await {
        Ok(run) => service.operator.plan(run.id, terms).await,
        Err(problem) => Err(problem),
    };
    match planned {
        Ok(plan) => answer(service, move |archive| archive.plan_view(&plan)).await,
        Err(problem) => problem::response(&problem),
    }
}

fn read_terms(query: Asked<PlanQuery>) -> Result<ResumeTerms, String> {
    let Query(PlanQuery { terms }) = query.map_err(|rejection| rejection.body_text())?;
    let Some(terms) = terms else { return Ok(ResumeTerms::default()) };
    serde_json::from_str(&terms).map_err(|error| format!("'terms' is not what it should be: {error}"))
}

async fn asked<Q, T>(
    service: Service,
    query: Asked<Q>,
    read: impl FnOnce(&Archive, Q) -> Result<T, Problem> + Send + 'static,
) -> Response
where
    Q: Send + 'static,
    T: Serialize + Send + 'static,
{
    match query {
        Ok(Query(query)) => answer(service, move |archive| read(archive, query)).await,
        Err(rejection) => {
            let detail = rejection.body_text();
            problem::response(&Problem::new(ProblemKind::Invalid, code::API_QUERY, detail))
        }
    }
}

async fn answer<T: Serialize + Send + 'static>(
    service: Service,
    read: impl FnOnce(&Archive) -> Result<T, Problem> + Send + 'static,
) -> Response {
    match waiting(move || read(&service.archive)).await {
        Ok(value) => Json(value).into_response(),
        Err(problem) => problem::response(&problem),
    }
}

/// Reads on a thread where waiting is allowed, after whoever came before. Many at once would only take the
/// processors from each other and from the runs, and each thread keeps memory of its own.
pub(super) async fn waiting<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let place = READERS.acquire().await;
    let reading = tokio::task::spawn_blocking(move || {
        let read = read();
        // Kept to the end, whether whoever asked still listens or not.
        drop(place);
        read
    });
    reading.await.unwrap_or_else(|error| Err(Problem::defect(error)))
}
