//! From the text of a mapping file to rules.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::category::Tree;
use super::html::Html;
use super::money::{self, Mark, Rates};
use super::path::Path;
use super::reader::{Reader, nearest};
use super::rule::{Attributes, Each, Kind, Money, Operand, Rule, Type, Variants};
use super::text::{self, Case, Tidy};
use super::yaml::{Node, Shape, Spot, Word};
use crate::expr::Template;

/// Most elements of a list when the file does not say `max`.
const LIST_MAX: usize = 10_000;
/// Most variants when the file does not say `max`: what a shop can still show.
const VARIANTS_MAX: usize = 250;
/// Longest slug when the file does not say `max`.
const SLUG_MAX: usize = 80;

/// Every kind of rule with what may stand beside it.
const KINDS: &[(&str, &[&str])] = &[
    ("from", &[]),
    ("text", &["html", "case", "max", "lines", "remove", "prefix", "suffix"]),
    ("number", &["decimal_mark"]),
    ("bool", &[]),
    ("value", &[]),
    ("fields", &[]),
    ("list", &[]),
    ("each", &["make", "distinct", "max"]),
    ("entries", &["key", "make"]),
    ("gather", &[]),
    ("join", &["with"]),
    ("split", &["at"]),
    ("lookup", &["table"]),
    ("money", &["currency", "to", "above", "units", "decimal_mark"]),
    ("category", &[]),
    ("attributes", &["names", "values", "rename", "ignore", "ignore_values", "types"]),
    ("images", &["max"]),
    ("variants", &["sku", "plain", "max"]),
    ("slug", &["max", "end"]),
    ("hash", &[]),
];

/// What may stand beside every kind.
const ALWAYS: &[&str] = &["default", "required", "when", "unless"];

/// The tables that rules may use.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) categories: Option<Arc<Tree>>,
    pub(super) rates: Option<Arc<Rates>>,
    /// The file names such tables: when one is not there, its own mistakes are told already.
    pub(super) named: Named,
}

/// Which tables a mapping names.
#[derive(Clone, Copy, Default)]
pub(super) struct Named {
    pub(super) categories: bool,
    pub(super) rates: bool,
}

/// Compiles rules.
pub(super) struct Compiler<'r> {
    pub(super) reader: &'r mut Reader,
    pub(super) tables: Tables,
}

/// One rule as it is written: its kind, and what stands beside it.
struct Written<'n> {
    spot: Spot,
    kind: &'n Node,
    beside: &'n [(Word, Node)],
}

impl<'n> Written<'n> {
    fn beside(&self, name: &str) -> Option<&'n Node> {
        self.beside.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
    }
}

impl<'r> Compiler<'r> {
    pub(super) fn new(reader: &'r mut Reader, tables: Tables) -> Self {
        Self { reader, tables }
    }

    /// The fields of an object.
    pub(super) fn fields(&mut self, node: &Node) -> Vec<(String, Rule)> {
        let entries = self.reader.object(node, "fields with their rules");
        entries.iter().filter_map(|(key, node)| Some((key.text.clone(), self.rule(node)?))).collect()
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let plain = |kind| Rule { kind, default: None, required: false, when: None, unless: None };
        match &node.shape {
            Shape::Object(entries) => self.written(node.spot, entries),
            Shape::List(nodes) => Some(plain(Kind::List(self.operands(nodes)))),
            Shape::Text(text) if text.contains("${{") => self.expression(text, node.spot).map(plain),
            _ => Some(plain(Kind::From(vec![self.operand(node)?]))),
        }
    }

