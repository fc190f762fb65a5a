//! `milepost unpause`: lets a paused run go on, and a server that was started with `--paused` begin.

use super::Context;
use super::actor::{self, Target, somebody};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::phrase;
use super::reader::{Reader, nothing};
use crate::server::no_server;
use crate::view::{Action, Unhold, UnholdOrder};

/// Let a paused run go on, or what a server holds begin
///
/// A run that pauses because a connection is down goes on by itself; this tries the connection at
/// once. A server that was started with --paused begins nothing before it is told to: one run, a
/// workflow with its triggers, or all.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost unpause @latest
  milepost unpause run_01kj --json
  milepost unpause --workflow product-sync
  milepost unpause --all

Exit codes: 0 (also when it was not paused), 5 no such run or workflow, 6 nobody works on the run, or no
server is up.")]
pub(super) struct Args {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN", required_unless_present_any = ["workflow", "all"])]
    run: Option<String>,
    /// Everything of this workflow, its triggers included
    #[arg(long, value_name = "NAME", conflicts_with_all = ["run", "all"])]
    workflow: Option<String>,
    /// Everything
    #[arg(long, conflicts_with = "run")]
    all: bool,
    /// What was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let what = match (args.run, args.workflow) {
        (Some(run), _) => {
            let target = Target { run, json: args.json };
            return actor::execute(&target, Action::Unpause, context, output).await;
        }
        (None, Some(name)) => Unhold::Workflow(name),
        (None, None) => Unhold::All,
    };
    let queue = match Reader::open(context).await? {
        Reader::Beside(client) => client.unpause(&UnholdOrder { what, by: somebody() }).await?,
        Reader::Store { .. } => return Err(no_server().into()),
        Reader::Nothing(state) => return Err(nothing(&state)),
    };
    if args.json {
        output.json(&queue)?;
        return Ok(Exit::Success);
    }
    let at_work = queue.workflows.iter().map(|lane| lane.at_work.len() as u64).sum();
    let waiting = phrase::count(queue.waiting as u64, "run waits", "runs wait");
    output.line(&format!("{} at work, {waiting}", phrase::count(at_work, "run", "runs")))?;
    Ok(Exit::Success)
}
