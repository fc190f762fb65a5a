//! `milepost effects`: what is known about every effect of a run, and what a person says about it.

use clap::builder::PossibleValuesParser;

use super::exit::Exit;
use super::failure::{Failure, say_next};
use super::output::{BOLD, Output};
use super::page::shortened;
use super::reader::Reader;
use super::table::{self, Table};
use super::{Context, phrase, settle};
use crate::core::ledger::Verdict;
use crate::core::run::Status;
use crate::view::{Doubtful, EffectCounts, EffectFilter, EffectView, RunView};

/// Effects on a terminal when nothing else is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Effects asked for at once.
const PAGE: usize = 1_000;
const VERDICTS: [&str; 5] = ["done", "refused", "in_doubt", "intended", "not_needed"];

/// Show what is known about every effect: done for sure, not done for sure, or perhaps
///
/// An effect is a call that changes something outside. Its intent is on disk before the call leaves,
/// its outcome after, so each is `done`, `refused` (surely not done), `in_doubt` (perhaps done),
/// `intended` (its call is under way) or `not_needed`. With --settle you say what became of effects
/// that nobody but a person can tell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost effects @failed --in-doubt                  everything that is perhaps, or perhaps twice
  milepost effects @latest --item SKU-1042
  milepost effects @latest --verdict refused --step pim
  milepost effects @failed --in-doubt --json | jq -r .key
  milepost effects @failed --settle done --item SKU-1042 --step pim --fact id=9931
  milepost effects @failed --settle not-done --all

Exit codes: 0, 2 no such step, or --settle without --item and --all, 5 no such run or item, 6 the
run is being worked on, or the effect is not in doubt.")]
pub(super) struct Args {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Only effects of this item; may be given several times with --settle
    #[arg(long, value_name = "KEY")]
    pub(super) item: Vec<String>,
    /// Only effects of this step
    #[arg(long, value_name = "STEP")]
    pub(super) step: Option<String>,
    /// Only effects of which this is known
    #[arg(long, value_name = "VERDICT", value_parser = PossibleValuesParser::new(VERDICTS))]
    verdict: Option<String>,
    /// Only what is perhaps: effects in doubt, and those that were perhaps done more than once
    #[arg(long)]
    in_doubt: bool,
    /// About this many: the effects of one item stay together (default: 100; with --json all)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only effects of items from this position on
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Say what became of effects in doubt: they were done, or they were not
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(settle::WORDS),
        conflicts_with_all = ["verdict", "in_doubt", "limit", "after"])]
    pub(super) settle: Option<String>,
    /// With --settle done: what the effect returned, for the steps after it
    #[arg(long, value_name = "NAME=VALUE", value_parser = settle::fact, requires = "settle")]
    pub(super) fact: Vec<(String, serde_json::Value)>,
    /// With --settle: every effect that is left to a person
    #[arg(long, requires = "settle", conflicts_with = "item")]
    pub(super) all: bool,
    /// As JSON, one line per effect
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    if args.settle.is_some() {
        return settle::execute(&args, context, output).await;
    }
    let reader = Reader::open(context).await?;
    // `@latest` must not become another run between two pages.
    let run = reader.show(&args.run).await?;
    let filters = filters(&args);
    let mut left = args.limit.unwrap_or(if args.json { usize::MAX } else { LIMIT_DEFAULT });
    let mut shown = Vec::new();
    let mut more = None;
    for filter in filters {
        let mut filter = filter;
        while left > 0 {
            filter.limit = Some(left.min(PAGE));
            let page = reader.effects(&run.run.to_string(), &filter).await?;
            left -= page.effects.len().min(left);
            if args.json {
                page.effects.iter().try_for_each(|effect| output.json_line(effect))?;
                output.flush()?;
            } else {
                shown.extend(page.effects);
            }
            more = page.next;
            filter.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
    }
    if args.json {
        return Ok(Exit::Success);
    }
    let counts = reader.effect_counts(&run.run.to_string()).await?;
    write(&run, &counts, &shown, output)?;
    if let Some(next) = more {
        output.say(&format!("there are more; go on with --after {next}, or ask with --limit"));
    }
    output.say("");
    say_next(&next(&args, &run, &counts), context, output);
    Ok(Exit::Success)
}

