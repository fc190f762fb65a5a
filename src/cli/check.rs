//! `milepost check`: every mistake in a workflow file, at once.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::exit::Exit;
use super::failure::Failure;
use super::output::{GOOD, Output};
use super::phrase;
use crate::app::Engine;
use crate::spec::Report;

/// Check a workflow file: every mistake at once, with its place and what to write instead
///
/// Touches no state and calls nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost check workflows/product-sync.yaml
  milepost check workflows/product-sync.yaml --profile production
  milepost check my.yaml --json | jq '.findings[] | {line, column, message}'

Exit codes: 0 no mistakes (warnings are allowed), 2 mistakes.")]
pub(super) struct Args {
    /// The workflow file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The profile to check it with
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// As JSON, for editors
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let file = args.file.display();
    match Engine::check(&args.file, args.profile.as_deref()) {
        Ok(checked) if args.json => {
            output.json(&document(&file.to_string(), Some(&checked.workflow.name), &checked.warnings))?;
            Ok(Exit::Success)
        }
        Ok(checked) => {
            let warnings = checked.warnings.render(output.is_talk_colored());
            if !warnings.is_empty() {
                output.say(&warnings);
            }
            let steps = phrase::count(checked.workflow.steps.len() as u64, "step", "steps");
            let good = output.paint(GOOD, "ok");
            output.line(&format!("{good}  {file}  {}, {steps}", checked.workflow.name))?;
            Ok(Exit::Success)
        }
        Err(report) if args.json => {
            output.json(&document(&file.to_string(), None, &report))?;
            Ok(Exit::Usage)
        }
        Err(report) => Err(Failure::Mistakes(Box::new(report))),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    file: &'a str,
    ok: bool,
    workflow: Option<&'a str>,
    errors: usize,
    warnings: usize,
    findings: Value,
}

fn document<'a>(file: &'a str, workflow: Option<&'a str>, report: &Report) -> Document<'a> {
    let findings = serde_json::to_value(&report.findings).unwrap_or_else(|_| json!([]));
    Document {
        file,
        ok: workflow.is_some(),
        workflow,
        errors: report.errors(),
        warnings: report.warnings(),
        findings,
    }
}
