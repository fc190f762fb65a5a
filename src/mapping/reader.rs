//! Reads the parts of a mapping file: expects a shape, and where it finds another it notes the
//! mistake and goes on, so that all mistakes are told at once.

use super::yaml::{Node, Shape, Spot, Word};

/// A mistake in a mapping file or in a file that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct MappingFault {
    /// The file, as the workflow or the mapping names it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// How far apart a wrong and a right name may be for the right one to be suggested.
const SIMILAR: f64 = 0.7;

/// Collects the mistakes of one file.
pub(super) struct Reader {
    file: String,
    pub(super) faults: Vec<MappingFault>,
}

impl Reader {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), faults: Vec::new() }
    }

    /// Notes a mistake.
    pub(super) fn fault(&mut self, spot: Spot, message: impl Into<String>, hint: Option<String>) {
        let file = self.file.clone();
        self.faults.push(MappingFault {
            file,
            line: spot.line,
            column: spot.column,
            message: message.into(),
            hint,
        });
    }

    /// Notes that something else was expected.
    pub(super) fn expected(&mut self, node: &Node, what: &str) {
        self.fault(node.spot, format!("expected {what}, found {}", node.noun()), None);
    }

    /// The entries of an object.
    pub(super) fn object<'n>(&mut self, node: &'n Node, what: &str) -> &'n [(Word, Node)] {
        if let Shape::Object(entries) = &node.shape {
            return entries;
        }
        self.expected(node, what);
        &[]
    }

    /// A text, or a number as it is written.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node.scalar();
        if text.is_none() {
            self.expected(node, what);
        }
        text
    }

    /// Texts: one, or a list of them.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        node.as_list().iter().filter_map(|node| self.text(node, what)).collect()
    }

    /// Pairs of texts.
    pub(super) fn pairs(&mut self, node: &Node, what: &str) -> Vec<(String, String)> {
        let entries = self.object(node, what);
        entries.iter().filter_map(|(key, node)| Some((key.text.clone(), self.text(node, what)?))).collect()
    }

    /// A whole number of at least one.
    pub(super) fn count(&mut self, node: &Node) -> Option<usize> {
        let count = node.scalar().and_then(|text| text.parse().ok()).filter(|count| *count > 0);
        if count.is_none() {
            self.expected(node, "a whole number of at least 1");
        }
        count
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, node: &Node) -> bool {
        if let Shape::Flag(flag) = node.shape {
            return flag;
        }
        self.expected(node, "true or false");
        false
    }

    /// One of some words.
    pub(super) fn one_of<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, "a word")?;
        let known = words.iter().find(|(word, _)| *word == text);
        if known.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("'{text}' is not one of {}", names.join(", "));
            self.fault(node.spot, message, nearest(&text, &names));
        }
        known.map(|(_, value)| *value)
    }

    /// Notes a name that does not belong here.
    pub(super) fn unknown(&mut self, word: &Word, place: &str, known: &[&str]) {
        let hint = nearest(&word.text, known).or_else(|| Some(format!("known are: {}", known.join(", "))));
        self.fault(word.spot, format!("{place} has no '{}'", word.text), hint);
    }
}

/// The right name that is most like a wrong one.
pub(super) fn nearest(wrong: &str, right: &[&str]) -> Option<String> {
    right
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(similar, _)| *similar >= SIMILAR)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| format!("did you mean '{name}'?"))
}
