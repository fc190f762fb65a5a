//! `milepost items`: the items of a run, or everything about one.

use clap::builder::PossibleValuesParser;

use super::exit::Exit;
use super::failure::Failure;
use super::output::{BOLD, DIM, Output};
use super::page::shortened;
use super::reader::Reader;
use super::table::{self, Table};
use super::{Context, phrase};
use crate::view::{ItemFilter, ItemStory, ItemView, UnitStatus};

/// Items on a terminal when nothing else is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Items asked for at once.
const PAGE: usize = 1_000;

/// List the items of a run, in the order of the source
///
/// An item is named by its key, or by #17 for position 17 when its record has no readable key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost items @latest --status dead_lettered
  milepost items @latest --step pim --limit 10
  milepost items @latest --item SKU-1042             everything about one item
  milepost items @latest --json | jq -r 'select(.status == \"in_doubt\") | .item'

Exit codes: 0, 2 no such step, 5 no such run or item.")]
pub(super) struct Args {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    run: String,
    /// Only items that stand like this
    #[arg(long, value_name = "STATUS", value_parser = PossibleValuesParser::new(UnitStatus::ITEM_WORDS))]
    status: Option<String>,
    /// Only items that stand at this step
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Only items with this text in their key
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// Everything about this item
    #[arg(long, value_name = "KEY", conflicts_with_all = ["status", "step", "key", "limit", "after"])]
    item: Option<String>,
    /// At most this many (default: 100; with --json all)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only items from this position on
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// As JSON, one line per item
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let reader = Reader::open(context).await?;
    if let Some(item) = &args.item {
        let story = reader.item(&args.run, item).await?;
        if args.json {
            output.json(&story)?;
        } else {
            write_story(&story, output)?;
        }
        return Ok(Exit::Success);
    }
    let mut left = args.limit.unwrap_or(if args.json { usize::MAX } else { LIMIT_DEFAULT });
    let mut filter = ItemFilter {
        status: args.status.as_deref().and_then(|word| word.parse().ok()),
        step: args.step,
        key: args.key,
        after: args.after,
        limit: None,
    };
    let mut shown = Vec::new();
    while left > 0 {
        filter.limit = Some(left.min(PAGE));
        let page = reader.items(&args.run, &filter).await?;
        left -= page.items.len().min(left);
        if args.json {
            for item in &page.items {
                output.json_line(item)?;
            }
            output.flush()?;
        } else {
            shown.extend(page.items);
        }
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    if !args.json {
        write_table(&shown, filter.after, output)?;
    }
    Ok(Exit::Success)
}

fn write_table(items: &[ItemView], next: Option<u64>, output: &mut Output) -> Result<(), Failure> {
    if items.is_empty() {
        output.say("no such items");
        return Ok(());
    }
    let mut table = Table::new(["item", "status", "step", "attempts", "why"]);
    for item in items {
        let reason = match (&item.error, &item.reason) {
            (Some(error), Some(_)) => Some(shortened(&error.to_string())),
            (None, reason) => reason.clone(),
            (_, None) => None,
        };
        let why: Vec<String> = later(item).into_iter().chain(reason).collect();
        table.row([
            table::text(item.item.as_str()),
            table::status(item.status.word()),
            table::text(item.step.as_str()),
            table::number_or_blank(item.attempts.into()),
            table::text(why.join("; ")),
        ]);
    }
    let table = table.render(output);
    output.line(&table)?;
    output.flush()?;
    if let Some(next) = next {
        output.say(&format!("there are more; go on with --after {next}, or ask with --limit"));
    }
    Ok(())
}

/// What comes by itself, and when.
fn later(item: &ItemView) -> Option<String> {
    let at = phrase::instant(item.until?);
    Some(match item.status {
        UnitStatus::Waiting => match signal(item) {
            Some((signal, key)) => format!("waits for {signal} {key} until {at}"),
            None => format!("waits until {at}"),
        },
        UnitStatus::InDoubt => format!("looked at again at {at}"),
        _ => format!("tried again at {at}"),
    })
}

/// The signal that it waits for at its step, and the key.
fn signal(item: &ItemView) -> Option<(&str, &str)> {
    let facts = item.facts.get(&item.step)?;
    Some((facts.get("signal")?.as_str()?, facts.get("key")?.as_str()?))
}

/// Writes everything about one item.
pub(super) fn write_story(story: &ItemStory, output: &mut Output) -> Result<(), Failure> {
    let item = &story.item;
    let status = output.paint(table::style_of(item.status.word()).bold(), item.status.word());
    let name = output.paint(BOLD, &item.item);
    output.line(&format!("{name}  position {}  {status} at {}", item.position, item.step))?;
    if let Some(step) = &item.message_left {
        output.line(&format!("its message was left to the dead-letter queue of {step}"))?;
    }
    let mut table = Table::new(["step", "status", "attempts", "when", "returned"]);
    for step in &story.steps {
        let status = match &step.reason {
            Some(reason) if step.status == UnitStatus::Skipped => format!("skipped ({reason})"),
            _ => step.status.to_string(),
        };
        table.row([
            table::text(step.step.as_str()),
            table::status(&status),
            table::number_or_blank(step.attempts.into()),
            table::text(step.at.map_or_else(|| "-".to_owned(), phrase::instant)),
            table::text(phrase::facts(&step.facts)),
        ]);
    }
    let table = table.render(output);
    output.line(&format!("\n{table}"))?;
    for step in &story.steps {
        if let Some(error) = &step.error {
            let label = output.paint(DIM, &format!("{}:", step.step));
            output.line(&format!("\n{label} {error}"))?;
        }
    }
    Ok(())
}
