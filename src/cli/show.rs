//! `milepost show`: one run, step by step.

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::page;
use super::reader::Reader;
use crate::view::Causes;

/// Show one run: its status, its steps, and why items did not succeed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost show @latest
  milepost show run_01kj --json | jq .items

Exit codes: 0, 5 no such run. The status of the run is in the answer, not in the exit code.")]
pub(super) struct Args {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    run: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let reader = Reader::open(context).await?;
    let view = reader.show(&args.run).await?;
    if args.json {
        output.json(&view)?;
        return Ok(Exit::Success);
    }
    let has_causes = view.items.dead_lettered + view.items.in_doubt > 0;
    let causes = if has_causes {
        reader.causes(&view.run.to_string(), page::CAUSES_MAX).await?
    } else {
        Causes::default()
    };
    page::write(&view, &causes, context, output)?;
    Ok(Exit::Success)
}
