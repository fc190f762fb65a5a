//! The command line as it is typed. Each verb's own arguments are beside the verb.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::exit::Exit;
use super::{check, events, graph, items, list, resume, run, sandbox, show};
use crate::config::STATE_DEFAULT;

const ABOUT: &str = "Runs workflow files, keeps every step, and resumes a failed run by its ID";
const LONG_ABOUT: &str = "\
Milepost runs workflow files. Every step of every item is kept in the state directory, so that a \
run that failed, or was killed, goes on by its ID and repeats nothing that is known to be done.

A run is named by its ID, a unique beginning of it, @latest, or @failed (the newest run that \
failed or was interrupted). What a command answers goes to stdout; what it has to say besides \
goes to stderr. Every read has --json.";
const EXAMPLES: &str = "\
Examples:
  milepost check workflows/product-sync.yaml     every mistake in the file, at once
  milepost run workflows/product-sync.yaml       run it; the first line is the run's ID
  milepost show @latest                          how it went, step by step
  milepost resume @failed --plan                 what a resume would do
  milepost resume @failed                        do it";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "milepost", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", Exit::help()))]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// The directory in which runs are kept
    #[arg(long, global = true, env = "MILEPOST_STATE", default_value = STATE_DEFAULT, value_name = "DIR")]
    pub(super) state: PathBuf,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Run(run::Args),
    Resume(resume::Args),
    List(list::Args),
    Show(show::Args),
    Items(items::Args),
    Events(events::Args),
    Check(check::Args),
    Graph(graph::Args),
    Sandbox(sandbox::Args),
}
