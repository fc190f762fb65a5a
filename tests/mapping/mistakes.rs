//! Mistakes in a mapping: all of them at once, each with its place.

use std::collections::BTreeMap;

use milepost::mapping::{Mapping, names};

fn faults(text: &str, files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<String, Vec<u8>> =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    match Mapping::compile(text, "m.yaml", &files) {
        Ok(_) => Vec::new(),
        Err(faults) => faults
            .iter()
            .map(|fault| match &fault.hint {
                Some(hint) => format!("{fault} ({hint})"),
                None => fault.to_string(),
            })
            .collect(),
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let text = "\
about: trial
uniqe: [sku]
unique: [skuu]
fields:
  sku: { txt: id }
  title: { text: name, maximum: 5 }
  price: { money: p, to: EURO }
  link: a..b
  size: { text: s, case: uper, max: none }
  both: { text: a, number: b }
  list: { each: a }
  flag: { from: a, required: true, default: 1 }
  cat: { category: c }
  attr: { attributes: a, names: n, types: { Weight: weight } }
";
    insta::assert_snapshot!(faults(text, &[]).join("\n"), @r"
    m.yaml:2:1: a mapping has no 'uniqe' (did you mean 'unique'?)
    m.yaml:3:10: there is no field 'skuu'
    m.yaml:5:8: this rule does not say what to make (did you mean 'text'?)
    m.yaml:6:24: 'text' has no 'maximum' (did you mean 'max'?)
    m.yaml:7:10: 'currency' is missing here
    m.yaml:7:26: 'EURO' is no currency code: three letters such as EUR
    m.yaml:8:9: the path 'a..b' has a part without a name (paths look like price.amount, photos[0], tree[].name; a fixed text is { value: … })
    m.yaml:9:26: 'uper' is not one of lower, upper, keep (did you mean 'upper'?)
    m.yaml:9:37: expected a whole number of at least 1, found a text
    m.yaml:10:9: 'text' and 'number' cannot stand in one rule (did you mean 'text'?)
    m.yaml:11:9: 'make' is missing here
    m.yaml:12:9: a rule with a default needs no 'required'
    m.yaml:13:8: 'category' needs a table: write 'categories: FILE' at the top
    m.yaml:14:9: 'names' and 'values' go together: a list of pairs has both, an object none
    m.yaml:14:53: 'weight' is not one of text, number, bool
    ");
}

#[test]
fn mistakes_in_tables_are_told_with_the_name_of_the_table() {
    let text = "rates: r.yaml\ncategories: c.yaml\nfields: { x: { money: p, currency: c, to: EUR }, y: { category: c } }\n";
    let rates = "date: yesterday\nbase: EUR\nrates: { USD: -1, Euros: 2 }\n";
    let categories = "defualt: Other\npaths: { Home > A: B, home >  a: C, D: [] }\n";
    insta::assert_snapshot!(faults(text, &[("r.yaml", rates), ("c.yaml", categories)]).join("\n"), @r"
    r.yaml:1:7: 'yesterday' is no date: write it like 2026-11-20
    r.yaml:3:15: a rate is a number above zero
    r.yaml:3:19: 'Euros' is no currency code: three letters such as EUR
    c.yaml:1:1: a category file has no 'defualt' (did you mean 'default'?)
    c.yaml:1:1: a category file needs a default: where products of unlisted categories go
    c.yaml:2:23: 'home >  a' is listed twice (case and spaces make no difference)
    c.yaml:2:40: expected a path such as Home > Decor, found a list
    ");
    insta::assert_snapshot!(faults(text, &[("rates.yaml", rates)]).join("\n"), @r"
    m.yaml:1:8: the file 'r.yaml' is not there: names begin at the workflow's folder (did you mean 'rates.yaml'?)
    m.yaml:2:13: the file 'c.yaml' is not there: names begin at the workflow's folder (did you mean 'rates.yaml'?)
    ");
}

#[test]
fn what_is_no_mapping_is_refused_and_never_panics() {
    let deep = format!("fields: {{ x: {}a{} }}", "{ from: ".repeat(60), " }".repeat(60));
    for text in ["", "3", "[]", "fields", "fields: 3", "fields: { x: }", "a: [", "x: &a [*a]", &deep] {
        assert!(!faults(text, &[]).is_empty(), "{text}");
    }
    for bytes in [&b"\xff\xfe"[..], b"\0", b"fields: {x: \xc3}"] {
        let text = String::from_utf8_lossy(bytes);
        let _ = faults(&text, &[]);
    }
}

#[test]
fn a_mapping_names_its_files() {
    assert_eq!(names("rates: a/r.yaml\ncategories: a/c.yaml\nfields: {}"), ["a/r.yaml", "a/c.yaml"]);
    assert!(names("fields: [").is_empty());
}
