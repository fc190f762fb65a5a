//! A resume of chosen items: they are worked on, and all others stay exactly as they are.

use serde_json::{Value, json};

use super::site::outside::{Outside, faults};
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site, WORKFLOW, tame};

/// The keys that the shop was asked to write, in the order of the calls after the first `from`.
fn shop_wrote(outside: &Outside, from: usize) -> Vec<String> {
    let (_, shop) = outside.calls();
    shop.into_iter().skip(from).flat_map(|entry| entry.wrote).collect()
}

fn status(site: &Site, run: &str) -> (String, u64) {
    let shown: Value = site.json(&["show", run, "--json"]).remove(0);
    (shown["status"].as_str().unwrap().to_owned(), shown["items"]["succeeded"].as_u64().unwrap())
}

#[test]
fn chosen_items_of_an_interrupted_run_are_done_and_a_plain_resume_finishes_the_rest() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Answering, 20);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    working.signal("INT");
    relay.go_on(false, false);
    assert_eq!(working.wait().code, Some(3));
    let unfinished: Vec<Value> = site
        .json(&["items", &run, "--json"])
        .into_iter()
        .filter(|item| item["status"] != "succeeded" && item["status"] != "dead_lettered")
        .collect();
    let key = unfinished[0]["item"].as_str().unwrap().to_owned();
    let position = format!("#{}", unfinished[1]["position"]);
    let before = status(&site, &run).1;
    let (_, shop) = outside.calls();

    let unknown = site.milepost(&["resume", &run, "--items", &key, "--items", "nobody", "--items", "#777"]);
    assert_eq!(unknown.code, Some(5));
    insta::assert_snapshot!(tame(&site, &unknown.stderr), @r"
    error[E1011]: RUN: no items of it have the keys 'nobody', '#777'
    next: milepost items RUN
    ");

    let chosen = ["--items", &key, "--items", &position];
    let plan: Value = site.json(&[&["resume", &run, "--plan", "--json"], &chosen[..]].concat()).remove(0);
    let items = |list: &str, reason: &str| -> u64 {
        let shares = plan[list].as_array().unwrap().iter();
        shares
            .filter(|share| share["step"] == "medusa" && share["reason"] == reason)
            .fold(0, |sum, share| sum + share["items"].as_u64().unwrap())
    };
    assert_eq!(items("execute", "never ran"), 2, "{plan:#}");
    assert_eq!(items("left", "not selected"), SAMPLE[1] - before - 2, "{plan:#}");

    let told = site.milepost(&[&["resume", &run], &chosen[..]].concat());
    assert_eq!(told.code, Some(3), "others are unfinished: {told:?}");
    assert_eq!(status(&site, &run), ("interrupted".to_owned(), before + 2));
    let mut wrote = shop_wrote(&outside, shop.len());
    wrote.sort();
    let mut wanted = vec![key, unfinished[1]["item"].as_str().unwrap().to_owned()];
    wanted.sort();
    assert_eq!(wrote, wanted, "nothing else was touched");

    let told = site.milepost(&["resume", &run]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(status(&site, &run), ("succeeded".to_owned(), SAMPLE[1]));
    let wrote = shop_wrote(&outside, 0);
    assert_eq!(wrote.len() as u64, SAMPLE[1], "each once, with its message where it was left");
}

#[test]
fn the_dead_letters_of_a_run_that_succeeded_are_tried_again_when_somebody_asks() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    faults(&outside.shop, &json!({ "refuse": ["31000009"] }));
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(0));
    let whole = site.milepost(&["resume", "@latest"]);
    assert_eq!(whole.code, Some(6));
    insta::assert_snapshot!(tame(&site, &whole.stderr), @r"
    error[E1022]: RUN succeeded: there is nothing to resume
    next: milepost list
          milepost resume RUN --items dead-lettered --plan
    ");
    faults(&outside.shop, &json!({}));
    let (pim, shop) = outside.calls();
    let plan = site.milepost(&["resume", "@latest", "--items", "dead-lettered", "--plan"]);
    let hash = plan.stdout.lines().next().unwrap().split_whitespace().last().unwrap().to_owned();
    let plan = tame(&site, &format!("{}\n{}", plan.stdout, plan.stderr).replace(&hash, "HASH"));
    insta::assert_snapshot!(plan.split_once('\n').unwrap().1, @"
      196 of 200 items done; nothing is in doubt

    step       what   items  why
    validate   kept     197  done before
    transform  kept     197  done before
    publish    kept     197  done before
    consume    kept     197  done before
    pim        kept     197  done before
    published  kept     197  done before
    medusa     kept     196  done before
    medusa     to do      1  failed
    validate   left       3  same content would be refused again
    transform  left       3  a step before it stays as it is
    publish    left       3  a step before it stays as it is
    consume    left       3  a step before it stays as it is
    pim        left       3  a step before it stays as it is
    published  left       3  a step before it stays as it is
    medusa     left       3  a step before it stays as it is


    next: milepost resume RUN --items dead-lettered --expect HASH
    ");
    assert_eq!(site.milepost(&["resume", "@latest", "--items", "dead-lettered"]).code, Some(0));
    assert_eq!(shop_wrote(&outside, shop.len()), ["31000009"]);
    assert_eq!(outside.calls().0.len(), pim.len(), "the PIM was done");
    assert_eq!(status(&site, "@latest"), ("succeeded".to_owned(), SAMPLE[1]));
    let again = site.milepost(&["resume", "@latest", "--items", "dead-lettered"]);
    insta::assert_snapshot!(tame(&site, &again.stderr), @r"
    error[E1032]: RUN: the selected items have nothing left that a resume would do
    next: milepost resume RUN --items dead-lettered --plan
          milepost items RUN
    ");
}
