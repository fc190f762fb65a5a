//! `milepost list`: the runs, newest first.

use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::exit::Exit;
use super::failure::{Failure, say_next};
use super::output::Output;
use super::reader::Reader;
use super::table::{self, Table};
use super::{Context, phrase};
use crate::core::run::Status;
use crate::view::{RunFilter, RunSummary};

/// Runs listed on a terminal when nothing else is asked for.
const LIMIT_DEFAULT: usize = 20;
const STATUSES: [&str; 8] =
    ["queued", "running", "waiting", "paused", "interrupted", "succeeded", "failed", "cancelled"];

/// List runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost list
  milepost list --status failed --workflow product-sync
  milepost list --json | jq -r '.[0].run'

Exit codes: 0, also when there are no runs.")]
pub(super) struct Args {
    /// Only runs with this status
    #[arg(long, value_name = "STATUS", value_parser = PossibleValuesParser::new(STATUSES))]
    status: Option<String>,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only runs with this text in their ID, workflow, file, source or start key
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// At most this many (default: 20; with --json all)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let reader = Reader::open(context).await?;
    let filter = RunFilter {
        status: args.status.and_then(status),
        workflow: args.workflow,
        search: args.search,
        after: None,
        limit: args.limit.or((!args.json).then_some(LIMIT_DEFAULT)),
    };
    let list = reader.runs(&filter).await?;
    if args.json {
        output.json(&list.runs)?;
        return Ok(Exit::Success);
    }
    if list.runs.is_empty() {
        output.say("no runs");
        say_next(&["milepost run FILE".to_owned()], context, output);
        return Ok(Exit::Success);
    }
    let mut table = Table::new(["run", "workflow", "status", "started", "took", "items"]);
    for run in &list.runs {
        table.row(row(run));
    }
    let table = table.render(output);
    output.line(&table)?;
    output.flush()?;
    let hidden = list.total - list.runs.len();
    if hidden > 0 {
        output.say(&format!("{} more; add --limit {}", phrase::number(hidden as u64), list.total));
    }
    Ok(Exit::Success)
}

fn row(run: &RunSummary) -> [table::Cell; 6] {
    let took = run.ended_at.map(|end| phrase::duration(end.0.since(run.started_at.0)));
    [
        table::text(run.run.to_string()),
        table::text(run.workflow.as_str()),
        table::status(run.status.word()),
        table::text(phrase::instant(run.started_at)),
        table::text(took.unwrap_or_else(|| "-".to_owned())),
        table::text(phrase::items(&run.items)),
    ]
}

/// The words are those of the JSON.
fn status(word: String) -> Option<Status> {
    serde_json::from_value(Value::String(word)).ok()
}
