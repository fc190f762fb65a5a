use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::super::index::ENTRY_BYTES;
use super::super::split::At;
use super::*;
use crate::connectors::listening::tests::Waited;
use crate::expr::Expression;
use crate::store::MemoryStore;

#[test]
fn a_duplicate_of_what_went_to_disk_is_one_too() {
    let store = MemoryStore::new(Arc::new(Waited(AtomicU64::new(0))));
    let key_text = "item.sku".to_owned();
    let key = Expression::parse(&key_text).unwrap();
    let checker = Checker { schema: None, required: Vec::new(), key, key_text };
    let mut writer = Writer::new(&store, &checker, false).unwrap();
    writer.seen = Seen::new(&store, 3);
    // Ten products of two claims each, then the same again: some with a new key and an old code.
    let mut batch = Batch::default();
    let mut findings = Vec::new();
    for number in 0..20 {
        let sku = if number < 15 { number % 10 } else { number };
        let survey =
            Survey { unique: vec![("ean".to_owned(), (number % 10).to_string())], remarks: Vec::new() };
        batch.push(format!("{{\"sku\":\"S{sku}\"}}").as_bytes(), At { byte: 0, line: 1 }, None);
        findings.push(Finding { state: State::Valid, key: Some(format!("S{sku}")), survey });
    }
    let numbered = Numbered { number: 0, first: 0, batch };
    writer.write(&Examined { numbered, findings, malformed: None }).unwrap();
    let pinned = writer.finish().unwrap();
    assert_eq!((pinned.count, pinned.rejected), (20, 10));
    let (records, index) = (store.get(&pinned.records).unwrap(), store.get(&pinned.index).unwrap());
    let (entries, _) = index.as_chunks::<ENTRY_BYTES>();
    for (bytes, number) in entries.iter().zip(0..) {
        let entry = Entry::from_bytes(bytes);
        assert_eq!(entry.state, if number < 10 { State::Valid } else { State::Duplicate }, "{number}");
        let note = usize::try_from(entry.offset).unwrap() + entry.length as usize;
        let note = String::from_utf8_lossy(&records[note..note + usize::from(entry.note)]);
        let expected = match number {
            0..10 => String::new(),
            10..15 => format!("item key 'S{}'", number - 10),
            _ => format!("ean '{}'", number - 10),
        };
        assert_eq!(note, expected, "{number}");
    }
}
