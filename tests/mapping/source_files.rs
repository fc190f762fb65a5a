//! Files that are not what they should be end the run before any item exists.

use std::collections::BTreeMap;
use std::fs;

use milepost::core::survey::Survey;
use milepost::ports::{Interest, Worker};
use serde_json::{Value, json};

use crate::stage::{Folder, pin, scope, source, worker};

fn fault(name: &str, bytes: impl AsRef<[u8]>, extra: (&str, &str)) -> String {
    let folder = Folder::new();
    let mut with = json!({"item_key": "${{ item.id }}"});
    if !extra.0.is_empty() {
        with[extra.0] = json!(extra.1);
    }
    match pin(&folder, name, bytes, with) {
        Ok(gate) => panic!("{name}: {:?}", gate.verdicts()),
        Err(fault) => fault.to_string().replace(&folder.path().display().to_string(), "DIR"),
    }
}

#[test]
fn malformed_files_are_told_with_what_was_expected_and_where() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let whole = gzip(b"[{\"id\":1},{\"id\":2}]");
    let none = ("", "");
    let faults = [
        fault("empty.json", "", none),
        fault("blank.json", " \n ", none),
        fault("cut.json", "[{\"id\":1},\n{\"id\":2", none),
        fault("open.json", "[{\"id\":1}\n", none),
        fault("comma.json", "[{\"id\":1},]", none),
        fault("gap.json", "[{\"id\":1} {\"id\":2}]", none),
        fault("more.json", "[{\"id\":1}] x", none),
        fault("word.json", "[{\"id\":1},\n {\"id\":tru}]", none),
        fault("latin.json", b"[{\"id\":\"\xe9\"}]", none),
        fault("object.json", "{\n \"products\": [{\"id\":1}]\n}", none),
        fault("text.txt", "id,name\n1,x\n", none),
        fault("wide.json", b"\xff\xfe[\0]\0", none),
        fault("wide.json", b"[\0]\0", none),
        fault("a.zip", b"PK\x03\x04....", none),
        fault("a.json", "{\"id\":1}", ("format", "json")),
        fault("a.csv", "id,id\n1,2\n", none),
        fault("a.csv", b"id,t\n1,\xe9\n", none),
        fault("cut.json.gz", &whole[..whole.len() - 12], none),
        fault("bad.json.gz", b"\x1f\x8b\x08garbage.....", none),
        fault("empty.json.gz", gzip(b""), none),
    ];
    insta::assert_snapshot!(faults.join("\n"), @r#"
    ValidationError: the source DIR/empty.json is empty: expected a JSON array, NDJSON or CSV
    ValidationError: the source begins with white space only: expected '[' (a JSON array) or '{' (NDJSON); for CSV write 'format: csv'
    ValidationError: record 1 (line 2, byte 11): the file ends inside this record: it is cut off
    ValidationError: record 1 (line 2, byte 10): expected ',' or ']', found the end of the file: it is cut off
    ValidationError: record 1 (line 1, byte 10): expected a record, found ']'
    ValidationError: record 1 (line 1, byte 10): expected ',' or ']', found '{'
    ValidationError: record 1 (line 1, byte 11): expected nothing after the array, found 'x'
    ValidationError: record 1 (line 2, byte 12): expected ident (line 1, column 10 of the record)
    ValidationError: record 0 (line 1, byte 1): invalid unicode code point (line 1, column 8 of the record)
    ValidationError: record 0 (line 1, byte 0): the first line is not one JSON value: expected NDJSON (one record per line) or a JSON array
    ValidationError: the source begins with 'i': expected '[' (a JSON array) or '{' (NDJSON); for CSV write 'format: csv'
    ValidationError: the source DIR/wide.json is in UTF-16 or UTF-32: expected UTF-8
    ValidationError: the source DIR/wide.json is in UTF-16 or UTF-32: expected UTF-8
    ValidationError: the source DIR/a.zip is a ZIP archive: expected plain text or gzip
    ValidationError: record 0 (line 1, byte 0): expected '[', the start of a JSON array, found '{'
    ValidationError: line 1, byte 0: the header has the name "id" twice
    ValidationError: record 0 (line 2, byte 5): the row is not UTF-8
    ValidationError: failed to read the source behind byte 0: the compressed file is cut off
    ValidationError: failed to read the source behind byte 0: the gzip data is damaged: invalid gzip header
    ValidationError: the source DIR/empty.json.gz is empty: expected a JSON array, NDJSON or CSV
    "#);
}

