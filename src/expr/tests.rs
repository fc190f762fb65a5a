use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Expression, Template};
use crate::core::id::{RunId, Unit};
use crate::core::scope::Scope;
use crate::core::time::Timestamp;

fn scope(item: Value) -> Scope {
    Scope {
        run: RunId(7),
        started_at: Timestamp(1_769_861_096_123),
        version: "0".into(),
        unit: Unit::Item(3),
        input: Arc::new(json!({ "source": "a.json", "limit": 5 })),
        item: Arc::new(item),
        digest: Arc::default(),
        steps: json!({ "pim": { "id": "p-1" } }).into(),
        sent: None,
    }
}

fn evaluate(text: &str, item: Value) -> Result<Option<Value>, String> {
    Expression::parse(text)
        .map_err(|error| error.message)?
        .evaluate(&scope(item))
        .map_err(|fault| fault.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn render(template: Value, item: Value) -> Result<Value, String> {
    Template::parse(&template)
        .map_err(|error| error.message)?
        .render(&scope(item))
        .map_err(|fault| fault.to_string())
}

#[test]
fn one_expression_becomes_its_value_and_several_become_text() {
    let item = json!({ "sku": "A1", "tags": ["x"], "stock": 3 });
    assert_eq!(render(json!("${{ item.tags }}"), item.clone()), Ok(json!(["x"])));
    assert_eq!(render(json!("  ${{ item.stock }} "), item.clone()), Ok(json!(3)));
    assert_eq!(render(json!("${{ item.sku }}-${{ item.stock }}"), item.clone()), Ok(json!("A1-3")));
    assert_eq!(
        render(json!({ "a": ["${{ steps.pim.id }}", 1], "b": "plain" }), item.clone()),
        Ok(json!({ "a": ["p-1", 1], "b": "plain" }))
    );
    let fault = render(json!("tags: ${{ item.tags }}"), item).unwrap_err();
    assert!(fault.contains("'item.tags' is a list"), "{fault}");
}

#[test]
fn a_missing_value_is_a_fault_unless_there_is_a_default() {
    let fault = render(json!("${{ item.brand }}"), json!({})).unwrap_err();
    assert!(fault.starts_with("MappingError: 'item.brand' has no value"), "{fault}");
    assert_eq!(render(json!("${{ item.brand ?? \"none\" }}"), json!({})), Ok(json!("none")));
    assert_eq!(evaluate("item.brand", json!({})), Ok(None));
    assert_eq!(render(json!("${{ item.brand }}"), json!({ "brand": null })), Ok(Value::Null));
}

#[test]
fn closing_marks_inside_an_expression_do_not_end_it() {
    let item = json!({ "a": 1 });
    assert_eq!(render(json!("${{ {\"x\":{\"y\":item.a}} }}"), item.clone()), Ok(json!({ "x": { "y": 1 } })));
    assert_eq!(render(json!("${{ {\"x\":{\"y\":item.a}}}}"), item.clone()), Ok(json!({ "x": { "y": 1 } })));
    assert_eq!(render(json!("${{ \"}}\" }} and ${{ item.a }}"), item), Ok(json!("}} and 1")));
}

#[test]
fn a_text_that_is_no_expression_is_refused_with_the_evaluators_words() {
    for (text, part) in [
        ("${{ item. }}", "S0"),
        ("${{ }}", "empty"),
        ("${{ item.a", "no closing"),
        ("${{ $eval(item.a) }}", "$eval is not allowed"),
        ("${{ ($e := $eval; $e(\"1\")) }}", "$eval is not allowed"),
        ("${{ $shuffle([1, 2]) }}", "$shuffle is not allowed"),
        ("${{ $toMillis(\"13:45\", \"[H]:[m]\") }}", "needs a picture with a year"),
    ] {
        let message = Template::parse(&json!(text)).unwrap_err().message;
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn time_and_chance_follow_from_the_run() {
    let twice = |text: &str| {
        let first = evaluate(text, json!({})).unwrap();
        assert_eq!(first, evaluate(text, json!({})).unwrap(), "{text}");
        first.unwrap()
    };
    assert_eq!(twice("$millis()"), json!(1_769_861_096_123_u64));
    assert_eq!(twice("$now()"), json!("2026-01-31T12:04:56.123Z"));
    assert_eq!(twice("run.started_at"), twice("$now()"));
    assert_eq!(twice("$now('[Y0001]-[M01]-[D01]')"), json!("2026-01-31"));
    assert_eq!(twice("run.id"), json!(RunId(7).to_string()));
    let draws = twice("[$random(), $random()]");
    assert_ne!(draws[0], draws[1]);
}

#[test]
fn numbers_that_floats_would_damage_enter_as_text_and_results_are_rounded() {
    let item =
        json!({ "ean": 12_345_678_901_234_567_890_u64, "price": 19.99, "n": 9_007_199_254_740_992_u64 });
    assert_eq!(evaluate("item.ean", item.clone()), Ok(Some(json!(12_345_678_901_234_567_890_u64))));
    assert_eq!(evaluate("(item.ean)", item.clone()), Ok(Some(json!("12345678901234567890"))));
    assert_eq!(evaluate("item.price * 100", item.clone()), Ok(Some(json!(1999))));
    assert_eq!(evaluate("0.1 + 0.2", item.clone()), Ok(Some(json!(0.3))));
    assert_eq!(evaluate("(item.price)", item.clone()), Ok(Some(json!(19.99))));
    assert_eq!(evaluate("item.price > 10", item.clone()), Ok(Some(json!(true))));
    assert_eq!(evaluate("(item.n)", item), Ok(Some(json!(9_007_199_254_740_992_u64))));
}

#[test]
fn computations_without_end_are_stopped() {
    for text in ["($f := function($n){ $f($n + 1) + 1 }; $f(1))", "($f := function(){ $f() }; $f())"] {
        let fault = evaluate(text, json!({})).unwrap_err();
        assert!(fault.contains("D101") || fault.contains("U1001"), "{fault}");
    }
    assert!(evaluate(&vec!["1"; 3_900].join("+"), json!({})).is_err());
    assert!(evaluate("$sum", json!({})).unwrap_err().contains("a function"));
}

#[test]
fn what_an_expression_looks_at_is_known() {
    let cases: [(&str, &[&str]); 10] = [
        ("item.images[0].url", &["item.images.url"]),
        ("$map(item.a, function($x) { $x.b & item.c })", &["item.a", "item.c"]),
        ("item.a.(b & $$.input.z)", &["input.z", "item.a"]),
        ("item[a = 1].b ?? steps.pim.id", &["item.b", "steps.pim.id"]),
        ("$.item.sku", &["item.sku"]),
        ("{ \"a\": itm.x }", &["itm.x"]),
        ("item.{ \"a\": x }", &["item"]),
        ("item.a^(b) ~> $count", &["item.a"]),
        ("$keys($$)", &[""]),
        ("1 + 1", &[]),
    ];
    for (text, expected) in cases {
        let expression = Expression::parse(text).unwrap();
        let found: Vec<String> =
            expression.references().iter().map(|reference| reference.names.join(".")).collect();
        assert_eq!(found, expected, "{text}");
    }
}

/// Only the fields an expression looks at are converted; what it says must not depend on that.
#[test]
fn fields_left_out_are_never_missed() {
    let item = json!({
        "a": [{ "b": 1, "c": 2 }, { "b": 3, "c": 4 }], "b": "x", "c": { "d": { "e": 5 } }, "n": 7
    });
    for text in [
        "item.n > 2",
        "item[n = 7].b",
        "item.a[b = 3].c & item.b",
        "item.c.d.%.%.b",
        "item@$i.($i.b & item.n)",
        "item@$i.steps.pim.($i.b & id)",
        "item#$p.n",
        "item.*",
        "item.**.e",
        "$keys(item)",
        "item.a^(>b).c",
        "item.(a.b ~> $sum) + item.n",
        "$map(item.a, function($x) { $x.b + item.n })",
        "item{ b: n }",
        "item ~> |c|{ \"e\": b }|",
        "$lookup(item, \"n\")",
        "(item.c).d.e",
        "$.item.c.d.e + $$.item.n",
        "($f := function($i) { $i.n }; $f(item))",
    ] {
        let narrow = evaluate(text, item.clone());
        let whole = evaluate(&format!("($whole := $$; {text})"), item.clone());
        assert_eq!(narrow, whole, "{text}");
        assert!(narrow.is_err() || narrow != Ok(None), "{text} finds something");
    }
}

/// A handful of the language, so that an update of the evaluator that changes it is noticed.
#[test]
fn the_language_is_jsonata() {
    let item = json!({
        "title": " Red Shirt ",
        "variants": [{ "size": "S", "stock": 2 }, { "size": "M", "stock": 0 }],
        "attributes": [{ "name": "color", "value": "red" }, { "name": "fit", "value": "slim" }],
        "path": "Women > Tops"
    });
    let cases = [
        ("$trim(item.title)", json!("Red Shirt")),
        ("$sum(item.variants.stock)", json!(2)),
        ("item.variants[stock > 0].size", json!("S")),
        ("item.variants[stock > 0].size[]", json!(["S"])),
        ("item.attributes{ name: value }", json!({ "color": "red", "fit": "slim" })),
        ("$split(item.path, \" > \")", json!(["Women", "Tops"])),
        ("$replace($lowercase($trim(item.title)), /[^a-z]+/, \"-\")", json!("red-shirt")),
        ("$count(item.variants) > 1 ? \"many\" : \"one\"", json!("many")),
        ("$formatNumber(1234.5, \"#,##0.00\")", json!("1,234.50")),
        ("item.variants ~> $map(function($v) { $v.size }) ~> $join(\"/\")", json!("S/M")),
        ("item.nothing ?: \"none\"", json!("none")),
        ("\"M\" in item.variants.size", json!(true)),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text, item.clone()), Ok(Some(expected)), "{text}");
    }
}

#[test]
fn expressions_travel_between_threads() {
    fn sendable<T: Send + Sync + Clone>() {}
    sendable::<Expression>();
    sendable::<Template>();
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    /// The native lookup and the evaluator are one language.
    #[test]
    fn a_plain_path_is_what_jsonata_says(item in any_value(), names in prop::collection::vec("[abc]", 0..4)) {
        let path = std::iter::once("item".to_owned()).chain(names).collect::<Vec<_>>().join(".");
        let native = evaluate(&path, item.clone());
        prop_assert_eq!(native, evaluate(&format!("$$.{path}"), item));
    }
}

/// Prints what a lookup costs; run with `--ignored --nocapture` in release.
#[test]
#[ignore = "a measurement, not a check"]
fn measure() {
    let fields: serde_json::Map<String, Value> = (0..60)
        .map(|n| (format!("field_{n}"), json!(format!("value number {n} of a product record"))))
        .collect();
    let mut item = Value::Object(fields);
    item["sku"] = json!("A1");
    item["stock"] = json!(3);
    for text in ["item.sku", "item.stock > 2", "$uppercase(item.sku) & \"-x\"", "item.stock > $millis()"] {
        let expression = Expression::parse(text).unwrap();
        let shared = scope(item.clone());
        let start = std::time::Instant::now();
        for _ in 0..20_000 {
            std::hint::black_box(expression.evaluate(&shared).unwrap());
        }
        let same = start.elapsed().as_nanos() / 20_000;
        let others: Vec<_> = (0..2_000).map(|_| scope(item.clone())).collect();
        let start = std::time::Instant::now();
        for other in &others {
            std::hint::black_box(expression.evaluate(other).unwrap());
        }
        let fresh = start.elapsed().as_nanos() / 2_000;
        eprintln!("{text:30} same item {same:>6} ns, another item each time {fresh:>6} ns");
    }
}
