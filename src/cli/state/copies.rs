//! `milepost state backup` and `restore`.

use std::path::{Path, PathBuf};

use super::super::actor::somebody;
use super::super::exit::Exit;
use super::super::failure::{Failure, say_next};
use super::super::output::Output;
use super::super::reader::Reader;
use super::super::{Context, phrase};
use super::{bytes, exists};
use crate::app::{self, BackupError, Engine};
use crate::client;
use crate::core::care::Backup;
use crate::core::id::RunId;
use crate::ports::StoreError;
use crate::store::RestoreError;
use crate::view::{Problem, ProblemKind, RunFilter, argument, code};

/// An engine may end while it takes the backup; then the next one, or this command, takes it.
const TRIES: u32 = 3;

/// Copy the whole state into one file with a checksum, also while a run is running
///
/// The rows are of one moment: everything that was acknowledged before it. The file is there whole or
/// not at all; one that was there before is replaced. What the stand-ins hold is no part of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost state backup /backups/milepost-today
  milepost state backup copy.milepost --json | jq -r .sha256

Exit codes: 0, 4 the state directory cannot be opened, 5 there is none, 6 the file would lie inside it,
70 the state is damaged, or the file cannot be written.")]
pub(super) struct BackupArgs {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Make the state directory from a backup
///
/// The whole file is checked before anything is written. The directory must be absent or empty; it is
/// built beside its place and renamed. A backup knows nothing of effects that were made after it: each
/// run that had not ended then is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost state restore copy.milepost --state elsewhere
  mv state state.damaged && milepost state restore copy.milepost

Exit codes: 0, 6 the state directory is not empty, 7 the backup is damaged, 70 the disk failed.")]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn backup(
    args: &BackupArgs,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    exists(context)?;
    let file = std::path::absolute(&args.file).map_err(|error| {
        backup_problem(&StoreError(format!("failed to find {}: {error}", args.file.display())).into())
    })?;
    let backup = take(&file, context).await?;
    if args.json {
        output.json(&backup)?;
        return Ok(Exit::Success);
    }
    output.line(&format!("{}  {}", backup.sha256, backup.file))?;
    output.flush()?;
    output.say(&contents(&backup));
    let command =
        format!("milepost state restore {} --state elsewhere", argument(&args.file.display().to_string()));
    output.say(&format!("to look into it: {command}"));
    Ok(Exit::Success)
}

async fn take(file: &Path, context: &Context) -> Result<Backup, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        match Reader::open(context).await? {
            Reader::Beside(client) => match client.backup(file, &somebody()).await {
                Err(client::Error::Unreachable(_) | client::Error::Broken(_)) if tries < TRIES => {}
                other => return Ok(other?),
            },
            Reader::Store { engine, .. } => {
                let taken = engine.backup(file.to_owned(), somebody()).await;
                return Ok(taken.map_err(|error| backup_problem(&error))?);
            }
            Reader::Nothing(_) => return exists(context).map(|()| Backup::default()),
        }
    }
}

/// Why a backup was not taken; the same for the API.
pub(in super::super) fn backup_problem(error: &BackupError) -> Problem {
    let problem = |kind| Problem::new(kind, code::BACKUP, format!("no backup was taken: {error}"));
    match error {
        BackupError::Inside { .. } => problem(ProblemKind::Refused)
            .candidates(["a backup has to lie outside of the state that it is a copy of".to_owned()])
            .next("milepost state backup FILE"),
        BackupError::Failed(_) => problem(ProblemKind::Internal).next("milepost state verify"),
    }
}

/// What was restored.
#[derive(serde::Serialize)]
struct Restored {
    #[serde(flatten)]
    backup: Backup,
    /// Runs that had not ended when the backup was taken: what they did after that is not in it.
    not_ended: Vec<RunId>,
}

pub(super) async fn restore(
    args: &RestoreArgs,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let backup = app::restore(&args.file, &context.options).await.map_err(|error| refused(&error))?;
    let engine = Engine::open(&context.options).await?;
    let list = engine.archive().runs(&RunFilter::default())?;
    let not_ended: Vec<RunId> =
        list.runs.iter().filter(|run| !run.status.is_ended()).map(|run| run.run).collect();
    if args.json {
        output.json(&Restored { backup, not_ended })?;
        return Ok(Exit::Success);
    }
    output.line(&format!("{} runs in {}", phrase::number(list.total as u64), context.options.state()))?;
    output.flush()?;
    output.say(&contents(&backup));
    for run in not_ended {
        output.say(&format!(
            "run {run} had not ended when the backup was taken: whatever it did after that is not in its \
             record; look at the other side before you resume"
        ));
    }
    say_next(&["milepost list".to_owned(), "milepost state verify".to_owned()], context, output);
    Ok(Exit::Success)
}

fn contents(backup: &Backup) -> String {
    format!(
        "{}: {}, {}, {}",
        bytes(backup.bytes),
        phrase::count(backup.runs, "run", "runs"),
        phrase::count(backup.rows, "row", "rows"),
        phrase::count(backup.files, "content-addressed file", "content-addressed files"),
    )
}

fn refused(error: &RestoreError) -> Failure {
    let detail = error.to_string();
    let problem = |kind| Problem::new(kind, code::RESTORE, detail);
    match error {
        RestoreError::Damaged { .. } | RestoreError::Version { .. } => {
            let problem = problem(ProblemKind::Invalid)
                .candidates(["take another backup; this one cannot be trusted".to_owned()]);
            Failure::Problem(Exit::Damaged, problem.next("milepost state restore --help"))
        }
        RestoreError::NotEmpty { dir } => {
            let aside = argument(&format!("{}.aside", dir.display()));
            let hint = format!("move it aside first: mv {} {aside}", argument(&dir.display().to_string()));
            problem(ProblemKind::Refused).candidates([hint]).next("milepost state restore BACKUP").into()
        }
        RestoreError::Failed(_) => {
            problem(ProblemKind::Internal).next("milepost state restore --help").into()
        }
    }
}
