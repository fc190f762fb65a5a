//! `milepost pause`: lets a run stand still.

use super::Context;
use super::actor::{self, Target};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::view::Action;

/// Let a run stand still: no new calls until it is unpaused
///
/// Calls that are out may end; waits go on, and messages stay hidden. The command that works on
/// the run stays; when it ends, `resume` goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost pause @latest
  milepost unpause @latest

Exit codes: 0 (also when it was paused before), 5 no such run, 6 nobody works on the run.")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    actor::execute(&args.target, Action::Pause, context, output).await
}
