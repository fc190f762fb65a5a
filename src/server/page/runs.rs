//! The list of runs.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::gate::Caller;
use super::line::line;
use super::shell::{Frame, Here};
use super::visit::{Visit, asked};
use super::words::{at, bar, counted, instant, is_live, number, query, run_state, took};
use crate::core::id::RunId;
use crate::core::run::Status;
use crate::view::{Archive, Problem, QueueView, RunFilter, RunList, RunSummary};

/// Runs on a page.
const PAGE: usize = 50;

const STATES: [Status; 8] = [
    Status::Running,
    Status::Waiting,
    Status::Paused,
    Status::Queued,
    Status::Failed,
    Status::Interrupted,
    Status::Succeeded,
    Status::Cancelled,
];

/// What is asked for, as the form sends it: an empty field asks for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    search: String,
    status: String,
    workflow: String,
    after: Option<RunId>,
}

impl Asked {
    fn filter(&self) -> RunFilter {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        RunFilter {
            status: STATES.into_iter().find(|status| status.word() == self.status),
            workflow: text(&self.workflow),
            search: text(&self.search),
            after: self.after,
            limit: Some(PAGE),
        }
    }

    fn path(&self, after: Option<RunId>) -> String {
        let text = |text: &str| Some(text.to_owned());
        let fields = [
            ("search", text(&self.search)),
            ("status", text(&self.status)),
            ("workflow", text(&self.workflow)),
            ("after", after.map(|run| run.to_string())),
        ];
        format!("/{}", query(&fields))
    }
}

pub(super) async fn show(visit: Visit, query: Result<Query<Asked>, QueryRejection>) -> Response {
    // An engine that works on one run has no line.
    let queue = visit.service.operator.queue().ok();
    visit.shows(move |archive, caller| page(archive, queue.as_ref(), &asked(query)?, caller)).await
}

fn page(
    archive: &Archive,
    queue: Option<&QueueView>,
    asked: &Asked,
    caller: &Caller,
) -> Result<Markup, Problem> {
    let list = archive.runs(&asked.filter())?;
    let live = list.runs.iter().any(|run| is_live(run.status));
    let content = html! {
        div.head {
            h1 { "Runs" }
            p.quiet #total data-live { (number(list.total as u64)) @if list.total == 1 { " run" } @else { " runs" } }
            @if queue.is_some() && caller.may_act() { a.button.main href="/workflows" { "Start a run" } }
        }
        div #line data-live { @if let Some(queue) = queue { (line(queue, caller)) } }
        (filters(asked))
        div #runs data-live { (table(&list, asked)) }
    };
    let frame = Frame::new("Runs", Here::Runs, Some(caller)).following("/v1/live".to_owned());
    Ok(frame.moving(live).around(&content))
}

fn filters(asked: &Asked) -> Markup {
    html! {
        form.filters method="get" action="/" role="search" data-instant="runs" {
            input type="search" name="search" value=(asked.search) placeholder="Search ID, workflow, source, key" aria-label="Search runs" data-search;
            select name="status" aria-label="Status" {
                option value="" { "any status" }
                @for status in STATES { option value=(status.word()) selected[status.word() == asked.status] { (status.word()) } }
            }
            @if !asked.workflow.is_empty() {
                input type="hidden" name="workflow" value=(asked.workflow);
                span.chip { (asked.workflow) " " a href=(Asked { workflow: String::new(), ..asked.clone() }.path(None)) aria-label="Every workflow" { "×" } }
            }
            button type="submit" { "Filter" }
        }
    }
}

fn table(list: &RunList, asked: &Asked) -> Markup {
    html! {
        @if list.runs.is_empty() {
            div.empty { p { "No run is like that." } p.quiet { "A run begins with " code { "milepost run FILE" } "." } }
        } @else {
            div.scroll { table.rows {
                thead { tr { th { "Run" } th { "Workflow" } th { "Status" } th { "Started" } th.num { "Took" } th.wide { "Items" } th.num { "Dead letters" } } }
                tbody { @for run in &list.runs { (row(run, asked)) } }
            } }
        }
        nav.pager aria-label="Pages of runs" {
            @if asked.after.is_some() { a href=(asked.path(None)) { "Newest" } }
            @if list.next.is_some() { a href=(asked.path(list.next)) rel="next" { "Older" } }
        }
    }
}

fn row(run: &RunSummary, asked: &Asked) -> Markup {
    let workflow = Asked { workflow: run.workflow.clone(), ..asked.clone() };
    html! {
        tr data-href=(at(run.run, "")) {
            td { a.id href=(at(run.run, "")) { (run.run) } }
            td { a.plain href=(workflow.path(None)) { (run.workflow) } }
            td {
                (run_state(run.status))
                @if matches!(run.status, Status::Failed | Status::Interrupted) { " " a.small href=(at(run.run, "/plan")) { "plan" } }
            }
            td.time { (instant(run.started_at)) }
            td.num data-name="took" { (lasted(run)) }
            td.wide { div.barred { (bar(&run.items)) span.small { (summary(run)) } } }
            td.num data-name="dead letters" {
                @if run.items.dead_lettered > 0 { a href=(format!("/dead-letters{}", query(&[("run", Some(run.run.to_string()))]))) { (number(run.items.dead_lettered)) } }
                @else { span.none { "–" } }
            }
        }
    }
}

fn summary(run: &RunSummary) -> Markup {
    html! {
        span title=(counted(&run.items)) {
            @if run.items.total == 0 { span.none { "none yet" } }
            @else { (number(run.items.passed())) " of " (number(run.items.total)) }
        }
    }
}

fn lasted(run: &RunSummary) -> Markup {
    match run.ended_at {
        Some(end) => {
            html! { (took(u64::try_from(end.0.since(run.started_at.0).as_millis()).unwrap_or(u64::MAX))) }
        }
        None if is_live(run.status) => html! { span data-since=(run.started_at.to_string()) { "–" } },
        None => html! { span.none { "–" } },
    }
}
