//! `milepost state`: care for the state as a whole.

mod collect;
mod copies;
mod look;

use tokio::time::Instant;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::reader::{PATIENCE, PAUSE};
use super::{Context, phrase};
use crate::app::{Care, OpenError};
use crate::ports::StoreError;
use crate::view::{Problem, ProblemKind, code};

pub(super) use collect::collect_problem;
pub(super) use copies::backup_problem;

/// Check the state, see what takes room, remove what nobody needs, back it up and restore it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost state verify                    is everything sound?
  milepost state size                      what takes the room
  milepost state gc --dry-run              what may go, and why each run goes or stays
  milepost state backup copy.milepost      also while a run is running
  milepost state restore copy.milepost --state elsewhere

Exit codes: 0, 4 the state directory is held by another engine or cannot be opened, 6 it does not fit
the present state, 7 the state, or the backup, is damaged.")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Verify(look::VerifyArgs),
    Size(look::SizeArgs),
    Gc(collect::Args),
    Backup(copies::BackupArgs),
    Restore(copies::RestoreArgs),
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Verify(args) => look::verify(&args, context, output).await,
        Verb::Size(args) => look::size(&args, context, output).await,
        Verb::Gc(args) => collect::execute(&args, context, output).await,
        Verb::Backup(args) => copies::backup(&args, context, output).await,
        Verb::Restore(args) => copies::restore(&args, context, output).await,
    }
}

/// Takes hold of the state for a look at all of it. A read that holds it for a moment is waited for.
async fn care(context: &Context) -> Result<Care, Failure> {
    exists(context)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Care::open(&context.options).await {
            Ok(care) => return Ok(care),
            Err(OpenError::Held { .. }) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Err(error @ OpenError::Held { .. }) => {
                let problem = Problem::new(ProblemKind::Refused, code::STATE_HELD, error.to_string())
                    .candidates(["this needs the state at rest; a backup can be taken meanwhile".to_owned()])
                    .next("milepost state backup FILE");
                return Err(Failure::Problem(Exit::StateUnavailable, problem));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Looking after a state is no reason to make one.
fn exists(context: &Context) -> Result<(), Failure> {
    if context.options.state.is_dir() {
        return Ok(());
    }
    let detail = format!("there is no state directory {}", context.options.state());
    Err(Problem::new(ProblemKind::NotFound, code::RUN_NONE, detail).next("milepost run FILE").into())
}

fn unreadable(error: &StoreError) -> Failure {
    let problem = Problem::new(ProblemKind::Internal, code::STATE_READ, error.to_string());
    problem.next("milepost state verify").into()
}

/// Bytes as people read them.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return phrase::count(count, "byte", "bytes");
    }
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_told_in_units_of_1024() {
        let told = [0, 1, 1_023, 1_024, 1_536, 1 << 20, 5_000_000_000].map(super::bytes);
        assert_eq!(told, ["0 bytes", "1 byte", "1,023 bytes", "1.0 KiB", "1.5 KiB", "1.0 MiB", "4.6 GiB"]);
    }
}
