//! A workflow's graph as text for a terminal, as Mermaid for a document, as DOT for Graphviz.

use crate::core::catalog::{Catalog, Role};
use crate::core::graph::Graph;
use crate::core::workflow::{Step, Workflow};

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For documents that render Mermaid.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// What a step is, as far as a picture shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Source,
    Pure,
    Effect,
    Waits,
}

impl Look {
    fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Pure => "computes",
            Self::Effect => "effect",
            Self::Waits => "waits",
        }
    }

    fn mark(self) -> char {
        match self {
            Self::Source => '▶',
            Self::Pure => '○',
            Self::Effect => '●',
            Self::Waits => '◷',
        }
    }
}

/// Steps in drawing order, with what is drawn about each.
struct Drawing<'a> {
    workflow: &'a Workflow,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    step: &'a Step,
    look: Look,
    per_item: bool,
    layer: usize,
}

/// Draws the workflow.
pub fn render(workflow: &Workflow, catalog: &Catalog, format: Format) -> String {
    let drawing = Drawing::of(workflow, catalog);
    match format {
        Format::Text => drawing.text(catalog),
        Format::Mermaid => drawing.mermaid(),
        Format::Dot => drawing.dot(),
    }
}

impl<'a> Drawing<'a> {
    fn of(workflow: &'a Workflow, catalog: &Catalog) -> Self {
        let position = |name: &String| workflow.steps.iter().position(|step| step.name == *name);
        let needs: Vec<Vec<usize>> =
            workflow.steps.iter().map(|step| step.needs.iter().filter_map(position).collect()).collect();
        let graph = Graph::new(&needs);
        let looks: Vec<Look> = workflow.steps.iter().map(|step| look(step, catalog)).collect();
        let source = looks.iter().position(|look| *look == Look::Source);
        let mut layers = vec![0; looks.len()];
        // In a circle there is no order; `check` refuses those, and a picture of what is left
        // helps to see it.
        let order = graph.order().unwrap_or_else(|| (0..looks.len()).collect());
        for at in &order {
            let deepest = graph.needs(*at).into_iter().map(|need| layers[need] + 1).max();
            layers[*at] = deepest.unwrap_or(0);
        }
        let mut rows: Vec<Row<'a>> = order
            .into_iter()
            .map(|at| Row {
                step: &workflow.steps[at],
                look: looks[at],
                per_item: source.is_some_and(|source| graph.ancestors(at).contains(&source)),
                layer: layers[at],
            })
            .collect();
        rows.sort_by_key(|row| row.layer);
        Self { workflow, rows }
    }

    fn text(&self, catalog: &Catalog) -> String {
        let mut text = format!("{}\n", self.workflow.name);
        let name_width = self.rows.iter().map(|row| row.step.name.chars().count()).max().unwrap_or(0);
        let uses_width = self.rows.iter().map(|row| row.step.uses.chars().count()).max().unwrap_or(0);
        let mut layer = None;
        for row in &self.rows {
            if layer.is_some_and(|layer| layer != row.layer) {
                text.push_str("  │\n");
            }
            layer = Some(row.layer);
            let track = if row.per_item { "item" } else { "run" };
            let drawn = format!(
                "  {} {:name_width$}  {:uses_width$}  {:8} per {track:4}  {}",
                row.look.mark(),
                row.step.name,
                row.step.uses,
                row.look.word(),
                about(row.step, &self.before(row)),
            );
            line(&mut text, drawn.trim_end());
        }
        if !self.workflow.on_failure.is_empty() {
            text.push_str("\n  when the run fails, in this order\n");
            for step in &self.workflow.on_failure {
                let look = look(step, catalog);
                let over = step.connection.as_ref().map_or(String::new(), |name| format!("  over {name}"));
                line(&mut text, &format!("  {} {}{over}", look.mark(), step.uses));
            }
        }
        text.push_str(
            "\n  ▶ source   ○ computes, done again on resume   ● effect, never repeated blindly   ◷ waits\n",
        );
        text
    }

    /// The needs worth writing: not when they are simply all steps of the layer above.
    fn before(&self, row: &Row<'_>) -> Vec<&'a str> {
        let above: Vec<&str> = self
            .rows
            .iter()
            .filter(|other| other.layer + 1 == row.layer)
            .map(|other| other.step.name.as_str())
            .collect();
        let named = self.rows.iter().map(|other| other.step.name.as_str());
        let needs: Vec<&str> = named.filter(|name| row.step.needs.iter().any(|need| need == name)).collect();
        if needs == above { Vec::new() } else { needs }
    }

    fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (at, row) in self.rows.iter().enumerate() {
            let (open, close) = match row.look {
                Look::Source => ("[(", ")]"),
                Look::Pure => ("[", "]"),
                Look::Effect => ("[[", "]]"),
                Look::Waits => ("([", "])"),
            };
            line(&mut text, &format!("  s{at}{open}\"{}<br/>{}\"{close}", row.step.name, row.step.uses));
        }
        for (from, to) in self.edges() {
            let per_item = self.rows[to].per_item;
            line(&mut text, &format!("  s{from} {} s{to}", if per_item { "-->" } else { "-.->" }));
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = format!("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box];\n", self.workflow.name);
        for row in &self.rows {
            let shape = match row.look {
                Look::Source => ", shape=cylinder",
                Look::Pure => "",
                Look::Effect => ", style=bold",
                Look::Waits => ", style=rounded",
            };
            let (name, uses) = (&row.step.name, &row.step.uses);
            line(&mut text, &format!("  \"{name}\" [label=\"{name}\\n{uses}\"{shape}];"));
        }
        for (from, to) in self.edges() {
            let (from, to) = (&self.rows[from], &self.rows[to]);
            let style = if to.per_item { "" } else { " [style=dashed]" };
            line(&mut text, &format!("  \"{}\" -> \"{}\"{style};", from.step.name, to.step.name));
        }
        text.push_str("}\n");
        text
    }

    /// From the needed row to the one that needs it.
    fn edges(&self) -> Vec<(usize, usize)> {
        let position = |name: &String| self.rows.iter().position(|row| row.step.name == *name);
        self.rows
            .iter()
            .enumerate()
            .flat_map(|(to, row)| row.step.needs.iter().filter_map(position).map(move |from| (from, to)))
            .collect()
    }
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn look(step: &Step, catalog: &Catalog) -> Look {
    match catalog.step(&step.uses).map(|known| known.role) {
        Some(Role::Source) => Look::Source,
        Some(Role::Effect { .. }) => Look::Effect,
        Some(Role::Timer | Role::Receive | Role::Listen) => Look::Waits,
        Some(Role::Pure) | None => Look::Pure,
    }
}

/// What else is worth knowing: over which connection, in what batches, on what condition.
fn about(step: &Step, needs: &[&str]) -> String {
    let mut parts = Vec::new();
    if let Some(connection) = &step.connection {
        parts.push(format!("over {connection}"));
    }
    if step.batch.max > 1 {
        parts.push(format!("{} per call", step.batch.max));
    }
    if let Some(when) = &step.when {
        parts.push(format!("when {when}"));
    }
    if !needs.is_empty() {
        parts.push(format!("after {}", needs.join(", ")));
    }
    parts.join(", ")
}
