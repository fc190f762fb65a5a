//! The log on stderr: each line stands alone and says what it is about; nothing of a product or a secret is in
//! it, and nobody stops because nobody reads it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use super::site::outside::{Outside, faults};
use super::site::signal;
use super::{HOOK_SECRET, SAMPLE, Site, WORKFLOW};
use crate::serve::server::until;

/// Every line as JSON, each with what every line has.
fn lines(stderr: &str) -> Vec<Value> {
    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'), "{line}");
        assert!(
            ["error", "warn", "info", "debug", "trace"].contains(&line["level"].as_str().unwrap()),
            "{line}"
        );
        assert!(line["message"].is_string() && line["target"].is_string(), "{line}");
    }
    lines
}

fn events<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["event"] == kind).collect()
}

#[test]
fn a_run_is_told_from_its_start_to_its_end_and_its_items_are_not_told_one_by_one() {
    let site = Site::new();
    let told = site.milepost(&["run", WORKFLOW, "--log", "json"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines = lines(&told.stderr);
    assert!(lines.len() < 20, "{lines:#?}");
    let run = told.stdout.lines().next().unwrap();
    let [begun, ended] = ["started", "closed"].map(|kind| {
        let [line] = events(&lines, kind)[..] else { panic!("{kind}: {lines:#?}") };
        assert_eq!((&line["run"], &line["workflow"]), (&json!(run), &json!("product-sync")));
        line
    });
    assert_eq!((&begun["level"], &begun["message"]), (&json!("info"), &json!("run started")));
    assert_eq!((&ended["level"], &ended["message"]), (&json!("info"), &json!("run succeeded")));
    let counts = ["items", "succeeded", "dead_lettered"].map(|name| ended[name].as_u64().unwrap());
    assert_eq!(counts, SAMPLE);
}

#[test]
fn what_fails_is_told_with_step_item_and_attempt_and_what_the_other_side_said_only_to_those_who_ask() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    site.edit("product-sync.yaml", &[("\"${env:SHOP_URL}\" }", "\"${env:SHOP_URL}\", pause_after: 0 }")]);
    faults(&outside.shop, &json!({ "outage": true }));
    let told = site.milepost(&["run", WORKFLOW, "--log", "json"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(!told.stderr.contains("Service Unavailable"), "an answer is not for everybody: {told:?}");
    let calm = lines(&told.stderr);
    let given_up: Vec<&Value> = events(&calm, "setback")
        .into_iter()
        .filter(|line| line["status"] == "dead_lettered" && line["step"] == "medusa")
        .collect();
    let counts: Vec<u64> = given_up.iter().map(|line| line["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 10, 100], "197 items are given up");
    for line in given_up {
        let told = ["level", "attempt", "error"].map(|name| line[name].clone());
        assert_eq!(told, [json!("warn"), json!(3), json!("HttpStatus")]);
        assert!(line["item"].as_str().unwrap().starts_with("31"), "its key: {line}");
    }
    let [ended] = events(&calm, "closed")[..] else { panic!("{calm:#?}") };
    assert_eq!((&ended["level"], &ended["error"]), (&json!("error"), &json!("ToleranceExceeded")));

    let told = site.milepost(&["resume", "@failed", "--log", "json", "--log-level", "debug"]);
    assert!(told.stderr.contains("Service Unavailable"));
    let all = lines(&told.stderr);
    let items: BTreeSet<&str> =
        events(&all, "setback").iter().map(|line| line["item"].as_str().unwrap()).collect();
    assert_eq!(items.len() as u64, SAMPLE[1], "each of them");
}

#[test]
fn a_server_tells_everything_in_one_form_and_no_secret_at_any_level() {
    let mut site = Site::new();
    site.env.extend([
        ("MILEPOST_LOG_FORM", "json".to_owned()),
        ("MILEPOST_LOG", "trace".to_owned()),
        ("HOOK_SECRET", HOOK_SECRET.to_owned()),
    ]);
    let own = "pim_events: { use: webhook, scheme: standard, secrets: [\"${env:HOOK_SECRET}\"] }";
    site.edit("product-sync.yaml", &[("pim_events: { use: sandbox }", own)]);
    let token = site.milepost(&["token", "create", "log", "--scope", "operate"]);
    lines(&token.stderr);
    let mut command = site.command(&["serve", WORKFLOW, "--listen", "127.0.0.1:0"]);
    let log = fs::File::create(site.path("log")).unwrap();
    let mut server = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let log = || fs::read_to_string(site.path("log")).unwrap();
    until(|| log().contains("serving on http://").then_some(()));
    let incoming = site.path("workflows/product-sync/incoming");
    fs::copy(site.path("workflows/product-sync/sample.json"), incoming.join("a.json")).unwrap();
    until(|| log().contains("run succeeded").then_some(()));
    signal(server.id(), "INT");
    assert!(server.wait().unwrap().success());
    let (log, token) = (log(), token.stdout.trim().to_owned());
    let lines = lines(&log);
    assert!(lines.last().unwrap()["message"].as_str().unwrap().starts_with("stopped"), "{lines:#?}");
    let [begun] = events(&lines, "started")[..] else { panic!("{lines:#?}") };
    assert!(begun["run"].as_str().unwrap().starts_with("run_"), "{begun}");
    for secret in [HOOK_SECRET, HOOK_SECRET.trim_start_matches("whsec_"), &token, "sandbox-key"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[test]
fn nobody_reading_the_log_stops_nothing() {
    let site = Site::new();
    for line in
        [&["run", WORKFLOW, "--log", "text"][..], &["run", WORKFLOW, "--log", "json", "--log-level", "debug"]]
    {
        let mut child = site.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        let told = child.wait_with_output().unwrap();
        assert!(told.status.success(), "{told:?}");
        assert!(String::from_utf8_lossy(&told.stdout).contains("succeeded"), "{told:?}");
    }
}

#[test]
fn a_reader_who_stands_still_holds_up_no_run() {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    site.edit("product-sync.yaml", &[("\"${env:SHOP_URL}\" }", "\"${env:SHOP_URL}\", pause_after: 0 }")]);
    faults(&outside.shop, &json!({ "outage": true }));
    let line = ["run", WORKFLOW, "--log", "json", "--log-level", "debug"];
    let mut child = site.command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Some 600 setbacks are more than a pipe holds, and nobody takes them out.
    let mut unread = child.stderr.take().unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("200 dead_lettered"), "{said}");
    let mut held = String::new();
    unread.read_to_string(&mut held).unwrap();
    assert!(held.len() >= 60_000 && !held.contains("run failed"), "the pipe was full: {} bytes", held.len());
}

#[test]
fn what_is_wrong_with_a_command_is_told_in_the_form_of_the_log() {
    let site = Site::new();
    let wrong = site.milepost(&["run", WORKFLOW, "--log-level", "inof"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("expected one of off, error, warn, info, debug, trace"), "{wrong:?}");
    let unknown = site.milepost(&["show", "run_nobody", "--log", "json"]);
    assert_eq!(unknown.code, Some(5), "{unknown:?}");
    let [line] = &lines(&unknown.stderr)[..] else { panic!("{unknown:?}") };
    assert_eq!((&line["level"], &line["error"]), (&json!("error"), &json!("E1003")));
    assert_eq!(line["next"], "milepost run FILE");
    fs::write(site.path("bad.yaml"), "workflow: bad\nsteps:\n  a: { uses: allert }\n").unwrap();
    let mistakes = site.milepost(&["run", "bad.yaml", "--log", "json"]);
    assert_eq!(mistakes.code, Some(2), "{mistakes:?}");
    assert_eq!(lines(&mistakes.stderr)[0]["error"], "E301");
}
