//! Two engines, Ctrl-C, a kill: what a person reads, and what goes on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::Value;

use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site, WORKFLOW, talk, tame};

fn totals(site: &Site, run: &str) -> (String, u64) {
    let shown: Value = site.json(&["show", run, "--json"]).remove(0);
    (shown["status"].as_str().unwrap().to_owned(), shown["items"]["succeeded"].as_u64().unwrap())
}

#[test]
fn a_second_engine_is_told_who_holds_the_state_while_everything_can_be_read() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 100);
    let working = site.start(&["run", WORKFLOW]);
    relay.reached();
    let second = site.milepost(&["run", WORKFLOW]);
    assert_eq!(second.code, Some(4));
    insta::assert_snapshot!(second.stderr.replace(&format!("pid {}", working.pid), "pid OF THE FIRST").trim(), @r#"
error[E1101]: the state directory is held by another engine (pid OF THE FIRST)
  reading works meanwhile; a second engine needs its own --state
next: milepost list
"#);

    assert_eq!(totals(&site, &working.run).0, "running");
    assert_eq!(site.json(&["items", "@latest", "--json"]).len() as u64, SAMPLE[0]);
    assert!(site.json(&["events", "@latest", "--json"]).len() >= 2);
    let planned = site.milepost(&["resume", "@latest", "--plan"]);
    insta::assert_snapshot!(tame(&site, &planned.stderr), @r#"
error[E1022]: RUN is being worked on
next: milepost list
"#);
    relay.go_on(false, false);
    assert_eq!(working.wait().code, Some(0));
}

#[test]
fn ctrl_c_waits_for_what_is_out_says_how_to_resume_and_the_resume_finishes() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Answering, 150);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    working.signal("INT");
    relay.go_on(false, false);
    let told = working.wait();
    assert_eq!(told.code, Some(3), "{told:?}");
    insta::assert_snapshot!(talk(&site, &told), @r#"
stopping: no new calls; waiting for those that are out. Ctrl-C again ends at once, and nothing is lost either


next: milepost resume RUN --plan
      milepost dead-letters list --run RUN
stopped; nothing is lost. Go on with: milepost resume RUN
"#);
    let (status, before) = totals(&site, &run);
    assert_eq!(status, "interrupted");
    assert!(before < SAMPLE[1], "it was not stopped");

    let told = site.milepost(&["resume", &run]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(totals(&site, &run), ("succeeded".to_owned(), SAMPLE[1]));
    let (pim, shop) = outside.calls();
    let wrote = |entries: &[milepost::connectors::sandbox::Entry]| {
        entries.iter().map(|entry| entry.wrote.len() as u64).sum::<u64>()
    };
    assert_eq!((wrote(&pim), wrote(&shop)), (SAMPLE[1], SAMPLE[1]), "a clean stop repeats nothing");
}

/// The pinned files, with the numbers that say which file each is.
fn pinned(site: &Site) -> BTreeSet<(PathBuf, u64)> {
    let shelves = fs::read_dir(site.path("state/pins")).unwrap().flatten();
    let files = shelves.flat_map(|shelf| fs::read_dir(shelf.path()).unwrap().flatten());
    files.map(|file| (file.path(), file.metadata().unwrap().ino())).collect()
}

#[test]
fn after_a_kill_the_plan_says_what_is_kept_done_and_in_doubt_and_the_resume_does_that() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Answering, 150);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    assert!(relay.open_calls() > 0);
    working.signal("KILL");
    assert_eq!(working.wait().code, None);
    relay.go_on(true, false);
    assert_eq!(totals(&site, &run).0, "interrupted");

    let plan: Value = site.json(&["resume", "@failed", "--plan", "--json"]).remove(0);
    assert_eq!(plan["run"], run.as_str());
    let items = |list: &str, step: &str| -> u64 {
        let shares = plan[list].as_array().unwrap().iter().filter(|share| share["step"] == step);
        shares.map(|share| share["items"].as_u64().unwrap()).sum()
    };
    for step in ["publish", "consume", "pim", "medusa"] {
        let sum = items("reuse", step) + items("execute", step) + items("left", step);
        assert_eq!(sum, SAMPLE[0], "every item is in the plan for {step}: {plan:#}");
    }
    let doubts = plan["in_doubt"].as_array().unwrap();
    assert!(!doubts.is_empty() && doubts.iter().all(|doubt| doubt["settle_by"] != "person"), "{plan:#}");
    for doubt in doubts {
        assert!(doubt["step"].is_string() && doubt["item"].is_string() && doubt["effect"].is_string());
    }
    let again: Value = site.json(&["resume", "@failed", "--plan", "--json"]).remove(0);
    assert_eq!(again, plan, "looking changes nothing");

    let before = pinned(&site);
    assert!(before.len() > 2, "{before:?}");
    let told = site.milepost(&["resume", "@failed"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(pinned(&site), before, "nothing that was pinned is written again");
    let events = site.json(&["events", &run, "--json"]);
    let resumed = events.iter().find(|event| event["kind"] == "resumed").unwrap();
    assert_eq!(resumed["plan"], plan["plan"], "the plan that was shown is the one that was carried out");
}
