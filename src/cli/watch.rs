//! `milepost watch`: starts runs as the workflow's triggers hear of something, until it is stopped.

use std::path::PathBuf;

use super::exit::Exit;
use super::failure::Failure;
use super::output::{BOLD, Output};
use super::signals::Signals;
use super::teller::{self, Teller};
use super::{Context, attend};
use crate::app::{Begins, Finds, Pace, Watched, Watching};
use crate::view::{Problem, ProblemKind, argument, code};

/// Start runs of a workflow file as its triggers hear of something
///
/// Stays until Ctrl-C. Each run is told on stdout when it begins and when it ends, its ID first; all
/// else goes to stderr. One run is started for each version of an object or file, and for each time of
/// a schedule, however often it is told; a message leaves its queue only when its run is recorded. A
/// workflow whose source is a queue has one open run after the other. What was interrupted goes on
/// first; a run that failed or was paused is told with the next command, and waits for a person. Ctrl-C
/// interrupts the runs that are at work; the next watch goes on with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost watch workflows/product-ingest.yaml --profile production
  milepost watch workflows/product-sync.yaml  a file put into its folder starts a run
  milepost watch uploads.yaml --concurrency 4
  milepost watch uploads.yaml --json        a line of JSON for each start and end

Exit codes: 0 stopped while no run was at work, 2 mistakes in the file, or nothing to watch in it,
3 stopped, and runs with it, which go on with the next watch, 4 the state directory is held by
another engine, 70 a failing disk, 130 Ctrl-C twice.")]
pub(super) struct Args {
    /// The workflow file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The profile whose connections are used
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// How many runs may be at work at once; while so many are, messages wait in their queue
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Starts and ends as lines of JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let mistakes = |report| Failure::Mistakes(Box::new(report));
    let foreseen = Watched::foreseen(&args.file, args.profile.as_deref()).map_err(mistakes)?;
    if foreseen.listeners.is_empty() {
        return Err(nothing_to_watch(&args, &foreseen).into());
    }
    let mut signals = Signals::listen()?;
    let (engine, _serving) = attend::open(context, output).await?;
    let watched = Watched::read(&engine, &args.file, args.profile.as_deref()).map_err(mistakes)?;
    teller::say_what_is_watched(&watched, output);
    output.say("Ctrl-C ends it");
    let archive = engine.archive();
    let pace = Pace {
        concurrency: args.concurrency.into(),
        waiting_max: usize::MAX,
        finds: Finds::ItsOwn,
        begins: Begins::AtOnce,
    };
    let mut watching = Watching::begin(&engine, vec![watched], pace);
    let alerting = engine.alerting(std::future::ready(()));
    let mut teller = Teller::new(archive, args.json);
    teller::until_stopped(&mut watching, &mut teller, &mut signals, None, context, output).await?;
    watching.ended().await?;
    attend::end_alerting(alerting, output).await;
    if teller.interrupted {
        let file = argument(&args.file.display().to_string());
        let profile = args.profile.map(|name| format!(" --profile {name}")).unwrap_or_default();
        let command = context.command(&format!("milepost watch {file}{profile}"));
        let command = output.paint_talk(BOLD, &command);
        output.say(&format!("stopped; nothing is lost. Go on with: {command}"));
        return Ok(Exit::Interrupted);
    }
    output.say("stopped; no run was at work");
    Ok(Exit::Success)
}

fn nothing_to_watch(args: &Args, watched: &Watched) -> Problem {
    let file = args.file.display();
    let silent = watched.silent.iter();
    let lines = silent.map(|(name, kind)| format!("{name} cannot listen over a connection of kind '{kind}'"));
    let detail = match (watched.silent.is_empty(), &args.profile) {
        (true, _) => format!("{file} has no triggers: nothing would ever start"),
        (false, Some(profile)) => format!("{file}: no trigger listens in the profile '{profile}'"),
        (false, None) => format!("{file}: no trigger listens without a profile"),
    };
    Problem::new(ProblemKind::Invalid, code::START_REFUSED, detail)
        .candidates(lines)
        .next("milepost watch --help")
}
