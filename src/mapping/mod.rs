//! Mappings: a YAML file that says, field by field, how a product is made from a record.
//!
//! ```yaml
//! rates: shop/rates.yaml                  # further files, for money and categories
//! categories: shop/categories.yaml
//! unique: [sku, handle]                   # no two items may share these
//! fields:
//!   sku: { text: article.number, case: upper, required: true }
//!   title: { text: [name.en, name.de], max: 255 }
//!   handle: { slug: name.en, end: article.number }
//!   price: { money: price.gross, currency: price.unit, to: EUR }
//!   category: { category: "tree[].name" }
//!   in_stock: { bool: available, default: true }
//! ```
//!
//! A field is a rule. A rule is a path (`price.gross`, `photos[0].href`, `tree[].name`), an
//! expression (`${{ }}`), or an object with one word that says what to make:
//!
//! | word | makes |
//! | --- | --- |
//! | `from` | the value as it is |
//! | `text` | tidy text: no control characters, single spaces; `html`, `case`, `max`, `lines: keep`, `remove`, `prefix`, `suffix` |
//! | `number`, `bool` | a number or truth value, also from text; `decimal_mark` |
//! | `value` | the constant |
//! | `fields` | an object |
//! | `list` | a list of these |
//! | `each` + `make` | a list: the rule once per element, in which paths begin at the element and `.` is the element itself; `distinct`, `max` |
//! | `entries` + `key`, `make` | an object with one entry per element |
//! | `gather` | `{name, values}` for each name that occurs in some objects |
//! | `join` | one text of many; `with` |
//! | `split` + `at` | a list of one text |
//! | `lookup` + `table` | what the table says for the value |
//! | `money` + `currency` | `{amount, currency}`, converted with `to`; kept only `above` another amount; `units: minor` for amounts in cents; `decimal_mark` |
//! | `category` | `{path, source}` by the category file, with `unmapped: true` when it is not listed |
//! | `attributes` | `{code, name, type, values}`; `names` and `values` for a list of pairs, neither for an object; `rename`, `ignore`, `ignore_values`, `types` |
//! | `images` | web addresses from all these, each once; `max` |
//! | `variants` + `sku` | one `{sku, title, options}` per combination of option values; `plain`, `max` |
//! | `slug` | text for addresses; `end` is never cut off, `max` |
//! | `hash` | a content hash of these, or with `all` of every field above |
//!
//! Beside every word may stand `default`, `required: true`, `when` and `unless` (another value is
//! there and not false). Where a path may stand, a rule may stand; a list of paths means the first
//! that has a value (for `join`, `list` and `images`: all of them). A field without a value is left
//! out. `item`, `input` and `steps` begin a path at the whole item, the input, or earlier steps.
//!
//! **Money** is decimal from the source file to the request: a number keeps the digits it is written
//! with, up to the 28 that a decimal holds, and an amount in the result is a text, so that nobody's
//! binary float changes it. An amount is rounded once, after conversion, to the digits that its
//! currency has (ISO 4217: two, JPY none, KWD three), halves away from zero as in trade. `number` makes
//! a JSON number for systems that want one, and refuses the item where a reader's binary float would
//! change it: then send a text.
//!
//! **Text.** `html: strip` leaves what a reader would see (no tags, entities decoded, blocks on lines of
//! their own, which `lines: keep` keeps); `html: sanitise` leaves harmless HTML (the result is HTML, so
//! `&` becomes `&amp;`); `html: keep`, the default, changes nothing. `max` counts characters (code
//! points, as databases do) and cuts in front of a whole grapheme, so that no accent or flag is halved,
//! with `…` as the last character; it cannot stand beside `html: sanitise`, because a cut could leave a
//! tag open.
//!
//! **Control characters** (all but tab and line ends) never leave a mapping, whichever rule made the
//! value: `control: remove`, the default, takes them out, and the gate counts the records that have
//! some, by field; `control: refuse` makes a dead letter of a record that has one anywhere.

mod category;
mod compile;
mod control;
mod html;
mod make;
mod money;
mod path;
mod reader;
mod rule;
mod shape;
mod tables;
mod text;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use self::compile::{Compiler, Named, Tables};
use self::control::Control;
pub use self::money::minor_digits;
use self::path::Frame;
pub use self::reader::MappingFault;
use self::reader::{Reader, nearest};
use self::rule::{Kind, Rule};
use self::yaml::{Node, Shape, Word};
use crate::core::fault::{Fault, name};
use crate::core::scope::Scope;
use crate::core::survey::Survey;

/// The keys of a mapping file.
const KEYS: &[&str] = &["about", "rates", "categories", "unique", "control", "fields"];

/// A compiled mapping. The same scope always gives the same result.
#[derive(Clone, Debug)]
pub struct Mapping {
    fields: Vec<(String, Rule)>,
    /// Positions in `fields`.
    unique: Vec<usize>,
    control: Control,
}

/// The further files that a mapping names, relative to the workflow's folder like every named
/// file. A text that is no mapping names none.
pub fn names(text: &str) -> Vec<String> {
    let Ok(Node { shape: Shape::Object(entries), .. }) = yaml::read(text) else { return Vec::new() };
    ["rates", "categories"].iter().filter_map(|key| tables::entry(&entries, key)?.scalar()).collect()
}

