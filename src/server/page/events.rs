//! What happened to a run, in order.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::gate::Caller;
use super::run::{Tab, about};
use super::visit::{Visit, asked};
use super::words::{at, badge, exact, fault_line, instant, item_path, number};
use crate::core::id::RunId;
use crate::view::{Archive, EventView, Problem};

/// Events on a page.
const PAGE: usize = 200;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    from: u64,
}

pub(super) async fn show(
    visit: Visit,
    Path(run): Path<String>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Response {
    visit.shows(move |archive, caller| page(archive, &run, asked(query)?.from, caller)).await
}

fn page(archive: &Archive, reference: &str, from: u64, caller: &Caller) -> Result<Markup, Problem> {
    let run = archive.show(reference)?;
    let events = archive.events(&run.run.to_string(), from, Some(PAGE))?;
    let full = events.events.len() == PAGE;
    let content = html! {
        div #events data-live {
            @if events.events.is_empty() { div.empty { p { "Nothing more happened." } } }
            ol.events { @for event in &events.events { li { (told(run.run, event)) } } }
            nav.pager aria-label="Pages of events" {
                @if from > 0 { a href=(at(run.run, "/events")) { "First" } }
                @if full { a href=(at(run.run, &format!("/events?from={}", events.next))) rel="next" { "Next" } }
            }
        }
    };
    Ok(about(&run, Tab::Events, caller, &content))
}

/// One event on a line.
pub(super) fn told(run: RunId, event: &EventView) -> Markup {
    html! {
        span.time { (exact(&event.at)) } " " b { (event.kind.replace('_', " ")) }
        @if let Some(item) = &event.item { " " a.id href=(item_path(run, item)) { (item) } }
        @if let Some(step) = &event.step { " at " b { (step) } }
        @if let Some(status) = &event.status { " " (badge(status)) }
        @if let Some(attempt) = event.attempt { span.small { " attempt " (attempt) } }
        @if let Some(connection) = &event.connection { " " (connection) }
        @if let Some(by) = &event.by { " by " (by) }
        @if let Some(plan) = &event.plan { span.small { " plan " code { (plan) } } }
        @if let Some(source) = &event.source { " " (number(source.items)) " items of " span.uri { (source.uri) } }
        @if let Some(rejected) = event.rejected.filter(|rejected| *rejected > 0) { ", " (number(rejected)) " rejected" }
        @if let Some(messages) = event.messages { " " (number(messages)) " messages" }
        @if let Some(items) = event.items { " " (number(items)) " items" }
        @if let Some(message) = &event.message { " " (message) }
        @if let Some(next) = event.next { span.small { " next trial " (instant(next)) } }
        @if let Some(error) = &event.error { " " (fault_line(error)) }
    }
}
