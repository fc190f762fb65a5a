//! What the forms of the page do: what the API does, by the same code, in the name of the same caller. The answer
//! is a page to look at, or what hindered it.

use std::collections::BTreeMap;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::super::acts::{acted, examined, resumed, started, unheld};
use super::plan::Terms;
use super::visit::Visit;
use super::words::{at, segment};
use crate::core::letter::LetterFilter;
use crate::view::{
    Action, Dropping, Order, Problem, ProblemKind, ResumeOrder, Settling, StartOrder, Unhold, UnholdOrder,
    code,
};

/// Who acts when there is no token to say so: whoever may open the socket.
const NOBODY: &str = "page";
/// What the names of input fields begin with.
pub(super) const INPUT: &str = "input.";

type Sent<T> = Result<Form<T>, FormRejection>;

#[derive(Debug, Deserialize)]
pub(super) struct Acting {
    action: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Resuming {
    expect: String,
    #[serde(flatten)]
    terms: Terms,
}

#[derive(Debug, Deserialize)]
pub(super) struct SettlingForm {
    step: String,
    item: Option<String>,
    done: String,
    #[serde(default)]
    facts: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct DroppingForm {
    #[serde(default)]
    step: String,
    #[serde(default)]
    error: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Unpausing {
    #[serde(default)]
    workflow: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Starting {
    /// Made with the page: a form that is sent twice starts one run.
    key: String,
    #[serde(flatten)]
    fields: BTreeMap<String, String>,
}

pub(super) async fn act(visit: Visit, Path(run): Path<String>, form: Sent<Acting>) -> Response {
    let acting = async {
        let action = match sent(form)?.action.as_str() {
            "pause" => Action::Pause,
            "unpause" => Action::Unpause,
            "cancel" => Action::Cancel,
            "close" => Action::Close,
            other => return Err(wrong(format!("there is no action '{other}'"))),
        };
        ordered(&visit, &run, action).await
    };
    visit.done(acting.await)
}

pub(super) async fn settle(visit: Visit, Path(run): Path<String>, form: Sent<SettlingForm>) -> Response {
    let settling = async {
        let form = sent(form)?;
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
        ordered(&visit, &run, Action::Settle(settling)).await
    };
    visit.done(settling.await)
}

pub(super) async fn drop(visit: Visit, Path(run): Path<String>, form: Sent<DroppingForm>) -> Response {
    let dropping = async {
        let form = sent(form)?;
        let text = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let letters =
            LetterFilter { step: text(form.step), error: text(form.error), ..LetterFilter::default() };
        let dropping = Dropping { items: Vec::new(), letters, reason: text(form.reason) };
        ordered(&visit, &run, Action::Drop(dropping)).await
    };
    visit.done(dropping.await)
}

pub(super) async fn resume(visit: Visit, Path(run): Path<String>, form: Sent<Resuming>) -> Response {
    let resuming = async {
        let form = sent(form)?;
        let order =
            ResumeOrder { terms: form.terms.read(), expect: Some(form.expect), by: NOBODY.to_owned() };
        Ok(at(resumed(&visit.service, &run, visit.caller.signs(order)).await?.run, ""))
    };
    visit.done(resuming.await)
}

pub(super) async fn start(visit: Visit, Path(workflow): Path<String>, form: Sent<Starting>) -> Response {
    let starting = async {
        let Starting { key, fields } = sent(form)?;
        // A field that is left empty is not given.
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let input = given.filter_map(|(name, value)| Some((name.strip_prefix(INPUT)?.to_owned(), value)));
        let input = input.map(|(name, value)| (name, Value::String(value))).collect();
        let order =
            StartOrder { workflow: Some(workflow), input, by: NOBODY.to_owned(), ..StartOrder::default() };
        let key = Some(key).filter(|key| !key.is_empty());
        Ok(at(started(&visit.service, visit.caller.way, visit.caller.signs(order), key).await?.run, ""))
    };
    visit.done(starting.await)
}

pub(super) async fn unpause(visit: Visit, form: Sent<Unpausing>) -> Response {
    let unpausing = async {
        let what = match sent(form)?.workflow {
            workflow if workflow.is_empty() => Unhold::All,
            workflow => Unhold::Workflow(workflow),
        };
        let order = UnholdOrder { what, by: NOBODY.to_owned() };
        unheld(&visit.service, visit.caller.signs(order)).await.map(|_| "/".to_owned())
    };
    visit.done(unpausing.await)
}

pub(super) async fn examine(visit: Visit, Path(workflow): Path<String>) -> Response {
    let place = format!("/connections#{}", segment(&workflow));
    visit.done(examined(&visit.service, &visit.caller, workflow).await.map(|_| place))
}

async fn ordered(visit: &Visit, run: &str, action: Action) -> Result<String, Problem> {
    let order = Order { action, by: NOBODY.to_owned() };
    Ok(at(acted(&visit.service, run, visit.caller.signs(order)).await?.run, ""))
}

fn sent<T>(form: Sent<T>) -> Result<T, Problem> {
    form.map(|Form(form)| form).map_err(|rejection| wrong(rejection.body_text()))
}

fn wrong(detail: String) -> Problem {
    Problem::new(ProblemKind::Invalid, code::API_BODY, detail)
}
