//! The outside fails: what then is done, and what is not done twice.

use serde_json::json;

use super::site::outside::{Outside, faults};
use super::{SAMPLE, SEVERAL_AT_ONCE, Site, WORKFLOW, summary, tame};

/// Keys written, with how often each.
fn written(outside: &Outside) -> Vec<(String, usize)> {
    let (pim, shop) = outside.calls();
    let mut keys: Vec<String> = pim.into_iter().chain(shop).flat_map(|entry| entry.wrote).collect();
    keys.sort();
    let chunks = keys.chunk_by(|one, other| one == other);
    chunks.map(|same| (same[0].clone(), same.len())).collect()
}

#[test]
fn a_run_whose_shop_was_down_is_resumed_when_it_is_back_and_calls_only_what_is_unfinished() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    let never_pauses = ("\"${env:SHOP_URL}\" }", "\"${env:SHOP_URL}\", pause_after: 0 }");
    site.edit("product-sync.yaml", &[never_pauses, SEVERAL_AT_ONCE]);
    faults(&outside.shop, &json!({ "outage": true }));
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(1), "{told:?}");
    insta::assert_snapshot!(summary(&site, &told), @r#"
RUN
RUN  product-sync  failed
  file     SITE/workflows/product-sync.yaml
  source   SITE/workflows/product-sync/sample.json
  time     started TIME, took TIME
  items    200: 200 dead_lettered
  error    ToleranceExceeded: 200 of 200 items are dead letters, more than 'tolerate' allows

dead letters
items  step      first     error
  197  medusa    31000002  HttpStatus: HTTP 503: <!DOCTYPE html><html><body><h1>Service Unavailable</h1></body></html>
    1  validate  31000232  InvalidRecord: /final_price: -3 is less than the minimum of 0
    1  validate  31000698  InvalidRecord: /product_name: null is not of type "string"
    1  validate  31001160  InvalidRecord: /currency: "US Dollar" does not match "^[A-Z]{3}$"
"#);
    let (calls_of_pim, refused) = outside.calls();
    assert!(refused.iter().all(|entry| entry.wrote.is_empty()));

    let plan = site.milepost(&["resume", "@failed", "--plan"]);
    let plan = tame(&site, &plan.stdout);
    insta::assert_snapshot!(plan.split_once('\n').unwrap().1, @"
      0 of 200 items done; nothing is in doubt

    step       what   items  why
    validate   kept     197  done before
    transform  kept     197  done before
    publish    kept     197  done before
    consume    kept     197  done before
    pim        kept     197  done before
    published  kept     197  done before
    medusa     to do    197  failed
    validate   left       3  same content would be refused again
    transform  left       3  a step before it stays as it is
    publish    left       3  a step before it stays as it is
    consume    left       3  a step before it stays as it is
    pim        left       3  a step before it stays as it is
    published  left       3  a step before it stays as it is
    medusa     left       3  a step before it stays as it is
    ");
    faults(&outside.shop, &json!({}));
    let told = site.milepost(&["resume", "@failed"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let (pim, shop) = outside.calls();
    assert_eq!(pim.len(), calls_of_pim.len(), "the PIM was done, and was called again");
    let wrote = shop.iter().map(|entry| entry.wrote.len() as u64).sum::<u64>();
    assert_eq!(wrote, SAMPLE[1]);
}

#[test]
fn a_pim_that_fails_one_call_in_four_is_only_a_matter_of_attempts() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    site.edit("product-sync.yaml", &[("attempts: 3", "attempts: 12")]);
    faults(&outside.pim, &json!({ "errors": 0.25, "seed": 5 }));
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(written(&outside).iter().all(|(_, times)| *times == 1));
}

#[test]
fn one_refused_product_is_a_dead_letter_and_spoils_no_other() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    faults(&outside.shop, &json!({ "refuse": ["31000009"] }));
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(0), "{told:?}");
    insta::assert_snapshot!(summary(&site, &told), @r#"
RUN
RUN  product-sync  succeeded
  file     SITE/workflows/product-sync.yaml
  source   SITE/workflows/product-sync/sample.json
  time     started TIME, took TIME
  items    200: 196 succeeded, 4 dead_lettered

dead letters
items  step      first     error
    1  medusa    31000009  Refused: The stand-in was told to refuse 31000009
    1  validate  31000232  InvalidRecord: /final_price: -3 is less than the minimum of 0
    1  validate  31000698  InvalidRecord: /product_name: null is not of type "string"
    1  validate  31001160  InvalidRecord: /currency: "US Dollar" does not match "^[A-Z]{3}$"
"#);
    let (_, shop) = outside.calls();
    let wrote: Vec<&String> = shop.iter().flat_map(|entry| &entry.wrote).collect();
    assert_eq!(wrote.len() as u64, SAMPLE[1] - 1);
    assert!(!wrote.contains(&&"31000009".to_owned()));
}

#[test]
fn an_answer_that_is_lost_after_the_work_leads_to_no_second_write() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    faults(&outside.pim, &json!({ "drops": 0.2, "seed": 9 }));
    faults(&outside.shop, &json!({ "drop_next": 2 }));
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let (pim, shop) = outside.calls();
    let lost = pim.iter().chain(&shop).filter(|entry| !entry.answered).count();
    assert!(lost > 10, "only {lost} answers were lost");
    assert_eq!(written(&outside).len() as u64, 2 * SAMPLE[1]);
    assert!(written(&outside).iter().all(|(_, times)| *times == 1));
}
