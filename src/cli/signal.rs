//! `milepost signal`: says to waiting items that what they wait for has happened.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::actor::somebody;
use super::exit::Exit;
use super::failure::{Failure, say_next};
use super::output::Output;
use super::reader::{Reader, nothing};
use super::table::{self, Table};
use super::{Context, phrase};
use crate::client;
use crate::spec::duration;
use crate::view::{Sent, SignalView, Signalled};

/// How long we ask again when the engine went away while it answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// Signals listed on a terminal.
const LIMIT_DEFAULT: usize = 20;

/// Send a signal to the items that wait for it, or list the signals that are kept
///
/// A signal counts for an item only if it is newer than the item's own effect before the wait. It is
/// kept for items that begin to wait later.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost signal product.published --key SKU-1
  milepost signal product.published --key SKU-1 --workflow product-sync --payload '{\"by\": \"ana\"}'
  milepost signal --list
  milepost signal --list --json

Exit codes: 0 (also when nobody waits for it), 2 it is no signal.")]
pub(super) struct Args {
    /// What happened
    #[arg(value_name = "NAME", required_unless_present = "list")]
    name: Option<String>,
    /// What it is about
    #[arg(long, value_name = "KEY", required_unless_present = "list")]
    key: Option<String>,
    /// Only items of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// What the sender calls it: sent twice under one ID, it is one signal (default: a new one)
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// How new what it tells of is, where the step compares that (`after`)
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// What else there is to say, as JSON
    #[arg(long, value_name = "JSON", value_parser = payload)]
    payload: Option<Value>,
    /// How long it is kept for items that begin to wait later (default: 14d)
    #[arg(long, value_name = "DURATION", value_parser = keep)]
    keep: Option<Duration>,
    /// List the signals that are kept, newest first
    #[arg(long, conflicts_with_all = ["key", "workflow", "id", "version", "payload", "keep"])]
    list: bool,
    /// What came of it, or the list, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let (json, name) = (args.json, args.name.clone());
    let Some(sent) = sent(args) else {
        return list(name.as_deref(), json, context, output).await;
    };
    let signalled = send(&sent, context).await?;
    if json {
        output.json(&signalled)?;
    } else {
        output.line(&signalled.message())?;
    }
    Ok(Exit::Success)
}

fn sent(args: Args) -> Option<Sent> {
    let millis = |keep: Duration| u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    Some(Sent {
        signal: args.name?,
        key: args.key?,
        id: args.id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        workflow: args.workflow,
        version: args.version,
        payload: args.payload.unwrap_or_default(),
        keep: args.keep.map(millis),
        by: somebody(),
    })
}

/// Sends it. When it returns, it is durable.
async fn send(sent: &Sent, context: &Context) -> Result<Signalled, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Reader::open(context).await? {
            Reader::Beside(client) => match client.signal(sent).await {
                Ok(signalled) => return Ok(signalled),
                // It ended before it answered. Sent again under its ID, it is the same signal.
                Err(client::Error::Unreachable(_) | client::Error::Broken(_))
                    if Instant::now() < deadline => {}
                Err(error) => return Err(error.into()),
            },
            Reader::Store { engine, .. } => return Ok(engine.signal(sent.clone()).await?),
            Reader::Nothing(state) => return Err(nothing(&state)),
        }
    }
}

async fn list(
    name: Option<&str>,
    json: bool,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut signals = match Reader::open(context).await? {
        Reader::Beside(client) => client.signals().await?,
        Reader::Store { engine, .. } => engine.signals()?,
        Reader::Nothing(_) => Vec::new(),
    };
    signals.retain(|signal| name.is_none_or(|name| signal.signal == name));
    if json {
        output.json(&signals)?;
        return Ok(Exit::Success);
    }
    if signals.is_empty() {
        output.say("no signals are kept");
        say_next(&["milepost signal --help".to_owned()], context, output);
        return Ok(Exit::Success);
    }
    let mut table = Table::new(["signal", "key", "came", "woke", "kept until"]);
    for signal in signals.iter().take(LIMIT_DEFAULT) {
        table.row(row(signal));
    }
    let table = table.render(output);
    output.line(&table)?;
    output.flush()?;
    let more = signals.len().saturating_sub(LIMIT_DEFAULT);
    if more > 0 {
        output.say(&format!("and {more} more; --json lists all"));
    }
    Ok(Exit::Success)
}

fn row(signal: &SignalView) -> [table::Cell; 5] {
    [
        table::text(signal.signal.as_str()),
        table::text(signal.key.as_str()),
        table::text(phrase::instant(signal.at)),
        table::number_or_blank(signal.woke),
        table::text(phrase::instant(signal.kept_until)),
    ]
}

fn payload(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))
}

fn keep(text: &str) -> Result<Duration, String> {
    duration(text)
}
