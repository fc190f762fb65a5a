//! `milepost dead-letters`: the items that were given up, in all runs, and what becomes of them.

use std::time::Duration;

use clap::Subcommand;

use super::actor::{self, Target};
use super::exit::Exit;
use super::failure::{Failure, say_next};
use super::output::{BOLD, DIM, Output};
use super::page::shortened;
use super::reader::Reader;
use super::table::{self, Table};
use super::{Context, effects, events, items, phrase, redrive};
use crate::app;
use crate::core::letter::LetterFilter;
use crate::core::time::Timestamp;
use crate::spec;
use crate::view::{
    Action, Dropping, LetterQuery, LetterStory, LetterView, Problem, ProblemKind, argument, code,
};

/// Dead letters on a terminal when nothing else is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Dead letters asked for at once.
const PAGE: usize = 1_000;

/// Items that were given up: list, show, redrive or drop them
///
/// An item is a dead letter when its attempts ran out, or its content was refused. It is kept with
/// its last error and its whole history.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost dead-letters list
  milepost dead-letters list --run @failed --step pim --error Timeout
  milepost dead-letters show @failed SKU-1042
  milepost dead-letters redrive @failed --error Timeout --plan
  milepost dead-letters redrive @failed --error Timeout
  milepost dead-letters drop @failed --error InvalidRecord --reason 'discontinued'

Exit codes: 0, 1 a redrive failed again, 2 nothing was named, 3 a redrive was stopped, or other items
of the run are unfinished, 4 the state directory is held by another engine, 5 no such run or item,
6 the run is being worked on, or the item is no dead letter.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(List),
    Show(Show),
    Redrive(redrive::Args),
    Drop(Drop),
}

/// List dead letters: those of the newest run first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost dead-letters list --newer 1h
  milepost dead-letters list --run @failed --json | jq -r .item

Exit codes: 0, also when there are none, 5 no such run.")]
struct List {
    /// Only those of this run: its ID, a unique beginning of it, @latest or @failed
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    #[command(flatten)]
    which: Which,
    /// About this many (default: 100; with --json all)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Go on where a list ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// As JSON, one line per dead letter
    #[arg(long)]
    json: bool,
}

/// Show everything about one item: its steps, its effects, what happened, and its record
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost dead-letters show @failed SKU-1042
  milepost dead-letters show @failed '#17' --json | jq .record

Exit codes: 0, 5 no such run or item.")]
struct Show {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    run: String,
    /// The item's key, or #17 for position 17
    #[arg(value_name = "ITEM")]
    item: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Give dead letters up for good: they are not tried again and no longer count as dead letters
///
/// They stay in the record as cancelled, with who gave them up and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost dead-letters drop @failed --item SKU-1042
  milepost dead-letters drop @failed --error InvalidRecord --reason 'discontinued'
  milepost dead-letters drop @failed --older 30d

Exit codes: 0, 2 nothing was named, 5 no such run or item, 6 the run is being worked on, or the item
is no dead letter.")]
struct Drop {
    #[command(flatten)]
    target: Target,
    /// Only this item; may be given several times
    #[arg(long, value_name = "KEY")]
    item: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Every dead letter of the run
    #[arg(long, conflicts_with_all = ["item", "step", "error", "older", "newer"])]
    all: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Which dead letters are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only those at this step
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Only those with this error, for example Timeout
    #[arg(long, value_name = "NAME")]
    error: Option<String>,
    /// Only those given up longer ago than this, for example 2d
    #[arg(long, value_name = "AGE", value_parser = spec::duration)]
    older: Option<Duration>,
    /// Only those given up since then, for example 1h ago
    #[arg(long, value_name = "AGE", value_parser = spec::duration)]
    newer: Option<Duration>,
}

impl Which {
    /// The filter; ages count back from now.
    pub(super) fn filter(&self) -> LetterFilter {
        let now = app::now();
        let ago = |age: Duration| Timestamp(0).after(now.since(Timestamp(0)).saturating_sub(age));
        LetterFilter {
            step: self.step.clone(),
            error: self.error.clone(),
            before: self.older.map(ago),
            since: self.newer.map(ago),
        }
    }

    /// Whether nothing was asked for.
    pub(super) fn is_open(&self) -> bool {
        self.step.is_none() && self.error.is_none() && self.older.is_none() && self.newer.is_none()
    }

