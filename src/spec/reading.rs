//! Bytes to text, text to a tree; and when that fails, the likely reason.

use super::Text;
use super::codes;
use super::mend;
use super::node::Node;
use super::place::{Source, Span};
use super::report::{Mistake, Notes};
use super::tree::{self, NotYaml, TOO_LARGE};

/// The largest workflow file. Data belongs into files that it names.
const BYTES_MAX: usize = 1 << 20;

/// The text of the file, or why there is none.
pub(super) fn decode(text: Text<'_>) -> (Source, Option<Mistake>) {
    let bytes = text.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text.bytes);
    if bytes.len() > BYTES_MAX {
        let message = format!("the file is larger than {} MiB", BYTES_MAX >> 20);
        let hint = "a workflow file names its data, it does not hold it";
        return (
            Source::new(text.name, ""),
            Some(Mistake::new(codes::TOO_LARGE, Span::default(), message).hint(hint)),
        );
    }
    match std::str::from_utf8(bytes) {
        Ok(readable) => (Source::new(text.name, readable), None),
        Err(error) => {
            let at = error.valid_up_to();
            let wrong = bytes.get(at).copied().unwrap_or_default();
            let mistake = Mistake::new(codes::NOT_UTF8, Span::new(at, at + 1), "the file is not UTF-8 text")
                .label(format!("byte 0x{wrong:02x} is not UTF-8"))
                .hint("save the file as UTF-8");
            (Source::new(text.name, &String::from_utf8_lossy(bytes)), Some(mistake))
        }
    }
}

/// The tree of the file. What stands in the way is reported.
pub(super) fn tree(notes: &mut Notes<'_>) -> Option<Node> {
    let text = &notes.source.text;
    let read = match tree::read(text, notes) {
        Ok(read) => read,
        Err(error) => return recover(text, &error, notes),
    };
    if read.is_none() || read.as_ref().is_some_and(Node::is_null) {
        notes.push(
            Mistake::new(codes::EMPTY, Span::default(), "the file holds no workflow")
                .hint("the shortest one is:\nworkflow: hello\nsteps:\n  greet: { uses: alert }"),
        );
        return None;
    }
    read
}

fn recover(text: &str, error: &NotYaml, notes: &mut Notes<'_>) -> Option<Node> {
    if let Some(limit) = error.message.strip_prefix(TOO_LARGE) {
        let message = format!("the file goes beyond a limit: {limit}");
        notes.push(Mistake::new(codes::TOO_LARGE, Span::new(error.at, error.at + 1), message));
        return None;
    }
    if mend::report_tabs(text, notes) {
        return None;
    }
    let unquoted = mend::unquoted(text);
    if unquoted.is_empty() {
        not_yaml(error, notes);
        return None;
    }
    let masked = mend::mask(text, &unquoted, notes);
    match tree::read(&masked, notes) {
        Ok(read) => read,
        Err(error) => {
            not_yaml(&error, notes);
            None
        }
    }
}

fn not_yaml(error: &NotYaml, notes: &mut Notes<'_>) {
    let said = error.message.as_str();
    let place = Span::new(error.at, error.at + 1);
    if let Some(open) = mend::open_bracket(&notes.source.text, error.at).filter(|_| !said.contains("quote")) {
        notes.push(
            Mistake::new(codes::NOT_YAML, open, "this bracket is not closed, or a comma is missing after it")
                .label("opened here")
                .related(place, "noticed here")
                .hint("every [ needs a ], every { a }, with commas between the entries"),
        );
        return;
    }
    let (message, hint) = if said.contains("mapping values are not allowed") {
        (
            "a ':' stands where no key can be",
            "put a text that contains ': ' in quotes; indent nested keys more than their parent",
        )
    } else if said.contains("unknown anchor") {
        ("this alias has no anchor", "a text that begins with '*' must stand in quotes")
    } else if said.contains("quote") {
        ("this quote is not closed", "close it; inside '…' a quote is written twice, inside \"…\" as \\\"")
    } else if said.contains("block mapping") || said.contains("block collection") {
        ("this line does not fit the lines before it", "indent it like the other keys at its level")
    } else {
        ("this is not YAML", "compare the line with the lines around it")
    };
    notes.push(Mistake::new(codes::NOT_YAML, place, message).label(said).hint(hint));
}