impl Mapping {
    /// Compiles a mapping file. `name` is the name by which the workflow knows it; `files` has
    /// the bytes of the files it names.
    ///
    /// # Errors
    /// Every mistake in the file and in the files it names.
    pub fn compile(
        text: &str,
        name: &str,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, Vec<MappingFault>> {
        let mut reader = Reader::new(name);
        let Some(node) = tables::read(text.as_bytes(), &mut reader) else { return Err(reader.faults) };
        let entries = reader.object(&node, "a mapping with the key 'fields'");
        tables::only(entries, KEYS, "a mapping", &mut reader);
        let mut others = Vec::new();
        let rates = table(entries, "rates", files, &mut reader, &mut others, tables::rates);
        let categories = table(entries, "categories", files, &mut reader, &mut others, tables::categories);
        let has = |key: &str| tables::entry(entries, key).is_some();
        let named = Named { categories: has("categories"), rates: has("rates") };
        let mut compiler = Compiler::new(&mut reader, Tables { categories, rates, named });
        let fields = if let Some(fields) = tables::entry(entries, "fields") {
            compiler.fields(fields)
        } else {
            reader.fault(node.spot, "a mapping needs 'fields'", None);
            Vec::new()
        };
        let unique = unique(entries, &fields, &mut reader);
        let words = [("remove", Control::Remove), ("refuse", Control::Refuse)];
        let control = tables::entry(entries, "control").and_then(|node| reader.one_of(node, &words));
        let control = control.unwrap_or_default();
        let mut faults = reader.faults;
        faults.sort_by_key(|fault| (fault.line, fault.column));
        faults.extend(others);
        if faults.is_empty() { Ok(Self { fields, unique, control }) } else { Err(faults) }
    }

    /// Makes the result for one item.
    ///
    /// # Errors
    /// A fault that names the field that could not be made.
    pub fn apply(&self, scope: &Scope) -> Result<Value, Fault> {
        if self.control == Control::Refuse
            && let Some(message) = control::refusal(&scope.item)
        {
            return Err(Fault::new(name::MAPPING, message));
        }
        let frame = Frame { scope, here: &scope.item };
        let made = make::object(&self.fields, frame).map_err(|refusal| {
            let place = if refusal.field.is_empty() { "item" } else { &refusal.field };
            Fault::new(name::MAPPING, format!("{place}: {}", refusal.message))
        })?;
        let mut made = Value::Object(made);
        control::remove(&mut made);
        Ok(made)
    }

    /// What can be said of a record without making the rest: the fields that no two items may
    /// share, categories that the category file does not list, and control characters that are taken
    /// out. A field that cannot be made is left out: `apply` will say why.
    pub fn survey(&self, scope: &Scope) -> Survey {
        let frame = Frame { scope, here: &scope.item };
        let value = |rule: &Rule| make::make(rule, frame, None).ok().flatten();
        let unique = self.unique.iter().filter_map(|position| {
            let (name, rule) = self.fields.get(*position)?;
            Some((name.clone(), text::of(&value(rule)?)?.into_owned()))
        });
        let categories = self.fields.iter().filter(|(_, rule)| matches!(rule.kind, Kind::Category(..)));
        let remarks = categories.filter_map(|(name, rule)| category::remark(name, &value(rule)?));
        let taken_out = (self.control == Control::Remove).then(|| control::remark(&scope.item)).flatten();
        Survey { unique: unique.collect(), remarks: remarks.chain(taken_out).collect() }
    }
}

/// Reads a table that the mapping names under `key`.
fn table<T>(
    entries: &[(Word, Node)],
    key: &str,
    files: &BTreeMap<String, Vec<u8>>,
    reader: &mut Reader,
    others: &mut Vec<MappingFault>,
    read: fn(&[u8], &mut Reader) -> Option<T>,
) -> Option<Arc<T>> {
    let node = tables::entry(entries, key)?;
    let name = reader.text(node, "the name of a file")?;
    let Some(bytes) = files.get(&name) else {
        let known: Vec<&str> = files.keys().map(String::as_str).collect();
        let message = format!("the file '{name}' is not there: names begin at the workflow's folder");
        reader.fault(node.spot, message, nearest(&name, &known));
        return None;
    };
    let mut inner = Reader::new(&name);
    let table = read(bytes, &mut inner);
    others.append(&mut inner.faults);
    table.map(Arc::new)
}

/// The positions of the fields under `unique`.
fn unique(entries: &[(Word, Node)], fields: &[(String, Rule)], reader: &mut Reader) -> Vec<usize> {
    let Some(node) = tables::entry(entries, "unique") else { return Vec::new() };
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let mut positions = Vec::new();
    for node in node.as_list() {
        let Some(name) = reader.text(node, "the name of a field") else { continue };
        match fields.iter().position(|(known, _)| *known == name) {
            Some(at) if matches!(fields[at].1.kind, Kind::Hash(_)) => {
                reader.fault(node.spot, format!("'{name}' is a hash: it needs the whole item"), None);
            }
            Some(at) => positions.push(at),
            None => reader.fault(node.spot, format!("there is no field '{name}'"), nearest(&name, &names)),
        }
    }
    positions
}
