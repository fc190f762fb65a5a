//! Categories: a path in the source becomes a path in the catalogue.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::text;

/// Between the names of a path, in files and in reports.
pub(super) const ARROW: &str = " > ";

/// A category file.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// Where products go whose category is not listed.
    pub(super) default: Vec<String>,
    /// By folded path.
    pub(super) paths: HashMap<String, Vec<String>>,
}

/// The names of a written path.
pub(super) fn names(path: &str) -> Vec<String> {
    path.split('>').map(|name| text::tidy(name).into_owned()).filter(|name| !name.is_empty()).collect()
}

/// The form in which paths are compared.
pub(super) fn key(names: &[String]) -> String {
    text::fold(&names.join(ARROW))
}

impl Tree {
    /// The category of a product: by the longest listed beginning of its path, else by the last
    /// of its names that is listed alone. What is not listed goes to the default and says so.
    pub(super) fn place(&self, source: Vec<String>) -> Value {
        let folded = key(&source);
        let mapped = self.by_path(&folded).or_else(|| self.by_name(&folded));
        let mut category = Map::with_capacity(3);
        category.insert("path".to_owned(), mapped.unwrap_or(&self.default).iter().cloned().collect());
        if mapped.is_none() {
            category.insert("unmapped".to_owned(), Value::Bool(true));
        }
        category.insert("source".to_owned(), source.into_iter().collect());
        Value::Object(category)
    }

    fn by_path(&self, folded: &str) -> Option<&Vec<String>> {
        let mut rest = folded;
        loop {
            if let Some(found) = self.paths.get(rest) {
                return Some(found);
            }
            rest = &rest[..rest.rfind(ARROW)?];
        }
    }

    fn by_name(&self, folded: &str) -> Option<&Vec<String>> {
        folded.rsplit(ARROW).find_map(|name| self.paths.get(name))
    }
}

/// What is to be said of a category that was placed by default.
pub(super) fn remark(field: &str, placed: &Value) -> Option<String> {
    placed.get("unmapped")?;
    let names: Vec<&str> = placed.get("source")?.as_array()?.iter().filter_map(Value::as_str).collect();
    Some(format!("{field}: '{}' is not in the category file, the default was taken", names.join(ARROW)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_beginning_wins_then_a_single_name_then_the_default() {
        let paths = [("Home", "A"), ("Home > Decor", "A > B"), ("77", "C")];
        let tree = Tree {
            default: names("Other"),
            paths: paths.map(|(from, to)| (key(&names(from)), names(to))).into(),
        };
        let place = |source: &str| tree.place(names(source));
        assert_eq!(place("home>DECOR > Vases")["path"], json!(["A", "B"]));
        assert_eq!(place("Home > Garden")["path"], json!(["A"]));
        assert_eq!(place("5 > 77 > 901")["path"], json!(["C"]));
        assert_eq!(place("Toys"), json!({"path": ["Other"], "unmapped": true, "source": ["Toys"]}));
    }
}