    /// The options as they are typed, each with a space before it.
    pub(super) fn options(&self) -> String {
        let age = |age: Duration| format!("{}s", age.as_secs());
        let given = [
            ("step", self.step.clone()),
            ("error", self.error.clone()),
            ("older", self.older.map(age)),
            ("newer", self.newer.map(age)),
        ];
        let options = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        options.fold(String::new(), |text, (name, value)| format!("{text} --{name} {}", argument(&value)))
    }
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    match args.what {
        What::List(args) => list(args, context, output).await,
        What::Show(args) => show(args, context, output).await,
        What::Redrive(args) => redrive::execute(args, context, output).await,
        What::Drop(args) => drop_letters(args, context, output).await,
    }
}

async fn list(args: List, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let reader = Reader::open(context).await?;
    let LetterFilter { step, error, before, since } = args.which.filter();
    let mut query = LetterQuery { run: args.run, step, error, before, since, after: args.after, limit: None };
    if let Some(run) = &mut query.run {
        // `@failed` must not become another run between two pages.
        *run = reader.show(run).await?.run.to_string();
    }
    let mut left = args.limit.unwrap_or(if args.json { usize::MAX } else { LIMIT_DEFAULT });
    let mut shown = Vec::new();
    while left > 0 {
        query.limit = Some(left.min(PAGE));
        let page = reader.dead_letters(&query).await?;
        left -= page.letters.len().min(left);
        if args.json {
            page.letters.iter().try_for_each(|letter| output.json_line(letter))?;
            output.flush()?;
        } else {
            shown.extend(page.letters);
        }
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if !args.json {
        write_list(&shown, query.after.as_deref(), context, output)?;
    }
    Ok(Exit::Success)
}

fn write_list(
    letters: &[LetterView],
    next: Option<&str>,
    context: &Context,
    output: &mut Output,
) -> Result<(), Failure> {
    let Some(first) = letters.first() else {
        output.say("no dead letters");
        return Ok(());
    };
    let mut table = Table::new(["run", "item", "step", "attempts", "when", "error"]);
    for letter in letters {
        let mut why = letter.error.as_ref().map(|error| shortened(&error.to_string())).unwrap_or_default();
        if letter.doubts > 0 {
            let attempts = phrase::count(letter.doubts.into(), "attempt", "attempts");
            why = format!("{why}; perhaps done in {attempts}");
        }
        if letter.gone {
            why = format!("{why}; its run is gone");
        }
        table.row([
            table::text(letter.run.to_string()),
            table::text(letter.item.as_str()),
            table::text(letter.step.as_str()),
            table::number_or_blank(letter.attempts.into()),
            table::text(phrase::instant(letter.at)),
            table::text(why),
        ]);
    }
    let table = table.render(output);
    output.line(&table)?;
    output.flush()?;
    if let Some(next) = next {
        output.say(&format!("there are more; go on with --after {next}, or ask with --limit"));
    }
    output.say("");
    let commands = [
        format!("milepost dead-letters show {} {}", first.run, argument(&first.item)),
        format!("milepost dead-letters redrive {} --plan", first.run),
    ];
    say_next(&commands, context, output);
    Ok(())
}

async fn show(args: Show, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let story = Reader::open(context).await?.dead_letter(&args.run, &args.item).await?;
    if args.json {
        output.json(&story)?;
        return Ok(Exit::Success);
    }
    items::write_story(&story.story, output)?;
    write_rest(&story, output)?;
    output.flush()?;
    output.say("");
    let item = argument(&story.story.item.item);
    let commands = [
        format!("milepost dead-letters redrive {} --item {item} --plan", story.run),
        format!("milepost dead-letters drop {} --item {item}", story.run),
    ];
    say_next(&commands, context, output);
    Ok(Exit::Success)
}

fn write_rest(story: &LetterStory, output: &mut Output) -> Result<(), Failure> {
    if !story.effects.is_empty() {
        let table = effects::list(&story.effects).render(output);
        output.line(&format!("\n{}\n{table}", output.paint(BOLD, "effects")))?;
    }
    if !story.events.is_empty() {
        output.line(&format!("\n{}", output.paint(BOLD, "what happened")))?;
        for event in &story.events {
            let line = events::line(event, output);
            output.line(&line)?;
        }
    }
    output.line(&format!("\n{}", output.paint(BOLD, "record")))?;
    match &story.record {
        Some(record) => output.json(record),
        None => output.line(&output.paint(DIM, "cannot be read from the pinned source any more")),
    }
}

async fn drop_letters(args: Drop, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    if args.item.is_empty() && args.which.is_open() && !args.all {
        let view = Reader::open(context).await?.show(&args.target.run).await?;
        let items = phrase::count(view.items.dead_lettered, "dead letter", "dead letters");
        let detail = format!("nothing was given up: say which of {items}, or mean all with --all");
        return Err(Problem::new(ProblemKind::Invalid, code::NOT_NAMED, detail)
            .next(format!("milepost dead-letters list --run {}", view.run))
            .next(format!("milepost dead-letters drop {} --all", view.run))
            .into());
    }
    let dropping = Dropping { items: args.item, letters: args.which.filter(), reason: args.reason };
    actor::execute(&args.target, Action::Drop(dropping), context, output).await
}
