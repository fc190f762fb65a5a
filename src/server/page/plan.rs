//! What a resume would do, and the button that does exactly that.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::Service;
use super::super::gate::Caller;
use super::super::reads::waiting;
use super::run::{Tab, about};
use super::visit::{Visit, asked};
use super::words::{at, badge, commands, item_path, number};
use crate::core::letter::LetterFilter;
use crate::view::{
    Acceptance, DefinitionChoice, ITEMS_DEAD_LETTERED, ITEMS_FAILED, PlanView, Problem, ResumeTerms, RunView,
};

/// Effects in doubt that are listed; the page of effects lists them all.
const DOUBTS: usize = 100;

/// Terms as a form sends them: an empty field is a default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Terms {
    /// Keys, one on a line.
    items: String,
    step: String,
    error: String,
    definition: String,
    accept: String,
}

impl Terms {
    pub(super) fn read(&self) -> ResumeTerms {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ResumeTerms {
            items: self
                .items
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
            letters: LetterFilter {
                step: text(&self.step),
                error: text(&self.error),
                ..LetterFilter::default()
            },
            definition: self.definition.parse().unwrap_or_default(),
            accept: self.accept.parse().ok(),
            executor: None,
        }
    }
}

pub(super) async fn show(
    visit: Visit,
    Path(run): Path<String>,
    query: Result<Query<Terms>, QueryRejection>,
) -> Response {
    let made = made(&visit, run, query).await;
    visit.answer(made)
}

async fn made(
    visit: &Visit,
    run: String,
    query: Result<Query<Terms>, QueryRejection>,
) -> Result<Markup, Problem> {
    let (asked, caller) = (asked(query)?, &visit.caller);
    let archive = visit.service.archive.clone();
    let run = waiting(move || archive.show(&run)).await?;
    let plan = planned(&visit.service, &run, &asked.read()).await;
    let content = html! {
        (terms(&run, &asked))
        @match &plan {
            Ok(plan) => (whole(&run, plan, &asked, caller)),
            Err(problem) => { div.box.bad { p { (problem.detail) } @for candidate in &problem.candidates { p { (candidate) } } p.quiet { (problem.code) } } (commands(&problem.next)) }
        }
    };
    Ok(about(&run, Tab::Plan, caller, &content))
}

async fn planned(service: &Service, run: &RunView, terms: &ResumeTerms) -> Result<PlanView, Problem> {
    let plan = service.operator.plan(run.run, terms.clone()).await?;
    let archive = service.archive.clone();
    waiting(move || archive.plan_view(&plan)).await
}

fn terms(run: &RunView, asked: &Terms) -> Markup {
    let changed = !asked.items.is_empty() || !asked.definition.is_empty() || !asked.accept.is_empty();
    html! {
        details.terms #terms {
            summary { "On which terms" @if changed { ": " code { (asked.read().command(run.run)) } } }
            form method="get" action=(at(run.run, "/plan")) {
                label { "Items" textarea name="items" rows="2" placeholder="all; or keys, one on a line" { (asked.items) } }
                p.small { "Or " code { (ITEMS_FAILED) } " for all that did not succeed, " code { (ITEMS_DEAD_LETTERED) } " for dead letters." }
                @if !asked.step.is_empty() || !asked.error.is_empty() {
                    label { "Dead letters at step" input type="text" name="step" value=(asked.step); }
                    label { "with error" input type="text" name="error" value=(asked.error); }
                }
                label { "Definition" select name="definition" {
                    option value="" { "the one stored with the run" }
                    option value="current" selected[asked.read().definition == DefinitionChoice::Current] { "the file as it is now" }
                } }
                label { "Changed connections" select name="accept" {
                    option value="" { "refuse" }
                    option value="replaced" selected[asked.read().accept == Some(Acceptance::Replaced)] { "another system: do it anew there" }
                    option value="moved" selected[asked.read().accept == Some(Acceptance::Moved)] { "the same system at another address" }
                } }
                button type="submit" { "Plan" }
            }
        }
    }
}

