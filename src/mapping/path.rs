//! Paths: `price.amount`, `photos[0]`, `tree[].name`, `.`.

use serde_json::Value;

use crate::core::scope::Scope;

/// What a rule looks at: the place it works on, and the whole item.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) scope: &'a Scope,
    /// The item, or inside `each` the element.
    pub(super) here: &'a Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Here,
    Item,
    Input,
    Steps,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Field(String),
    At(usize),
    /// Every element of a list.
    All,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    root: Root,
    parts: Vec<Part>,
    text: String,
}

impl Path {
    /// Reads a path.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        if text != "." {
            loop {
                rest = field(rest, &mut parts, text)?;
                while let Some(inner) = rest.strip_prefix('[') {
                    let (index, after) = inner.split_once(']').ok_or_else(|| missing(text, ']'))?;
                    parts.push(match index {
                        "" => Part::All,
                        digits => Part::At(digits.parse().map_err(|_| {
                            format!("'[{digits}]' in '{text}' is no position: write [0], or [] for all")
                        })?),
                    });
                    rest = after;
                }
                match rest.strip_prefix('.') {
                    Some(after) => rest = after,
                    None if rest.is_empty() => break,
                    None => return Err(format!("'{rest}' in the path '{text}' is not understood")),
                }
            }
        }
        let root = match parts.first() {
            Some(Part::Field(name)) if parts.len() > 1 || name == "item" => match name.as_str() {
                "item" => Root::Item,
                "input" => Root::Input,
                "steps" => Root::Steps,
                _ => Root::Here,
            },
            _ => Root::Here,
        };
        if root != Root::Here {
            parts.remove(0);
        }
        Ok(Self { root, parts, text: text.to_owned() })
    }

    /// The path as written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it may lead to more than one value.
    pub(super) fn is_many(&self) -> bool {
        self.parts.contains(&Part::All)
    }

    /// The first value it leads to.
    pub(super) fn first<'a>(&self, frame: Frame<'a>) -> Option<&'a Value> {
        let mut found = None;
        walk(self.start(frame), &self.parts, &mut |value| {
            if found.is_none() && !value.is_null() {
                found = Some(value);
            }
        });
        found
    }

    /// Every value it leads to, in order.
    pub(super) fn visit<'a>(&self, frame: Frame<'a>, seen: &mut dyn FnMut(&'a Value)) {
        walk(self.start(frame), &self.parts, seen);
    }

    fn start<'a>(&self, frame: Frame<'a>) -> &'a Value {
        match self.root {
            Root::Here => frame.here,
            Root::Item => &frame.scope.item,
            Root::Input => &frame.scope.input,
            Root::Steps => frame.scope.steps.value(),
        }
    }
}

fn missing(text: &str, what: char) -> String {
    format!("'{what}' is missing in the path '{text}'")
}

/// Takes one field name off the front: plain, or quoted when it has a dot or bracket in it.
fn field<'t>(rest: &'t str, parts: &mut Vec<Part>, text: &str) -> Result<&'t str, String> {
    if let Some(inner) = rest.strip_prefix('"') {
        let (name, after) = inner.split_once('"').ok_or_else(|| missing(text, '"'))?;
        parts.push(Part::Field(name.to_owned()));
        return Ok(after);
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if name.trim() != name || name.is_empty() && !rest.starts_with('[') {
        return Err(format!("the path '{text}' has a part without a name"));
    }
    if !name.is_empty() {
        parts.push(Part::Field(name.to_owned()));
    }
    Ok(after)
}

fn walk<'a>(value: &'a Value, parts: &[Part], seen: &mut dyn FnMut(&'a Value)) {
    let mut value = value;
    for (position, part) in parts.iter().enumerate() {
        let next = match part {
            Part::Field(name) => value.get(name.as_str()),
            Part::At(index) => value.get(index),
            Part::All => {
                if let Value::Array(elements) = value {
                    for element in elements {
                        walk(element, &parts[position + 1..], seen);
                    }
                }
                return;
            }
        };
        match next {
            Some(next) => value = next,
            None => return,
        }
    }
    seen(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_none_are_refused() {
        for text in ["", "a..b", ".a", "a[", "a[x]", "a[0]b", "a.\"b", " a", "a.", "a b. c"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
        for text in [".", "a", "a b", "a.b", "a[0].b", "a[].b", "[0]", "\"a.b\".c", "item.x", "[].name"] {
            assert!(Path::parse(text).is_ok(), "{text}");
        }
    }
}
