//! `milepost run`: starts a run and stays with it to the end.

use std::path::PathBuf;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::{Context, watch};
use crate::app::Start;

/// Run a workflow file to its end
///
/// The first line on stdout is the ID of the run, before any work is done. While it runs, progress
/// goes to stderr; at the end a summary goes to stdout. Ctrl-C stops it cleanly: no new calls,
/// those that are out end, and the run can be resumed. It can be resumed after a kill, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost run workflows/product-sync.yaml
  milepost run workflows/product-sync.yaml --input source=products.json.gz
  milepost run workflows/product-sync.yaml --profile production
  milepost run workflows/hello.yaml | head -1        only the ID

Exit codes: 0 succeeded, 1 failed, 2 mistakes in the file or the input, 3 stopped and resumable,
4 the state directory is held by another engine, 8 cancelled (by milepost cancel).")]
pub(super) struct Args {
    /// The workflow file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A value for one of the workflow's inputs; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    input: Vec<(String, String)>,
    /// The profile whose connections are used
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// End with the run as JSON instead of a summary (the first line is still the ID)
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let (engine, _serving) = watch::open(context, output).await?;
    let start = Start { file: args.file, input: args.input, profile: args.profile };
    let running = engine.start(start).await?;
    watch::to_end(&engine, running, args.json, context, output).await
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, for example source={text}")),
    }
}
