//! What is known about the effects of a run, and the forms with which a person says what only a person can tell.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::gate::Caller;
use super::run::{Tab, about};
use super::visit::{Visit, asked};
use super::words::{at, badge, fault_line, instant, item_path, number, query};
use crate::core::ledger::Verdict;
use crate::view::{Archive, Doubtful, EffectCounts, EffectFilter, EffectPage, EffectView, Problem, RunView};

/// Effects on a page.
const PAGE: usize = 100;
/// What asks for everything that is perhaps, and for what only a person can tell.
const DOUBT: &str = "doubt";
const PERSON: &str = "person";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    known: String,
    step: String,
    after: Option<u64>,
}

impl Asked {
    fn filter(&self) -> EffectFilter {
        EffectFilter {
            step: Some(self.step.clone()).filter(|step| !step.is_empty()),
            verdict: Verdict::ALL.into_iter().find(|verdict| verdict.word() == self.known),
            doubt: match self.known.as_str() {
                DOUBT => Some(Doubtful::Any),
                PERSON => Some(Doubtful::Person),
                _ => None,
            },
            after: self.after,
            limit: Some(PAGE),
            ..EffectFilter::default()
        }
    }

    fn query(&self) -> String {
        let fields = [
            ("known", Some(self.known.clone())),
            ("step", Some(self.step.clone())),
            ("after", self.after.map(|after| after.to_string())),
        ];
        query(&fields)
    }
}

pub(super) async fn show(
    visit: Visit,
    Path(run): Path<String>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Response {
    visit.shows(move |archive, caller| page(archive, &run, &asked(query)?, caller)).await
}

fn page(archive: &Archive, reference: &str, asked: &Asked, caller: &Caller) -> Result<Markup, Problem> {
    let run = archive.show(reference)?;
    let id = run.run.to_string();
    let counts = archive.effect_counts(&id)?;
    let found = archive.effects(&id, &asked.filter())?;
    let content = html! {
        div #counts data-live { (filters(&run, &counts, asked)) }
        @if counts.person > 0 && asked.known != PERSON {
            div.box.doubt { p { b { (number(counts.person)) } " effects are in doubt, and nobody but a person will ever tell. "
                a href=(at(run.run, &format!("/effects{}", Asked { known: PERSON.to_owned(), ..Asked::default() }.query()))) { "Look at them" } } }
        }
        div #effects data-live { (table(&run, &found, asked, caller)) }
    };
    Ok(about(&run, Tab::Effects, caller, &content))
}

fn filters(run: &RunView, counts: &EffectCounts, asked: &Asked) -> Markup {
    let chip = |known: &str, label: &str, count: u64| {
        let path = at(
            run.run,
            &format!("/effects{}", Asked { known: known.to_owned(), after: None, ..asked.clone() }.query()),
        );
        html! { a.chip.(format!("s-{known}")) href=(path) aria-current=[(asked.known == known).then_some("true")] { (label) " " b { (number(count)) } } }
    };
    html! {
        p.chips {
            (chip("", "all", counts.total))
            @for verdict in Verdict::ALL { @if counts.of(verdict) > 0 { (chip(verdict.word(), &verdict.word().replace('_', " "), counts.of(verdict))) } }
            @if counts.repeated > 0 { (chip(DOUBT, "perhaps more than once", counts.repeated)) }
            @if counts.person > 0 { (chip(PERSON, "left to a person", counts.person)) }
        }
    }
}

fn table(run: &RunView, found: &EffectPage, asked: &Asked, caller: &Caller) -> Markup {
    let next = found.next.map(|after| {
        at(run.run, &format!("/effects{}", Asked { after: Some(after), ..asked.clone() }.query()))
    });
    html! {
        @if found.effects.is_empty() { div.empty { p { "No effect is like that." } } } @else {
            div.scroll { table.rows {
                thead { tr { th { "Item" } th { "Step" } th { "Effect" } th.num { "Attempt" } th { "When" } th { "Key" } th.wide { "What is known" } } }
                tbody { @for effect in &found.effects { (row(run, effect, caller)) } }
            } }
        }
        nav.pager aria-label="Pages of effects" {
            @if asked.after.is_some() { a href=(at(run.run, &format!("/effects{}", Asked { after: None, ..asked.clone() }.query()))) { "First" } }
            @if let Some(next) = next { a href=(next) rel="next" { "Next" } }
        }
    }
}

fn row(run: &RunView, effect: &EffectView, caller: &Caller) -> Markup {
    let story = effect.item.as_ref().map(|item| item_path(run.run, item));
    let by_person = effect.settle_by.as_deref() == Some("person");
    let may_settle = by_person && run.closed_at.is_none() && caller.may_act();
    html! {
        tr data-href=[story.as_deref()] {
            td { @if let (Some(item), Some(story)) = (&effect.item, &story) { a.id href=(story) { (item) } } @else { span.none { "the run" } } }
            td { (effect.step) }
            td { (badge(effect.effect.word())) }
            td.num data-name="attempt" { (effect.attempt) }
            td.time { (instant(effect.at)) }
            td { @if let Some(key) = &effect.key { code { (key) } } @else { span.none { "–" } } }
            td.wide {
                @if let Some(error) = &effect.error { (fault_line(error)) }
                @for (name, value) in &effect.facts { span.small { (name) " " code { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) } " " } }
                @if let Some(by) = effect.settle_by.as_deref().filter(|_| !may_settle) { span.small { "settled by " (by) } }
                @if may_settle { (settle(run, effect)) }
            }
        }
    }
}

/// What a person can say about one effect.
fn settle(run: &RunView, effect: &EffectView) -> Markup {
    html! {
        form.settle method="post" action=(at(run.run, "/settle")) {
            input type="hidden" name="step" value=(effect.step);
            @if let Some(item) = &effect.item { input type="hidden" name="item" value=(item); }
            input type="text" name="facts" placeholder="returned, e.g. id=17" aria-label=(format!("What {} returned", effect.step)) size="18";
            button type="submit" name="done" value="yes" { "It was done" }
            button type="submit" name="done" value="no" { "It was not done" }
        }
    }
}
