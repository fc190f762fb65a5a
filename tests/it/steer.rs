//! Pausing and cancelling from a second process, with the real binary; and a shop that is down.

use std::time::{Duration, Instant};

use milepost::connectors::sandbox::Entry;
use serde_json::{Value, json};

use super::site::outside::{Outside, faults};
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site, WORKFLOW, summary, talk, tame};

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(2);

/// Looks at the run until it is like this.
fn until(site: &Site, run: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let shown: Value = site.json(&["show", run, "--json"]).remove(0);
        if is_so(&shown) {
            return shown;
        }
        assert!(begun.elapsed() < HANGS, "it never came to that: {shown:#}");
    }
}

/// States of items that sum to the total.
fn states(shown: &Value) -> Vec<(String, u64)> {
    let items = shown["items"].as_object().unwrap();
    let states = items.iter().filter(|(state, _)| *state != "total");
    let counts: Vec<(String, u64)> =
        states.map(|(state, count)| (state.clone(), count.as_u64().unwrap())).collect();
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), items["total"].as_u64().unwrap());
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn wrote(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.wrote.len() as u64).sum()
}

/// The calls of PIM and shop that items made; which products are published is asked for all at once,
/// and such a question may still be out.
fn about_items(outside: &Outside) -> (usize, usize) {
    let (pim, shop) = outside.calls();
    (pim.iter().filter(|entry| entry.keys.len() < 2).count(), shop.len())
}

#[test]
fn a_run_is_paused_and_goes_on_from_a_second_process() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 100);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    let paused = site.milepost(&["pause", "@latest"]);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    insta::assert_snapshot!(tame(&site, &paused.stdout), @"RUN is paused: no new calls; those that are out may end");
    insta::assert_snapshot!(tame(&site, &paused.stderr), @"next: milepost unpause RUN");
    relay.go_on(false, false);
    let shown = until(&site, &run, |shown| shown["items"]["running"] == 0);
    assert_eq!(shown["status"], "paused");
    assert!(shown["paused"]["by"].is_string(), "{shown:#}");
    let calls = about_items(&outside);
    let page = site.milepost(&["show", &run]);
    assert!(page.stdout.contains("  paused   by "), "{page:?}");
    assert_eq!(about_items(&outside), calls, "no new call");

    let unpaused = site.milepost(&["unpause", &run, "--json"]);
    assert_eq!(unpaused.code, Some(0), "{unpaused:?}");
    let told = working.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    let events = site.milepost(&["events", &run]).stdout;
    assert!(events.contains(" paused ") && events.contains(" unpaused "), "{events}");
    let (pim, shop) = outside.calls();
    assert_eq!((wrote(&pim), wrote(&shop)), (SAMPLE[1], SAMPLE[1]));
    let late = site.milepost(&["pause", &run]);
    insta::assert_snapshot!(tame(&site, &late.stderr), @r"
    error[E1023]: RUN has ended: succeeded
    next: milepost list
    ");
    assert_eq!(late.code, Some(6));
}

#[test]
fn ctrl_c_ends_a_paused_run_which_is_then_resumed() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 100);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    assert_eq!(site.milepost(&["pause", &run]).code, Some(0));
    relay.go_on(false, false);
    working.signal("INT");
    assert_eq!(working.wait().code, Some(3));
    let nobody = site.milepost(&["unpause", &run]);
    insta::assert_snapshot!(tame(&site, &nobody.stderr), @r"
    error[E1023]: nobody works on RUN, so it stands still already
    next: milepost resume RUN
    ");
    assert_eq!(site.milepost(&["resume", &run]).code, Some(0));
    let (pim, shop) = outside.calls();
    assert_eq!((wrote(&pim), wrote(&shop)), (SAMPLE[1], SAMPLE[1]));
}

#[test]
fn a_run_is_cancelled_from_a_second_process_and_says_so_everywhere() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 150);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    let cancelled = site.milepost(&["cancel", &run]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    insta::assert_snapshot!(tame(&site, &cancelled.stdout), @"RUN is cancelled: no new calls; those that are out may end");
    relay.go_on(false, false);
    let told = working.wait();
    assert_eq!(told.code, Some(8), "{told:?}");
    assert!(told.stdout.contains("ended    cancelled by "), "{told:?}");
    let shown: Value = site.json(&["show", &run, "--json"]).remove(0);
    assert_eq!(shown["status"], "cancelled");
    let words: Vec<String> = states(&shown).into_iter().map(|(state, _)| state).collect();
    assert!(
        words.iter().all(|word| ["succeeded", "dead_lettered", "cancelled"].contains(&word.as_str())),
        "{words:?}"
    );
    let listed = site.json(&["items", &run, "--status", "cancelled", "--json"]);
    let count = states(&shown).into_iter().find(|(state, _)| state == "cancelled").unwrap().1;
    assert_eq!(listed.len() as u64, count);
    let kinds: Vec<String> = site
        .json(&["events", &run, "--json"])
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .filter(|kind| !["setback", "remarked"].contains(&kind.as_str()))
        .collect();
    assert_eq!(kinds, ["started", "pinned", "cancelling", "closed"], "no on_failure");

    for line in [&["resume", &run][..], &["resume", &run, "--plan"]] {
        let refused = site.milepost(line);
        assert_eq!(refused.code, Some(6), "{refused:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(tame(&site, &refused.stderr), @r"
            error[E1022]: RUN was cancelled: it can be read, and is not resumed any more
            next: milepost run SITE/workflows/product-sync.yaml
            ");
        }
    }
    assert!(site.milepost(&["cancel", &run]).stdout.contains("was cancelled before"));
    assert_eq!(site.milepost(&["close", &run]).code, Some(0));
}

