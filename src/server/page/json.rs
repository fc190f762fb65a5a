//! JSON as people read it.

use maud::{Markup, html};
use serde_json::Value;

/// Characters of one text that are shown; a product's description may have a hundred thousand.
const TEXT_MAX: usize = 4_000;
/// Entries of one list or object that are shown.
const ENTRIES_MAX: usize = 500;
/// Levels that are shown.
const DEPTH_MAX: usize = 32;

/// A value over several lines, with its names and texts told apart.
pub(super) fn json(value: &Value) -> Markup {
    html! { pre.json tabindex="0" { code { (part(value, 0)) } } }
}

fn part(value: &Value, depth: usize) -> Markup {
    match value {
        Value::Object(_) | Value::Array(_) if depth == DEPTH_MAX => html! { "…" },
        Value::Object(fields) if fields.is_empty() => html! { "{}" },
        Value::Array(values) if values.is_empty() => html! { "[]" },
        Value::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| {
                html! { span.j-name { (quoted(name)) } ": " (part(value, depth + 1)) }
            });
            listed(['{', '}'], entries, fields.len(), depth)
        }
        Value::Array(values) => {
            let entries = values.iter().map(|value| part(value, depth + 1));
            listed(['[', ']'], entries, values.len(), depth)
        }
        Value::String(text) => html! { span.j-text { (quoted(text)) } },
        Value::Null | Value::Bool(_) | Value::Number(_) => html! { span.j-plain { (value.to_string()) } },
    }
}

fn listed(brackets: [char; 2], entries: impl Iterator<Item = Markup>, count: usize, depth: usize) -> Markup {
    let indent = "  ".repeat(depth + 1);
    html! {
        (brackets[0])
        @for (at, entry) in entries.take(ENTRIES_MAX).enumerate() {
            @if at > 0 { "," }
            "\n" (indent) (entry)
        }
        @if count > ENTRIES_MAX { "\n" (indent) "… " (count - ENTRIES_MAX) " more" }
        "\n" ("  ".repeat(depth)) (brackets[1])
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{} … {} more bytes", Value::from(&text[..end]), text.len() - end),
        None => Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as value;

    #[test]
    fn every_text_is_escaped_and_what_is_long_is_cut() {
        let hostile =
            value!({ "</pre><script>x": ["<img onerror=1>", null, 7, {}], "long": "x".repeat(9_000) });
        let html = json(&hostile).into_string();
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert!(html.contains("&lt;img onerror=1&gt;") && html.contains("5000 more bytes"), "{html}");
        let deep = (0..100).fold(Value::Null, |inner, _| value!([inner]));
        assert!(json(&deep).into_string().contains('…'));
    }
}
