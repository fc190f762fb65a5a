//! One run on the terminal: the answer of `show`, and what `run` and `resume` end with.

use super::Context;
use super::failure::{Failure, say_next};
use super::output::{BAD, BOLD, DIM, Output};
use super::phrase;
use super::table::{self, Table};
use crate::core::fault::Fault;
use crate::view::{Cause, Causes, RunView, StepView, UnitStatus};

/// Causes listed with a run.
pub(super) const CAUSES_MAX: usize = 5;
/// Characters of a cause that are shown.
const CAUSE_CHARS_MAX: usize = 160;

/// Writes one run.
pub(super) fn write(
    view: &RunView,
    causes: &Causes,
    context: &Context,
    output: &mut Output,
) -> Result<(), Failure> {
    let status = output.paint(table::style_of(view.status.word()).bold(), view.status.word());
    let name = output.paint(BOLD, &view.run.to_string());
    output.line(&format!("{name}  {}  {status}", view.workflow))?;
    for (label, text) in facts(view) {
        let label = output.paint(DIM, &format!("{label:<8}"));
        output.line(&format!("  {label} {text}"))?;
    }
    if let Some(error) = &view.error {
        let label = output.paint(BAD, &format!("{:<8}", "error"));
        output.line(&format!("  {label} {error}"))?;
    }
    if !view.steps.is_empty() {
        let table = steps(view).render(output);
        output.line(&format!("\n{table}"))?;
    }
    for step in &view.steps {
        if let Some(error) = &step.error {
            output.line(&format!("\n{}: {}", step.step, shortened(&error.to_string())))?;
        }
    }
    write_causes(causes, output)?;
    output.flush()?;
    if !view.next.is_empty() {
        output.say("");
        say_next(&view.next, context, output);
    }
    Ok(())
}

fn facts(view: &RunView) -> Vec<(&'static str, String)> {
    let mut facts = vec![("file", view.file.clone())];
    if let Some(profile) = &view.profile {
        facts.push(("profile", profile.clone()));
    }
    if let Some(source) = &view.source {
        facts.push(("source", source.uri.clone()));
        facts.extend(source.origin.as_ref().map(|origin| ("object", phrase::origin(origin))));
    }
    let mut time = format!("started {}", phrase::instant(view.started_at));
    if let Some(took) = phrase::took(view) {
        time = time + ", took " + &took;
    }
    if view.resumes > 0 {
        time = time + ", resumed " + &phrase::count(view.resumes.into(), "time", "times");
    }
    facts.push(("time", time));
    if !view.executor.is_embedded() {
        let name = view.execution.as_deref().map(|name| format!(", execution {name}")).unwrap_or_default();
        facts.push(("executor", format!("{}{name}", view.executor.word())));
    }
    if let Some(pause) = &view.paused {
        facts.extend(phrase::pause(pause, phrase::now()).into_iter().map(|line| ("paused", line)));
    }
    if let Some(alert) = &view.alert {
        facts.push(("alert", alert.clone()));
    }
    facts.extend(view.alerts.iter().map(|alert| ("untold", phrase::untold(alert, Fault::to_string))));
    if view.strays > 0 {
        let strays = phrase::count(view.strays, "message", "messages");
        let look = format!("milepost events {}", view.run);
        facts.push(("stray", format!("{strays} left to the dead-letter queue; look with: {look}")));
    }
    if let Some(by) = &view.cancelled_by {
        facts.push(("ended", format!("cancelled by {by}")));
    }
    if let Some(at) = view.closed_at {
        facts.push(("closed", format!("{}: it is not resumed any more", phrase::instant(at))));
    }
    if view.items.total > 0 {
        let total = phrase::number(view.items.total);
        facts.push(("items", format!("{total}: {}", phrase::items(&view.items))));
    }
    facts
}

/// Steps with a column for every state that any of them has items in.
fn steps(view: &RunView) -> Table {
    let any = |at: usize| view.steps.iter().any(|step| step.items.states()[at].1 > 0);
    let states: Vec<usize> = (0..view.items.states().len()).filter(|at| any(*at)).collect();
    let has_calls = view.steps.iter().any(|step| step.calls > 0);
    let words = states.iter().map(|at| view.items.states()[*at].0.word());
    let ends = if has_calls { vec!["attempts", "calls", "accepted", "refused"] } else { vec!["attempts"] };
    let mut table = Table::new(["step", "status"].into_iter().chain(words).chain(ends));
    for step in &view.steps {
        let counts = states.iter().map(|at| step.items.states()[*at].1);
        let calls = if has_calls { vec![step.calls, step.accepted, step.refused] } else { Vec::new() };
        let numbers = counts.chain([step.attempts]).chain(calls);
        table.row(
            [table::text(step.step.as_str()), table::status(word(step))]
                .into_iter()
                .chain(numbers.map(table::number_or_blank)),
        );
    }
    table
}

fn word(step: &StepView) -> &'static str {
    step.status.word()
}

fn write_causes(causes: &Causes, output: &mut Output) -> Result<(), Failure> {
    for status in [UnitStatus::DeadLettered, UnitStatus::InDoubt] {
        let found: Vec<&Cause> = causes.causes.iter().filter(|cause| cause.status == status).collect();
        if found.is_empty() {
            continue;
        }
        let title = if status == UnitStatus::InDoubt { "in doubt" } else { "dead letters" };
        output.line(&format!("\n{}", output.paint(BOLD, title)))?;
        let mut table = Table::new(["items", "step", "first", "error"]);
        for cause in found {
            table.row([
                table::number(cause.items),
                table::text(cause.step.as_str()),
                table::text(cause.example.as_str()),
                table::text(shortened(&cause.error.to_string())),
            ]);
        }
        let table = table.render(output);
        output.line(&table)?;
    }
    if causes.others > 0 {
        let others = phrase::count(causes.others, "item", "items");
        output.line(&output.paint(DIM, &format!("and {others} more")))?;
    }
    Ok(())
}

/// The first line of a message, cut when it is long.
pub(super) fn shortened(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if line.chars().count() <= CAUSE_CHARS_MAX {
        return line.to_owned();
    }
    let kept: String = line.chars().take(CAUSE_CHARS_MAX).collect();
    format!("{kept}…")
}
