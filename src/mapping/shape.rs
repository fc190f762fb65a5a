//! Rules that make lists and objects from lists and objects.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::make::{self, Made, Refusal, digest, is_blank, make, text_of, value, visit};
use super::money::{self, Mark};
use super::path::Frame;
use super::rule::{Attributes, Each, Operand, Rule, Type, Variants};
use super::text;

/// Longest code of an attribute, and longest part that an option value adds to a SKU.
const CODE_MAX: usize = 60;
const SKU_PART_MAX: usize = 40;

/// A list: the rule once for each element.
pub(super) fn each(each: &Each, frame: Frame<'_>) -> Made {
    let mut list: Vec<Value> = Vec::new();
    let mut fault = None;
    let mut position = 0;
    visit(&each.of, frame, &mut |element| {
        let here = Frame { here: element, ..frame };
        if fault.is_none() && list.len() < each.max {
            match make(&each.make, here, None) {
                Ok(Some(value)) if each.distinct && list.contains(&value) => {}
                Ok(value) => list.extend(value),
                Err(refusal) => fault = Some(refusal.within(&format!("[{position}]"))),
            }
        }
        position += 1;
    })?;
    fault.map_or(Ok(Some(Value::Array(list))), Err)
}

/// An object: one entry for each element; the first of equal keys stays.
pub(super) fn entries(of: &Operand, key: &Operand, rule: &Rule, frame: Frame<'_>) -> Made {
    let mut object = Map::new();
    let mut fault = None;
    visit(of, frame, &mut |element| {
        let here = Frame { here: element, ..frame };
        if fault.is_none() {
            fault = entry(key, rule, here, &mut object).err();
        }
    })?;
    fault.map_or(Ok(Some(Value::Object(object))), Err)
}

fn entry(
    key: &Operand,
    rule: &Rule,
    here: Frame<'_>,
    object: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let Some(key) = text_of(key, here)? else { return Ok(()) };
    let key = text::tidy(&key).into_owned();
    if !object.contains_key(&key)
        && let Some(value) = make(rule, here, None).map_err(|refusal| refusal.within(&key))?
    {
        object.insert(key, value);
    }
    Ok(())
}

/// A list of names with all their different values, from objects.
pub(super) fn gather(of: &Operand, frame: Frame<'_>) -> Made {
    let mut gathered: Vec<(String, Vec<Value>)> = Vec::new();
    visit(of, frame, &mut |element| {
        let Value::Object(object) = element else { return };
        for (name, value) in object {
            let known = gathered.iter().position(|(known, _)| known == name);
            let at = known.unwrap_or_else(|| {
                gathered.push((name.clone(), Vec::new()));
                gathered.len() - 1
            });
            let values =
                if let Value::Array(list) = value { list.as_slice() } else { std::slice::from_ref(value) };
            for value in values {
                if !is_blank(value) && !gathered[at].1.contains(value) {
                    gathered[at].1.push(value.clone());
                }
            }
        }
    })?;
    let list = gathered.into_iter().map(|(name, values)| {
        let mut object = Map::with_capacity(2);
        object.insert("name".to_owned(), Value::String(name));
        object.insert("values".to_owned(), Value::Array(values));
        Value::Object(object)
    });
    Ok(Some(list.collect()))
}

/// Absolute web addresses, each once, in order.
pub(super) fn images(of: &[Operand], max: usize, frame: Frame<'_>) -> Made {
    let mut list: Vec<Value> = Vec::new();
    for operand in of {
        visit(operand, frame, &mut |value| {
            let Value::String(written) = value else { return };
            let address = written.trim();
            let address = match address.strip_prefix("//") {
                Some(_) => format!("https:{address}"),
                None => address.to_owned(),
            };
            let is_web = address.starts_with("https://") || address.starts_with("http://");
            let is_clean = address.bytes().all(|byte| byte > b' ' && byte != 0x7f);
            let is_new = || !list.iter().any(|known| known.as_str() == Some(&address));
            if is_web && is_clean && list.len() < max && is_new() {
                list.push(Value::String(address));
            }
        })?;
    }
    Ok(Some(Value::Array(list)))
}

