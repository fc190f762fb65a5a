//! `milepost effects --settle`: a person says what became of effects that nobody else can tell.

use serde_json::Value;

use super::Context;
use super::actor::{self, Target};
use super::effects::{Args, list};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::reader::Reader;
use crate::view::{Action, Doubtful, EffectFilter, Problem, ProblemKind, Settling, code};

/// What can be said about an effect.
pub(super) const WORDS: [&str; 2] = ["done", "not-done"];
/// Effects listed before they are settled.
const LISTED_MAX: usize = 20;

/// A fact as it is typed.
pub(super) fn fact(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), Settling::value(value)))
        }
        _ => Err(format!("expected NAME=VALUE, for example id={text}")),
    }
}

pub(super) async fn execute(args: &Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    if args.item.is_empty() && !args.all {
        return Err(ask(args, context, output).await?.into());
    }
    let settling = Settling {
        items: args.item.clone(),
        step: args.step.clone(),
        done: args.settle.as_deref() == Some("done"),
        facts: args.fact.iter().cloned().collect(),
    };
    let target = Target { run: args.run.clone(), json: args.json };
    actor::execute(&target, Action::Settle(settling), context, output).await
}

/// Lists what would be settled, and says how to mean it.
async fn ask(args: &Args, context: &Context, output: &mut Output) -> Result<Problem, Failure> {
    let reader = Reader::open(context).await?;
    let run = reader.show(&args.run).await?.run;
    let filter = EffectFilter {
        step: args.step.clone(),
        doubt: Some(Doubtful::Person),
        limit: Some(LISTED_MAX),
        ..EffectFilter::default()
    };
    let page = reader.effects(&run.to_string(), &filter).await?;
    if page.effects.is_empty() {
        let detail = format!("no effect of {run} is left to a person");
        return Ok(Problem::new(ProblemKind::Refused, code::NOT_IN_DOUBT, detail)
            .next(format!("milepost effects {run} --in-doubt")));
    }
    if !args.json {
        let table = list(&page.effects).render(output);
        output.line(&table)?;
        output.flush()?;
        if page.next.is_some() {
            output.say("and there are more");
        }
    }
    let settle = args.settle.as_deref().unwrap_or_default();
    let step = args.step.as_ref().map(|step| format!(" --step {step}")).unwrap_or_default();
    let detail = "nothing was settled: name items with --item, or mean all of these with --all";
    Ok(Problem::new(ProblemKind::Invalid, code::NOT_NAMED, detail)
        .next(format!("milepost effects {run} --settle {settle}{step} --item KEY"))
        .next(format!("milepost effects {run} --settle {settle}{step} --all")))
}
