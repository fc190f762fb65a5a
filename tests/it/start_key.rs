//! `run --key`: a key names the start of a run, once.

use std::fs;

use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site, WORKFLOW, held, tame};

const HELLO: &str = "workflows/hello.yaml";

#[test]
fn a_second_start_under_the_same_key_shows_the_run_that_the_first_started() {
    let site = Site::new();
    let first = site.milepost(&["run", WORKFLOW, "--key", "nightly"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let writes = held(&site);
    let again = site.milepost(&["run", WORKFLOW, "--key", "nightly"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.stdout.lines().next(), first.stdout.lines().next(), "the same ID");
    assert!(again.stderr.contains("this key started it before; it is succeeded"), "{}", again.stderr);
    assert_eq!(held(&site), writes, "nothing was done");
    assert_eq!(site.json(&["list", "--json"])[0].as_array().map(Vec::len), Some(1));
    let other = site.milepost(&["run", WORKFLOW, "--key", "another"]);
    assert_ne!(other.stdout.lines().next(), first.stdout.lines().next());
}

#[test]
fn another_input_or_another_file_under_the_same_key_is_refused_with_both_fingerprints() {
    let site = Site::new();
    assert_eq!(site.milepost(&["run", WORKFLOW, "--key", "nightly"]).code, Some(0));
    fs::write(site.path("other.json"), "[]").unwrap();
    let told = site.milepost(&["run", WORKFLOW, "--key", "nightly", "--input", "source=other.json"]);
    assert_eq!(told.code, Some(6), "{told:?}");
    let digits = |text: &str| {
        text.chars().map(|one| if one.is_ascii_hexdigit() { 'x' } else { one }).collect::<String>()
    };
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert!(lines[0].starts_with("error[E1036]: the key 'nightly' has started run_"), "{}", lines[0]);
    assert!(lines[0].ends_with(" with another input"), "{}", lines[0]);
    assert_eq!(digits(lines[1].trim()), digits("input  then 0123456789abcdef  now 0123456789abcdef"));
    let told = site.milepost(&["run", HELLO, "--key", "nightly"]);
    assert_eq!(told.code, Some(6));
    assert!(told.stderr.contains("another definition"), "{}", tame(&site, &told.stderr));
    assert_eq!(site.json(&["list", "--json"])[0].as_array().map(Vec::len), Some(1), "nothing was started");
}

#[test]
fn after_a_crash_the_key_still_names_the_run_and_starts_no_other() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 5);
    let working = site.start(&["run", WORKFLOW, "--key", "nightly"]);
    let run = working.run.clone();
    relay.reached();
    let beside = site.milepost(&["run", WORKFLOW, "--key", "nightly"]);
    assert_eq!(beside.code, Some(4), "one engine owns the state: {beside:?}");
    working.signal("KILL");
    assert_eq!(working.wait().code, None);
    relay.go_on(true, false);
    let again = site.milepost(&["run", WORKFLOW, "--key", "nightly"]);
    assert_eq!(again.code, Some(3), "it is interrupted: {again:?}");
    assert_eq!(again.stdout.lines().next(), Some(run.as_str()));
    assert_eq!(site.milepost(&["resume", &run]).code, Some(0));
    assert_eq!(site.milepost(&["run", WORKFLOW, "--key", "nightly"]).code, Some(0));
    let (pim, _) = outside.calls();
    assert_eq!(pim.iter().map(|entry| entry.wrote.len() as u64).sum::<u64>(), SAMPLE[1]);
}
