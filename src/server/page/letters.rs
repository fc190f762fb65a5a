//! Dead letters of all runs, and what can be done about them.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::gate::Caller;
use super::shell::{Frame, Here};
use super::visit::{Visit, asked};
use super::words::{at, fault_line, instant, item_path, number, query};
use crate::view::{Archive, ITEMS_DEAD_LETTERED, LetterPage, LetterQuery, LetterView, Problem};

/// Dead letters on a page.
const PAGE: usize = 100;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    run: String,
    step: String,
    error: String,
    after: String,
}

impl Asked {
    fn query(&self) -> LetterQuery {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        LetterQuery {
            run: text(&self.run),
            step: text(&self.step),
            error: text(&self.error),
            after: text(&self.after),
            limit: Some(PAGE),
            ..LetterQuery::default()
        }
    }

    fn path(&self) -> String {
        let fields =
            [("run", &self.run), ("step", &self.step), ("error", &self.error), ("after", &self.after)];
        format!("/dead-letters{}", query(&fields.map(|(name, value)| (name, Some(value.clone())))))
    }
}

pub(super) async fn show(visit: Visit, query: Result<Query<Asked>, QueryRejection>) -> Response {
    visit.shows(move |archive, caller| page(archive, &asked(query)?, caller)).await
}

fn page(archive: &Archive, asked: &Asked, caller: &Caller) -> Result<Markup, Problem> {
    let found = archive.dead_letters(&asked.query())?;
    let content = html! {
        // It follows the filter: what is done is done to what is listed.
        div.head #head data-live {
            h1 { "Dead letters" }
            @if let Some(run) = one_run(asked, &found) { (actions(run, asked, caller)) }
        }
        (filters(asked))
        div #letters data-live { (table(&found, asked)) }
    };
    let frame = Frame::new("Dead letters", Here::DeadLetters, Some(caller));
    Ok(frame.following("/v1/live".to_owned()).around(&content))
}

/// The run that all of these are of: which one was meant by `@latest` may be another one later.
fn one_run(asked: &Asked, found: &LetterPage) -> Option<String> {
    let letter = found.letters.first().filter(|_| !asked.run.trim().is_empty())?;
    Some(letter.run.to_string())
}

/// What is done to all that pass the filter; only to those of one run.
fn actions(run: String, asked: &Asked, caller: &Caller) -> Markup {
    let asked = &Asked { run, ..asked.clone() };
    let fields =
        [("items", ITEMS_DEAD_LETTERED), ("step", asked.step.as_str()), ("error", asked.error.as_str())];
    let plan = at(
        &asked.run,
        &format!("/plan{}", query(&fields.map(|(name, value)| (name, Some(value.to_owned()))))),
    );
    html! {
        div.actions {
            @if caller.may_act() { (give_up(asked)) }
            a.button.main href=(plan) data-plan { "Plan a redrive" }
        }
    }
}

fn give_up(asked: &Asked) -> Markup {
    html! {
        details.sure #sure-drop {
            summary { "Give up…" }
            div.pop {
                p {
                    "Every dead letter of " span.id { (asked.run) }
                    @if !asked.step.is_empty() { " at " b { (asked.step) } }
                    @if !asked.error.is_empty() { " with the error " b { (asked.error) } }
                    " is dropped, on every page: it is not redriven any more."
                }
                form method="post" action=(at(&asked.run, "/drop")) {
                    input type="hidden" name="step" value=(asked.step);
                    input type="hidden" name="error" value=(asked.error);
                    label { "Why" input type="text" name="reason" required; }
                    button type="submit" { "Give them up" }
                }
            }
        }
    }
}

fn filters(asked: &Asked) -> Markup {
    html! {
        form.filters method="get" action="/dead-letters" role="search" data-instant="letters" {
            input type="search" name="run" value=(asked.run) placeholder="Run" aria-label="Run" data-search;
            input type="search" name="step" value=(asked.step) placeholder="Step" aria-label="Step";
            input type="search" name="error" value=(asked.error) placeholder="Error" aria-label="Error";
            button type="submit" { "Filter" }
        }
    }
}

fn table(found: &LetterPage, asked: &Asked) -> Markup {
    let next = found.next.clone().map(|after| Asked { after, ..asked.clone() }.path());
    html! {
        @if found.letters.is_empty() { div.empty { p { @if found.next.is_some() { "None among those looked at so far." } @else { "There are no dead letters like that." } } } } @else {
            div.scroll { table.rows {
                thead { tr { th { "Item" } th { "Step" } th.wide { "Error" } th.num { "Attempts" } th { "Given up" } th { "Run" } th {} } }
                tbody { @for letter in &found.letters { (row(letter, asked)) } }
            } }
        }
        nav.pager aria-label="Pages of dead letters" {
            @if !asked.after.is_empty() { a href=(Asked { after: String::new(), ..asked.clone() }.path()) { "First" } }
            @if let Some(next) = next { a href=(next) rel="next" { "Next" } }
        }
    }
}

fn row(letter: &LetterView, asked: &Asked) -> Markup {
    let story = (!letter.gone).then(|| item_path(letter.run, &letter.item));
    let narrower = Asked { run: letter.run.to_string(), after: String::new(), ..asked.clone() };
    let alike = letter.error.as_ref().map(|error| Asked {
        step: letter.step.clone(),
        error: error.name.clone(),
        ..narrower.clone()
    });
    html! {
        tr data-href=[story.as_deref()] {
            td { @if let Some(story) = &story { a.id href=(story) { (letter.item) } } @else { span.id { (letter.item) } } }
            td { (letter.step) }
            td.wide { @if let Some(error) = &letter.error { (fault_line(error)) } @if letter.doubts > 0 { span.small { " perhaps done in " (number(letter.doubts.into())) " attempts" } } }
            td.num data-name="attempts" { (letter.attempts) }
            td.time { (instant(letter.at)) }
            td { a.id.short href=(narrower.path()) title=(letter.run) { (letter.run) } }
            td {
                @if letter.gone { span.none { "its run is gone" } }
                @else if let Some(alike) = alike { a.small href=(alike.path()) { "alike" } }
            }
        }
    }
}
