//! Dead letters: they are found, looked at, tried again with their history, or given up.

use serde_json::{Value, json};

use super::site::outside::{Outside, faults};
use super::{SAMPLE, Site, WORKFLOW, tame};

fn letters(site: &Site, options: &[&str]) -> Vec<Value> {
    let told = site.milepost(&[&["dead-letters", "list", "--json"], options].concat());
    assert_eq!(told.code, Some(0), "{told:?}");
    told.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn items(found: &[Value]) -> Vec<&str> {
    found.iter().map(|letter| letter["item"].as_str().unwrap()).collect()
}

fn wrote(outside: &Outside) -> Vec<String> {
    outside.calls().1.into_iter().flat_map(|entry| entry.wrote).collect()
}

#[test]
fn a_dead_letter_is_redriven_alone_and_its_attempts_go_on_counting() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    site.edit("product-sync.yaml", &[("tolerate: { dead_letters: 2% }", "tolerate: { dead_letters: 3% }")]);
    faults(&outside.shop, &json!({ "refuse": ["31000009", "31000020"] }));
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(0), "tolerated");
    assert_eq!(letters(&site, &[]).len() as u64, SAMPLE[2] + 2);
    let refused = letters(&site, &["--run", "@latest", "--step", "medusa", "--newer", "1h"]);
    assert_eq!(items(&refused), ["31000009", "31000020"]);
    assert_eq!((&refused[0]["attempts"], &refused[0]["error"]["name"]), (&1.into(), &"Refused".into()));
    assert!(letters(&site, &["--step", "medusa", "--older", "1h"]).is_empty());

    let plan = site.milepost(&["dead-letters", "redrive", "@latest", "--error", "Refused", "--plan"]);
    let plan = tame(&site, &format!("{}\n{}", plan.stdout, plan.stderr));
    insta::assert_snapshot!(plan.split_once('\n').unwrap().1, @"
      195 of 200 items done; nothing is in doubt

    step       what   items  why
    validate   kept     197  done before
    transform  kept     197  done before
    publish    kept     197  done before
    consume    kept     197  done before
    pim        kept     197  done before
    published  kept     197  done before
    medusa     kept     195  done before
    medusa     to do      2  failed
    validate   left       3  same content would be refused again
    transform  left       3  a step before it stays as it is
    publish    left       3  a step before it stays as it is
    consume    left       3  a step before it stays as it is
    pim        left       3  a step before it stays as it is
    published  left       3  a step before it stays as it is
    medusa     left       3  a step before it stays as it is


    next: milepost dead-letters redrive RUN --error Refused
    ");
    faults(&outside.shop, &json!({ "refuse": ["31000020"] }));
    let before = wrote(&outside).len();
    let told = site.milepost(&["dead-letters", "redrive", "@latest", "--item", "31000009"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(wrote(&outside)[before..], ["31000009"], "this one, and nothing else");
    let story: Value = site.json(&["dead-letters", "show", "@latest", "31000009", "--json"]).remove(0);
    let medusa = story["steps"].as_array().unwrap().iter().find(|step| step["step"] == "medusa").unwrap();
    assert_eq!((&medusa["status"], &medusa["attempts"]), (&"succeeded".into(), &2.into()));
    assert_eq!(story["events"][0]["status"], "dead_lettered", "its history is kept");
    assert!(story["record"]["product_name"].is_string(), "with its record: {story:#}");

    let again = site.milepost(&["dead-letters", "redrive", "@latest", "--item", "31000009"]);
    assert_eq!(again.code, Some(6));
    insta::assert_snapshot!(tame(&site, &again.stderr), @r#"
error[E1044]: 31000009 is no dead letter of RUN: it is succeeded at medusa
next: milepost dead-letters list --run RUN
"#);
    assert_eq!(site.milepost(&["dead-letters", "redrive", "@latest", "--error", "Refused"]).code, Some(0));
    let left = letters(&site, &["--step", "medusa"]);
    assert_eq!((items(&left), &left[0]["attempts"]), (vec!["31000020"], &2.into()), "refused again");
}

#[test]
fn dead_letters_that_are_given_up_count_no_more_are_not_tried_and_stay_in_the_record() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    site.edit("product-sync.yaml", &[("tolerate: { dead_letters: 2% }", "tolerate: { dead_letters: 0 }")]);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    let all = letters(&site, &["--run", "@failed"]);
    assert_eq!(all.len() as u64, SAMPLE[2]);
    let invalid = all[0]["item"].as_str().unwrap();
    let story: Value = site.json(&["dead-letters", "show", "@failed", invalid, "--json"]).remove(0);
    assert_eq!(story["record"]["product_id"], invalid, "the record that is at fault can be seen");

    let unsaid = site.milepost(&["dead-letters", "drop", "@failed"]);
    assert_eq!(unsaid.code, Some(2), "{unsaid:?}");
    let none = site.milepost(&["dead-letters", "drop", "@failed", "--error", "Timeout"]);
    assert_eq!(none.code, Some(5), "{none:?}");
    let no_letter = site.milepost(&["dead-letters", "drop", "@failed", "--item", "31000009", "--json"]);
    assert_eq!(no_letter.code, Some(6));
    insta::assert_snapshot!(tame(&site, &no_letter.stderr), @r#"{"kind":"refused","code":"E1044","detail":"31000009 is no dead letter of RUN, or none that is meant","next":["milepost dead-letters list --run RUN"]}"#);
    let line = ["dead-letters", "drop", "@failed", "--error", "InvalidRecord", "--reason", "discontinued"];
    let told = site.milepost(&line);
    assert_eq!(told.code, Some(0), "{told:?}");
    insta::assert_snapshot!(tame(&site, &told.stdout), @r#"3 dead letters are given up; the record keeps them"#);

    assert!(letters(&site, &[]).is_empty());
    let calls = outside.calls();
    let told = site.milepost(&["resume", "@failed"]);
    assert_eq!(told.code, Some(0), "nothing is left that is not tolerated: {told:?}");
    assert_eq!(outside.calls().1.len(), calls.1.len(), "and nothing was called for it");
    let shown: Value = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!((&shown["status"], &shown["items"]["cancelled"]), (&"succeeded".into(), &SAMPLE[2].into()));
    let story: Value = site.json(&["dead-letters", "show", "@latest", invalid, "--json"]).remove(0);
    let dropped = story["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&dropped["kind"], &dropped["message"]), (&"dropped".into(), &"discontinued".into()));
    assert!(dropped["by"].is_string());
}
