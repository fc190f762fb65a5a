//! The files that a mapping names: categories and rates.

use std::collections::BTreeMap;
use std::str::FromStr;

use rust_decimal::Decimal;

use super::category::{self, Tree};
use super::money::{self, Rates};
use super::reader::Reader;
use super::yaml::{self, Node, Spot, Word};

const START: Spot = Spot { line: 1, column: 1 };

/// Reads a YAML file; what is not YAML is noted.
pub(super) fn read(bytes: &[u8], reader: &mut Reader) -> Option<Node> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        reader.fault(START, "the file is not UTF-8", None);
        return None;
    };
    match yaml::read(text.trim_start_matches('\u{feff}')) {
        Ok(node) => Some(node),
        Err(broken) => {
            reader.fault(broken.spot, broken.message, None);
            None
        }
    }
}

/// The value of a key, with every other key noted as unknown.
pub(super) fn entry<'n>(entries: &'n [(Word, Node)], name: &str) -> Option<&'n Node> {
    entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
}

/// Notes keys that do not belong.
pub(super) fn only(entries: &[(Word, Node)], known: &[&str], place: &str, reader: &mut Reader) {
    for (key, _) in entries {
        if !known.contains(&key.text.as_str()) {
            reader.unknown(key, place, known);
        }
    }
}

/// Reads a category file: `default` and `paths`.
pub(super) fn categories(bytes: &[u8], reader: &mut Reader) -> Option<Tree> {
    let node = read(bytes, reader)?;
    let entries = reader.object(&node, "the keys default and paths");
    only(entries, &["default", "paths"], "a category file", reader);
    let mut tree = Tree::default();
    if let Some(text) = entry(entries, "default").and_then(|node| reader.text(node, "a path")) {
        tree.default = category::names(&text);
    }
    if tree.default.is_empty() {
        reader.fault(
            node.spot,
            "a category file needs a default: where products of unlisted categories go",
            None,
        );
    }
    let Some(paths) = entry(entries, "paths") else {
        reader.fault(node.spot, "a category file needs paths", None);
        return None;
    };
    for (key, node) in reader.object(paths, "pairs of a source path and a category") {
        let target = reader.text(node, "a path such as Home > Decor").map(|text| category::names(&text));
        let source = category::names(&key.text);
        if source.is_empty() || target.as_ref().is_some_and(Vec::is_empty) {
            reader.fault(key.spot, "a category path needs at least one name", None);
        }
        if tree.paths.insert(category::key(&source), target.unwrap_or_default()).is_some() {
            let hint = "case and spaces make no difference".to_owned();
            reader.fault(key.spot, format!("'{}' is listed twice", key.text), Some(hint));
        }
    }
    Some(tree)
}

/// Reads a rate file: `date`, `base` and `rates`.
pub(super) fn rates(bytes: &[u8], reader: &mut Reader) -> Option<Rates> {
    let node = read(bytes, reader)?;
    let entries = reader.object(&node, "the keys date, base and rates");
    only(entries, &["date", "base", "rates"], "a rate file", reader);
    for name in ["date", "base", "rates"] {
        if entry(entries, name).is_none() {
            reader.fault(node.spot, format!("a rate file needs '{name}'"), None);
        }
    }
    let date = entry(entries, "date").and_then(|node| {
        let text = reader.text(node, "a date such as 2026-11-20")?;
        if jiff::civil::Date::from_str(&text).is_err() {
            reader.fault(node.spot, format!("'{text}' is no date: write it like 2026-11-20"), None);
        }
        Some(text)
    });
    let base = entry(entries, "base").and_then(|node| {
        let code = reader.text(node, "a currency code")?;
        money::currency(&code).map_err(|message| reader.fault(node.spot, message, None)).ok()
    });
    let mut table = BTreeMap::new();
    if let Some(node) = entry(entries, "rates") {
        for (key, node) in reader.object(node, "currency codes and their rates") {
            let rate =
                reader.text(node, "a rate such as 1.0832").and_then(|text| Decimal::from_str(&text).ok());
            match (money::currency(&key.text), rate) {
                (Ok(code), Some(rate)) if rate > Decimal::ZERO => {
                    table.insert(code, rate);
                }
                (Err(message), _) => reader.fault(key.spot, message, None),
                (Ok(_), _) => reader.fault(node.spot, "a rate is a number above zero", None),
            }
        }
    }
    Some(Rates { date: date?, base: base?, table })
}
