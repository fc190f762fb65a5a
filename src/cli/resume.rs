//! `milepost resume`: goes on with a run, or says what that would do.

use super::actor::somebody;
use super::exit::Exit;
use super::failure::{Failure, say_next};
use super::output::{BOLD, Output};
use super::reader::Reader;
use super::table::{self, Table};
use super::{Context, attend, phrase, remote};
use crate::app::Asked;
use crate::core::execution::DrivenBy;
use crate::view::{Acceptance, DefinitionChoice, PlanView, ResumeTerms};

/// Doubts listed one by one; the rest is counted.
const DOUBTS_MAX: usize = 20;
/// Fewer digits of a hash could be those of another plan.
const HASH_DIGITS_MIN: usize = 8;

/// Go on with a run that failed or was interrupted
///
/// It is the same run with the same ID: work that is known to be done is kept, and only the rest
/// is done. With --plan nothing is done; you see what would be, and the hash of that plan, which
/// --expect holds the resume to.
///
/// With --definition current the run goes on under its file as it is now. Steps that are the same,
/// and take in the same, keep their work; what was changed, and what depends on it, is done anew;
/// what cannot be reconciled with the records is refused, and nothing is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost resume @failed --plan             what is kept, what is done, what is in doubt
  milepost resume @failed                    do it
  milepost resume @failed --expect 92eb3c83c4f38ca9
  milepost resume @failed --definition current --plan   after editing the file or its mappings
  milepost resume run_01kj --plan --json
  milepost resume @failed --items failed         only what did not succeed; the rest stays as it is
  milepost resume @latest --items A-100 --items '#17'
  milepost resume @failed --accept-connection=moved     the same shop at another address

Exit codes: 0 succeeded (or planned), 1 failed again, 3 stopped and resumable, 4 the state directory
is held by another engine, 5 no such run, 6 the run cannot be resumed, 8 cancelled.")]
pub(super) struct Args {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    run: String,
    /// Only say what would be done
    #[arg(long)]
    plan: bool,
    /// Work on these items only: 'failed' (dead letters, doubts, those between attempts),
    /// 'dead-lettered', or a key or position ('#17'); may be given several times
    #[arg(long, value_name = "WHICH")]
    items: Vec<String>,
    /// Refuse if the plan is no longer the one with this hash, or beginning of a hash
    #[arg(long, value_name = "HASH", value_parser = hash)]
    expect: Option<String>,
    /// The definition to go on under: 'stored' with the run, or 'current', the file as it is now
    #[arg(long, value_name = "WHICH", default_value = "stored")]
    definition: DefinitionChoice,
    /// Go on although a connection is not what it was: 'replaced' (the default), it is another
    /// system, where nothing is done yet; 'moved', it is the same system at another address
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "replaced"
    )]
    accept_connection: Option<Acceptance>,
    /// Who drives the graph from here on: 'embedded' or 'step_functions'; without this, who did before
    #[arg(long, value_name = "WHO")]
    executor: Option<DrivenBy>,
    /// The plan as JSON; without --plan, end with the run as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    fn terms(&self) -> ResumeTerms {
        ResumeTerms {
            items: self.items.clone(),
            definition: self.definition,
            accept: self.accept_connection,
            executor: self.executor,
            ..ResumeTerms::default()
        }
    }
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    if args.plan {
        return show_plan(&args, context, output).await;
    }
    if let Some(client) = remote::server(context).await? {
        let terms = args.terms();
        return remote::resume(&client, &args.run, terms, args.expect, args.json, context, output).await;
    }
    let (engine, _serving) = attend::open(context, output).await?;
    let (archive, terms) = (engine.archive(), args.terms());
    let run = archive.find(&args.run)?.id;
    let plan = archive.plan_view(&engine.plan(run, &terms).await?)?;
    let asked = Asked { expected: args.expect.as_deref(), by: Some(&somebody()) };
    let running = engine.resume(run, &terms, asked).await?;
    output.say(&summary(&plan));
    if !plan.executor.is_embedded() {
        let drives = plan.executor.word();
        output.say(&format!(
            "{drives} drives the graph: a step in which an engine died is ordered again once its heartbeat has run out"
        ));
    }
    attend::to_end(&engine, running, args.json, context, output).await
}

async fn show_plan(args: &Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let terms = args.terms();
    let plan = Reader::open(context).await?.plan(&args.run, &terms).await?;
    if args.json {
        output.json(&plan)?;
        return Ok(Exit::Success);
    }
    write_plan(&plan, output)?;
    if plan.execute.is_empty() && !terms.items.is_empty() {
        say_next(&[format!("milepost items {}", plan.run)], context, output);
    } else {
        say_next(&commands(&plan, &terms), context, output);
    }
    Ok(Exit::Success)
}

