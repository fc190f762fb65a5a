//! `milepost events`: what happened to a run, in order.

use std::time::Duration;

use super::exit::Exit;
use super::failure::Failure;
use super::output::{DIM, Output};
use super::reader::Reader;
use super::{Context, phrase, table};
use crate::core::run::Status;
use crate::view::EventView;

/// How often we look for new events.
const LOOKED_EVERY: Duration = Duration::from_millis(250);

/// Show what happened to a run, in order
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost events @latest
  milepost events @latest --follow               stay until the run ends
  milepost events @failed --json | jq 'select(.kind == \"setback\")'

Exit codes: 0, 5 no such run.")]
pub(super) struct Args {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    run: String,
    /// Stay, and show new events as they happen, until the run ends
    #[arg(long, short)]
    follow: bool,
    /// As JSON, one line per event
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let mut reader = Reader::open(context).await?;
    // `@latest` must not become another run while we follow.
    let run = reader.show(&args.run).await?.run.to_string();
    let mut from = 0;
    loop {
        let page = match reader.events(&run, from).await {
            Ok(page) => page,
            // The engine that answered has ended with its run: the rest is in the store.
            Err(_) if args.follow && reader.is_beside() => {
                reader = Reader::open(context).await?;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        for event in &page.events {
            if args.json { output.json_line(event)? } else { output.line(&line(event, output))? }
        }
        output.flush()?;
        from = page.next;
        if !page.events.is_empty() {
            continue;
        }
        if !args.follow || is_at_rest(page.status) {
            return Ok(Exit::Success);
        }
        tokio::time::sleep(LOOKED_EVERY).await;
    }
}

fn is_at_rest(status: Status) -> bool {
    status.is_ended() || matches!(status, Status::Interrupted | Status::Paused)
}

/// One event on one line.
pub(super) fn line(event: &EventView, output: &Output) -> String {
    let kind = output.paint(style(event), &format!("{:<11}", event.kind));
    format!("{} {kind} {}", output.paint(DIM, &event.at), words(event)).trim_end().to_owned()
}

fn style(event: &EventView) -> anstyle::Style {
    match event.kind.as_str() {
        "setback" | "closed" => table::style_of(event.status.as_deref().unwrap_or_default()),
        "closing" => table::style_of("failed"),
        "interrupted" | "alert" | "undelivered" | "stray" | "paused" | "tried" | "cancelling" => {
            table::style_of("interrupted")
        }
        _ => anstyle::Style::new(),
    }
}

/// What happened, without when and what kind.
fn words(event: &EventView) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(source) = &event.source {
        let items = phrase::count(source.items, "item", "items");
        parts.push(format!("{items} from {}", source.uri));
    }
    if let Some(rejected) = event.rejected.filter(|rejected| *rejected > 0) {
        parts.push(format!("{} rejected", phrase::number(rejected)));
    }
    parts.extend(event.step.clone());
    parts.extend(event.item.clone());
    parts.extend(event.status.clone());
    parts.extend(event.connection.clone());
    parts.extend(event.by.as_ref().map(|by| format!("by {by}")));
    parts.extend(event.attempt.map(|attempt| format!("attempt {attempt}")));
    parts.extend(event.plan.as_ref().map(|plan| format!("plan {plan}")));
    parts.extend(event.message_id.clone());
    parts.extend(event.receives.map(|receives| format!("receive {receives}")));
    parts.extend(
        event.messages.map(|messages| format!("{} put back", phrase::count(messages, "message", "messages"))),
    );
    parts.extend(event.items.map(|items| phrase::count(items, "item", "items")));
    parts.extend(event.message.clone());
    parts.extend(event.error.as_ref().map(ToString::to_string));
    parts.extend(event.next.map(|next| format!("next trial {}", phrase::instant(next))));
    parts.join("  ")
}
