//! Where a category stands: the names from the top down, and what follows from them.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::core::digest::hex;

/// Between the names of a written path.
const ARROW: &str = " > ";
/// Longest handle that is made here, in characters.
const HANDLE_CHARS_MAX: usize = 100;

/// The names of a category and of all above it. Never empty, nor is a name in it.
#[derive(Clone, Debug)]
pub(super) struct Path {
    names: Vec<String>,
}

impl Path {
    /// Reads `A > B`, or a list of names (in which a name may hold a `>`). `None` for anything else.
    pub(super) fn of(written: &Value) -> Option<Self> {
        let tidy = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ");
        let names: Vec<String> = match written {
            Value::String(path) => path.split('>').map(tidy).collect(),
            Value::Array(names) => names.iter().map(|name| name.as_str().map(tidy)).collect::<Option<_>>()?,
            _ => return None,
        };
        let is_whole = !names.is_empty() && names.iter().all(|name| !name.is_empty());
        is_whole.then_some(Self { names })
    }

    /// The path of each category from the top to this one.
    pub(super) fn lineage(&self) -> impl Iterator<Item = Self> + '_ {
        (1..=self.names.len()).map(|depth| Self { names: self.names[..depth].to_vec() })
    }

    pub(super) fn depth(&self) -> usize {
        self.names.len()
    }

    pub(super) fn parent(&self) -> Option<Self> {
        let (_, above) = self.names.split_last()?;
        (!above.is_empty()).then(|| Self { names: above.to_vec() })
    }

    pub(super) fn name(&self) -> &str {
        self.names.last().map(String::as_str).unwrap_or_default()
    }

    /// What the category is marked with, so that it is found again when people rename or move it.
    pub(super) fn external_id(&self) -> String {
        let escaped = |name: &String| name.replace('\\', "\\\\").replace('>', "\\>");
        self.names.iter().map(escaped).collect::<Vec<_>>().join(ARROW)
    }

    /// The same for two paths exactly when they mean the same category: capitals do not count.
    pub(super) fn key(&self) -> String {
        folded(&self.external_id())
    }

    /// The handles to try, in this order: handles are unique in a shop, and a category in another
    /// place may have the first.
    pub(super) fn handles(&self) -> [String; 2] {
        let readable = slug(&self.names.join(" "));
        let digest = Sha256::digest(self.key());
        let mark = hex(&digest[..5]);
        let marked = if readable.is_empty() { mark.clone() } else { format!("{readable}-{mark}") };
        [if readable.is_empty() { mark } else { readable }, marked]
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.names.join(ARROW))
    }
}

/// The form in which names are compared.
pub(super) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Words in lower case with one hyphen between them; letters of all languages stay.
pub(super) fn slug(text: &str) -> String {
    let lower = folded(text);
    let words = lower.split(|found: char| !found.is_alphanumeric()).filter(|word| !word.is_empty());
    let joined: String = words.collect::<Vec<_>>().join("-").chars().take(HANDLE_CHARS_MAX).collect();
    joined.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(written: &Value) -> Path {
        Path::of(written).unwrap()
    }

    #[test]
    fn a_path_is_read_from_text_and_from_names() {
        let written = path(&json!(" Home &  Living>Decor "));
        assert_eq!(written.to_string(), "Home & Living > Decor");
        assert_eq!(written.key(), path(&json!(["home & living", "DECOR"])).key());
        assert_eq!(written.parent().unwrap().to_string(), "Home & Living");
        assert_eq!(written.lineage().count(), 2);
        for wrong in [json!(""), json!("A > "), json!([]), json!([1]), json!(["A", " "]), json!(7)] {
            assert!(Path::of(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn paths_that_look_alike_are_told_apart() {
        let apart =
            [json!("A > B"), json!(["A > B"]), json!("A B"), json!(["A \\", "B"]), json!(["A \\> B"])];
        let keys: std::collections::HashSet<String> = apart.iter().map(|one| path(one).key()).collect();
        assert_eq!(keys.len(), apart.len());
        let marked = |written: Value| path(&written).handles()[1].clone();
        assert_eq!(path(&json!("A > B")).handles()[0], path(&json!("A B")).handles()[0]);
        assert_ne!(marked(json!("A > B")), marked(json!("A B")));
        assert_eq!(marked(json!("A > B")), marked(json!("a > b")), "two engines choose the same");
    }

    #[test]
    fn a_handle_is_of_letters_of_any_language_and_never_empty() {
        assert_eq!(path(&json!("Bäder > Größe 7")).handles()[0], "bäder-größe-7");
        assert_eq!(path(&json!("★")).handles()[0].len(), 10);
        assert!(slug(&"wort ".repeat(90)).chars().count() <= HANDLE_CHARS_MAX);
    }
}
