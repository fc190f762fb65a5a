//! `milepost doctor`: what a workflow file names outside, looked at before a run needs it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{BAD, BOLD, CARE, DIM, GOOD, Output};
use super::phrase;
use crate::app::{doctor, doctor_address};
use crate::config::LISTEN_DEFAULT;
use crate::view::{FindingView, HealthView};

/// Look at everything outside that a workflow file names, and say what is missing or mis-wired
///
/// Changes nothing outside, and touches no state.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost doctor workflows/product-sync.yaml
  milepost doctor workflows/product-sync.yaml --profile production
  milepost doctor my.yaml --json | jq '.connections[].found[] | select(.health == \"wrong\")'

Exit codes: 0 nothing is wrong (what could not be found out is no mistake), 1 something is wrong,
2 mistakes in the file: see `milepost check`.")]
pub(super) struct Args {
    /// The workflow file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The profile whose connections are looked at
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Where milepost serve is to listen; looked at when the file has triggers or hooks
    #[arg(long, value_name = "ADDRESS", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: &Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let mistakes = |report| Failure::Mistakes(Box::new(report));
    let profile = args.profile.as_deref();
    let mut examined = doctor(&args.file, profile, &context.options.state).await.map_err(mistakes)?;
    examined.extend(doctor_address(&args.file, profile, args.listen).map_err(mistakes)?);
    let count = |health: HealthView| {
        let all = examined.iter().flat_map(|connection| &connection.found);
        all.filter(|diagnosis| diagnosis.health == health).count()
    };
    let (wrong, unknown) = (count(HealthView::Wrong), count(HealthView::Unknown));
    if args.json {
        let file = args.file.display().to_string();
        output.json(&json!({
            "file": file, "ok": wrong == 0, "wrong": wrong, "unknown": unknown, "connections": examined,
        }))?;
    } else {
        for connection in &examined {
            let name = output.paint(BOLD, &connection.connection);
            output.line(&format!("{name} ({})", connection.kind))?;
            for diagnosis in &connection.found {
                line(diagnosis, output)?;
            }
        }
        if wrong + unknown > 0 {
            let wrong = phrase::count(wrong as u64, "thing is wrong", "things are wrong");
            output.say(&format!("{wrong}, {unknown} could not be found out"));
        }
    }
    Ok(if wrong == 0 { Exit::Success } else { Exit::RunFailed })
}

fn line(diagnosis: &FindingView, output: &mut Output) -> Result<(), Failure> {
    let style = match diagnosis.health {
        HealthView::Good => GOOD,
        HealthView::Wrong => BAD,
        HealthView::Unknown => CARE,
    };
    let word = output.paint(style, &format!("{:<11}", diagnosis.health.word()));
    output.line(&format!("  {word}  {}", diagnosis.what))?;
    if let Some(next) = &diagnosis.next {
        let next = output.paint(DIM, next);
        output.line(&format!("  {:<11}  {next}", ""))?;
    }
    Ok(())
}