/// One attribute while it is gathered.
struct Attribute {
    /// Its name where it occurred first: most repetitions are spelled alike.
    written: String,
    folded: String,
    name: String,
    values: Vec<String>,
}

/// Typed attributes: `{code, name, type, values}`, several values of one name together.
pub(super) fn attributes(rule: &Attributes, frame: Frame<'_>) -> Made {
    let mut gathered: Vec<Attribute> = Vec::new();
    for operand in &rule.of {
        visit(operand, frame, &mut |element| {
            let here = Frame { here: element, ..frame };
            match (&rule.pair, element) {
                (Some((names, values)), _) => {
                    if let Some(name) = names.first(here).and_then(text::of) {
                        values.visit(here, &mut |value| gather_one(rule, &name, value, &mut gathered));
                    }
                }
                (None, Value::Object(object)) => {
                    for (name, value) in object {
                        gather_one(rule, name, value, &mut gathered);
                    }
                }
                (None, _) => {}
            }
        })?;
    }
    Ok(Some(
        gathered
            .into_iter()
            .filter(|attribute| !attribute.values.is_empty())
            .map(|one| typed(rule, one))
            .collect(),
    ))
}

fn gather_one(rule: &Attributes, name: &str, value: &Value, gathered: &mut Vec<Attribute>) {
    if let Value::Array(list) = value {
        for value in list {
            gather_one(rule, name, value, gathered);
        }
        return;
    }
    let Some(written) = text::of(value) else { return };
    let written = text::tidy(&written);
    let says_nothing =
        || written.len() <= rule.ignore_values_bytes && rule.ignore_values.contains(&text::fold(&written));
    if written.is_empty() || says_nothing() {
        return;
    }
    let known = gathered.iter().position(|known| known.written == name);
    let Some(at) = known.or_else(|| start(rule, name, gathered)) else { return };
    let values = &mut gathered[at].values;
    if !values.iter().any(|known| *known == written) {
        values.push(written.into_owned());
    }
}

/// The position of the attribute that a name belongs to, begun if it is new; `None` when the name
/// is ignored.
fn start(rule: &Attributes, name: &str, gathered: &mut Vec<Attribute>) -> Option<usize> {
    let source = text::fold(name);
    if source.is_empty() || rule.ignore.contains(&source) {
        return None;
    }
    let renamed = rule.rename.get(&source);
    let folded = renamed.map_or(source, |renamed| text::fold(renamed));
    let known = gathered.iter().position(|known| known.folded == folded);
    Some(known.unwrap_or_else(|| {
        let shown = renamed.cloned().unwrap_or_else(|| text::tidy(name).into_owned());
        gathered.push(Attribute { written: name.to_owned(), folded, name: shown, values: Vec::new() });
        gathered.len() - 1
    }))
}

/// Gives the values their declared type; values that do not fit stay texts, and the attribute
/// says that it is one of texts.
fn typed(rule: &Attributes, attribute: Attribute) -> Value {
    let declared = rule.types.get(&attribute.folded).copied().unwrap_or(Type::Text);
    let fitting: Option<Vec<Value>> = match declared {
        Type::Text => None,
        Type::Flag => attribute
            .values
            .iter()
            .map(|text| make::flag(&Value::from(text.as_str())).map(Value::Bool))
            .collect(),
        Type::Number => attribute
            .values
            .iter()
            .map(|text| {
                let amount = money::decimal(&Value::from(text.as_str()), Mark::Point).ok().flatten()?;
                money::number(amount).ok().map(Value::Number)
            })
            .collect(),
    };
    let word = match (&fitting, declared) {
        (None, _) | (_, Type::Text) => "text",
        (_, Type::Flag) => "bool",
        (_, Type::Number) => "number",
    };
    let mut object = Map::with_capacity(4);
    object.insert("code".to_owned(), Value::String(code(&attribute.folded)));
    object.insert("name".to_owned(), Value::String(attribute.name));
    object.insert("type".to_owned(), Value::from(word));
    let values = fitting.unwrap_or_else(|| attribute.values.into_iter().map(Value::String).collect());
    object.insert("values".to_owned(), Value::Array(values));
    Value::Object(object)
}