#[test]
fn a_run_whose_engine_was_killed_is_cancelled_at_once_and_its_doubts_stay_doubts() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Answering, 150);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    working.signal("KILL");
    working.wait();
    relay.go_on(true, false);
    let before: Value = site.json(&["show", &run, "--json"]).remove(0);
    let cancelled = site.milepost(&["cancel", &run]);
    insta::assert_snapshot!(tame(&site, &cancelled.stdout), @"RUN is cancelled");
    let after: Value = site.json(&["show", &run, "--json"]).remove(0);
    assert_eq!(after["status"], "cancelled");
    states(&after);
    let count = |shown: &Value, state: &str| shown["items"][state].as_u64().unwrap();
    assert!(count(&before, "in_doubt") > 0);
    for state in ["in_doubt", "succeeded", "dead_lettered"] {
        assert_eq!(count(&after, state), count(&before, state), "{state}");
    }
    assert_eq!(count(&after, "pending") + count(&after, "waiting") + count(&after, "backoff"), 0);
    assert_eq!(site.milepost(&["resume", &run]).code, Some(6));
}

#[test]
fn a_failed_run_is_cancelled_and_keeps_why_it_failed_and_one_that_succeeded_is_not() {
    let site = Site::new();
    site.edit("product-sync.yaml", &[("on_invalid: dead_letter", "on_invalid: fail")]);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    assert_eq!(site.milepost(&["cancel", "@failed"]).code, Some(0));
    let shown: Value = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!((&shown["status"], &shown["error"]["name"]), (&json!("cancelled"), &json!("ValidationError")));
    assert_eq!(site.milepost(&["run", "workflows/hello.yaml"]).code, Some(0));
    let refused = site.milepost(&["cancel", "@latest"]);
    assert_eq!(refused.code, Some(6));
    insta::assert_snapshot!(tame(&site, &refused.stderr), @r"
    error[E1023]: RUN succeeded: there is nothing to cancel
    next: milepost show RUN
    ");
}

#[test]
fn a_shop_that_is_down_pauses_the_run_which_goes_on_by_itself() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    let often = ("\"${env:SHOP_URL}\" }", "\"${env:SHOP_URL}\", probe_every: 200ms }");
    site.edit("product-sync.yaml", &[often]);
    faults(&outside.shop, &json!({ "outage": true }));
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    let tried = |shown: &Value| shown["paused"]["connections"][0]["trials"].as_u64() >= Some(2);
    let shown = until(&site, &run, tried);
    assert_eq!(shown["status"], "paused");
    let hold = &shown["paused"]["connections"][0];
    assert_eq!((&hold["connection"], &hold["error"]["name"]), (&json!("shop"), &json!("HttpStatus")));
    let page = site.milepost(&["show", &run]);
    assert!(page.stdout.contains("  paused   no answer from shop since "), "{page:?}");
    assert!(page.stdout.contains("nothing is lost"), "{page:?}");
    faults(&outside.shop, &json!({}));
    let told = working.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(talk(&site, &told).contains("paused: no answer from shop since "), "{told:?}");
    assert!(summary(&site, &told).contains("200: 197 succeeded, 3 dead_lettered"), "{told:?}");
    let (_, shop) = outside.calls();
    assert_eq!(wrote(&shop), SAMPLE[1]);
    let kinds = site.json(&["events", &run, "--json"]);
    let count = |kind: &str| kinds.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!((count("paused"), count("unpaused")), (1, 1));
    let written = shop.iter().filter(|entry| !entry.wrote.is_empty()).count();
    let refused = shop.len() - written;
    // A batch is one call of the engine and a few of the connector; without the pause it would
    // be three attempts for each of 197 items.
    assert!(refused >= count("tried"), "{refused} calls were refused, {} were trials", count("tried"));
    assert!(refused < 100, "{refused} calls were refused");
}
