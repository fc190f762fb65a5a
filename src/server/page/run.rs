//! One run: what every page about it begins with, and its first page.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};

use super::super::gate::Caller;
use super::picture::{Flow, legend, picture};
use super::shell::{Frame, Here};
use super::visit::Visit;
use super::words::{
    at, badge, bar, commands, counted, fault, fault_line, instant, is_live, item_path, number, query,
    run_state, some, took, trials,
};
use crate::core::run::Status;
use crate::view::{
    AlertView, Archive, Cause, Causes, Does, ITEMS_DEAD_LETTERED, Problem, RunView, StepTrack, StepView,
    UnitStatus,
};

/// Groups of causes on the page.
const CAUSES: usize = 12;
/// Alerts on the page that were not delivered: the oldest.
const UNTOLD: usize = 12;

/// The pages about one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Items,
    Effects,
    Timeline,
    Events,
    Workflow,
    Plan,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Overview, "", "Overview"),
        (Self::Items, "/items", "Items"),
        (Self::Effects, "/effects", "Effects"),
        (Self::Timeline, "/timeline", "Timeline"),
        (Self::Events, "/events", "Events"),
        (Self::Workflow, "/workflow", "Workflow"),
        (Self::Plan, "/plan", "Plan"),
    ];
}

pub(super) async fn show(visit: Visit, Path(run): Path<String>) -> Response {
    visit.shows(move |archive, caller| page(archive, &run, caller)).await
}

fn page(archive: &Archive, reference: &str, caller: &Caller) -> Result<Markup, Problem> {
    let run = archive.show(reference)?;
    let causes = archive.causes(&run.run.to_string(), CAUSES)?;
    let content = html! {
        div #graph.graphs data-live { (picture(run.run, &run.steps, Flow::Across)) (picture(run.run, &run.steps, Flow::Down)) (legend()) }
        div #overview data-live {
            (reasons(&run, &causes))
            (untold(&run.alerts))
            h2 { "Steps" }
            (steps(&run))
            @if !run.next.is_empty() { h2 { "In a terminal" } (commands(&run.next)) }
        }
    };
    Ok(about(&run, Tab::Overview, caller, &content))
}

/// A page about a run: its head, its tabs, and what is shown of it.
pub(super) fn about(run: &RunView, tab: Tab, caller: &Caller, content: &Markup) -> Markup {
    let content = html! {
        div #head data-live { (head(run, caller)) }
        nav.tabs #tabs data-live aria-label="About this run" {
            @for (other, place, name) in Tab::ALL {
                @if other != Tab::Plan || is_resumable(run) || tab == Tab::Plan {
                    a href=(at(run.run, place)) aria-current=[(other == tab).then_some("page")] { (name) }
                }
            }
        }
        (content)
    };
    let title = format!("{} {}", run.workflow, run.status.word());
    let frame = Frame::new(&title, Here::Runs, Some(caller)).following(format!("/v1/runs/{}/live", run.run));
    frame.moving(is_live(run.status)).around(&content)
}

/// Whether a resume could be planned.
pub(super) fn is_resumable(run: &RunView) -> bool {
    let rests = matches!(run.status, Status::Failed | Status::Interrupted);
    let again = run.status == Status::Succeeded && run.items.dead_lettered > 0;
    run.closed_at.is_none() && (rests || again)
}

