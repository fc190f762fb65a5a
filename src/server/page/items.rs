//! The items of a run, a page at a time.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::gate::Caller;
use super::super::reads::waiting;
use super::run::{Tab, about};
use super::visit::{Visit, asked};
use super::words::{Awaited, at, badge, fault_line, instant, item_path, number, query, some};
use crate::core::id::RunId;
use crate::view::{Archive, Facts, ItemFilter, ItemPage, ItemView, Problem, RunView, StepTrack, UnitStatus};

/// Items on a page.
const PAGE: usize = 100;
/// Pages without a single item that are skipped before people are asked whether to look on.
const EMPTY_MAX: usize = 20;

/// What is asked for, as the form sends it: an empty field asks for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    key: String,
    status: String,
    step: String,
    after: Option<u64>,
}

impl Asked {
    fn filter(&self) -> ItemFilter {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        ItemFilter {
            status: self.status.parse::<UnitStatus>().ok(),
            step: text(&self.step),
            key: text(&self.key),
            after: self.after,
            limit: Some(PAGE),
        }
    }

    fn path(&self, run: RunId) -> String {
        let text = |text: &str| Some(text.to_owned());
        let fields = [
            ("key", text(&self.key)),
            ("status", text(&self.status)),
            ("step", text(&self.step)),
            ("after", self.after.map(|after| after.to_string())),
        ];
        at(run, &format!("/items{}", query(&fields)))
    }
}

pub(super) async fn show(
    visit: Visit,
    Path(run): Path<String>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Response {
    // Whoever opens this page is about to search; whoever only follows it has been here.
    if !visit.comes_again() {
        let (archive, reference) = (visit.service.archive.clone(), run.clone());
        drop(tokio::spawn(waiting(move || Ok(archive.prepare_search(&reference)))));
    }
    visit.shows(move |archive, caller| page(archive, &run, &asked(query)?, caller)).await
}

fn page(archive: &Archive, reference: &str, asked: &Asked, caller: &Caller) -> Result<Markup, Problem> {
    let run = archive.show(reference)?;
    let found = found(archive, &run, asked)?;
    let content = html! {
        (filters(&run, asked))
        div #items data-live { (table(&run, &found, asked)) }
    };
    Ok(about(&run, Tab::Items, caller, &content))
}

/// The first page that is not empty, as far as is looked without being asked again.
fn found(archive: &Archive, run: &RunView, asked: &Asked) -> Result<ItemPage, Problem> {
    let mut filter = asked.filter();
    let in_state = |status| run.items.states().iter().any(|(known, count)| *known == status && *count > 0);
    if filter.status.is_some_and(|status| !in_state(status)) {
        return Ok(ItemPage { items: Vec::new(), next: None });
    }
    let reference = run.run.to_string();
    let mut found = archive.items(&reference, &filter)?;
    for _ in 0..EMPTY_MAX {
        if !found.items.is_empty() || found.next.is_none() {
            break;
        }
        filter.after = found.next;
        found = archive.items(&reference, &filter)?;
    }
    Ok(found)
}

fn filters(run: &RunView, asked: &Asked) -> Markup {
    let chip = |status: &str, label: &str, count: u64| {
        let path = Asked { status: status.to_owned(), after: None, ..asked.clone() }.path(run.run);
        html! { a.chip.(format!("s-{status}")) href=(path) aria-current=[(asked.status == status).then_some("true")] { (label) " " b { (number(count)) } } }
    };
    html! {
        form.filters method="get" action=(at(run.run, "/items")) role="search" data-instant="items" {
            input type="search" name="key" value=(asked.key) placeholder="Search keys" aria-label="Search items by key" data-search;
            select name="status" aria-label="State" {
                option value="" { "any state" }
                @for status in UnitStatus::ITEM_WORDS { option value=(status) selected[status == asked.status] { (status.replace('_', " ")) } }
            }
            select name="step" aria-label="Step" {
                option value="" { "at any step" }
                @for step in run.steps.iter().filter(|step| step.track == StepTrack::Items) {
                    option value=(step.step) selected[step.step == asked.step] { "at " (step.step) }
                }
            }
            button type="submit" { "Filter" }
        }
        p.chips #chips data-live {
            (chip("", "all", run.items.total))
            @for (status, count) in run.items.states() { @if count > 0 { (chip(status.word(), &status.word().replace('_', " "), count)) } }
        }
    }
}

fn table(run: &RunView, found: &ItemPage, asked: &Asked) -> Markup {
    let next = found.next.map(|after| Asked { after: Some(after), ..asked.clone() }.path(run.run));
    html! {
        @if found.items.is_empty() {
            div.empty {
                @if found.next.is_some() { p { "None among those looked at so far." } }
                @else if run.items.total == 0 { p { "There are no items before the source was read." } }
                @else { p { "No item is like that." } }
            }
        } @else {
            div.scroll { table.rows {
                thead { tr { th.num { "#" } th { "Item" } th { "State" } th { "At step" } th.num { "Attempts" } th.wide { "What is known" } } }
                tbody { @for item in &found.items { (row(run.run, item)) } }
            } }
        }
        nav.pager aria-label="Pages of items" {
            @if asked.after.is_some() { a href=(Asked { after: None, ..asked.clone() }.path(run.run)) { "First" } }
            @if let Some(next) = next { a href=(next) rel="next" { @if found.items.is_empty() { "Look on" } @else { "Next" } } }
        }
    }
}

fn row(run: RunId, item: &ItemView) -> Markup {
    html! {
        tr data-href=(item_path(run, &item.item)) {
            td.num.quiet data-name="#" { (number(item.position)) }
            td { a.id href=(item_path(run, &item.item)) { (item.item) } }
            td { (badge(item.status.word())) }
            td { (item.step) }
            td.num data-name="attempts" { (some(item.attempts.into())) }
            td.wide {
                @if let Some(error) = &item.error { (fault_line(error)) }
                @else if let Some(awaited) = awaited(item) { span.small { "waits for " (awaited.signal) " of " code { (awaited.key) } } }
                @else { span.small.line { (facts(&item.facts)) } }
                @if let Some(until) = item.until { " " span.small { "until " (instant(until)) } }
            }
        }
    }
}

/// The signal that it waits for now.
fn awaited(item: &ItemView) -> Option<Awaited<'_>> {
    let facts = item.facts.get(&item.step).filter(|_| item.status == UnitStatus::Waiting)?;
    Awaited::of(facts.as_object()?)
}

/// What the last effect returned, on one line; the story has all of it.
fn facts(facts: &Facts) -> Markup {
    html! { @if let Some((step, returned)) = facts.iter().next_back() {
        (step) ": "
        @for (at, (name, value)) in returned.as_object().into_iter().flatten().enumerate() {
            @if at > 0 { ", " }
            (name) " " code { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) }
        }
    } }
}
