//! Placeholder with the signatures of the real one.

use serde::Serialize;

/// Everything `check` found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The findings by place.
    pub findings: Vec<String>,
}

impl Report {
    /// Findings that stop the workflow.
    pub fn errors(&self) -> usize {
        self.findings.len()
    }

    /// Findings that do not.
    pub fn warnings(&self) -> usize {
        0
    }

    /// The report as text.
    pub fn render(&self, color: bool) -> String {
        let _ = color;
        self.findings.iter().fold(String::new(), |text, finding| text + finding + "\n")
    }
}
