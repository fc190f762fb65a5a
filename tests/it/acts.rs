//! What people do to runs beside starting and resuming them, with the real binary.

use serde_json::Value;

use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{Site, WORKFLOW, tame};

#[test]
fn a_closed_run_is_read_for_ever_and_resumed_never() {
    let site = Site::new();
    site.edit("product-sync.yaml", &[("on_invalid: dead_letter", "on_invalid: fail")]);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(1));
    let closed = site.milepost(&["close", "@failed"]);
    assert_eq!(closed.code, Some(0), "{closed:?}");
    insta::assert_snapshot!(tame(&site, &closed.stdout), @"RUN is closed; it is not resumed any more");
    let again = site.milepost(&["close", "@latest"]);
    insta::assert_snapshot!(tame(&site, &again.stdout), @"RUN was closed before; it is not resumed any more");
    assert_eq!(again.code, Some(0), "whoever got no answer may ask again");

    for line in [&["resume", "@latest"][..], &["resume", "@latest", "--plan"]] {
        let refused = site.milepost(line);
        assert_eq!(refused.code, Some(6), "{refused:?}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(tame(&site, &refused.stderr), @r"
            error[E1022]: RUN was closed for good: it can be read, and is not resumed any more
            next: milepost run SITE/workflows/product-sync.yaml
            ");
        }
    }
    let shown = site.milepost(&["show", "@latest"]);
    assert!(tame(&site, &shown.stdout).contains("closed   TIME: it is not resumed any more"), "{shown:?}");
    assert!(!shown.stderr.contains("milepost resume"), "{shown:?}");
    let events = site.json(&["events", "@latest", "--json"]);
    let last = events.last().unwrap();
    assert_eq!(last["kind"], "released");
    assert!(last["by"].is_string(), "{last}");
    assert_eq!(site.milepost(&["show", "@failed"]).code, Some(5), "nothing is left to resume");
}

#[test]
fn a_run_that_is_worked_on_is_not_closed_and_one_whose_engine_died_is() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 100);
    let working = site.start(&["run", WORKFLOW]);
    relay.reached();
    let refused = site.milepost(&["close", "@latest"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    insta::assert_snapshot!(tame(&site, &refused.stderr), @r"
    error[E1023]: RUN is being worked on: only a run at rest is closed
    next: milepost cancel RUN
    ");
    working.signal("KILL");
    working.wait();
    relay.go_on(true, true);
    let closed = site.milepost(&["close", "@latest", "--json"]);
    let told: Value = serde_json::from_str(&closed.stdout).unwrap();
    assert_eq!(told["status"], "interrupted");
    assert!(site.milepost(&["close", "nobody"]).stderr.contains("E1001"));
    assert_eq!(site.milepost(&["resume", "@latest"]).code, Some(6));
}
