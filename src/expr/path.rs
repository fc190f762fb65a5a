//! Plain paths such as `item.sku`: by far the most expressions, looked up without the evaluator.

use std::borrow::Cow;

use serde_json::Value;

use crate::core::scope::Scope;

/// Words that are literals in a path, which the evaluator refuses or reads differently.
const LITERALS: [&str; 3] = ["true", "false", "null"];

/// `root.name.name`, in which a name may stand in backquotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlainPath {
    root: Root,
    names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Input,
    Item,
    Steps,
    Body,
    Headers,
    RunId,
    RunStartedAt,
}

/// What a lookup found: a value, or surely nothing.
#[derive(Debug, PartialEq)]
pub(super) struct Found<'a>(Option<Cow<'a, Value>>);

impl Found<'_> {
    pub(super) fn into_owned(self) -> Option<Value> {
        self.0.map(Cow::into_owned)
    }
}

impl PlainPath {
    /// The path, when the text is nothing but one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut names = split(text)?;
        let first = names.remove(0);
        let root = match first.as_str() {
            "input" => Root::Input,
            "item" => Root::Item,
            "steps" => Root::Steps,
            "body" => Root::Body,
            "headers" => Root::Headers,
            "run" if names == ["id"] => Root::RunId,
            "run" if names == ["started_at"] => Root::RunStartedAt,
            _ => return None,
        };
        if matches!(root, Root::RunId | Root::RunStartedAt) {
            names.clear();
        }
        Some(Self { root, names })
    }

    /// The value in this scope. `None` when the evaluator must decide, because a list stands on
    /// the way and JSONata would map over it.
    pub(super) fn look_up<'a>(&self, scope: &'a Scope) -> Option<Found<'a>> {
        let mut value = match self.root {
            Root::Input => &*scope.input,
            Root::Item => &*scope.item,
            Root::Steps => scope.steps.value(),
            Root::Body | Root::Headers => match scope.sent.as_ref() {
                Some(sent) if self.root == Root::Body => &*sent.body,
                Some(sent) => &*sent.headers,
                None => return Some(Found(None)),
            },
            Root::RunId => return Some(Found(Some(Cow::Owned(scope.run.to_string().into())))),
            Root::RunStartedAt => {
                return Some(Found(Some(Cow::Owned(super::value::instant(scope.started_at).into()))));
            }
        };
        for name in &self.names {
            value = match value {
                Value::Object(fields) => match fields.get(name) {
                    Some(inner) => inner,
                    None => return Some(Found(None)),
                },
                Value::Array(_) => return None,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    return Some(Found(None));
                }
            };
        }
        Some(Found(Some(Cow::Borrowed(value))))
    }
}

/// Splits `a.b.c` at its dots; `None` when there is anything else in it.
fn split(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = if let Some(quoted) = rest.strip_prefix('`') {
            quoted.split_once('`')?
        } else {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            rest.split_at(end.unwrap_or(rest.len()))
        };
        if !rest.starts_with('`') && (!starts_like_a_name(name) || LITERALS.contains(&name)) {
            return None;
        }
        names.push(name.to_owned());
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None if after.is_empty() => return Some(names),
            None => return None,
        }
    }
}

fn starts_like_a_name(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
}
