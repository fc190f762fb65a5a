//! `milepost state verify` and `size`: nothing is changed.

use super::super::exit::Exit;
use super::super::failure::{Failure, say_next};
use super::super::output::{BAD, BOLD, GOOD, Output};
use super::super::table::{self, Table};
use super::super::{Context, phrase};
use super::{bytes, care, unreadable};
use crate::core::care::{Size, Verified};

/// Findings listed on a terminal; the rest is counted.
const FINDINGS_MAX: usize = 100;

/// Check the whole state: every row, what rows say of each other, every content-addressed file
///
/// Reads everything and tells all that is wrong, with its place. Needs the state at rest: while a run
/// is running, take a backup and check that where it was restored.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost state verify
  milepost state verify --json | jq .counts

Exit codes: 0 it is sound, 4 the state directory is held by another engine or cannot be opened,
5 there is none, 7 it is damaged.")]
pub(super) struct VerifyArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Show what takes the room: rows by kind, content-addressed files, bytes for each item
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost state size
  milepost state size --json | jq .bytes_per_item

Exit codes: 0, 4 the state directory is held by another engine or cannot be opened, 5 there is none,
70 a row is damaged.")]
pub(super) struct SizeArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn verify(
    args: &VerifyArgs,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let verified = care(context).await?.verify();
    if args.json {
        output.json(&verified)?;
    } else {
        tell(&verified, output)?;
    }
    output.flush()?;
    if verified.sound {
        if verified.collectable.rows > 0 {
            say_next(&["milepost state gc".to_owned()], context, output);
        } else if verified.collectable.files > 0 {
            say_next(&["milepost state gc --dry-run".to_owned()], context, output);
        }
        return Ok(Exit::Success);
    }
    let dir = context.options.state();
    output.say(&format!("put back a backup: mv {dir} {dir}.damaged, then"));
    say_next(&["milepost state restore BACKUP".to_owned()], context, output);
    Ok(Exit::Damaged)
}

fn tell(verified: &Verified, output: &mut Output) -> Result<(), Failure> {
    for finding in verified.findings.iter().take(FINDINGS_MAX) {
        let kind = output.paint(BAD, finding.kind.word());
        output.line(&format!("{kind}: {}: {}", finding.place, finding.what))?;
    }
    let hidden = verified.findings.len().saturating_sub(FINDINGS_MAX);
    if hidden > 0 {
        output.line(&format!("and {} more (--json lists all)", phrase::number(hidden as u64)))?;
    }
    let seen = &verified.seen;
    let read = format!(
        "{}, {}, {}, {}, {}",
        phrase::count(seen.rows, "row", "rows"),
        phrase::count(seen.runs, "run", "runs"),
        phrase::count(seen.items, "item", "items"),
        phrase::count(seen.messages, "message", "messages"),
        phrase::count(seen.files, "content-addressed file", "content-addressed files"),
    );
    if verified.sound {
        output.line(&format!("{}: {read}", output.paint(GOOD.bold(), "sound")))?;
    } else {
        let counts = verified.counts.iter().map(|(kind, count)| format!("{} {kind}", phrase::number(*count)));
        let counts = counts.collect::<Vec<_>>().join(", ");
        output.line(&format!("{}: {counts}; read {read}", output.paint(BAD.bold(), "damaged")))?;
    }
    let rest = &verified.collectable;
    if rest.files > 0 {
        let files = phrase::count(rest.files, "file", "files");
        output.line(&format!("can be collected: {files} that no row names, {}", bytes(rest.bytes)))?;
    }
    if rest.rows > 0 {
        let rows = phrase::count(rest.rows, "row", "rows");
        output.line(&format!("a removal was cut short; `milepost state gc` completes it: {rows} left"))?;
    }
    for name in &rest.leftovers {
        output.line(&format!("left by a process that died: {name}"))?;
    }
    Ok(())
}

pub(super) async fn size(args: &SizeArgs, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let size = care(context).await?.size().map_err(|error| unreadable(&error))?;
    if args.json {
        output.json(&size)?;
        return Ok(Exit::Success);
    }
    let table = table_of(&size).render(output);
    output.line(&table)?;
    let line = |label: &str, amount: u64| format!("{label:<9}{}", bytes(amount));
    output.line("")?;
    output.line(&format!("{}, the room it keeps included", line("journal", size.journal_bytes)))?;
    let files = phrase::count(size.files, "content-addressed file", "content-addressed files");
    output.line(&format!("{} in {files}", line("pins", size.file_bytes)))?;
    output.line(&output.paint(BOLD, &line("total", size.total_bytes)))?;
    if let Some(each) = size.bytes_per_item {
        let items = phrase::count(size.items, "item", "items");
        output.line(&format!("{} of rows for each of {items}", line("item", each)))?;
    }
    Ok(Exit::Success)
}

fn table_of(size: &Size) -> Table {
    let mut table = Table::new(["rows of", "rows", "bytes"]);
    for kind in &size.kinds {
        table.row([table::text(kind.kind.as_str()), table::number(kind.rows), table::number(kind.bytes)]);
    }
    table
}