/// Writes a plan as people read it.
pub(super) fn write_plan(plan: &PlanView, output: &mut Output) -> Result<(), Failure> {
    let name = output.paint(BOLD, &plan.run.to_string());
    output.line(&format!("{name}  plan {}", plan.plan))?;
    output.line(&format!("  {}", summary(plan)))?;
    if !plan.executor.is_embedded() {
        output.line(&format!("  {} drives the graph", plan.executor.word()))?;
    }
    if !plan.definition.is_empty() {
        let table = verdicts(plan).render(output);
        output.line(&format!("\n{}\n{table}", output.paint(BOLD, "definition")))?;
    }
    for change in &plan.connections {
        let name = output.paint(BOLD, &format!("connection {}", change.connection));
        output.line(&format!("\n{name}\n  was  {}\n  now  {}", change.was, change.now))?;
    }
    let table = works(plan).render(output);
    output.line(&format!("\n{table}"))?;
    if !plan.in_doubt.is_empty() {
        let table = doubts(plan).render(output);
        output.line(&format!("\n{}\n{table}", output.paint(BOLD, "in doubt")))?;
        if plan.doubts > DOUBTS_MAX as u64 {
            let more = phrase::number(plan.doubts - DOUBTS_MAX as u64);
            output.line(&format!("and {more} more (--json lists up to 10,000)"))?;
        }
    }
    output.flush()?;
    output.say("");
    Ok(())
}

/// What carries out exactly this plan. Where connections are not what they were, a person has to
/// say what they are.
fn commands(plan: &PlanView, terms: &ResumeTerms) -> Vec<String> {
    let command = |terms: &ResumeTerms| {
        format!("milepost resume {}{} --expect {}", plan.run, terms.options(), plan.plan)
    };
    if plan.connections.is_empty() || terms.accept.is_some() {
        return vec![command(terms)];
    }
    let with = |accept| ResumeTerms { accept: Some(accept), ..terms.clone() };
    let moved = with(Acceptance::Moved).options();
    vec![command(&with(Acceptance::Replaced)), format!("milepost resume {}{moved} --plan", plan.run)]
}

fn hash(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    if text.len() >= HASH_DIGITS_MIN && text.chars().all(|digit| digit.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err(format!("expected at least {HASH_DIGITS_MIN} digits of the hash that --plan showed"))
    }
}

/// Each step under the changed definition.
fn verdicts(plan: &PlanView) -> Table {
    let mut table = Table::new(["line", "step", "verdict", "why"]);
    for verdict in &plan.definition {
        table.row([
            table::text(verdict.line.map(|line| line.to_string()).unwrap_or_default()),
            table::text(verdict.step.as_str()),
            table::text(verdict.verdict.as_str()),
            table::text(verdict.reason.as_str()),
        ]);
    }
    table
}

/// Each step: what is kept, done and left, and why.
fn works(plan: &PlanView) -> Table {
    let mut table = Table::new(["step", "what", "items", "why"]);
    for kept in &plan.reuse {
        let row = ["kept", "done before"];
        table.row(work(&kept.step, row[0], kept.items, row[1]));
    }
    for doing in &plan.execute {
        table.row(work(&doing.step, "to do", doing.items, &doing.reason));
    }
    for left in &plan.left {
        table.row(work(&left.step, "left", left.items, &left.reason));
    }
    table
}

fn work(step: &str, what: &str, items: u64, why: &str) -> [table::Cell; 4] {
    [table::text(step), table::text(what), table::number(items), table::text(why)]
}

fn doubts(plan: &PlanView) -> Table {
    let mut table = Table::new(["item", "step", "effect", "settled by"]);
    for doubt in plan.in_doubt.iter().take(DOUBTS_MAX) {
        table.row([
            table::text(doubt.item.as_deref().unwrap_or("-")),
            table::text(doubt.step.as_str()),
            table::text(doubt.effect.as_str()),
            table::text(doubt.settle_by.as_str()),
        ]);
    }
    table
}

pub(super) fn summary(plan: &PlanView) -> String {
    let doubts = match plan.doubts {
        0 => "nothing is in doubt".to_owned(),
        some => format!("{} in doubt", phrase::count(some, "effect is", "effects are")),
    };
    if plan.items == 0 {
        return doubts;
    }
    let items = phrase::count(plan.items, "item", "items");
    format!("{} of {items} done; {doubts}", phrase::number(plan.items_done))
}
