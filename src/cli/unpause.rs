//! `milepost unpause`: lets a paused run go on.

use super::Context;
use super::actor::{self, Target};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::view::Action;

/// Let a paused run go on
///
/// A run that pauses because a connection is down goes on by itself; this tries the connection at
/// once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost unpause @latest
  milepost unpause run_01kj --json

Exit codes: 0 (also when it was not paused), 5 no such run, 6 nobody works on the run.")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    actor::execute(&args.target, Action::Unpause, context, output).await
}
