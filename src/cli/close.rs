//! `milepost close`: lets a run go for good.

use super::Context;
use super::actor::{self, Target};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::view::Action;

/// Let a run go for good: it is not resumed any more
///
/// Everything about it can still be read; what only a resume needs, such as its pinned source, may
/// be removed. A run that is being worked on is not closed: cancel it first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost close run_01kj
  milepost close @failed --json

Exit codes: 0 (also when it was closed before), 5 no such run, 6 the run is being worked on.")]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    actor::execute(&args.target, Action::Close, context, output).await
}
