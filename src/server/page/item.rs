//! The whole story of one item.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::super::gate::Caller;
use super::events::told;
use super::json::json;
use super::run::{Tab, about};
use super::visit::Visit;
use super::words::{Awaited, at, badge, commands, fault, instant, number, query};
use crate::core::ledger::Verdict;
use crate::view::{Archive, Does, EffectView, ItemStep, LetterStory, Problem, RunView, UnitStatus, argument};

pub(super) async fn show(visit: Visit, Path((run, item)): Path<(String, String)>) -> Response {
    visit.shows(move |archive, caller| page(archive, &run, &item, caller)).await
}

fn page(archive: &Archive, reference: &str, item: &str, caller: &Caller) -> Result<Markup, Problem> {
    let run = archive.show(reference)?;
    let story = archive.dead_letter(&run.run.to_string(), item)?;
    let content = html! {
        div #story data-live {
            (head(&run, &story))
            ol.story { @for step in &story.story.steps { (chapter(step, effect(&story, step), listens(&run, step))) } }
        }
        (contents(&story))
        @if !story.events.is_empty() {
            h2 { "What happened to it" }
            ol.events { @for event in &story.events { li { (told(run.run, event)) } } }
        }
    };
    Ok(about(&run, Tab::Items, caller, &content))
}

fn head(run: &RunView, story: &LetterStory) -> Markup {
    let item = &story.story.item;
    let again = query(&[("items", Some(item.item.clone()))]);
    html! {
        div.head {
            div {
                p.crumb { a href=(at(run.run, "/items")) { "Items" } " / item " (number(item.position)) " of the source" }
                h2.item { span.id { (item.item) } " " (badge(item.status.word())) }
            }
            div.actions {
                @if matches!(item.status, UnitStatus::DeadLettered | UnitStatus::InDoubt) && run.closed_at.is_none() {
                    a.button href=(at(run.run, &format!("/plan{again}"))) { @if item.status == UnitStatus::DeadLettered { "Plan its redrive" } @else { "Plan its resume" } }
                }
            }
        }
        @if let Some(step) = &item.message_left { p.quiet { "Its message of " b { (step) } " was left to the queue, whose redrive policy takes it to its dead-letter queue." } }
    }
}

fn effect<'a>(story: &'a LetterStory, step: &ItemStep) -> Option<&'a EffectView> {
    story.effects.iter().find(|effect| effect.step == step.step)
}

fn listens<'a>(run: &RunView, step: &'a ItemStep) -> Option<Awaited<'a>> {
    let known = run.steps.iter().find(|known| known.step == step.step)?;
    Awaited::of(&step.facts).filter(|_| known.does == Does::Listens)
}

fn chapter(step: &ItemStep, effect: Option<&EffectView>, awaited: Option<Awaited<'_>>) -> Markup {
    html! {
        li.(format!("s-{}", step.status.word())) {
            div.line {
                h3 { (step.step) } (badge(step.status.word()))
                @if let Some(reason) = step.reason.as_ref().filter(|_| step.status == UnitStatus::Skipped) { span.small { (reason.replace('_', " ")) } }
                @if let Some(at) = step.at { span.small.time { (instant(at)) } }
                @if step.attempts > 0 { span.small { (number(step.attempts.into())) @if step.attempts == 1 { " attempt" } @else { " attempts" } } }
                @if let Some(until) = step.until { span.small { @if step.status == UnitStatus::Waiting { "until " } @else { "again at " } (instant(until)) } }
            }
            @if let Some(effect) = effect { (known(effect)) }
            @if let Some(awaited) = &awaited { (heard(step, awaited)) }
            @if let Some(error) = &step.error {
                @if step.status == UnitStatus::Succeeded { p.small { "Before it succeeded:" } }
                (fault(error))
            }
            (returned(&step.facts, awaited.is_some()))
        }
    }
}

/// The signal that the step waits for, or that it got.
fn heard(step: &ItemStep, awaited: &Awaited<'_>) -> Markup {
    let Awaited { signal, key } = awaited;
    let (signal, key) = (argument(signal), argument(key));
    html! {
        @if step.status == UnitStatus::Succeeded {
            p.known { "It got the signal " b { (awaited.signal) } " of " code { (awaited.key) } "." }
        } @else {
            p.known { @if step.status == UnitStatus::Waiting { "It waits" } @else { "It waited" } " for the signal " b { (awaited.signal) } " of " code { (awaited.key) } "." }
            @if step.status == UnitStatus::Waiting { (commands(&[format!("milepost signal {signal} --key {key}")])) }
        }
    }
}

/// What is known about an effect.
fn known(effect: &EffectView) -> Markup {
    let words = match effect.effect {
        Verdict::Done => "done for sure",
        Verdict::Refused => "not done for sure",
        Verdict::InDoubt => "perhaps done",
        Verdict::Intended => "a call is under way",
        Verdict::NotNeeded => "never sent: the other side already held it",
    };
    html! {
        p.known {
            b { (words) }
            @if effect.doubts > 0 { ", and perhaps by " (number(effect.doubts.into())) " other attempts as well" }
            @if effect.before > 0 { ", and " (number(effect.before.into())) " times before on purpose" }
            @if let Some(by) = &effect.settle_by { "; settled by " b { (by) } }
            @if let Some(key) = &effect.key { span.small { " key " code { (key) } } }
        }
    }
}

/// What an effect returned; of a signal what was not said yet.
fn returned(facts: &Map<String, Value>, is_signal: bool) -> Markup {
    let facts: Vec<_> =
        facts.iter().filter(|(name, _)| !is_signal || !["signal", "key"].contains(&name.as_str())).collect();
    html! {
        @if !facts.is_empty() {
            dl.returned { @for (name, value) in facts {
                div { dt { (name) } dd { code { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) } } }
            } }
        }
    }
}

/// What came in, and what the steps that compute make of it.
fn contents(story: &LetterStory) -> Markup {
    html! {
        div.beside {
            section {
                h2 { "Source record" }
                @match &story.record {
                    Some(record) => (json(record)),
                    None => p.quiet { "It cannot be read any more: it was let go when the item was finished." },
                }
            }
            @for made in &story.made {
                section {
                    h2 { "Made by " (made.step) }
                    @if let Some(value) = &made.value { (json(value)) }
                    @if let Some(error) = &made.error { (fault(error)) }
                }
            }
        }
    }
}
