//! `json.validate`: what becomes of each record.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::product::Products;
use crate::stage::{Folder, Gate, pin, scope, source};
use milepost::core::survey::{Remark, Survey};
use milepost::ports::Interest;

fn with() -> Value {
    json!({"item_key": "${{ item.id }}"})
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn verdicts(name: &str, bytes: impl AsRef<[u8]>, with: Value) -> Vec<String> {
    let folder = Folder::new();
    pin(&folder, name, bytes, with).unwrap_or_else(|fault| panic!("{fault}")).verdicts()
}

#[test]
fn arrays_lines_and_tables_give_the_same_items_plain_or_zipped() {
    let array = "\u{feff} [ {\"id\": \"a\", \"t\": \"]},\\\"\"} ,\n{\"id\":\"b\"}]\n ";
    let lines = "{\"id\":\"a\"}\r\n\n  {\"id\":\"b\"}";
    let table = "id,t\r\na,\"x,\ny\"\nb,\n";
    let semicolons = "id;t\na;x,y\nb;z\n";
    let mut semicolon = with();
    semicolon["delimiter"] = json!(";");
    for (name, text, with) in [
        ("a.json", array, with()),
        ("b.ndjson", lines, with()),
        ("c.csv", table, with()),
        ("d.csv", semicolons, semicolon),
    ] {
        assert_eq!(verdicts(name, text, with.clone()), ["a", "b"], "{name}");
        assert_eq!(verdicts(&format!("{name}.gz"), zipped(text.as_bytes()), with), ["a", "b"], "{name}.gz");
    }
}

#[test]
fn a_file_zipped_in_pieces_is_one_text() {
    let pieces = ["", " ", "[{\"id\":", "\"a\"},{\"id\":\"b\"}", "]"];
    let zipped: Vec<u8> = pieces.iter().flat_map(|piece| zipped(piece.as_bytes())).collect();
    assert_eq!(verdicts("a.json.gz", zipped, with()), ["a", "b"]);
}

#[test]
fn a_source_without_records_has_no_items() {
    assert!(verdicts("a.json", "[ ]", with()).is_empty());
    assert!(verdicts("a.csv", "id,t\n", with()).is_empty());
}

#[test]
fn bad_records_are_dead_letters_with_reasons() {
    let schema = json!({"properties": {"price": {"type": "number", "minimum": 0}, "tags": {"items": {"type": "string"}}}});
    let files: BTreeMap<String, Vec<u8>> = [("s.json".to_owned(), schema.to_string().into_bytes())].into();
    let folder = Folder::new();
    let records = json!([
        {"id": 1, "price": 2, "name": "x"}, {"id": 2, "price": -3, "name": "x", "tags": ["a", 1]},
        {"id": 3, "name": " "}, {"price": 1, "name": "x"}, {"id": 1, "name": "y"}, 7, {"id": 1.5, "name": "x"},
        {"id": [1], "name": "x"},
    ]);
    let path = folder.write("a.json", records.to_string());
    let with =
        json!({"source": path, "schema": "s.json", "required": ["name"], "item_key": "${{ item.id }}"});
    let source = source(&with, &files, folder.path());
    let pinned =
        source.pin(&scope(Value::Null), &folder, &|_, _| Survey::default(), &Interest::default()).unwrap();
    let gate = Gate { records: source.open(&pinned.source, &folder).unwrap(), pinned };
    assert_eq!(gate.pinned.rejected, 7);
    insta::assert_snapshot!(gate.verdicts().join("\n"), @r#"
    1
    InvalidRecord: /price: -3 is less than the minimum of 0; /tags/1: 1 is not of type "string"
    InvalidRecord: /name: required, but there is no value
    InvalidRecord: the item key ${{ item.id }} has no value
    DuplicateItem: item key '1' occurred before in this source
    InvalidRecord: /: the record is no object
    InvalidRecord: the item key ${{ item.id }} is neither a text nor a whole number
    InvalidRecord: the item key ${{ item.id }} is neither a text nor a whole number
    "#);
}

#[test]
fn one_bad_line_or_row_spoils_nothing() {
    let lines = "{\"id\":1}\n{\"id\":2\n{\"id\":3}\n";
    insta::assert_snapshot!(verdicts("a.ndjson", lines, with()).join("\n"), @r"
    1
    InvalidRecord: not JSON: EOF while parsing an object (line 1, column 7 of the record)
    3
    ");
    insta::assert_snapshot!(verdicts("a.csv", "id,t\n1,a\n2\n3,b,c\n4,d\n", with()).join("\n"), @r"
    1
    InvalidRecord: the row has 1 fields, the header 2
    InvalidRecord: the row has 3 fields, the header 2
    4
    ");
    let deep = format!("[{{\"id\":1}},{{\"id\":2,\"x\":{}{}}}]", "[".repeat(200), "]".repeat(200));
    insta::assert_snapshot!(verdicts("a.json", deep, with()).join("\n"), @r"
    1
    InvalidRecord: not JSON: recursion limit exceeded (line 1, column 139 of the record)
    ");
}

#[test]
fn the_first_of_equal_unique_values_wins() {
    let folder = Folder::new();
    let records = json!([{"id": 1, "s": "x"}, {"id": 2, "s": "y"}, {"id": 3, "s": "x"}, {"id": 1, "s": "z"}, {"id": 4, "s": "z"}]);
    let with = json!({"source": folder.write("a.json", records.to_string()), "item_key": "${{ item.id }}"});
    let source = source(&with, &BTreeMap::new(), folder.path());
    let survey = |_: u64, item: &Arc<Value>| Survey {
        unique: vec![("sku".to_owned(), item["s"].as_str().unwrap().to_owned())],
        remarks: vec!["odd".to_owned()],
    };
    let pinned = source.pin(&scope(Value::Null), &folder, &survey, &Interest::default()).unwrap();
    let gate = Gate { records: source.open(&pinned.source, &folder).unwrap(), pinned };
    // The last one is no duplicate: the record that had its value before is a dead letter itself.
    insta::assert_snapshot!(gate.verdicts().join("\n"), @r"
    1
    2
    DuplicateItem: sku 'x' occurred before in this source
    DuplicateItem: item key '1' occurred before in this source
    4
    ");
    assert_eq!(gate.pinned.rejected, 2);
    // Counted once for each record that is no dead letter.
    assert_eq!(gate.pinned.remarks, [Remark { text: "odd".to_owned(), items: 3 }]);
    assert_eq!(
        (gate.records.find("1"), gate.records.find("3"), gate.records.find("9")),
        (Some(0), Some(2), None)
    );
}

#[test]
fn under_fail_the_first_bad_records_end_the_run() {
    let folder = Folder::new();
    let mut with = with();
    with["on_invalid"] = json!("fail");
    let text = "[{\"id\":1},\n{},\n{\"id\":2}, {}, 5, {\"x\":1}]";
    let Err(fault) = pin(&folder, "a.json", text, with) else { panic!("accepted") };
    insta::assert_snapshot!(fault, @"ValidationError: 4 of 6 records are invalid: record 1 (line 2, byte 11): the item key ${{ item.id }} has no value; record 3 (line 3, byte 25): the item key ${{ item.id }} has no value; record 4 (line 3, byte 29): /: the record is no object; …");
}

#[test]
fn many_records_keep_their_order_and_can_be_found() {
    let folder = Folder::new();
    let products = Products::new(6000, 3, 0);
    let mut bytes = Vec::new();
    products.write_array(&mut bytes).unwrap();
    let with = json!({"item_key": "${{ item.product_id }}"});
    let first = pin(&folder, "a.json", &bytes, with.clone()).unwrap();
    assert_eq!((first.pinned.source.count, first.pinned.rejected), (6000, 0));
    for position in (0..6000).step_by(397) {
        let record = first.records.record(position);
        let product = products.product(position);
        assert_eq!(record.key.as_deref(), product["product_id"].as_str());
        assert_eq!(first.records.find(record.key.as_deref().unwrap()), Some(position));
        assert_eq!(*record.value.unwrap(), product);
    }
    let again = pin(&folder, "b.json.gz", zipped(&bytes), with).unwrap();
    assert_eq!(first.pinned.source.records, again.pinned.source.records, "the same bytes, the same address");
    assert_eq!(first.pinned.source.index, again.pinned.source.index);
    assert!(first.records.record(6000).value.is_err());
}
