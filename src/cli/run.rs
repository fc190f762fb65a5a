//! `milepost run`: starts a run and stays with it to the end.

use std::path::PathBuf;

use super::actor::somebody;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::{Context, attend, remote};
use crate::app::{Start, Started};
use crate::core::execution::DrivenBy;

/// Longest start key: it is a key of the store.
const KEY_BYTES_MAX: usize = 200;

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
  milepost run workflows/product-sync.yaml --key nightly-2026-11-22     started once, however often
  milepost run workflows/hello.yaml | head -1        only the ID

Exit codes: 0 succeeded, 1 failed, 2 mistakes in the file or the input, 3 stopped and resumable,
4 the state directory is held by another engine, 6 the key has started something else, 8 cancelled
(by milepost cancel).")]
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
    /// Start once under this key: the next time the run that it started is shown, whatever became
    /// of it, and nothing is done; another file or input under the same key is refused
    #[arg(long, value_name = "KEY", value_parser = start_key)]
    key: Option<String>,
    /// Who drives the graph: 'embedded', the engine itself, or 'step_functions', over the workflow's connection
    /// of that kind; the steps are done here in any case
    #[arg(long, value_name = "WHO", default_value = "embedded")]
    executor: DrivenBy,
    /// End with the run as JSON instead of a summary (the first line is still the ID)
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    if let Some(client) = remote::server(context).await? {
        let order = remote::order(&args.file, &args.input, (args.profile, args.executor), context)?;
        return remote::start(&client, &order, args.key.as_deref(), args.json, context, output).await;
    }
    let (engine, _serving) = attend::open(context, output).await?;
    let start = Start {
        file: args.file,
        input: args.input,
        profile: args.profile,
        by: Some(somebody()),
        driven_by: args.executor,
    };
    let running = match &args.key {
        None => engine.start(start).await?,
        Some(key) => match engine.start_once(start, key).await? {
            Started::Now(running) => running,
            Started::Before(run) => return attend::sum_up_before(&engine, &run, args.json, context, output),
        },
    };
    attend::to_end(&engine, running, args.json, context, output).await
}

fn start_key(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("a key cannot be empty".to_owned()),
        1..=KEY_BYTES_MAX => Ok(text.to_owned()),
        _ => Err(format!("a key has at most {KEY_BYTES_MAX} bytes")),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, for example source={text}")),
    }
}