fn head(run: &RunView, caller: &Caller) -> Markup {
    html! {
        div.head {
            div {
                p.crumb { a href="/" { "Runs" } " / " a href=(format!("/{}", query(&[("workflow", Some(run.workflow.clone()))]))) { (run.workflow) } }
                h1 { span.id { (run.run) } " " (run_state(run.status)) }
            }
            (actions(run, caller))
        }
        dl.facts {
            div.all { dt { "Items" } dd.barred { (bar(&run.items)) (counted(&run.items)) } }
            div { dt { "Started" } dd { (instant(run.started_at)) } }
            div { dt { @if run.duration_ms.is_none() && is_live(run.status) { "So far" } @else { "Took" } } dd { (lasted(run)) } }
            @if let Some(source) = &run.source { div { dt { "Source" } dd.uri title=(source.uri) { (tail(&source.uri)) } } }
            @if let Some(profile) = &run.profile { div { dt { "Profile" } dd { (profile) } } }
            @if run.resumes > 0 { div { dt { "Resumed" } dd { (number(run.resumes.into())) @if run.resumes == 1 { " time" } @else { " times" } } } }
            @if run.strays > 0 { div { dt { "Strays" } dd { (number(run.strays)) } } }
        }
        @if let Some(error) = &run.error { div.box.bad { (fault(error)) } }
        @if let Some(alert) = &run.alert { div.box.doubt { p { (alert) } } }
        (stands_still(run))
    }
}

/// The last two parts of a path: what tells it from others. All of it is in the tooltip.
fn tail(uri: &str) -> String {
    match uri.rmatch_indices('/').nth(1) {
        Some((at, _)) if at > 0 => format!("…{}", &uri[at..]),
        _ => uri.to_owned(),
    }
}

fn lasted(run: &RunView) -> Markup {
    match run.duration_ms {
        Some(ms) => html! { (took(ms)) },
        None if is_live(run.status) => {
            html! { span data-since=(run.started_at.to_string()) { "still working" } }
        }
        None => html! { span.none { "–" } },
    }
}

fn stands_still(run: &RunView) -> Markup {
    html! {
        @if let Some(paused) = &run.paused {
            div.box.doubt {
                p { "Paused since " (instant(paused.since)) @if let Some(by) = &paused.by { " by " (by) } "." }
                @for hold in &paused.connections {
                    p { b { (hold.connection) } " does not answer; " (trials(hold)) }
                    (fault(&hold.error))
                }
            }
        }
        @if let Some(by) = &run.cancelled_by { p.quiet { "Cancelled by " (by) "." } }
        @if let Some(at) = run.closed_at { p.quiet { "Closed for good " (instant(at)) ": it is not resumed any more." } }
    }
}

