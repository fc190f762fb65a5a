//! The first stage: text to a tree in which every key and value knows its place. The only file
//! that knows the YAML crate.
//!
//! The tree is built from parser events and not through serde, for three reasons: every mistake
//! is collected instead of the first, both places of a duplicate key are known, and what a plain
//! word means is decided here (`NO` is a text, `0644` is a text), not by the target type.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Tag};

use super::codes;
use super::node::{Data, Key, Node};
use super::place::Span;
use super::report::{Mistake, Notes};

/// Values in one file, aliases written out. The largest honest workflow is a tenth of this.
const NODES_MAX: usize = 100_000;
/// Values that aliases may add.
const ALIASED_MAX: usize = 5_000;
/// Levels of nesting.
const DEPTH_MAX: usize = 64;

/// The parser's own words for text that is not YAML.
#[derive(Clone, Debug)]
pub(super) struct NotYaml {
    pub(super) at: usize,
    pub(super) message: String,
}

/// Reads the one document of the file. `Ok(None)` when there is nothing but comments.
///
/// # Errors
/// The place from which on nothing could be read.
pub(super) fn read(text: &str, notes: &mut Notes<'_>) -> Result<Option<Node>, NotYaml> {
    let mut builder =
        Builder { frames: Vec::new(), root: None, anchors: HashMap::new(), size: 0, aliased: 0, notes };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, range) = event.map_err(|error| NotYaml {
            at: error.marker().byte_offset().unwrap_or(text.len()),
            message: error.info(),
        })?;
        let range = range.byte_range().unwrap_or(0..0);
        let span = Span::new(range.start, range.end);
        match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    let message = "a workflow file holds one workflow, but a second document begins here";
                    builder.notes.push(
                        Mistake::new(codes::UNSUPPORTED, span, message)
                            .hint("remove the line '---', or move what follows to a file of its own"),
                    );
                    break;
                }
            }
            other => builder.event(other, span)?,
        }
    }
    Ok(builder.root)
}

enum Frame {
    List { start: usize, anchor: usize, items: Vec<Built> },
    Map { start: usize, anchor: usize, entries: Vec<(Key, Built)>, key: Option<Key> },
}

/// A value with what it weighs, so that aliases can be limited without walking through it.
#[derive(Clone)]
struct Built {
    node: Node,
    size: usize,
    depth: usize,
}

struct Builder<'a, 'n> {
    frames: Vec<Frame>,
    root: Option<Node>,
    anchors: HashMap<usize, Built>,
    size: usize,
    aliased: usize,
    notes: &'a mut Notes<'n>,
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), NotYaml> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain) && !self.tagged(tag.as_deref(), span);
                // The parser writes a missing value as `~` with an empty place.
                let text = if plain && span.start == span.end { String::new() } else { text.into_owned() };
                let node = Node { span, data: Data::Scalar { text, plain } };
                self.value(Built { node, size: 1, depth: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tagged(tag.as_deref(), span);
                self.open(Frame::List { start: span.start, anchor, items: Vec::new() }, span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tagged(tag.as_deref(), span);
                self.open(Frame::Map { start: span.start, anchor, entries: Vec::new(), key: None }, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    fn open(&mut self, frame: Frame, span: Span) -> Result<(), NotYaml> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(too_large(span, &format!("nested more than {DEPTH_MAX} levels deep")));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), NotYaml> {
        let (start, anchor, data, parts) = match self.frames.pop() {
            Some(Frame::List { start, anchor, items }) => {
                let parts = weigh(items.iter());
                (start, anchor, Data::List(items.into_iter().map(|built| built.node).collect()), parts)
            }
            Some(Frame::Map { start, anchor, entries, .. }) => {
                let parts = weigh(entries.iter().map(|(_, built)| built));
                let entries = entries.into_iter().map(|(key, built)| (key, built.node)).collect();
                (start, anchor, Data::Map(entries), parts)
            }
            None => return Ok(()),
        };
        let node = Node { span: Span::new(start, span.end.max(start)), data };
        let (size, depth) = parts;
        self.value(Built { node, size: size + 1, depth: depth + 1 }, anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), NotYaml> {
        let Some(known) = self.anchors.get(&anchor) else {
            let message = "this refers to a value that it is itself a part of";
            self.notes.push(Mistake::new(codes::UNSUPPORTED, span, message));
            let node = Node { span, data: Data::Scalar { text: String::new(), plain: true } };
            return self.value(Built { node, size: 1, depth: 1 }, 0);
        };
        self.aliased += known.size;
        if self.aliased > ALIASED_MAX {
            let message = format!("aliases would write out more than {ALIASED_MAX} values");
            return Err(too_large(span, &message));
        }
        if self.frames.len() + known.depth > DEPTH_MAX {
            return Err(too_large(span, &format!("nested more than {DEPTH_MAX} levels deep")));
        }
        let mut built = known.clone();
        built.node.span = span;
        self.value(built, 0)
    }

    fn value(&mut self, built: Built, anchor: usize) -> Result<(), NotYaml> {
        self.size += 1;
        if self.size > NODES_MAX {
            return Err(too_large(built.node.span, &format!("more than {NODES_MAX} values in one file")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, built.clone());
        }
        match self.frames.last_mut() {
            None => self.root = Some(built.node),
            Some(Frame::List { items, .. }) => items.push(built),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                Some(key) => entry(entries, key, built, self.notes),
                None => *key = Some(as_key(built.node, self.notes)),
            },
        }
        Ok(())
    }

    /// Reports tags other than the one that says "this is text"; whether that one is there.
    fn tagged(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_yaml_core_schema_tag("str") {
            return true;
        }
        let message = format!("the tag '{}' has no meaning in a workflow file", tag.original());
        self.notes.push(Mistake::new(codes::UNSUPPORTED, span, message).hint("remove the tag"));
        false
    }
}

fn too_large(span: Span, message: &str) -> NotYaml {
    NotYaml { at: span.start, message: format!("{TOO_LARGE}{message}") }
}

/// Marks a [`NotYaml`] that is a limit of ours, not a rule of YAML.
pub(super) const TOO_LARGE: &str = "limit: ";

fn weigh<'a>(parts: impl Iterator<Item = &'a Built>) -> (usize, usize) {
    parts.fold((0, 0), |(size, depth), part| (size + part.size, depth.max(part.depth)))
}

fn as_key(node: Node, notes: &mut Notes<'_>) -> Key {
    if let Data::Scalar { text, .. } = node.data {
        if text == "<<" {
            let message = "merge keys ('<<') are not supported";
            notes.push(
                Mistake::new(codes::UNSUPPORTED, node.span, message)
                    .hint("write the keys out, or use 'defaults' for 'retry' and 'timeout'"),
            );
        }
        return Key { text, span: node.span };
    }
    let message = "a key must be a text";
    notes.push(Mistake::new(codes::UNSUPPORTED, node.span, message));
    Key { text: String::new(), span: node.span }
}

fn entry(entries: &mut Vec<(Key, Built)>, key: Key, mut built: Built, notes: &mut Notes<'_>) {
    if built.node.span.start == built.node.span.end {
        // A value that is not there is best pointed at by its key.
        built.node.span = key.span;
    }
    if let Some((first, _)) = entries.iter().find(|(known, _)| known.text == key.text) {
        let message = format!("'{}' is written twice", key.text);
        notes.push(
            Mistake::new(codes::DUPLICATE, key.span, message)
                .label("second time")
                .related(first.span, "first time")
                .hint("keep one of the two, or rename one"),
        );
    } else {
        entries.push((key, built));
    }
}
