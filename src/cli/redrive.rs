//! `milepost dead-letters redrive`: a resume of dead letters and of nothing else.

use super::actor::somebody;
use super::dead_letters::Which;
use super::exit::Exit;
use super::failure::{Failure, say_next};
use super::output::Output;
use super::reader::Reader;
use super::{Context, attend, remote, resume};
use crate::app::Asked;
use crate::view::{
    Archive, ITEMS_DEAD_LETTERED, Problem, ProblemKind, ResumeTerms, UnitStatus, argument, code,
};

/// Try dead letters of a run again, and nothing else of it
///
/// They get a new budget of attempts and keep their history: attempts go on counting. No message is
/// needed, and what is done stays done. Stays until they are through, as `resume` does.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost dead-letters redrive @failed --plan               what would be done
  milepost dead-letters redrive @failed --error HttpStatus
  milepost dead-letters redrive @latest --item SKU-1042 --item SKU-1043

Exit codes: 0 the run succeeded (or planned), 1 the run failed again, 3 stopped, or other items of the
run are unfinished, 4 the state directory is held by another engine, 5 no such run or item, 6 nothing
to redrive.")]
pub(super) struct Args {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    run: String,
    /// Only this item; may be given several times
    #[arg(long, value_name = "KEY", conflicts_with_all = ["step", "error", "older", "newer"])]
    item: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Only say what would be done
    #[arg(long)]
    plan: bool,
    /// The plan as JSON; without --plan, end with the run as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    fn terms(&self) -> ResumeTerms {
        let letters = self.which.filter();
        let items =
            if self.item.is_empty() { vec![ITEMS_DEAD_LETTERED.to_owned()] } else { self.item.clone() };
        ResumeTerms { items, letters, ..ResumeTerms::default() }
    }

    fn options(&self) -> String {
        let items = self.item.iter().map(|item| format!(" --item {}", argument(item)));
        items.chain([self.which.options()]).collect()
    }
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    if args.plan {
        return show_plan(&args, context, output).await;
    }
    if let Some(client) = remote::server(context).await? {
        return remote::resume(&client, &args.run, args.terms(), None, args.json, context, output).await;
    }
    let (engine, _serving) = attend::open(context, output).await?;
    let archive = engine.archive();
    let run = archive.find(&args.run)?.id;
    for item in &args.item {
        is_dead_letter(&archive, &run.to_string(), item)?;
    }
    let terms = args.terms();
    let plan = archive.plan_view(&engine.plan(run, &terms).await?)?;
    let running = engine.resume(run, &terms, Asked { by: Some(&somebody()), expected: None }).await?;
    output.say(&resume::summary(&plan));
    attend::to_end(&engine, running, args.json, context, output).await
}

async fn show_plan(args: &Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let plan = Reader::open(context).await?.plan(&args.run, &args.terms()).await?;
    if args.json {
        output.json(&plan)?;
        return Ok(Exit::Success);
    }
    resume::write_plan(&plan, output)?;
    let next = if plan.execute.is_empty() {
        format!("milepost dead-letters list --run {}", plan.run)
    } else {
        format!("milepost dead-letters redrive {}{}", plan.run, args.options())
    };
    say_next(&[next], context, output);
    Ok(Exit::Success)
}

/// Whoever redrives an item means that it was given up.
fn is_dead_letter(archive: &Archive, run: &str, item: &str) -> Result<(), Problem> {
    let story = archive.item(run, item)?;
    if story.steps.iter().any(|step| step.status == UnitStatus::DeadLettered) {
        return Ok(());
    }
    let detail =
        format!("{item} is no dead letter of {run}: it is {} at {}", story.item.status, story.item.step);
    Err(Problem::new(ProblemKind::Refused, code::NOT_A_DEAD_LETTER, detail)
        .next(format!("milepost dead-letters list --run {run}")))
}