/// One question, or one for each item that was named.
fn filters(args: &Args) -> Vec<EffectFilter> {
    let filter = |item: Option<&String>| EffectFilter {
        item: item.cloned(),
        step: args.step.clone(),
        verdict: args.verdict.as_deref().and_then(verdict),
        doubt: args.in_doubt.then_some(Doubtful::Any),
        after: args.after,
        limit: None,
    };
    if args.item.is_empty() {
        return vec![filter(None)];
    }
    args.item.iter().map(|item| filter(Some(item))).collect()
}

fn verdict(word: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|verdict| verdict.word() == word)
}

fn write(
    run: &RunView,
    counts: &EffectCounts,
    shown: &[EffectView],
    output: &mut Output,
) -> Result<(), Failure> {
    let status = output.paint(table::style_of(run.status.word()).bold(), run.status.word());
    let name = output.paint(BOLD, &run.run.to_string());
    output.line(&format!("{name}  {}  {status}", run.workflow))?;
    let table = heading(counts).render(output);
    output.line(&format!("\n{table}"))?;
    if shown.is_empty() {
        output.flush()?;
        output.say("\nno such effects");
        return Ok(());
    }
    let table = list(shown).render(output);
    output.line(&format!("\n{table}"))?;
    output.flush()
}

/// How many are known how, over the whole run.
fn heading(counts: &EffectCounts) -> Table {
    let mut table = Table::new(["effects", "verdict", "what is known"]);
    for verdict in Verdict::ALL {
        let known = match verdict {
            Verdict::Done if counts.repeated > 0 => {
                format!("done for sure; {} of them perhaps more than once", phrase::number(counts.repeated))
            }
            Verdict::Done => "done for sure".to_owned(),
            Verdict::Refused => "not done for sure".to_owned(),
            Verdict::InDoubt => "perhaps done".to_owned(),
            Verdict::Intended => "a call is under way".to_owned(),
            Verdict::NotNeeded => "never sent: the other side already held it".to_owned(),
        };
        let number = table::number_or_blank(counts.of(verdict));
        table.row([number, table::status(verdict.word()), table::text(known)]);
    }
    table
}

/// The effects, one per row.
pub(super) fn list(effects: &[EffectView]) -> Table {
    let mut table = Table::new(["item", "step", "effect", "attempt", "when", "key", "what is known"]);
    for effect in effects {
        table.row([
            table::text(effect.item.as_deref().unwrap_or("-")),
            table::text(effect.step.as_str()),
            table::status(effect.effect.word()),
            table::number_or_blank(effect.attempt.into()),
            table::text(phrase::instant(effect.at)),
            table::text(effect.key.as_deref().unwrap_or("-")),
            table::text(known(effect)),
        ]);
    }
    table
}

/// What the other side returned or said, what is perhaps besides, and who settles it.
fn known(effect: &EffectView) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !effect.facts.is_empty() {
        parts.push(phrase::facts(&effect.facts));
    }
    parts.extend(effect.error.as_ref().map(|error| shortened(&error.to_string())));
    if effect.before > 0 {
        let times = phrase::count(effect.before.into(), "time", "times");
        parts.push(format!("done {times} before"));
    }
    if effect.doubts > 0 {
        let attempts = phrase::count(effect.doubts.into(), "earlier attempt", "earlier attempts");
        parts.push(format!("perhaps also in {attempts}"));
    }
    match effect.settle_by.as_deref() {
        Some("probe") => parts.push("a resume looks it up".to_owned()),
        Some("repeat") => parts.push("a resume repeats it, which is harmless".to_owned()),
        Some(_) => parts.push("a person decides: --settle".to_owned()),
        None => {}
    }
    parts.join("; ")
}

/// What to type next.
fn next(args: &Args, run: &RunView, counts: &EffectCounts) -> Vec<String> {
    let id = run.run;
    let mut next = Vec::new();
    if counts.in_doubt + counts.repeated > 0 && !args.in_doubt {
        next.push(format!("milepost effects {id} --in-doubt"));
    }
    if counts.person > 0 && args.in_doubt {
        next.push(format!("milepost effects {id} --settle done|not-done --item KEY"));
    }
    match run.status {
        Status::Failed | Status::Interrupted | Status::Paused => {
            next.push(format!("milepost resume {id} --plan"));
        }
        Status::Queued | Status::Running | Status::Waiting => {
            next.push(format!("milepost events {id} --follow"));
        }
        Status::Succeeded | Status::Cancelled => next.push(format!("milepost show {id}")),
    }
    next
}