    fn written(&mut self, spot: Spot, entries: &[(Word, Node)]) -> Option<Rule> {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        let kinds: Vec<_> = entries.iter().filter(|(key, _)| names.contains(&key.text.as_str())).collect();
        let [(word, kind)] = kinds.as_slice() else {
            let message = match kinds.as_slice() {
                [] => "this rule does not say what to make".to_owned(),
                [one, other, ..] => {
                    format!("'{}' and '{}' cannot stand in one rule", one.0.text, other.0.text)
                }
                [_] => return None,
            };
            let hint = entries.iter().find_map(|(key, _)| nearest(&key.text, &names));
            self.reader.fault(spot, message, hint.or_else(|| Some(format!("one of: {}", names.join(", ")))));
            return None;
        };
        let own = KINDS.iter().find(|(name, _)| *name == word.text).map_or(&[][..], |(_, own)| *own);
        for (key, _) in entries {
            let name = key.text.as_str();
            if name != word.text && !own.contains(&name) && !ALWAYS.contains(&name) {
                self.reader.unknown(key, &format!("'{}'", word.text), &[own, ALWAYS].concat());
            }
        }
        let written = Written { spot, kind, beside: entries };
        let mut operand = |name: &str| written.beside(name).and_then(|node| self.operand(node));
        let (when, unless) = (operand("when"), operand("unless"));
        let default = written.beside("default").map(Node::to_json);
        let required = written.beside("required").is_some_and(|node| self.reader.flag(node));
        if let (true, Some(_)) = (required, &default) {
            self.reader.fault(spot, "a rule with a default needs no 'required'", None);
        }
        let kind = self.kind(&word.text, &written)?;
        Some(Rule { kind, default, required, when, unless })
    }

    fn kind(&mut self, name: &str, written: &Written<'_>) -> Option<Kind> {
        let node = written.kind;
        Some(match name {
            "from" => Kind::From(self.some_of(node)?),
            "text" => Kind::Text(self.some_of(node)?, self.tidy(written)),
            "number" => Kind::Number(self.some_of(node)?, self.mark(written)),
            "bool" => Kind::Flag(self.some_of(node)?),
            "value" => Kind::Constant(node.to_json()),
            "fields" => Kind::Fields(self.fields(node)),
            "list" => Kind::List(self.some_of(node)?),
            "each" => Kind::Each(self.each(written)?),
            "entries" => {
                let key = self.needed(written, "key").and_then(|node| self.operand(node));
                let make = self.needed(written, "make").and_then(|node| self.rule(node));
                Kind::Entries { of: self.operand(node)?, key: key?, make: Box::new(make?) }
            }
            "gather" => Kind::Gather(self.operand(node)?),
            "join" => {
                let with = written.beside("with").and_then(|node| self.reader.text(node, "a text"));
                Kind::Join(self.some_of(node)?, with.unwrap_or_else(|| " ".to_owned()))
            }
            "split" => {
                let at = self.needed(written, "at").and_then(|node| self.reader.text(node, "a text"));
                Kind::Split(self.operand(node)?, at.filter(|at| !at.is_empty())?)
            }
            "lookup" => self.lookup(written)?,
            "money" => Kind::Money(self.money(written)?),
            "category" => self.category(written)?,
            "attributes" => Kind::Attributes(self.attributes(written)?),
            "images" => Kind::Images(self.some_of(node)?, self.max(written, LIST_MAX)),
            "variants" => Kind::Variants(self.variants(written)?),
            "slug" => {
                let end = written.beside("end").map(|node| self.operand(node));
                Kind::Slug { of: self.some_of(node)?, end: end.flatten(), max: self.max(written, SLUG_MAX) }
            }
            _ => match &node.shape {
                Shape::Text(all) if all == "all" => Kind::Hash(Vec::new()),
                _ => Kind::Hash(self.some_of(node)?),
            },
        })
    }

    /// Where a value comes from: a path, an expression, or a rule.
    fn operand(&mut self, node: &Node) -> Option<Operand> {
        match &node.shape {
            Shape::Object(_) | Shape::List(_) => self.rule(node).map(|rule| Operand::Rule(Box::new(rule))),
            Shape::Text(text) if text.contains("${{") => {
                self.rule(node).map(|rule| Operand::Rule(Box::new(rule)))
            }
            _ => self.path(node).map(Operand::Path),
        }
    }

