//! Every word of the mapping language, once.

use std::collections::BTreeMap;

use milepost::mapping::Mapping;
use serde_json::{Value, json};

use crate::stage::scope;

fn files() -> BTreeMap<String, Vec<u8>> {
    let rates = "date: 2026-11-20\nbase: EUR\nrates: { USD: 1.0800, JPY: 160 }\n";
    let categories = "default: Other\npaths:\n  Home: H\n  Home > Decor: H > D\n  12: T > W\n";
    [("rates.yaml", rates), ("categories.yaml", categories)]
        .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
        .into()
}

fn compiled(fields: &str) -> Mapping {
    let text = format!("rates: rates.yaml\ncategories: categories.yaml\nfields:\n  x: {fields}\n");
    Mapping::compile(&text, "m.yaml", &files()).unwrap_or_else(|faults| panic!("{fields}: {faults:#?}"))
}

/// The value that a rule makes of an item; null when it makes none.
fn made(rule: &str, item: Value) -> Value {
    compiled(rule).apply(&scope(item)).unwrap_or_else(|fault| panic!("{rule}: {fault}"))["x"].clone()
}

fn refused(rule: &str, item: Value) -> String {
    match compiled(rule).apply(&scope(item)) {
        Ok(value) => panic!("{rule}: {value}"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn values_are_taken_from_paths() {
    for (rule, expected) in [
        ("a.b", json!(1)),
        ("list[1]", json!("q")),
        ("'objects[].n'", json!([1, 2])),
        ("'\"dotted.name\"'", json!(true)),
        ("{ from: [missing, null_value, a.b] }", json!(1)),
        ("{ from: missing, default: [] }", json!([])),
        ("missing", json!(null)),
        ("{ value: { k: [1, x] } }", json!({"k": [1, "x"]})),
        ("[a.b, missing, { value: c }]", json!([1, "c"])),
        ("{ list: a.b }", json!([1])),
        ("{ fields: { k: a.b, none: missing } }", json!({"k": 1})),
        ("{ from: a.b, when: yes }", json!(1)),
        ("{ from: a.b, when: no }", json!(null)),
        ("{ from: a.b, unless: missing }", json!(1)),
        ("{ from: a.b, unless: yes, default: 2 }", json!(2)),
        ("item.a.b", json!(1)),
    ] {
        let item = json!({
            "a": {"b": 1}, "list": ["p", "q"], "objects": [{"n": 1}, {}, {"n": 2}], "dotted.name": true,
            "null_value": null, "yes": true, "no": false,
        });
        assert_eq!(made(rule, item), expected, "{rule}");
    }
}

#[test]
fn texts_numbers_and_truth_values_are_normalised() {
    for (rule, value, expected) in [
        ("{ text: v }", json!("  a \0 b\u{a0}c "), json!("a b c")),
        ("{ text: v, case: upper, max: 4 }", json!("straße"), json!("STR…")),
        ("{ text: v, prefix: P-, suffix: '!' }", json!(17), json!("P-17!")),
        ("{ text: v, remove: Buy now. }", json!("Buy now. Cup"), json!("Cup")),
        ("{ text: v, prefix: P- }", json!(" "), json!(null)),
        ("{ text: [v, w] }", json!(" "), json!("second")),
        ("{ number: v }", json!("1,299.50"), json!(1299.5)),
        ("{ number: v, decimal_mark: ',' }", json!("12,50 €"), json!(12.5)),
        ("{ number: v }", json!("007"), json!(7)),
        ("{ text: { number: v } }", json!("48.00"), json!("48")),
        ("{ bool: v }", json!("Yes"), json!(true)),
        ("{ bool: v }", json!(0), json!(false)),
        ("{ lookup: v, table: { true: on sale, false: sold out } }", json!(true), json!("on sale")),
        ("{ lookup: v, table: { a: 1 }, default: 0 }", json!("B"), json!(0)),
        ("{ join: [v, w], with: ' - ' }", json!(["a", "b", null]), json!("a - b - second")),
        ("{ split: v, at: '|' }", json!("a | b||c"), json!(["a", "b", "c"])),
        ("{ slug: v, max: 12, end: w }", json!("Große Tasse"), json!("gross-second")),
    ] {
        assert_eq!(made(rule, json!({"v": value, "w": "second"})), expected, "{rule}");
    }
}

#[test]
fn lists_and_objects_are_made_from_lists_and_objects() {
    let item = json!({
        "unit": "cm", "sizes": [{"n": "S"}, {"n": "M", "skip": true}, {"n": "S"}], "tags": ["a", "b", "a"],
        "pairs": [{"k": "x", "v": [1, 2]}, {"k": "y", "v": 3}, {"k": "x", "v": 9}],
    });
    for (rule, expected) in [
        ("{ each: sizes, make: { fields: { n: n, u: item.unit } }, max: 1 }", json!([{"n": "S", "u": "cm"}])),
        ("{ each: sizes, make: { from: n, unless: skip } }", json!(["S", "S"])),
        ("{ each: tags, make: ., distinct: true }", json!(["a", "b"])),
        ("{ each: unit, make: { text: ., case: upper } }", json!(["CM"])),
        ("{ entries: pairs, key: k, make: { join: v, with: + } }", json!({"x": "1+2", "y": "3"})),
        (
            "{ gather: sizes }",
            json!([{"name": "n", "values": ["S", "M"]}, {"name": "skip", "values": [true]}]),
        ),
    ] {
        assert_eq!(made(rule, item.clone()), expected, "{rule}");
    }
}

#[test]
fn money_is_decimal_and_in_minor_units() {
    let rule = "{ money: p, currency: c, to: EUR, above: q }";
    for (item, expected) in [
        (
            json!({"p": 48, "c": "usd"}),
            json!({"amount": "44.44", "currency": "EUR", "rate_date": "2026-11-20"}),
        ),
        (json!({"p": "0.10", "c": "EUR"}), json!({"amount": "0.10", "currency": "EUR"})),
        (json!({"p": 5, "c": "EUR", "q": 5}), json!(null)),
        (json!({"p": 5.01, "c": "EUR", "q": "5"}), json!({"amount": "5.01", "currency": "EUR"})),
        (json!({"c": "EUR"}), json!(null)),
    ] {
        assert_eq!(made(rule, item.clone()), expected, "{item}");
    }
    let yen = made("{ money: p, currency: { value: EUR }, to: JPY }", json!({"p": 1.999}));
    assert_eq!(yen["amount"], "320");
    for (item, words) in [
        (json!({"p": -1, "c": "EUR"}), "x: -1 is less than zero"),
        (json!({"p": 1}), "x: the amount has no currency"),
        (json!({"p": 1, "c": "XYZ"}), "have no rate for XYZ"),
        (json!({"p": "1,5", "c": "EUR"}), "decimal_mark"),
        (json!({"p": 1, "c": "Euro"}), "'Euro' is no currency code"),
    ] {
        let fault = refused(rule, item);
        assert!(fault.starts_with("MappingError: ") && fault.contains(words), "{fault}");
    }
}

#[test]
fn categories_come_from_names_objects_and_numbers() {
    let item =
        json!({"tree": [{"n": "Home"}, {"n": "Decor"}, {"n": "Vases"}], "ids": [3, 12], "text": "Home>Toys"});
    let path = |rule: &str| made(rule, item.clone())["path"].clone();
    assert_eq!(path("{ category: 'tree[].n' }"), json!(["H", "D"]));
    assert_eq!(path("{ category: ids }"), json!(["T", "W"]));
    assert_eq!(path("{ category: { split: text, at: '>' } }"), json!(["H"]));
    assert_eq!(
        made("{ category: unknown }", item.clone()),
        json!({"path": ["Other"], "unmapped": true, "source": []})
    );
}

#[test]
fn attributes_keep_every_value_and_their_type() {
    let rule = "{ attributes: [list, object], names: k, values: v, rename: { Colour: Color }, ignore: sku, \
                ignore_values: N/A, types: { Battery: bool, Weight: number } }";
    let list = json!([
        {"k": "Colour", "v": "Red"}, {"k": "color", "v": "Blue"}, {"k": "COLOR", "v": "Red"}, {"k": "SKU", "v": "1"},
        {"k": "Battery", "v": "No"}, {"k": "Weight", "v": "1.50"}, {"k": "Style", "v": "N/A"}, {"k": "Fit", "v": null},
    ]);
    let expected = json!([
        {"code": "color", "name": "Color", "type": "text", "values": ["Red", "Blue"]},
        {"code": "battery", "name": "Battery", "type": "bool", "values": [false]},
        {"code": "weight", "name": "Weight", "type": "number", "values": [1.5]},
    ]);
    assert_eq!(made(rule, json!({"list": list})), expected);
    let odd = json!({"o": {"3 in 1": "yes", "Größe": "L", "颜色": "红"}});
    let codes = made("{ attributes: o }", odd);
    let codes: Vec<_> = codes.as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["attribute_3_in_1", "groesse", "attribute_070a8016"]);
    let object = json!({"o": {"Frame Size": [40, 50], "Weight": "heavy"}});
    let expected = json!([
        {"code": "frame_size", "name": "Frame Size", "type": "text", "values": ["40", "50"]},
        {"code": "weight", "name": "Weight", "type": "text", "values": ["heavy"]},
    ]);
    assert_eq!(made("{ attributes: o, types: { Weight: number } }", object), expected);
}

#[test]
fn images_are_web_addresses_each_once() {
    let item = json!({
        "main": "https://a/1.jpg", "more": ["https://a/1.jpg", "//b/2.jpg", "", "c.jpg", "https://a/x y.jpg", null],
        "last": [{"u": " https://a/3.jpg "}],
    });
    let all = made("{ images: [main, more, 'last[].u'] }", item.clone());
    assert_eq!(all, json!(["https://a/1.jpg", "https://b/2.jpg", "https://a/3.jpg"]));
    assert_eq!(made("{ images: [main, more], max: 1 }", item), json!(["https://a/1.jpg"]));
}

#[test]
fn variants_are_combinations_with_stable_skus() {
    let rule = "{ variants: { Size: s, Color: c }, sku: id, plain: one size, max: 4 }";
    let skus = |item: Value| -> Vec<Value> {
        made(rule, item).as_array().unwrap().iter().map(|variant| variant["sku"].clone()).collect()
    };
    assert_eq!(skus(json!({"id": 7, "s": ["S", "M"], "c": "Red"})), ["7-S-RED", "7-M-RED"]);
    assert_eq!(skus(json!({"id": "7", "s": "One  Size"})), ["7"]);
    assert_eq!(skus(json!({"id": "7", "s": ["S+", "S", "s"]})), ["7-S", "7-S-2"]);
    let alone = made(rule, json!({"id": "7"}));
    assert_eq!(alone, json!([{"sku": "7", "title": "Default", "options": {}}]));
    let many = refused(rule, json!({"id": 7, "s": [1, 2, 3], "c": ["a", "b"]}));
    assert!(many.contains("x: 6 combinations of options, at most 4"), "{many}");
}

#[test]
fn hashes_follow_the_content() {
    let text = "fields:\n  a: a\n  b: b\n  all: { hash: all }\n  one: { hash: a }\n";
    let mapping = Mapping::compile(text, "m.yaml", &BTreeMap::new()).unwrap();
    let apply = |item: Value| mapping.apply(&scope(item)).unwrap();
    let (first, same) = (apply(json!({"a": 1, "b": 2})), apply(json!({"b": 2, "a": 1, "c": 3})));
    let other = apply(json!({"a": 1, "b": 3}));
    assert_eq!(first, same);
    assert_eq!(first["one"], other["one"]);
    assert_ne!(first["all"], other["all"]);
    assert_eq!(first["all"].as_str().map(str::len), Some(32));
}

#[test]
fn a_fault_names_the_field() {
    let rule = "{ each: v, make: { fields: { price: { number: p, required: true } } } }";
    assert_eq!(
        refused(rule, json!({"v": [{"p": 1}, {}]})),
        "MappingError: x[1].price: required, but p has no value"
    );
    assert_eq!(refused("{ number: v }", json!({"v": "ten"})), "MappingError: x: 'ten' is no number");
}

#[test]
fn unique_values_are_made_without_the_rest() {
    let text = "unique: [sku, handle]\nfields:\n  broken: { number: t, required: true }\n  sku: { text: id }\n  \
                handle: { slug: t, end: id }\n";
    let mapping = Mapping::compile(text, "m.yaml", &BTreeMap::new()).unwrap();
    let pairs = mapping.survey(&scope(json!({"id": 5, "t": "A cup"}))).unique;
    assert_eq!(pairs, [("sku".to_owned(), "5".to_owned()), ("handle".to_owned(), "a-cup-5".to_owned())]);
}

#[test]
fn a_category_that_is_not_listed_is_remarked_with_its_path() {
    let text = "categories: c.yaml\nfields:\n  category: { category: \"tree[].name\" }\n";
    let table = b"default: Other\npaths:\n  Home: House\n".to_vec();
    let mapping = Mapping::compile(text, "m.yaml", &BTreeMap::from([("c.yaml".to_owned(), table)])).unwrap();
    let remarks = |names: &[&str]| {
        let tree: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        mapping.survey(&scope(json!({ "tree": tree }))).remarks
    };
    assert!(remarks(&["Home", "Decor"]).is_empty());
    assert_eq!(
        remarks(&["Baby", "Toys"]),
        ["category: 'Baby > Toys' is not in the category file, the default was taken"]
    );
}