fn whole(run: &RunView, plan: &PlanView, asked: &Terms, caller: &Caller) -> Markup {
    html! {
        div.plan {
            div.sum {
                p { b { (number(plan.items_done)) } " of " (number(plan.items)) " items are done and stay done. "
                    @if plan.doubts > 0 { b.doubt { (number(plan.doubts)) } " effects are in doubt." } @else { "Nothing is in doubt." } }
                p.small { "Plan " code { (plan.plan) } ". Nothing was called yet; the resume does exactly this, or is refused." }
            }
            @if plan.is_empty() { p.quiet { "There is nothing that this would do." } }
            // Chosen items with nothing to do are refused; a whole run is closed once more.
            @if caller.may_act() && (!plan.is_empty() || asked.items.is_empty()) { (go(run, plan, asked)) }
        }
        (changes(plan))
        h2 { "What it does" }
        (work(plan))
        (doubts(run, plan))
    }
}

fn go(run: &RunView, plan: &PlanView, asked: &Terms) -> Markup {
    let fields = [
        ("items", &asked.items),
        ("step", &asked.step),
        ("error", &asked.error),
        ("definition", &asked.definition),
        ("accept", &asked.accept),
    ];
    html! {
        form method="post" action=(at(run.run, "/resume")) {
            input type="hidden" name="expect" value=(plan.plan);
            @for (name, value) in fields { @if !value.is_empty() { input type="hidden" name=(name) value=(value); } }
            button.main type="submit" { @if asked.items == ITEMS_DEAD_LETTERED { "Redrive" } @else { "Resume" } " by this plan" }
        }
    }
}

fn changes(plan: &PlanView) -> Markup {
    html! {
        @if !plan.connections.is_empty() {
            h2 { "Connections that are not what they were" }
            div.scroll { table {
                thead { tr { th { "Connection" } th { "Was" } th { "Is" } th { "Steps" } } }
                tbody { @for change in &plan.connections { tr { td { b { (change.connection) } } td { code { (change.was) } } td { code { (change.now) } } td { (change.steps.join(", ")) } } } }
            } }
        }
        @if !plan.definition.is_empty() {
            h2 { "Definition" }
            div.scroll { table {
                thead { tr { th.num { "Line" } th { "Step" } th { "Verdict" } th.wide { "Why" } } }
                tbody { @for verdict in &plan.definition { tr {
                    td.num { @if let Some(line) = verdict.line { (line) } @else { span.none { "–" } } }
                    td { (verdict.step) } td { b.(format!("v-{}", verdict.verdict.replace(' ', "-"))) { (verdict.verdict) } } td.wide { (verdict.reason) }
                } } }
            } }
        }
    }
}

fn work(plan: &PlanView) -> Markup {
    let row = |step: &str, what: &str, state: &str, items: u64, why: &str| {
        html! { tr { td { (step) } td { span.state.(format!("s-{state}")) { (what) } } td.num { (number(items)) } td.wide { (why) } } }
    };
    html! {
        div.scroll { table {
            thead { tr { th { "Step" } th { "What" } th.num { "Items" } th.wide { "Why" } } }
            tbody {
                @for work in &plan.execute { (row(&work.step, "to do", "waiting", work.items, &work.reason)) }
                @for left in &plan.left { (row(&left.step, "stays", "cancelled", left.items, &left.reason)) }
                @for kept in &plan.reuse { (row(&kept.step, "kept", "succeeded", kept.items, "done before")) }
            }
        } }
    }
}

fn doubts(run: &RunView, plan: &PlanView) -> Markup {
    html! {
        @if !plan.in_doubt.is_empty() {
            h2 { "Perhaps done" }
            div.scroll { table.rows {
                thead { tr { th { "Item" } th { "Step" } th { "Effect" } th { "Settled by" } } }
                tbody { @for doubt in plan.in_doubt.iter().take(DOUBTS) {
                    tr data-href=[doubt.item.as_ref().map(|item| item_path(run.run, item))] {
                        td { @if let Some(item) = &doubt.item { a.id href=(item_path(run.run, item)) { (item) } } @else { span.none { "the run" } } }
                        td { (doubt.step) } td { (doubt.effect) } td { (badge(&doubt.settle_by)) }
                    }
                } }
            } }
            p.quiet { @if plan.doubts > DOUBTS as u64 { "The first " (DOUBTS) " of " (number(plan.doubts)) ". " }
                a href=(at(run.run, "/effects?known=doubt")) { "Everything that is in doubt" } }
        }
    }
}