fn actions(run: &RunView, caller: &Caller) -> Markup {
    let simple = |action: &str, label: &str| {
        html! {
            form method="post" action=(at(run.run, "/act")) {
                button type="submit" name="action" value=(action) { (label) }
            }
        }
    };
    // What cannot be undone takes two presses, with and without the script.
    let sure = |action: &str, label: &str, what: &str| {
        html! { details.sure #{ "sure-" (action) } { summary { (label) "…" } div.pop { p { (what) } (simple(action, label)) } } }
    };
    html! {
        div.actions {
            @if caller.may_act() { @match run.status {
                Status::Paused => { (simple("unpause", "Unpause")) (sure("cancel", "Cancel run", "No attempt begins any more; the run ends as cancelled and is not resumed.")) }
                Status::Queued | Status::Running | Status::Waiting => { (simple("pause", "Pause")) (sure("cancel", "Cancel run", "No attempt begins any more; the run ends as cancelled and is not resumed.")) }
                Status::Failed | Status::Interrupted | Status::Succeeded | Status::Cancelled => {
                    @if run.closed_at.is_none() { (sure("close", "Close", "It is not resumed any more, and what only a resume needs may go.")) }
                }
            } }
            @if is_resumable(run) { a.button.main href=(at(run.run, "/plan")) data-plan { @if run.status == Status::Succeeded { "Plan a redrive" } @else { "Plan a resume" } } }
        }
    }
}

fn reasons(run: &RunView, causes: &Causes) -> Markup {
    html! {
        @if !causes.causes.is_empty() {
            h2 { "What went wrong" }
            div.scroll { table.rows.causes {
                thead { tr { th.num { "Items" } th { "Step" } th { "State" } th.wide { "Cause" } th { "First" } th {} } }
                tbody { @for cause in &causes.causes {
                    @let status = cause.status.word().to_owned();
                    tr data-href=(at(run.run, &format!("/items{}", query(&[("status", Some(status)), ("step", Some(cause.step.clone()))])))) {
                        td.num { b { (number(cause.items)) } }
                        td { a href=(at(run.run, &format!("/items{}", query(&[("status", Some(cause.status.word().to_owned())), ("step", Some(cause.step.clone()))])))) { (cause.step) } }
                        td { (badge(cause.status.word())) }
                        td.wide { (fault_line(&cause.error)) }
                        td { a.id href=(item_path(run.run, &cause.example)) { (cause.example) } }
                        td { @if can_be_redriven(run, cause) { a.small href=(redrive(run, cause)) { "plan a redrive" } } }
                    }
                } }
            } }
            @if causes.others > 0 { p.quiet { (number(causes.others)) " items more" } }
        }
    }
}

/// Alerts that nobody got.
fn untold(alerts: &[AlertView]) -> Markup {
    html! {
        @if !alerts.is_empty() {
            h2 { "Alerts that were not delivered" }
            div.scroll #untold { table.rows {
                thead { tr { th { "Alert" } th { "To" } th.num { "Attempts" } th { "Next" } th.wide { "Why" } } }
                tbody { @for alert in alerts.iter().take(UNTOLD) {
                    tr {
                        td { (alert.alert) br; span.small { (instant(alert.at)) } }
                        td { (alert.to) }
                        td.num { (some(alert.attempts.into())) }
                        td { @match alert.next { Some(next) => (instant(next)), None => b { "given up" } } }
                        td.wide { @if let Some(error) = &alert.error { (fault_line(error)) } @else { span.none { "not tried yet" } } }
                    }
                } }
            } }
            @if alerts.len() > UNTOLD { p.quiet { (number((alerts.len() - UNTOLD) as u64)) " alerts more" } }
        }
    }
}

/// Content that was refused at the source is refused again.
fn can_be_redriven(run: &RunView, cause: &Cause) -> bool {
    let is_source = |step: &StepView| step.step == cause.step && step.does == Does::Source;
    cause.status == UnitStatus::DeadLettered && is_resumable(run) && !run.steps.iter().any(is_source)
}

fn redrive(run: &RunView, cause: &Cause) -> String {
    let fields =
        [("items", ITEMS_DEAD_LETTERED), ("step", cause.step.as_str()), ("error", cause.error.name.as_str())];
    at(run.run, &format!("/plan{}", query(&fields.map(|(name, value)| (name, Some(value.to_owned()))))))
}

fn steps(run: &RunView) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Step" } th { "State" } th.num { "Succeeded" } th.num { "Skipped" } th.num { "Waiting" } th.num { "In doubt" } th.num { "Dead" } th.num { "Attempts" } th.num { "Calls" } th.num { "Accepted" } th.num { "Refused" } } }
            tbody { @for step in &run.steps { (step_row(run, step)) } }
        } }
    }
}

fn step_row(run: &RunView, step: &StepView) -> Markup {
    let items = &step.items;
    let out = items.running + items.backoff + items.waiting;
    html! {
        tr {
            td {
                @if step.track == StepTrack::Items { a href=(at(run.run, &format!("/items{}", query(&[("step", Some(step.step.clone()))])))) { (step.step) } }
                @else { (step.step) }
                @if let Some(connection) = &step.connection { " " span.small { "over " (connection) } }
            }
            td { (badge(step.status.word())) }
            td.num { (some(items.succeeded)) } td.num { (some(items.skipped)) } td.num { (some(out)) }
            td.num { (some(items.in_doubt)) } td.num { (some(items.dead_lettered)) }
            td.num { (some(step.attempts)) } td.num { (some(step.calls)) }
            td.num { (some(step.accepted)) } td.num { (some(step.refused)) }
        }
        @if let Some(error) = &step.error { tr.under { td colspan="11" { (fault(error)) } } }
    }
}
