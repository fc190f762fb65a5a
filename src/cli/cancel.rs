//! `milepost cancel`: gives a run up.

use super::Context;
use super::actor::{self, Target};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::view::Action;

/// Give a run up: no new calls, and it is not resumed any more
///
/// Calls that are out may end, and what they came to is recorded; then the run is closed as
/// cancelled, and `on_failure` does not work. A run that nobody works on is closed at once. Nothing
/// is undone: `items` tells what was done and what is in doubt. To stop a run and go on with it
/// later, press Ctrl-C where it works, or pause it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost cancel @latest
  milepost cancel run_01kj --json

Exit codes: 0 (also when it was cancelled before), 5 no such run, 6 it succeeded.")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    actor::execute(&args.target, Action::Cancel, context, output).await
}
