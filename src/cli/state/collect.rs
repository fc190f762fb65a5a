//! `milepost state gc`: removes what nobody needs.

use super::super::actor::somebody;
use super::super::exit::Exit;
use super::super::failure::{Failure, say_next};
use super::super::output::Output;
use super::super::reader::{answering, open_to_work};
use super::super::table::{self, Table};
use super::super::{Context, phrase};
use super::{bytes, exists, unreadable};
use crate::app::Company;
use crate::client::Client;
use crate::core::care::Collection;
use crate::ports::StoreError;
use crate::view::{CollectOrder, Problem, ProblemKind, code};

/// Remove runs whose time is over, and files that nobody names
///
/// A run goes when it ended longer ago than its workflow file says under 'resumable_for' (30d when it
/// says nothing), or when a person closed it. Its dead letters are kept, each with its record. What
/// was interrupted, or is under way, never goes by age. Beside a server it is the server that does it,
/// while other runs work; files that nobody names go there when they are a day old. A server also does it
/// by itself, once a day (milepost serve --gc).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost state gc --dry-run      what would go, and why each run goes or stays
  milepost state gc                do it
  milepost state gc --json | jq '.runs[] | select(.goes)'

Exit codes: 0, 4 the state directory cannot be opened, 5 there is none,
70 a row is damaged (nothing goes then), or the disk failed.")]
pub(super) struct Args {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: &Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let collection = collected(args, context).await?;
    if args.json {
        output.json(&collection)?;
        return Ok(Exit::Success);
    }
    tell(&collection, output)?;
    output.flush()?;
    if args.dry_run {
        say_next(&["milepost state gc".to_owned()], context, output);
    }
    Ok(Exit::Success)
}

/// By the engine that works in the state directory, or else by this process.
async fn collected(args: &Args, context: &Context) -> Result<Collection, Failure> {
    let order = CollectOrder { dry_run: args.dry_run, by: somebody() };
    if let Some(client) = beside(context).await? {
        return Ok(client.collect(&order).await?);
    }
    let engine = open_to_work(context).await?;
    let collection = engine.collection().map_err(|error| unreadable(&error))?;
    if order.dry_run {
        return Ok(collection);
    }
    let done = engine.collect(collection, Company::Nobody, order.by).await;
    Ok(done.map_err(|error| collect_problem(&error))?)
}

/// The server that was named, else the engine that works in the state directory.
async fn beside(context: &Context) -> Result<Option<Client>, Failure> {
    if let Some(named) = &context.server {
        return Ok(Some(named.client()?));
    }
    exists(context)?;
    answering(&context.options).await
}

/// Why nothing more was removed; the same for the API.
pub(in super::super) fn collect_problem(error: &StoreError) -> Problem {
    let detail = format!("the removal was cut short, and nothing is half gone: {error}");
    let problem = Problem::new(ProblemKind::Internal, code::COLLECT, detail);
    problem.next("milepost state gc").next("milepost state verify")
}

fn tell(collection: &Collection, output: &mut Output) -> Result<(), Failure> {
    if !collection.runs.is_empty() {
        let mut table = Table::new(["run", "workflow", "status", "what", "dead letters", "why"]);
        for fate in &collection.runs {
            let what = match (fate.goes, collection.done) {
                (true, true) => "removed",
                (true, false) => "goes",
                (false, _) => "stays",
            };
            table.row([
                table::text(fate.run.to_string()),
                table::text(fate.workflow.as_str()),
                table::status(fate.status.word()),
                table::text(what),
                table::number_or_blank(fate.dead_letters),
                table::text(fate.why.as_str()),
            ]);
        }
        let table = table.render(output);
        output.line(&format!("{table}\n"))?;
    }
    for run in &collection.completed {
        output.line(&format!("{run}: its removal was cut short before, and is completed"))?;
    }
    let letters: u64 = collection.runs.iter().filter(|fate| fate.goes).map(|fate| fate.dead_letters).sum();
    let runs = collection.runs.iter().filter(|fate| fate.goes).count() as u64;
    let verb = if collection.done { "removed" } else { "would remove" };
    output.line(&format!(
        "{verb} {}, {}, {}, {} ({}); {} kept",
        phrase::count(runs, "run", "runs"),
        phrase::count(collection.rows, "row", "rows"),
        phrase::count(collection.expired_keys, "expired key", "expired keys"),
        phrase::count(collection.files, "file", "files"),
        bytes(collection.file_bytes),
        phrase::count(letters, "dead letter", "dead letters"),
    ))
}
