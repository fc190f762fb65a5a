//! Which content is newer (rule R6).

use std::cmp::Ordering;

use crate::core::time::Timestamp;
use crate::core::version::Version;

fn compare(one: &str, another: &str) -> Ordering {
    let there = Version(one.into()).compare(&Version(another.into()));
    let back = Version(another.into()).compare(&Version(one.into()));
    assert_eq!(there, back.reverse(), "{one} and {another}");
    there
}

fn upload(at: u64, object: &str, sequencer: &str) -> String {
    Version::of_object(Timestamp(at), object, Some(sequencer)).0
}

#[test]
fn versions_are_numbers_where_both_are() {
    assert_eq!(compare("9", "10"), Ordering::Less);
    assert_eq!(compare("9007199254740993", "9007199254740992"), Ordering::Greater);
    assert_eq!(compare("1.50", "1.5"), Ordering::Equal);
    assert_eq!(compare("1e3", "999"), Ordering::Greater);
    assert_eq!(compare("2026-01-02", "2026-01-10"), Ordering::Less);
    assert_eq!(compare("v9", "v10"), Ordering::Greater, "texts are texts");
}

#[test]
fn of_one_object_the_larger_sequencer_is_newer_whatever_the_clock_said() {
    for (older, newer) in [
        ("0055AED6DCD90281E5", "0055AED6DCD90281E6"),
        ("9", "A"),
        ("FF", "0100"),
        ("ff", "100"),
        ("00ab", "AC"),
        ("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "01000000000000000000000000000000000000"),
    ] {
        let (older, newer) = (upload(2_000, "b/k", older), upload(1_000, "b/k", newer));
        assert_eq!(compare(&older, &newer), Ordering::Less, "{older} and {newer}");
    }
    assert_eq!(compare(&upload(7, "b/k", "00aB"), &upload(7, "b/k", "AB")), Ordering::Equal);
    assert_eq!(
        compare(&upload(7, "b/k", "0"), &upload(8, "b/k", "00")),
        Ordering::Less,
        "then the clock says"
    );
}

#[test]
fn of_two_objects_the_one_that_was_written_later_is_newer() {
    let (first, second) =
        (upload(1_000, "b/products-1.json", "FF"), upload(2_000, "b/products-2.json", "01"));
    assert_eq!(compare(&first, &second), Ordering::Less);
    assert_eq!(compare(&upload(5, "b/x", "1"), &upload(5, "b/y", "2")), Ordering::Equal);
}

#[test]
fn beside_a_run_that_was_started_by_hand_the_instant_counts() {
    let (before, after) = ("1763820000000", "1763820000002");
    let uploaded = upload(1_763_820_000_001, "b/k", "0055AED6DCD90281E5");
    assert_eq!(compare(before, &uploaded), Ordering::Less);
    assert_eq!(compare(&uploaded, after), Ordering::Less);
    assert_eq!(compare(before, after), Ordering::Less);
}

#[test]
fn what_is_no_sequencer_is_none() {
    for none in [None, Some(""), Some("not hex"), Some("-1")] {
        assert_eq!(Version::of_object(Timestamp(12), "b/k", none).0, "12");
    }
    // Texts of a source that look nearly like ours are texts.
    for text in ["1/2@3", "1/x@0123456789abcdef", "a/1@0123456789abcdef"] {
        assert_eq!(compare(text, "1"), text.as_bytes().cmp(b"1"));
    }
}
