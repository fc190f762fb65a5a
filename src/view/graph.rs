//! A workflow as text, Mermaid or DOT (placeholder: written with `spec`).

use crate::core::catalog::Catalog;
use crate::core::workflow::Workflow;

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for a terminal.
    Text,
    /// Mermaid.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// The graph of a workflow.
pub fn render(workflow: &Workflow, catalog: &Catalog, format: Format) -> String {
    let _ = (catalog, format);
    workflow.steps.iter().map(|step| format!("{}\n", step.name)).collect()
}
