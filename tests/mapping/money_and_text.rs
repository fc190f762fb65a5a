//! Money keeps its digits from the bytes of the source to the bytes of a request; texts are cut,
//! cleaned and refused by rules that can be read at the head of the language.

use std::collections::BTreeMap;

use milepost::core::fault::Fault;
use milepost::mapping::Mapping;
use serde_json::{Value, json};

use crate::stage::scope;

fn compiled(head: &str, rule: &str) -> Mapping {
    let text = format!("rates: rates.yaml\n{head}fields:\n  x: {rule}\n");
    let rates = "date: 2026-11-20\nbase: EUR\nrates: { USD: 1.25, JPY: 160, KWD: 0.3333 }\n";
    let files = BTreeMap::from([("rates.yaml".to_owned(), rates.as_bytes().to_vec())]);
    Mapping::compile(&text, "m.yaml", &files).unwrap_or_else(|faults| panic!("{rule}: {faults:#?}"))
}

fn made(rule: &str, item: Value) -> Result<Value, Fault> {
    compiled("", rule).apply(&scope(item)).map(|object| object["x"].clone())
}

/// A record as a source has it: bytes, in which numbers have digits and no type.
fn record(price: &str) -> Value {
    serde_json::from_str(&format!("{{\"p\": {price}, \"c\": \"EUR\", \"j\": \"JPY\"}}")).unwrap()
}

#[test]
fn a_price_has_the_digits_of_the_source_to_the_end() {
    for (written, text, amount, number) in [
        ("19.99", "19.99", "19.99", Some("19.99")),
        ("19.90", "19.90", "19.90", Some("19.9")),
        ("0.30000000000000004", "0.30000000000000004", "0.30", Some("0.30000000000000004")),
        ("1e21", "1000000000000000000000", "1000000000000000000000.00", Some("1000000000000000000000")),
        ("12345678901234567.89", "12345678901234567.89", "12345678901234567.89", None),
        ("9007199254740993", "9007199254740993", "9007199254740993.00", None),
        ("\"19.99\"", "19.99", "19.99", Some("19.99")),
        ("\"12345678901234567.89\"", "12345678901234567.89", "12345678901234567.89", None),
        ("0.005", "0.005", "0.01", Some("0.005")),
    ] {
        assert_eq!(made("{ text: p }", record(written)), Ok(json!(text)), "{written}");
        let money = made("{ money: p, currency: c }", record(written));
        assert_eq!(money, Ok(json!({ "amount": amount, "currency": "EUR" })), "{written}");
        // What the request's JSON says, byte for byte; refused where a reader would change it.
        let sent = made("{ number: p }", record(written)).map(|number| number.to_string());
        match number {
            Some(number) => assert_eq!(sent.as_deref(), Ok(number), "{written}"),
            None => assert!(sent.unwrap_err().message.contains("a reader's binary float"), "{written}"),
        }
        // What nobody touches stays as it is written.
        let kept: Value = serde_json::from_str(written).unwrap();
        assert_eq!(made("p", record(written)).map(|kept| kept.to_string()), Ok(kept.to_string()));
    }
    let german = json!({ "p": "1.234,56", "c": "EUR" });
    let money = made("{ money: p, currency: c, decimal_mark: ',' }", german.clone());
    assert_eq!(money, Ok(json!({ "amount": "1234.56", "currency": "EUR" })));
    let fault = made("{ money: p, currency: c }", german).unwrap_err();
    assert!(fault.message.contains("decimal_mark: \",\""), "{fault}");
    for beyond in ["1e400", "0.12345678901234567890123456789012", "123456789012345678901234567890"] {
        let fault = made("{ money: p, currency: c }", record(beyond)).unwrap_err();
        assert!(fault.message.contains("more digits than a decimal holds"), "{beyond}: {fault}");
    }
}

#[test]
fn sums_in_expressions_are_what_people_expect_and_long_numbers_enter_them_as_texts() {
    let item = json!({ "a": 0.1, "b": 0.2, "c": "EUR" });
    let rule = "{ money: \"${{ item.a + item.b }}\", currency: c }";
    assert_eq!(made(rule, item), Ok(json!({ "amount": "0.30", "currency": "EUR" })));
    let rule = "{ money: \"${{ $trim(item.p) }}\", currency: c }";
    let long = made(rule, record("12345678901234567.89"));
    assert_eq!(long, Ok(json!({ "amount": "12345678901234567.89", "currency": "EUR" })));
}