/// A name for machines: a letter, then letters, digits and underscores, as the strictest of the
/// systems behind want it. Names in other scripts get one by their hash.
fn code(folded: &str) -> String {
    let slug = text::slug(folded, CODE_MAX, '_');
    match slug.bytes().next() {
        Some(first) if slug.is_ascii() && first.is_ascii_digit() => format!("attribute_{slug}"),
        Some(_) if slug.is_ascii() => slug,
        _ => format!("attribute_{}", &digest(folded.as_bytes())[..8]),
    }
}

/// One variant for each combination of option values: `{sku, title, options}`. The SKU follows
/// from the base and the values alone, so that it stays when others come or go.
pub(super) fn variants(rule: &Variants, frame: Frame<'_>) -> Made {
    let base = text_of(&rule.sku, frame)?.ok_or_else(|| "there is no SKU to begin with".to_owned())?;
    let mut combinations: Vec<Vec<(&str, String)>> = vec![Vec::new()];
    for (name, operand) in &rule.options {
        let values = option_values(operand, frame)?;
        if values.is_empty() {
            continue;
        }
        if combinations.len() * values.len() > rule.max {
            let count = combinations.len() * values.len();
            return Err(format!("{count} combinations of options, at most {}", rule.max).into());
        }
        combinations = combinations
            .iter()
            .flat_map(|known| {
                values.iter().map(|value| [known.as_slice(), &[(name.as_str(), value.clone())]].concat())
            })
            .collect();
    }
    let mut taken = HashSet::with_capacity(combinations.len());
    let list = combinations.into_iter().map(|options| variant(rule, &base, options, &mut taken));
    Ok(Some(list.collect()))
}

fn option_values(operand: &Operand, frame: Frame<'_>) -> Result<Vec<String>, Refusal> {
    let mut values: Vec<String> = Vec::new();
    let mut add = |value: &Value| {
        if let Some(text) = text::of(value) {
            let text = text::tidy(&text);
            if !text.is_empty() && !values.iter().any(|known| text::fold(known) == text::fold(&text)) {
                values.push(text.into_owned());
            }
        }
    };
    match value(operand, frame)?.as_deref() {
        Some(Value::Array(list)) => list.iter().for_each(&mut add),
        Some(value) => add(value),
        None => {}
    }
    Ok(values)
}

fn variant(rule: &Variants, base: &str, options: Vec<(&str, String)>, taken: &mut HashSet<String>) -> Value {
    let telling: Vec<&str> = options
        .iter()
        .map(|(_, value)| value.as_str())
        .filter(|value| !rule.plain.contains(&text::fold(value)))
        .collect();
    let mut sku = base.to_owned();
    for value in &telling {
        sku.push('-');
        sku.push_str(&text::slug(value, SKU_PART_MAX, '-').to_uppercase());
    }
    let stem = sku.trim_end_matches('-').to_owned();
    sku.clone_from(&stem);
    let mut number = 1;
    while !taken.insert(sku.clone()) {
        number += 1;
        sku = format!("{stem}-{number}");
    }
    let title = match (telling.is_empty(), options.first()) {
        (false, _) => telling.join(" / "),
        (true, Some((_, value))) => value.clone(),
        (true, None) => "Default".to_owned(),
    };
    let options: Map<String, Value> =
        options.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    let mut object = Map::with_capacity(3);
    object.insert("sku".to_owned(), Value::String(sku));
    object.insert("title".to_owned(), Value::String(title));
    object.insert("options".to_owned(), Value::Object(options));
    Value::Object(object)
}
