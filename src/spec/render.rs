//! A report for people: each finding with its line, a caret and what to write instead.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::report::{Finding, Report, Severity};

impl Report {
    /// The report as text, with terminal colours when asked for. Ends with a summary and the
    /// next command; empty when nothing was found.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for finding in &self.findings {
            text.push_str(&renderer.render(&self.groups(finding)));
            text.push_str("\n\n");
        }
        if let Some(last) = self.findings.last() {
            text.push_str(&self.summary());
            text.push_str("\nnext: ");
            text.push_str(&last.next);
            text.push('\n');
        }
        text
    }

    fn groups<'a>(&'a self, finding: &'a Finding) -> Vec<Group<'a>> {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(finding.message.as_str()).id(finding.code);
        let mut group = Group::with_title(title);
        if let Some(source) = self.sources.get(&finding.file) {
            let span = finding.span.start..finding.span.end;
            let primary = AnnotationKind::Primary.span(span);
            let label = (!finding.label.is_empty()).then_some(finding.label.as_str());
            let others = finding.related.iter().map(|related| {
                AnnotationKind::Context
                    .span(related.span.start..related.span.end)
                    .label(related.label.as_str())
            });
            group = group.element(
                Snippet::source(source.text.as_str())
                    .path(finding.file.as_str())
                    .annotation(primary.label(label))
                    .annotations(others),
            );
        } else {
            let place = format!("in {}:{}:{}", finding.file, finding.line, finding.column);
            group = group.element(Level::NOTE.message(place));
        }
        if let Some(hint) = &finding.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        vec![group]
    }

    fn summary(&self) -> String {
        let count = |number: usize, word: &str| match number {
            0 => None,
            1 => Some(format!("1 {word}")),
            many => Some(format!("{many} {word}s")),
        };
        let parts: Vec<String> = [count(self.errors(), "mistake"), count(self.warnings(), "warning")]
            .into_iter()
            .flatten()
            .collect();
        let mut files: Vec<&str> = self.findings.iter().map(|finding| finding.file.as_str()).collect();
        files.dedup();
        format!("{}: {}", files.join(", "), parts.join(", "))
    }
}
