//! When the steps of a run worked.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};

use super::super::gate::Caller;
use super::run::{Tab, about};
use super::visit::Visit;
use super::words::{number, of_day, took};
use crate::view::{Archive, Problem, StepTimeline, TimelineView, When};

/// A lane of the picture.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 34.0;

pub(super) async fn show(visit: Visit, Path(run): Path<String>) -> Response {
    visit.shows(move |archive, caller| page(archive, &run, caller)).await
}

fn page(archive: &Archive, reference: &str, caller: &Caller) -> Result<Markup, Problem> {
    let run = archive.show(reference)?;
    let timeline = archive.timeline(&run.run.to_string())?;
    let content = html! {
        div #timeline data-live {
            @if timeline.steps.is_empty() { div.empty { p { "No step has come to an end yet." } } } @else { (lanes(&timeline)) }
        }
    };
    Ok(about(&run, Tab::Timeline, caller, &content))
}

fn lanes(timeline: &TimelineView) -> Markup {
    let long = timeline.to.0.since(timeline.from.0).as_millis();
    let long = u64::try_from(long).unwrap_or(u64::MAX);
    html! {
        div.lanes role="table" aria-label="When each step worked" {
            div.lane.scale { span {} span.ends { (of_day(&timeline.from.to_string())) span { (took(long)) } (of_day(&timeline.to.to_string())) } span {} }
            @for step in &timeline.steps { (lane(step, timeline)) }
        }
        p.quiet {
            "Each bar is " (took(timeline.slice_ms)) ": how many items the step was through with then; red is what ended there or is in doubt. An item counts where it last changed."
            @if timeline.items > 0 { " From the records of " (number(timeline.items)) " items." }
        }
    }
}

fn lane(step: &StepTimeline, timeline: &TimelineView) -> Markup {
    let most = step.passed.iter().zip(&step.stopped).map(|(passed, stopped)| passed + stopped).max();
    let most = most.unwrap_or(0).max(1);
    let [(_, passed), (_, stopped)] = step.sums();
    let slice = WIDTH / scale(step.passed.len().max(1) as u64);
    // Thin bars would shimmer; a lone one would vanish.
    let wide = (slice * 0.86).max(2.0);
    let said = format!("{} passed, {} stopped, {}", number(passed), number(stopped), span(step));
    html! {
        div.lane role="row" {
            span role="rowheader" { b { (step.step) } }
            span role="cell" { svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(said) {
                @for (at, (passed, stopped)) in step.passed.iter().zip(&step.stopped).enumerate() {
                    @let x = scale(at as u64) * slice;
                    @let (up, down) = (tall(*passed, most), tall(*stopped, most));
                    @if *passed > 0 { rect.f-succeeded x=(format!("{x:.1}")) y=(format!("{:.1}", HEIGHT - up)) width=(format!("{wide:.1}")) height=(format!("{up:.1}")) {} }
                    @if *stopped > 0 { rect.f-dead_lettered x=(format!("{x:.1}")) y=(format!("{:.1}", HEIGHT - up - down)) width=(format!("{wide:.1}")) height=(format!("{down:.1}")) {} }
                }
            } }
            span.small role="cell" { (number(passed + stopped)) " in " (span(step)) br; (rate(step, timeline)) }
        }
    }
}

/// A count as a length; whatever is there is seen.
fn tall(count: u64, most: u64) -> f64 {
    if count == 0 { 0.0 } else { (scale(count) / scale(most) * (HEIGHT - 4.0)).max(2.0) }
}

#[expect(clippy::cast_precision_loss, reason = "for a picture a few digits are enough")]
fn scale(count: u64) -> f64 {
    count as f64
}

fn span(step: &StepTimeline) -> String {
    took(length(step.first, step.last))
}

fn length(first: When, last: When) -> u64 {
    u64::try_from(last.0.since(first.0).as_millis()).unwrap_or(u64::MAX)
}

/// How many units a second the step was through with, while it worked.
fn rate(step: &StepTimeline, timeline: &TimelineView) -> Markup {
    let units: u64 = step.sums().iter().map(|(_, count)| count).sum();
    let ms = length(step.first, step.last).max(timeline.slice_ms);
    let per_second = units.saturating_mul(1_000) / ms.max(1);
    html! { @if units > 1 && per_second > 0 { (number(per_second)) " / s" } }
}
