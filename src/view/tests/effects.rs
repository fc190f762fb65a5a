//! What the ledger shows follows from the records, and its counts sum to the total.

use crate::core::ledger::Verdict;
use crate::core::tally::StepTally;
use crate::view::effects::may_doubt;
use crate::view::fake::{archive, doubtful, large};
use crate::view::{Doubtful, EffectFilter, EffectView, code};

fn found(filter: &EffectFilter) -> Vec<String> {
    let page = doubtful().effects("@latest", filter).unwrap();
    let line = |effect: &EffectView| {
        let item = effect.item.as_deref().unwrap_or("-");
        let settle_by = effect.settle_by.as_deref().unwrap_or("-");
        let word = effect.effect.word();
        format!("{item} {} {word} {} {} {settle_by}", effect.step, effect.attempt, effect.doubts)
    };
    page.effects.iter().map(line).collect()
}

#[test]
fn every_effect_has_the_verdict_that_its_record_allows() {
    let pim = EffectFilter { step: Some("pim".into()), ..EffectFilter::default() };
    assert_eq!(
        found(&pim),
        [
            "K0 pim done 1 0 -",
            "K1 pim done 2 1 -",
            "K2 pim refused 1 0 -",
            "K3 pim in_doubt 3 1 person",
            "#4 pim in_doubt 2 0 probe",
            "K5 pim in_doubt 1 0 probe",
            "K6 pim refused 1 0 -",
            "K7 pim not_needed 0 0 -",
        ]
    );
    assert_eq!(found(&EffectFilter::default()).len(), 9 + 8 + 1, "all steps, and those of on_failure");
    assert_eq!(found(&EffectFilter::default()).last().unwrap(), "- on_failure[0] done 1 0 -");
}

#[test]
fn everything_that_is_perhaps_is_listed_and_nothing_else() {
    let keys = |doubt| {
        let filter = EffectFilter { doubt: Some(doubt), ..EffectFilter::default() };
        let page = doubtful().effects("@latest", &filter).unwrap();
        page.effects.into_iter().filter_map(|effect| effect.item).collect::<Vec<_>>()
    };
    assert_eq!(keys(Doubtful::Any), ["K1", "K3", "#4", "K5"]);
    assert_eq!(keys(Doubtful::Person), ["K1", "K3"], "a resume looks the others up");
}

#[test]
fn the_counts_sum_to_the_total_and_agree_with_the_list() {
    let counts = doubtful().effect_counts("@latest").unwrap();
    assert_eq!(Verdict::ALL.iter().map(|verdict| counts.of(*verdict)).sum::<u64>(), counts.total);
    for verdict in Verdict::ALL {
        let filter = EffectFilter { verdict: Some(verdict), ..EffectFilter::default() };
        assert_eq!(found(&filter).len() as u64, counts.of(verdict), "{verdict:?}");
    }
    assert_eq!((counts.in_doubt, counts.repeated, counts.person), (3, 1, 2));
}

#[test]
fn a_call_of_a_living_engine_is_under_way_and_not_in_doubt() {
    for (live, verdict) in [(true, Verdict::Intended), (false, Verdict::InDoubt)] {
        let filter = EffectFilter { item: Some("K3".into()), ..EffectFilter::default() };
        let page = archive(live).effects("@latest", &filter).unwrap();
        assert_eq!((page.effects.len(), page.effects[0].effect), (1, verdict));
    }
    let filter = EffectFilter { item: Some("K3".into()), ..EffectFilter::default() };
    let lost = &archive(false).effects("@latest", &filter).unwrap().effects[0];
    insta::assert_snapshot!(serde_json::to_string(lost).unwrap(), @r#"{"item":"K3","step":"publish","effect":"in_doubt","attempt":1,"at":"2026-03-01T10:00:00.000Z","key":"sku-item 3-1","facts":{},"error":{"name":"EngineDied","message":"the engine stopped between the call and its answer"},"doubts":0,"before":0,"settle_by":"probe"}"#);
}

#[test]
fn pages_go_on_where_they_ended_and_keep_an_item_together() {
    let archive = doubtful();
    let whole = archive.effects("@latest", &EffectFilter::default()).unwrap();
    let mut filter = EffectFilter { limit: Some(3), ..EffectFilter::default() };
    let mut paged = Vec::new();
    let mut turns = 0;
    loop {
        let page = archive.effects("@latest", &filter).unwrap();
        assert!(page.effects.len() <= 4, "three, and the rest of an item");
        paged.extend(page.effects);
        turns += 1;
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!((paged, turns > 3), (whole.effects, true));
}

#[test]
fn a_step_without_effects_is_named_as_such() {
    let filter = EffectFilter { step: Some("validate".into()), ..EffectFilter::default() };
    let problem = doubtful().effects("@latest", &filter).unwrap_err();
    assert_eq!(problem.code, code::STEP_UNKNOWN);
    assert_eq!(problem.candidates, ["publish", "pim", "on_failure[0]"]);
}

#[test]
fn a_step_whose_successes_took_one_attempt_each_is_not_read_for_doubts() {
    let mut sums = StepTally { attempts: 5, ..StepTally::default() };
    sums.units.succeeded = 5;
    assert!(!may_doubt(&sums));
    sums.attempts = 6;
    assert!(may_doubt(&sums), "one attempt is not accounted for");
    sums.attempts = 5;
    sums.units.running = 1;
    assert!(may_doubt(&sums), "its engine may be gone");
}

/// However many items there are, a few hundred are in memory at once; and without any doubt none
/// is read to find doubts.
#[test]
fn a_hundred_thousand_items_are_counted_a_few_hundred_at_a_time() {
    let (archive, journal) = large(100_000);
    let counts = archive.effect_counts("@latest").unwrap();
    assert_eq!((counts.total, counts.done, counts.person), (200_000, 200_000, 0));
    let reads = journal.take_reads();
    assert_eq!((reads.iter().sum::<usize>(), reads.iter().max()), (100_000, Some(&512)));
    let doubts = EffectFilter { doubt: Some(Doubtful::Any), ..EffectFilter::default() };
    let page = archive.effects("@latest", &doubts).unwrap();
    assert_eq!((page.effects.len(), page.next), (0, None));
    assert_eq!(journal.take_reads(), [0; 0], "the counts say that there is nothing to find");
    let refused = EffectFilter { verdict: Some(Verdict::Refused), ..EffectFilter::default() };
    let page = archive.effects("@latest", &refused).unwrap();
    assert_eq!((page.effects.len(), page.next), (0, Some(50_000)), "a page looks at so many and no more");
}
