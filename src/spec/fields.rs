//! Reading one mapping: its known keys, and values of one type.

use std::time::Duration;

use super::codes;
use super::node::{Key, Node, Scalar};
use super::place::Span;
use super::report::{Mistake, Notes};
use super::units;
use super::words::{either, is_name, nearest, suggest};

/// A mapping that is being read.
pub(super) struct Object<'a> {
    /// What it is, for messages: `step 'pim'`.
    pub(super) what: String,
    /// Where to point when something is missing in it.
    pub(super) at: Span,
    pub(super) entries: &'a [(Key, Node)],
    /// For each key that means nothing here, the known key that was probably meant.
    pub(super) meant: Vec<&'static str>,
}

/// The value as a mapping; reports anything else.
pub(super) fn object<'a>(node: &'a Node, at: Span, what: &str, notes: &mut Notes<'_>) -> Option<Object<'a>> {
    let Some(entries) = node.map() else {
        return mistyped(node, what, "a mapping of keys to values", notes);
    };
    Some(Object::new(what, at, entries))
}

/// A text that is taken as written; reports an expression in it.
pub(super) fn plain(node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<String> {
    let written = text(node, what, notes)?;
    is_plain(written, node.span, what, notes).then(|| written.to_owned())
}

/// Whether no expression stands in what is taken as written; reports one.
pub(super) fn is_plain(written: &str, at: Span, what: &str, notes: &mut Notes<'_>) -> bool {
    let is_plain = !written.contains("${{");
    if !is_plain {
        let message = format!("{what} is taken as written, so no expression may stand in it");
        notes.push(Mistake::new(codes::NO_EXPRESSION_HERE, at, message));
    }
    is_plain
}

impl<'a> Object<'a> {
    pub(super) fn new(what: &str, at: Span, entries: &'a [(Key, Node)]) -> Self {
        Self { what: what.to_owned(), at, entries, meant: Vec::new() }
    }

    /// The value of a key. A key with nothing after it counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.entry(name).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// The key and its value, also when there is nothing after it.
    pub(super) fn entry(&self, name: &str) -> Option<&'a (Key, Node)> {
        self.entries.iter().find(|(key, _)| key.text == name)
    }

    /// Reports every key that is not one of these.
    pub(super) fn only(&mut self, known: &[&'static str], notes: &mut Notes<'_>) {
        for (key, node) in self.entries {
            if !known.contains(&key.text.as_str()) && key.text != "<<" {
                let message = format!("unknown key '{}' in {}", key.text, self.what);
                let hint = suggest(&key.text, known.iter().copied(), "known keys here");
                notes.push(Mistake::new(codes::UNKNOWN_KEY, key.span, message).maybe_hint(hint));
                self.meant.extend(nearest(&key.text, known.iter().copied()));
            } else if node.is_null() {
                let message = format!("'{}' in {} has no value", key.text, self.what);
                notes.push(Mistake::new(codes::MISSING, key.span, message).hint(
                    "write a value after the colon, indented if it is on the next line, or remove the key",
                ));
            }
        }
    }

    /// Whether the key is there under a name that is nearly right, which has been reported.
    pub(super) fn is_misspelled(&self, name: &str) -> bool {
        self.entry(name).is_none() && self.meant.contains(&name)
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, name: &str, hint: &str, notes: &mut Notes<'_>) -> Option<&'a Node> {
        match self.entry(name) {
            Some((_, node)) => (!node.is_null()).then_some(node),
            None if self.is_misspelled(name) => None,
            None => {
                let message = format!("'{name}' is missing in {}", self.what);
                notes.push(Mistake::new(codes::MISSING, self.at, message).hint(hint));
                None
            }
        }
    }
}

/// Reports that a value is of another type, so there is none to go on with.
pub(super) fn mistyped<T>(node: &Node, what: &str, expected: &str, notes: &mut Notes<'_>) -> Option<T> {
    wrong_type(node, what, expected, notes);
    None
}

/// Reports that a value is of another type.
pub(super) fn wrong_type(node: &Node, what: &str, expected: &str, notes: &mut Notes<'_>) {
    let message = format!("{what} must be {expected}");
    notes.push(Mistake::new(codes::WRONG_TYPE, node.span, message).label(format!("this is {}", node.what())));
}

/// A text; numbers and words count as the text they are written as.
pub(super) fn text<'a>(node: &'a Node, what: &str, notes: &mut Notes<'_>) -> Option<&'a str> {
    let found = node.written().filter(|text| !text.trim().is_empty());
    if found.is_none() {
        wrong_type(node, what, "a text", notes);
    }
    found
}

/// A whole number within bounds.
pub(super) fn count(node: &Node, what: &str, least: u64, most: u64, notes: &mut Notes<'_>) -> Option<u64> {
    let Some(number) = whole(node) else {
        return mistyped(node, what, "a whole number", notes);
    };
    if number < least || number > most {
        let message = match most {
            u64::MAX => format!("{what} must be at least {least}"),
            _ => format!("{what} must be between {least} and {most}"),
        };
        notes.push(Mistake::new(codes::OUT_OF_RANGE, node.span, message));
        return None;
    }
    Some(number)
}

fn whole(node: &Node) -> Option<u64> {
    match node.scalar() {
        Some(Scalar::Number(number)) => number.as_u64(),
        Some(Scalar::Null | Scalar::Bool(_) | Scalar::Text(_)) | None => None,
    }
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<bool> {
    match node.scalar() {
        Some(Scalar::Bool(yes)) => Some(yes),
        Some(Scalar::Null | Scalar::Number(_) | Scalar::Text(_)) | None => {
            mistyped(node, what, "true or false, without quotes", notes)
        }
    }
}

/// A duration such as `30s`.
pub(super) fn duration(node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<Duration> {
    let Some(written) = node.written() else {
        return mistyped(node, what, "a duration such as 30s", notes);
    };
    match units::duration(written) {
        Ok(duration) => Some(duration),
        Err(hint) => {
            let message = format!("{what} is not a duration");
            notes.push(Mistake::new(codes::DURATION, node.span, message).hint(hint));
            None
        }
    }
}

/// A number of bytes such as `4 KiB`.
pub(super) fn size(node: &Node, what: &str, notes: &mut Notes<'_>) -> Option<u64> {
    let Some(written) = node.written() else {
        return mistyped(node, what, "a size such as 4 KiB", notes);
    };
    match units::size(written) {
        Ok(bytes) => Some(bytes),
        Err(hint) => {
            let message = format!("{what} is not a size");
            notes.push(Mistake::new(codes::SIZE, node.span, message).hint(hint));
            None
        }
    }
}

/// One of a few words.
pub(super) fn one_of<'k>(
    node: &Node,
    what: &str,
    known: &[&'k str],
    notes: &mut Notes<'_>,
) -> Option<&'k str> {
    let written = node.written().unwrap_or_default();
    let found = known.iter().find(|word| **word == written).copied();
    if found.is_none() {
        let message = format!("{what} must be {}", either(known.iter().copied()));
        let near = nearest(written, known.iter().copied());
        let hint = near.map(|word| format!("did you mean '{word}'?"));
        notes.push(Mistake::new(codes::UNKNOWN_WORD, node.span, message).maybe_hint(hint));
    }
    found
}

/// Reports a text that may not name anything.
pub(super) fn name(text: &str, span: Span, what: &str, notes: &mut Notes<'_>) {
    if !is_name(text) {
        let message = format!("'{text}' cannot name {what}");
        let hint = "begin with a letter, go on with letters, digits, '_' or '-', at most 64 in all";
        notes.push(Mistake::new(codes::BAD_NAME, span, message).hint(hint));
    }
}
