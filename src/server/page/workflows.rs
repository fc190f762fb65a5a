//! The workflows that are served, and the forms that start runs of them.

use axum::response::Response;
use maud::{Markup, html};
use uuid::Uuid;

use super::super::gate::Caller;
use super::super::reads::waiting;
use super::acts::INPUT;
use super::shell::{Frame, Here};
use super::visit::{Visit, trouble};
use super::words::{number, query, segment};
use crate::view::{InputView, LaneView, Problem, QueueView, ServedView};

pub(super) async fn show(visit: Visit) -> Response {
    let operator = visit.service.operator.clone();
    let (served, queue) = match waiting(move || Ok((operator.workflows(), operator.queue()))).await {
        Ok(read) => read,
        Err(problem) => return visit.answer(Err(problem)),
    };
    let made = page(&served, &queue.unwrap_or_default(), &visit.caller);
    visit.answer(Ok(made))
}

fn page(served: &Result<Vec<ServedView>, Problem>, queue: &QueueView, caller: &Caller) -> Markup {
    let content = html! {
        @match served {
            Err(problem) => (trouble(problem)),
            Ok(served) => {
                div.head { h1 { "Workflows" } p.quiet { "Those that this server starts by name." } }
                @if served.is_empty() {
                    div.empty { p { "None." } p.quiet { code { "milepost serve FILE…" } " serves those files." } }
                }
                @for known in served {
                    @let lane = queue.workflows.iter().find(|lane| lane.workflow == known.workflow);
                    (card(known, lane, caller))
                }
            }
        }
    };
    Frame::new("Workflows", Here::Workflows, Some(caller)).around(&content)
}

fn card(served: &ServedView, lane: Option<&LaneView>, caller: &Caller) -> Markup {
    let runs = format!("/{}", query(&[("workflow", Some(served.workflow.clone()))]));
    html! {
        section.card {
            div.head {
                div {
                    h2.item { (served.workflow) }
                    @if let Some(description) = &served.description { p { (description) } }
                    @for trigger in &served.triggers {
                        p.small { "Started by " b { (trigger.trigger) } " " (trigger.uses) @if let Some(connection) = &trigger.connection { " over " (connection) } }
                    }
                    p.small.uri { (served.file) @if let Some(profile) = &served.profile { " --profile " (profile) } }
                }
                div.actions {
                    @if let Some(lane) = lane { p.small.standing {
                        @if lane.at_work.is_empty() { "at rest" } @else { (number(lane.at_work.len() as u64)) " at work" }
                        @if !lane.waiting.is_empty() { ", " (number(lane.waiting.len() as u64)) " wait" }
                    } }
                    a.button href=(runs) { "Its runs" }
                }
            }
            @if served.outdated {
                div.box.bad { p { b { "Its triggers or hooks were changed." } " They count after a restart of the server." } }
            }
            @if !served.mistakes.is_empty() {
                div.box.bad { p { b { "The file cannot be used as it is now." } } ul { @for mistake in &served.mistakes { li { (mistake) } } } }
            } @else if caller.may_act() { (form(served)) }
        }
    }
}

fn form(served: &ServedView) -> Markup {
    let key = format!("page-{}", Uuid::from_bytes(rand::random()).simple());
    html! {
        form.start method="post" action=(format!("/workflows/{}/start", segment(&served.workflow))) {
            input type="hidden" name="key" value=(key);
            @for input in &served.input { (field(served, input)) }
            button.main type="submit" { "Start a run" }
        }
    }
}

fn field(served: &ServedView, input: &InputView) -> Markup {
    let name = format!("{INPUT}{}", input.name);
    let default = input.default.as_ref();
    let shown = default.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let label = format!("{} of {}", input.name, served.workflow);
    html! {
        label {
            span { (input.name) }
            @if input.kind == "bool" {
                select name=(name) aria-label=(label) {
                    @if let Some(default) = &shown { option value="" { (default) } }
                    option value="true" { "true" }
                    option value="false" { "false" }
                }
            } @else {
                input type="text" name=(name) aria-label=(label) placeholder=[shown] required[default.is_none()]
                    inputmode=[(input.kind == "number").then_some("decimal")];
            }
        }
    }
}
