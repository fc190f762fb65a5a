//! What the forms of the page do. Each goes to the same place as the API's own action; the answer is the page of
//! the run, or what hindered it.

use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::super::Caller;
use super::super::reads::waiting;
use super::Desk;
use super::answer::refused;
use super::plan::Terms;
use super::words::at;
use crate::core::id::RunId;
use crate::core::letter::LetterFilter;
use crate::view::{Action, Dropping, Order, Problem, ProblemKind, ResumeOrder, Settling, code};

/// Who acts when nobody has found out who calls.
const NOBODY: &str = "page";

type Sent<T> = Result<Form<T>, FormRejection>;
type Known = Option<Extension<Caller>>;

#[derive(Debug, Deserialize)]
pub(super) struct Acting {
    word: String,
    action: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Resuming {
    word: String,
    expect: String,
    #[serde(flatten)]
    terms: Terms,
}

#[derive(Debug, Deserialize)]
pub(super) struct SettlingForm {
    word: String,
    step: String,
    item: Option<String>,
    done: String,
    #[serde(default)]
    facts: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct DroppingForm {
    word: String,
    #[serde(default)]
    step: String,
    #[serde(default)]
    error: String,
    reason: String,
}

pub(super) async fn act(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    caller: Known,
    headers: HeaderMap,
    form: Sent<Acting>,
) -> Response {
    done(async {
        let form = admitted(&desk, &headers, form, |form| &form.word)?;
        let action = match form.action.as_str() {
            "pause" => Action::Pause,
            "unpause" => Action::Unpause,
            "cancel" => Action::Cancel,
            "close" => Action::Close,
            other => return Err(wrong(format!("there is no action '{other}'"))),
        };
        ordered(&desk, &run, action, caller).await
    })
    .await
}

pub(super) async fn settle(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    caller: Known,
    headers: HeaderMap,
    form: Sent<SettlingForm>,
) -> Response {
    done(async {
        let form = admitted(&desk, &headers, form, |form| &form.word)?;
        let fact = |text: &str| {
            let (name, value) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty())?;
            Some((name.trim().to_owned(), Settling::value(value.trim())))
        };
        let facts = form.facts.split_whitespace().map(|text| {
            fact(text)
                .ok_or_else(|| wrong(format!("'{text}' is no fact: expected NAME=VALUE, for example id=17")))
        });
        let settling = Settling {
            items: form.item.into_iter().collect(),
            step: Some(form.step),
            done: form.done == "yes",
            facts: facts.collect::<Result<_, _>>()?,
        };
        ordered(&desk, &run, Action::Settle(settling), caller).await
    })
    .await
}

pub(super) async fn drop(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    caller: Known,
    headers: HeaderMap,
    form: Sent<DroppingForm>,
) -> Response {
    done(async {
        let form = admitted(&desk, &headers, form, |form| &form.word)?;
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let letters =
            LetterFilter { step: text(form.step), error: text(form.error), ..LetterFilter::default() };
        let dropping = Dropping { items: Vec::new(), letters, reason: text(form.reason) };
        ordered(&desk, &run, Action::Drop(dropping), caller).await
    })
    .await
}

pub(super) async fn resume(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    caller: Known,
    headers: HeaderMap,
    form: Sent<Resuming>,
) -> Response {
    done(async {
        let form = admitted(&desk, &headers, form, |form| &form.word)?;
        let id = found(&desk, &run).await?;
        let order = ResumeOrder { terms: form.terms.read(), expect: Some(form.expect), by: by(caller) };
        (desk.service.resumer)(id, order).await.map(|_| id)
    })
    .await
}

/// The page of the run afterwards. Asking again, as a browser does that reloads, asks for that page only.
async fn done(acting: impl Future<Output = Result<RunId, Problem>>) -> Response {
    match acting.await {
        Ok(run) => Redirect::to(&at(run, "")).into_response(),
        Err(problem) => refused(&problem),
    }
}

fn admitted<T>(
    desk: &Desk,
    headers: &HeaderMap,
    form: Sent<T>,
    word: impl Fn(&T) -> &str,
) -> Result<T, Problem> {
    let Form(form) = form.map_err(|rejection| wrong(rejection.body_text()))?;
    desk.guard.admit(headers, word(&form))?;
    Ok(form)
}

async fn ordered(desk: &Desk, run: &str, action: Action, caller: Known) -> Result<RunId, Problem> {
    let id = found(desk, run).await?;
    (desk.service.actor)(id, Order { action, by: by(caller) }).await.map(|_| id)
}

async fn found(desk: &Desk, run: &str) -> Result<RunId, Problem> {
    let (archive, run) = (desk.service.archive.clone(), run.to_owned());
    waiting(move || archive.find(&run).map(|run| run.id)).await
}

fn by(caller: Known) -> String {
    caller.map_or_else(|| NOBODY.to_owned(), |Extension(Caller(name))| name)
}

fn wrong(detail: String) -> Problem {
    Problem::new(ProblemKind::Invalid, code::API_BODY, detail)
}
