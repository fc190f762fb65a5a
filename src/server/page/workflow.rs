//! The workflow file of a run beside its graph.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};

use super::super::gate::Caller;
use super::picture::{Flow, picture};
use super::run::{Tab, about};
use super::visit::Visit;
use super::words::number;
use crate::view::{Archive, FileView, Problem};

pub(super) async fn show(visit: Visit, Path(run): Path<String>) -> Response {
    visit.shows(move |archive, caller| page(archive, &run, caller)).await
}

fn page(archive: &Archive, reference: &str, caller: &Caller) -> Result<Markup, Problem> {
    let run = archive.show(reference)?;
    let definition = archive.definition(&run.run.to_string())?;
    let mut files = definition.files.iter();
    let content = html! {
        div.filed {
            div #graph.graphs data-live { (picture(run.run, &run.steps, Flow::Down)) }
            div {
                @if let Some(workflow) = files.next() {
                    h2.uri { (workflow.name) } (text(workflow))
                }
                @for file in files {
                    details.file id=(format!("file-{}", file.name)) {
                        summary { span.uri { (file.name) } span.small { (number(file.bytes)) " bytes" } }
                        (text(file))
                    }
                }
                p.quiet { "As it was pinned when the run was started or last redefined. Secrets are names here." }
            }
        }
    };
    Ok(about(&run, Tab::Workflow, caller, &content))
}

fn text(file: &FileView) -> Markup {
    html! {
        @match &file.text {
            Some(text) => pre.code tabindex="0" { code { @for line in text.lines() { (yaml(line)) "\n" } } },
            None => p.quiet { "It is no text." },
        }
    }
}

/// A line with its comment set apart, and the name before its first colon.
fn yaml(line: &str) -> Markup {
    let begins = |text: &str| text.trim_start().starts_with('#');
    let comment = line.find(" #").map(|at| at + 1).or_else(|| begins(line).then_some(0));
    let (said, comment) = comment.map_or((line, ""), |at| line.split_at(at));
    let named = said.find(':').filter(|at| {
        let name = said[..*at].trim_start().trim_start_matches("- ");
        !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "_-.$/\"".contains(letter))
    });
    let (name, rest) = named.map_or(("", said), |at| said.split_at(at));
    html! { @if !name.is_empty() { span.j-name { (name) } } (rest) @if !comment.is_empty() { span.comment { (comment) } } }
}
