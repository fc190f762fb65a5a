//! Which content is newer (rule R6).

use std::cmp::Ordering;

use proptest::prelude::*;

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
        ("0A", "9"),
        ("0100", "FF"),
        ("100", "ff"),
        ("00ab", "AC"),
        ("0055AED6DCD90281E5", "0055AED6DCD90281E500000001"),
        ("0055AED6DCD90281E6FFFF", "0055AED6DCD90281E7"),
        ("01000000000000000000000000000000000000", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"),
    ] {
        let (older, newer) = (upload(2_000, "b/k", older), upload(1_000, "b/k", newer));
        assert_eq!(compare(&older, &newer), Ordering::Less, "{older} and {newer}");
    }
    assert_eq!(compare(&upload(7, "b/k", "aB00"), &upload(7, "b/k", "AB")), Ordering::Equal);
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
    let tied = |one, another| compare(&upload(5, "b/x", one), &upload(5, "b/y", another));
    assert_ne!(tied("1", "2"), Ordering::Equal, "or a third one had no place beside both");
    assert_eq!(tied("1", "2"), tied("2", "1"), "always the same one");
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
fn texts_are_newer_than_numbers() {
    for (older, newer) in [("10", "1a"), ("9", "1a"), ("1763820000000", "2026-01-02"), ("9", "")] {
        assert_eq!(compare(older, newer), Ordering::Less, "{older} and {newer}");
    }
    assert_eq!(compare(&upload(1_763_820_000_001, "b/k", "AB"), "2026-01-02"), Ordering::Less);
}

#[test]
fn what_was_older_than_an_upload_is_older_than_the_next_one_whatever_the_clock_said() {
    let (first, second) = (Version(upload(2_000, "b/k", "01")), Version(upload(1_000, "b/k", "02")));
    let by_hand = Version("1500".into());
    assert_eq!(by_hand.compare(&second), Ordering::Greater, "it knows nothing of the first one");
    let second_after = second.after(&first);
    assert_eq!(by_hand.compare(&second_after), Ordering::Less);
    assert_eq!(second.compare(&second_after), Ordering::Equal, "it is still the same write");
    assert_eq!(second_after.after(&first), second_after);
    let third = Version(upload(1_200, "b/k", "03")).after(&second_after);
    assert_eq!(by_hand.compare(&third), Ordering::Less, "{third:?}");
    assert_eq!(first.after(&second), first, "what was later anyhow stays as it is");
    assert_eq!(by_hand.after(&first), by_hand);
}

/// Numbers, texts and uploads to two objects, whose later writes have no earlier instants.
fn versions() -> impl Strategy<Value = String> {
    let number = (0_u64..16, prop::sample::select(vec!["", ".0", ".5", "e0"]));
    let written = (0_u64..40, prop::sample::select(vec!["b/x", "b/y"]), 0_usize..3);
    prop_oneof![
        number.prop_map(|(number, rest)| format!("{number}{rest}")),
        written.prop_map(|(write, object, zeros)| {
            upload(write / 3, object, &format!("{write:02X}{}", "0".repeat(zeros)))
        }),
        "[0-9a-c./@-]{0,4}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn there_is_one_order_of_all_versions(one in versions(), two in versions(), three in versions()) {
        // That the other way round says the opposite is asserted with each comparison.
        let (first, second, both) = (compare(&one, &two), compare(&two, &three), compare(&one, &three));
        if first != Ordering::Greater && second != Ordering::Greater {
            prop_assert_eq!(both, first.then(second), "{} {} {}", one, two, three);
        }
    }

    #[test]
    fn what_a_key_refused_as_old_it_refuses_after_every_later_write_to_the_object(
        instants in prop::collection::vec(0_u64..50, 1..8), by_hand in 0_u64..50,
    ) {
        let by_hand = Version(by_hand.to_string());
        let mut refused = false;
        let mut last: Option<Version> = None;
        for (write, at) in instants.into_iter().enumerate() {
            let written = Version(upload(at, "b/k", &format!("{write:04X}")));
            let kept = last.map_or_else(|| written.clone(), |last| written.after(&last));
            prop_assert_eq!(written.compare(&kept), Ordering::Equal);
            let is_old = by_hand.compare(&kept) == Ordering::Less;
            prop_assert!(is_old || !refused, "{:?} {:?}", by_hand, kept);
            refused = is_old;
            last = Some(kept);
        }
    }
}

#[test]
fn what_is_no_sequencer_is_none() {
    for none in [None, Some(""), Some("not hex"), Some("-1")] {
        assert_eq!(Version::of_object(Timestamp(12), "b/k", none).0, "12");
    }
    // Texts of a source that look nearly like ours are texts.
    for text in ["1/2@3", "1/x@0123456789abcdef", "a/1@0123456789abcdef", "1^/1@0123456789abcdef"] {
        assert_eq!(compare(text, "a"), text.as_bytes().cmp(b"a"));
        assert_eq!(compare(text, "9"), Ordering::Greater);
    }
}