#[test]
fn a_record_beyond_all_measure_is_refused() {
    let long = format!("[{{\"id\":1}},\n{{\"id\":\"{}\"}}]", "x".repeat(17 * 1024 * 1024));
    assert_eq!(
        fault("long.json", long, ("", "")),
        "ValidationError: record 1 (line 2, byte 11): the record is longer than 16 MiB"
    );
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let open = |path: &str| {
        let written = format!("${{{{ {path:?} }}}}");
        let with = json!({"source": written, "item_key": "${{ item.id }}"});
        let source = source(&with, &BTreeMap::new(), folder.path());
        let fault = source
            .pin(&scope(Value::Null), &folder, &|_, _| Survey::default(), &Interest::default())
            .unwrap_err();
        fault.to_string().replace(&folder.path().display().to_string(), "DIR")
    };
    let faults = [open("missing.json"), open("sub"), open("s3://bucket/key"), open("")];
    insta::assert_snapshot!(faults.join("\n"), @r#"
    ValidationError: failed to open the source DIR/missing.json: there is no such file
    ValidationError: the source DIR/sub is a directory: expected a file
    ValidationError: the source s3://bucket/key is not a path, and the connection 'files' is of kind 'local': for s3:// write 'files: { use: s3 }'
    ValidationError: the source is "": expected a path
    "#);
}

#[test]
fn mistakes_in_a_step_are_found_when_it_is_made() {
    let folder = Folder::new();
    let files: BTreeMap<String, Vec<u8>> = [
        ("bad.json".to_owned(), b"{\n  \"type\": \n}".to_vec()),
        ("odd.json".to_owned(), b"{\"type\": \"objekt\"}".to_vec()),
        ("m.yaml".to_owned(), b"fields:\n  x: { txt: a }\n".to_vec()),
    ]
    .into();
    let made = |uses: &str, with: Value| match worker(uses, &with, &files, folder.path()) {
        Ok(
            Worker::Source(_) | Worker::Stream(_) | Worker::Pure(_) | Worker::Receiver(_) | Worker::Effect(_),
        ) => "made".to_owned(),
        Err(faults) => faults
            .iter()
            .map(|fault| format!("{:?} {:?} {fault} {:?}", fault.field, fault.place, fault.hint))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    let faults = [
        made("json.validate", json!({"source": "a", "item_key": "${{ item.id }}", "schema": "bad.json"})),
        made(
            "json.validate",
            json!({"source": "a", "item_key": "${{ item.id }}", "schema": "odd.json", "delimiter": "abc"}),
        ),
        made("json.validate", json!({"source": "a", "item_key": "${{ item.id }}", "schema": "none.json"})),
        made("map", json!({"mapping": "m.yaml"})),
        made("map", json!({"mapping": "n.yaml"})),
    ];
    insta::assert_snapshot!(faults.join("\n"), @r#"
    Some("schema") Some(("bad.json", 3, 1)) not JSON: expected value at line 3 column 1 None
    Some("schema") Some(("odd.json", 1, 1)) not a JSON Schema: /type: "objekt" is not valid under any of the schemas listed in the 'anyOf' keyword None
    Some("delimiter") None a delimiter is one character Some("write one character such as ';', or 'tab'")
    Some("schema") None the file 'none.json' is not there None
    Some("mapping") Some(("m.yaml", 2, 6)) this rule does not say what to make Some("did you mean 'text'?")
    Some("mapping") None the file 'n.yaml' is not there Some("names begin at the workflow's folder")
    "#);
}
