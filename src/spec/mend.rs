//! When a text is not YAML: the mistakes that people make most, named as what they are. A place
//! that breaks the YAML is masked, letter by letter, so that the rest of the file can be read
//! and its mistakes reported too.

use super::codes;
use super::place::Span;
use super::report::{Mistake, Notes};

/// Reports every tab that indents a line. Whether there was one.
pub(super) fn report_tabs(text: &str, notes: &mut Notes<'_>) -> bool {
    let mut start = 0;
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tabs = line[..indent].find('\t').filter(|_| !line.trim().is_empty());
        if let Some(at) = tabs {
            let end = line[..indent].rfind('\t').unwrap_or(at) + 1;
            notes.push(
                Mistake::new(codes::TAB, Span::new(start + at, start + end), "a tab indents this line")
                    .label("tab")
                    .hint("indent with spaces, two per level"),
            );
            found = true;
        }
        start += line.len();
    }
    found
}

/// The expressions that must stand in quotes and do not.
pub(super) fn unquoted(text: &str) -> Vec<Span> {
    Scan::until(text, text.len()).found
}

/// The last bracket or brace before `end` that is open there.
pub(super) fn open_bracket(text: &str, end: usize) -> Option<Span> {
    Scan::until(text, end).open.last().map(|at| Span::new(*at, at + 1))
}

/// Reports them, and returns the text with each masked.
pub(super) fn mask(text: &str, spans: &[Span], notes: &mut Notes<'_>) -> String {
    let mut masked = text.as_bytes().to_vec();
    for span in spans {
        let written = &text[span.start..span.end];
        let quote = if written.contains('"') { '\'' } else { '"' };
        notes.push(
            Mistake::new(codes::UNQUOTED, *span, "this expression must stand in quotes")
                .label("YAML reads the braces, colons or # itself")
                .hint(format!("write {quote}{written}{quote}")),
        );
        notes.mend(*span);
        masked[span.start..span.end].fill(b'x');
    }
    String::from_utf8(masked).unwrap_or_else(|_| text.to_owned())
}

/// A rough reading of YAML that knows only quotes, comments, brackets and expressions.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// The places of open brackets and braces.
    open: Vec<usize>,
    /// A value or key may begin here, so a quote is a quote and not an apostrophe.
    fresh: bool,
    found: Vec<Span>,
}

impl<'a> Scan<'a> {
    fn until(text: &'a str, end: usize) -> Self {
        let mut scan = Self { text, at: 0, open: Vec::new(), fresh: true, found: Vec::new() };
        while scan.at < end.min(text.len()) {
            scan.step();
        }
        scan
    }

    fn step(&mut self) {
        let rest = &self.text[self.at..];
        if rest.starts_with("${{") {
            self.expression();
            return;
        }
        let Some(letter) = rest.chars().next() else { return };
        match letter {
            '"' | '\'' if self.fresh => return self.quoted(letter),
            '#' if self.at == 0 || self.text[..self.at].ends_with([' ', '\n', '\t']) => {
                self.at += rest.find('\n').unwrap_or(rest.len());
                return;
            }
            '{' | '[' if self.fresh => self.open.push(self.at),
            '}' | ']' => drop(self.open.pop()),
            _ => {}
        }
        self.fresh = match letter {
            ' ' | '\t' => self.fresh,
            '\n' | '{' | '[' | ',' | '-' => true,
            ':' => rest[1..].starts_with([' ', '\n']) || !self.open.is_empty(),
            _ => false,
        };
        self.at += letter.len_utf8();
    }

    fn expression(&mut self) {
        let rest = &self.text[self.at..];
        let line = rest.find('\n').unwrap_or(rest.len());
        let end = rest[..line].find("}}").map_or(line, |at| at + 2);
        let inner = &rest[..end];
        let broken = !self.open.is_empty() || inner.contains(": ") || inner.contains(" #");
        if self.fresh && broken {
            self.found.push(Span::new(self.at, self.at + end));
        }
        self.at += end;
        self.fresh = false;
    }

    fn quoted(&mut self, quote: char) {
        let rest = &self.text[self.at + 1..];
        let mut end = rest.len();
        let mut escaped = false;
        for (at, letter) in rest.char_indices() {
            if escaped {
                escaped = false;
            } else if letter == '\\' && quote == '"' {
                escaped = true;
            } else if letter == quote {
                end = at + 1;
                break;
            }
        }
        self.at += 1 + end;
        self.fresh = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        unquoted(text).into_iter().map(|span| &text[span.start..span.end]).collect()
    }

    #[test]
    fn only_expressions_that_break_the_yaml_are_found() {
        assert_eq!(found("a: ${{ item.x }}\n"), [""; 0]);
        assert_eq!(found("a: { k: ${{ item.x }}, l: [${{ b }}] }\n"), ["${{ item.x }}", "${{ b }}"]);
        assert_eq!(found("a: { k: \"${{ item.x }}\" }\n"), [""; 0]);
        assert_eq!(found("# don't { ${{ x }}\na: it's ${{ b }}\n"), [""; 0]);
        assert_eq!(found("a: ${{ x ? \"y: z\" : 1 }}\n"), ["${{ x ? \"y: z\" : 1 }}"]);
        assert_eq!(found("a: { k: 'it''s', l: ${{ é }} }\n"), ["${{ é }}"]);
    }
}