    fn path(&mut self, node: &Node) -> Option<Path> {
        let text = self.reader.text(node, "a path such as price.amount")?;
        match Path::parse(&text) {
            Ok(path) => Some(path),
            Err(message) => {
                let hint =
                    "paths look like price.amount, photos[0], tree[].name; a fixed text is { value: … }";
                self.reader.fault(node.spot, message, Some(hint.to_owned()));
                None
            }
        }
    }

    fn operands(&mut self, nodes: &[Node]) -> Vec<Operand> {
        nodes.iter().filter_map(|node| self.operand(node)).collect()
    }

    /// One operand or several.
    fn some_of(&mut self, node: &Node) -> Option<Vec<Operand>> {
        let nodes = node.as_list();
        let operands = self.operands(nodes);
        if nodes.is_empty() {
            self.reader.expected(node, "at least one path");
        }
        (!operands.is_empty()).then_some(operands)
    }

    fn expression(&mut self, text: &str, spot: Spot) -> Option<Kind> {
        match Template::parse(&Value::String(text.to_owned())) {
            Ok(template) => Some(Kind::Expression(template)),
            Err(fault) => {
                self.reader.fault(spot, fault.message, None);
                None
            }
        }
    }

    fn needed<'n>(&mut self, written: &Written<'n>, name: &str) -> Option<&'n Node> {
        let node = written.beside(name);
        if node.is_none() {
            self.reader.fault(written.spot, format!("'{name}' is missing here"), None);
        }
        node
    }

    fn max(&mut self, written: &Written<'_>, default: usize) -> usize {
        written.beside("max").and_then(|node| self.reader.count(node)).unwrap_or(default)
    }

    fn mark(&mut self, written: &Written<'_>) -> Mark {
        let words = [(".", Mark::Point), (",", Mark::Comma)];
        written
            .beside("decimal_mark")
            .and_then(|node| self.reader.one_of(node, &words))
            .unwrap_or(Mark::Point)
    }

    fn tidy(&mut self, written: &Written<'_>) -> Tidy {
        let cases = [("lower", Case::Lower), ("upper", Case::Upper), ("keep", Case::Keep)];
        let lines = [("keep", true), ("join", false)];
        let mut text = |name: &str| {
            written.beside(name).and_then(|node| self.reader.text(node, "a text")).unwrap_or_default()
        };
        let (prefix, suffix) = (text("prefix"), text("suffix"));
        let choices = [("keep", Html::Keep), ("sanitise", Html::Sanitise), ("strip", Html::Strip)];
        let html = written.beside("html").and_then(|node| self.reader.one_of(node, &choices));
        let html = html.unwrap_or_default();
        if let (Html::Sanitise, Some(node)) = (html, written.beside("max")) {
            let message = "'max' and 'html: sanitise' cannot stand together: a cut could leave a tag open";
            self.reader.fault(node.spot, message, Some("write html: strip".to_owned()));
        }
        let remove = written.beside("remove").map(|node| self.reader.texts(node, "a text to take out"));
        Tidy {
            html,
            remove: remove.unwrap_or_default().into_iter().filter(|text| !text.is_empty()).collect(),
            keep_lines: written
                .beside("lines")
                .and_then(|node| self.reader.one_of(node, &lines))
                .unwrap_or(false),
            case: written
                .beside("case")
                .and_then(|node| self.reader.one_of(node, &cases))
                .unwrap_or_default(),
            prefix,
            suffix,
            max: written.beside("max").and_then(|node| self.reader.count(node)),
        }
    }

    fn each(&mut self, written: &Written<'_>) -> Option<Each> {
        let make = self.needed(written, "make").and_then(|node| self.rule(node));
        let distinct = written.beside("distinct").is_some_and(|node| self.reader.flag(node));
        let max = self.max(written, LIST_MAX);
        Some(Each { of: self.operand(written.kind)?, make: Box::new(make?), distinct, max })
    }

    fn lookup(&mut self, written: &Written<'_>) -> Option<Kind> {
        let table = self.needed(written, "table")?;
        let entries = self.reader.object(table, "pairs of a value and what it becomes");
        let table = entries.iter().map(|(key, node)| (text::fold(&key.text), node.to_json())).collect();
        Some(Kind::Lookup(self.operand(written.kind)?, table))
    }

    fn money(&mut self, written: &Written<'_>) -> Option<Money> {
        let currency = self.needed(written, "currency").and_then(|node| self.operand(node));
        let above = written.beside("above").map(|node| self.operand(node));
        let mark = self.mark(written);
        let units = [("major", false), ("minor", true)];
        let in_minor = written.beside("units").and_then(|node| self.reader.one_of(node, &units));
        let to = written.beside("to").and_then(|node| {
            let code = self.reader.text(node, "a currency code such as EUR")?;
            let wrong = match (money::currency(&code), &self.tables.rates) {
                (Ok(code), Some(rates)) if rates.knows(&code) => return Some(code),
                (Ok(code), Some(rates)) => format!("the rates of {} have no rate for {code}", rates.date),
                (Ok(_), None) if self.tables.named.rates => return None,
                (Ok(_), None) => "'to' needs a table of rates: write 'rates: FILE' at the top".to_owned(),
                (Err(message), _) => message,
            };
            self.reader.fault(node.spot, wrong, None);
            None
        });
        let amount = self.some_of(written.kind)?;
        Some(Money {
            amount,
            currency: currency?,
            to,
            rates: self.tables.rates.clone(),
            mark,
            in_minor: in_minor.unwrap_or(false),
            above: above.flatten(),
        })
    }

    fn category(&mut self, written: &Written<'_>) -> Option<Kind> {
        let of = self.operand(written.kind);
        if !self.tables.named.categories {
            let message = "'category' needs a table: write 'categories: FILE' at the top";
            self.reader.fault(written.spot, message, None);
        }
        Some(Kind::Category(of?, self.tables.categories.clone()?))
    }

    fn attributes(&mut self, written: &Written<'_>) -> Option<Attributes> {
        let mut path = |name: &str| written.beside(name).and_then(|node| self.path(node));
        let (names, values) = (path("names"), path("values"));
        if names.is_some() != values.is_some() {
            let message = "'names' and 'values' go together: a list of pairs has both, an object none";
            self.reader.fault(written.spot, message, None);
        }
        let mut folded = |name: &str| -> HashSet<String> {
            let texts = written.beside(name).map(|node| self.reader.texts(node, "a name"));
            texts.unwrap_or_default().iter().map(|text| text::fold(text)).collect()
        };
        let (ignore, ignore_values) = (folded("ignore"), folded("ignore_values"));
        let rename =
            written.beside("rename").map(|node| self.reader.pairs(node, "names and their new names"));
        let words = [("text", Type::Text), ("number", Type::Number), ("bool", Type::Flag)];
        let mut types = HashMap::new();
        if let Some(node) = written.beside("types") {
            for (key, node) in self.reader.object(node, "names and their types") {
                types.extend(self.reader.one_of(node, &words).map(|kind| (text::fold(&key.text), kind)));
            }
        }
        Some(Attributes {
            of: self.some_of(written.kind)?,
            pair: names.zip(values),
            rename: rename
                .unwrap_or_default()
                .into_iter()
                .map(|(from, to)| (text::fold(&from), to))
                .collect(),
            ignore,
            ignore_values_bytes: ignore_values.iter().map(String::len).max().unwrap_or(0),
            ignore_values,
            types,
        })
    }

    fn variants(&mut self, written: &Written<'_>) -> Option<Variants> {
        let entries = self.reader.object(written.kind, "options and where their values are");
        let options =
            entries.iter().filter_map(|(key, node)| Some((key.text.clone(), self.operand(node)?))).collect();
        let sku = self.needed(written, "sku").and_then(|node| self.operand(node));
        let plain = written.beside("plain").map(|node| self.reader.texts(node, "an option value"));
        let plain = plain.unwrap_or_default().iter().map(|text| text::fold(text)).collect();
        Some(Variants { options, sku: sku?, plain, max: self.max(written, VARIANTS_MAX) })
    }
}
