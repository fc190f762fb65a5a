//! `milepost graph`: a workflow as a picture.

use std::path::PathBuf;

use clap::ValueEnum;

use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::app::Engine;
use crate::connectors;
use crate::view::graph;

/// Show the steps of a workflow file and what needs what
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost graph workflows/product-sync.yaml
  milepost graph workflows/product-sync.yaml --format dot | dot -Tsvg > graph.svg

Exit codes: 0, 2 mistakes in the file.")]
pub(super) struct Args {
    /// The workflow file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The profile whose connections are shown
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Lines for a terminal
    Text,
    /// A Mermaid flowchart
    Mermaid,
    /// Graphviz
    Dot,
}

pub(super) fn execute(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let checked = Engine::check(&args.file, args.profile.as_deref())
        .map_err(|report| Failure::Mistakes(Box::new(report)))?;
    let format = match args.format {
        Format::Text => graph::Format::Text,
        Format::Mermaid => graph::Format::Mermaid,
        Format::Dot => graph::Format::Dot,
    };
    output.line(&graph::render(&checked.workflow, &connectors::catalog(), format))?;
    Ok(Exit::Success)
}