#[test]
fn an_amount_is_rounded_once_to_what_its_currency_has() {
    for (rule, price, expected) in [
        ("{ money: p, currency: j }", "1999.5", "2000"),
        ("{ money: p, currency: j, units: minor }", "1999", "1999"),
        ("{ money: p, currency: c, units: minor }", "1999", "19.99"),
        ("{ money: p, currency: { value: KWD }, units: minor }", "1999", "1.999"),
        ("{ money: p, currency: c, to: JPY }", "19.99", "3198"),
        ("{ money: p, currency: c, to: USD }", "0.004", "0.01"),
        ("{ money: p, currency: { value: KWD }, to: EUR }", "1", "3.00"),
        ("{ money: p, currency: c }", "0.125", "0.13"),
        ("{ money: p, currency: c }", "0.124999999999999999", "0.12"),
    ] {
        let amount = made(rule, record(price)).map(|money| money["amount"].clone());
        assert_eq!(amount, Ok(json!(expected)), "{rule} {price}");
    }
}

#[test]
fn html_is_taken_out_made_safe_or_kept() {
    let html = "<h1>Cup</h1><p onclick=\"x()\">Soft &amp; warm<script>alert(1)</script></p>";
    for (rule, expected) in [
        ("{ text: d, html: strip, lines: keep }", "Cup\nSoft & warm"),
        ("{ text: d, html: strip }", "Cup Soft & warm"),
        ("{ text: d, html: strip, max: 7 }", "Cup So…"),
        ("{ text: d, html: sanitise }", "<h1>Cup</h1><p>Soft &amp; warm</p>"),
        ("{ text: d, html: keep }", html),
        ("{ text: d }", html),
    ] {
        assert_eq!(made(rule, json!({ "d": html })), Ok(json!(expected)), "{rule}");
    }
    assert_eq!(made("{ text: d, html: strip, required: true }", json!({ "d": "a" })), Ok(json!("a")));
    assert_eq!(made("{ text: d, html: strip }", json!({ "d": "<p><br></p>" })), Ok(Value::Null));
}

#[test]
fn a_cut_never_halves_what_a_reader_sees_as_one_character() {
    let family = "👨‍👩‍👧";
    for (text, max, expected) in [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("cafe\u{301}s", 5, "caf…"),
        ("cafe\u{301}s", 6, "cafe\u{301}s"),
        (&format!("ab{family}cd"), 5, "ab…"),
        (&format!("ab{family}cd"), 8, &format!("ab{family}…")),
        ("🇩🇪🇫🇷", 3, "🇩🇪…"),
        ("abc", 1, "…"),
    ] {
        let cut = made(&format!("{{ text: d, max: {max} }}"), json!({ "d": text }));
        assert_eq!(cut, Ok(json!(expected)), "{text} {max}");
        assert!(cut.unwrap().as_str().unwrap().chars().count() <= max);
    }
}

#[test]
fn no_control_character_leaves_a_mapping_and_the_gate_says_so() {
    let item = json!({
        "d": "a\u{0}b\tc\n\u{1b}d", "deep": [{ "k\u{0}": "e\u{7}" }],
    });
    let mapping = compiled("", "{ fields: { raw: d, deep: deep, text: { text: d } } }");
    let kept = mapping.apply(&scope(item.clone())).unwrap();
    assert_eq!(kept["x"], json!({ "raw": "ab\tc\nd", "deep": [{ "k": "e" }], "text": "ab c d" }));
    assert_eq!(mapping.survey(&scope(item.clone())).remarks, ["d: control characters are taken out"]);
    assert_eq!(mapping.survey(&scope(json!({ "d": "a\tb\r\n" }))).remarks, Vec::<String>::new());

    let strict = compiled("control: refuse\n", "d");
    let fault = strict.apply(&scope(item.clone())).unwrap_err();
    assert_eq!(fault.message, "d: has the control character U+0000");
    assert!(strict.survey(&scope(item)).remarks.is_empty());
    assert!(strict.apply(&scope(json!({ "d": "a\tb" }))).is_ok());
}

#[test]
fn wrong_words_are_told_with_their_place() {
    let text = "\
control: drop
fields:
  a: { text: d, html: sanitize }
  b: { text: d, html: sanitise, max: 5 }
  c: { money: p, currency: c, units: cents }
";
    let faults = Mapping::compile(text, "m.yaml", &BTreeMap::new()).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    m.yaml:1:10: 'drop' is not one of remove, refuse
    m.yaml:3:23: 'sanitize' is not one of keep, sanitise, strip
    m.yaml:4:38: 'max' and 'html: sanitise' cannot stand together: a cut could leave a tag open
    m.yaml:5:38: 'cents' is not one of major, minor
    ");
}
