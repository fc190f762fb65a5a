//! What `check` says: findings, in the order in which they stand in the file.

use std::collections::BTreeMap;

use serde::Serialize;

use super::codes::{self, Code};
use super::place::{Source, Span};

/// Whether a finding stops the workflow from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// One mistake, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable code, explained in [`super::CODES`].
    pub code: &'static str,
    /// Whether it stops the workflow.
    pub severity: Severity,
    /// The file, as it was named to `check`.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The line of the end.
    pub end_line: u32,
    /// The column after the end.
    pub end_column: u32,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What the marked place is; may be empty.
    pub label: String,
    /// What to write instead, if that is known.
    pub hint: Option<String>,
    /// The command to type next.
    pub next: String,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    #[serde(skip)]
    pub(super) span: Span,
}

/// Another place that belongs to a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Related {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What stands there.
    pub label: String,
    #[serde(skip)]
    pub(super) span: Span,
}

/// Everything `check` found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The findings by place.
    pub findings: Vec<Finding>,
    #[serde(skip)]
    pub(super) sources: BTreeMap<String, Source>,
}

impl Report {
    /// Findings that stop the workflow.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// The report on a workflow file whose bytes cannot be had at all.
    pub fn unreadable(file: &str, why: &str) -> Self {
        let source = Source::new(file, "");
        let mistake =
            Mistake::new(codes::NO_FILE, Span::default(), format!("'{file}' cannot be read: {why}"))
                .hint("name a workflow file, for example workflows/hello.yaml");
        let finding = finding(&mistake, &source, &format!("milepost check {file}"));
        Self { findings: vec![finding], sources: BTreeMap::from([(file.to_owned(), source)]) }
    }

    /// Findings that do not.
    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }

    /// Sorts by file and place; the same text twice is said once.
    pub(super) fn sorted(mut self) -> Self {
        self.findings.sort_by(|one, other| {
            let place = |finding: &Finding| (finding.file.clone(), finding.span, finding.code);
            place(one).cmp(&place(other)).then_with(|| one.message.cmp(&other.message))
        });
        self.findings.dedup();
        self
    }
}

/// A mistake on its way to a finding.
#[derive(Clone, Debug)]
pub(super) struct Mistake {
    code: Code,
    span: Span,
    message: String,
    label: String,
    hint: Option<String>,
    related: Vec<(Span, String)>,
}

impl Mistake {
    pub(super) fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        let (message, label) = (message.into(), String::new());
        Self { code, span, message, label, hint: None, related: Vec::new() }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        self.maybe_hint(Some(hint.into()))
    }

    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    pub(super) fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// Collects mistakes while the stages go on.
pub(super) struct Notes<'a> {
    pub(super) source: &'a Source,
    /// The command to type when all is corrected.
    pub(super) next: String,
    mistakes: Vec<Mistake>,
    /// Places that were mended so that reading could go on; what is said about them is noise.
    mended: Vec<Span>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(source: &'a Source, next: String) -> Self {
        Self { source, next, mistakes: Vec::new(), mended: Vec::new() }
    }

    pub(super) fn push(&mut self, mistake: Mistake) {
        if !self.is_mended(mistake.span) {
            self.mistakes.push(mistake);
        }
    }

    /// From now on nothing is said about this place.
    pub(super) fn mend(&mut self, span: Span) {
        self.mended.push(span);
    }

    pub(super) fn is_mended(&self, span: Span) -> bool {
        self.mended.iter().any(|mended| mended.overlaps(span))
    }

    /// Whether anything was found.
    pub(super) fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// The report.
    pub(super) fn report(self) -> Report {
        let findings =
            self.mistakes.iter().map(|mistake| finding(mistake, self.source, &self.next)).collect();
        let sources = BTreeMap::from([(self.source.name.clone(), self.source.clone())]);
        Report { findings, sources }.sorted()
    }
}

/// The finding of a mistake in a file.
pub(super) fn finding(mistake: &Mistake, source: &Source, next: &str) -> Finding {
    let span = source.clip(mistake.span);
    let (line, column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    let severity = if mistake.code.id.starts_with('W') { Severity::Warning } else { Severity::Error };
    let related = mistake.related.iter().map(|(span, label)| {
        let span = source.clip(*span);
        let (line, column) = source.position(span.start);
        Related { line, column, label: label.clone(), span }
    });
    Finding {
        code: mistake.code.id,
        severity,
        file: source.name.clone(),
        line,
        column,
        end_line,
        end_column,
        message: mistake.message.clone(),
        label: mistake.label.clone(),
        hint: mistake.hint.clone(),
        next: next.to_owned(),
        related: related.collect(),
        span,
    }
}
