//! Alerts out of the real binary: signed, tried again, over kills, and only where they may go.

mod pager;

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::Site;
use crate::serve::server::{Server, until};
use crate::{HOOK_SECRET, stored};
use pager::{BROKEN, GONE, OK, Pager, SILENT, signature};

const FILE: &str = "workflows/told.yaml";

/// A workflow that fails, and tells so.
fn told_site(url: &str) -> Site {
    let mut site = Site::new();
    let text = format!(
        "workflow: told
connections:
  pager: {{ use: receiver, url: \"{url}\", secret: \"${{env:PAGER_SECRET}}\", private: allowed }}
alerts:
  - {{ on: [failed, finished], to: pager }}
steps:
  break:
    uses: fail
    with: {{ message: the shelf fell over }}
"
    );
    fs::write(site.path(FILE), text).unwrap();
    site.env.push(("PAGER_SECRET", HOOK_SECRET.to_owned()));
    site
}

/// The events of these kinds, as they are shown.
fn events(site: &Site, run: &str, kinds: &[&str]) -> Vec<Value> {
    let mut events = site.json(&["events", run, "--json"]);
    events.retain(|event| kinds.iter().any(|kind| event["kind"] == *kind));
    events
}

fn untold(site: &Site, run: &str) -> Value {
    site.json(&["show", run, "--json"]).remove(0)["alerts"].clone()
}

#[test]
fn the_hmac_of_these_stories_is_that_of_the_reference_library() {
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let signed = signature("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", "1649367553", body);
    assert_eq!(signed, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
}

#[test]
fn a_run_that_fails_tells_it_before_its_process_ends() {
    let pager = Pager::answering(OK);
    let site = told_site(&pager.url());
    let told = site.milepost(&["run", FILE]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let run = told.stdout.lines().next().unwrap();
    let [came] = &pager.came()[..] else { panic!("{:?}", pager.came()) };
    came.is_signed();
    let body = came.json();
    assert_eq!((&body["type"], &body["data"]["workflow"]), (&json!("run.failed"), &json!("told")));
    assert_eq!((&body["data"]["run"], &body["data"]["status"]), (&json!(run), &json!("failed")));
    assert_eq!(body["data"]["next"], format!("milepost resume {run} --plan"));
    assert!(body["data"]["reason"].as_str().unwrap().contains("the shelf fell over"), "{body:#}");
    let at = body["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let closed = events(&site, run, &["closed"]).remove(0);
    assert_eq!(at, closed["at"].as_str().unwrap().parse().unwrap(), "when it happened, not when it was sent");
    let [delivered] = &events(&site, run, &["delivered", "undelivered"])[..] else { panic!() };
    assert_eq!((&delivered["connection"], &delivered["message_id"]), (&json!("pager"), &json!(came.id())));
    assert_eq!((&delivered["message"], &delivered["attempt"]), (&json!("run.failed"), &json!(1)));
    assert_eq!(untold(&site, run), Value::Null);
    // Nothing of the secret is kept, said or sent.
    assert!(!came.body.contains("whsec_") && !told.stderr.contains("whsec_"));
    let secret = HOOK_SECRET.trim_start_matches("whsec_").as_bytes();
    let holds = |content: &[u8]| content.windows(secret.len()).any(|part| part == secret);
    let stored = stored(&site);
    assert!(stored.len() > 3 && !stored.iter().any(|(_, content)| holds(content)));
}

#[test]
fn one_that_was_not_taken_is_kept_and_the_server_delivers_it_under_the_same_id() {
    let pager = Pager::answering(BROKEN);
    let site = told_site(&pager.url());
    let told = site.milepost(&["run", FILE]);
    let run = told.stdout.lines().next().unwrap();
    assert!(told.stderr.contains("1 alert is not delivered yet"), "{told:?}");
    let shown = untold(&site, run);
    assert_eq!((&shown[0]["attempts"], &shown[0]["to"]), (&json!(1), &json!("pager")), "{shown:#}");
    assert!(shown[0]["error"]["message"].as_str().unwrap().contains("500"), "{shown:#}");
    let said = site.milepost(&["show", run]).stdout;
    assert!(said.contains("run.failed to pager: tried 1 time, next "), "{said}");
    pager.answer(OK);
    let server = Server::start(&site, &[]);
    until(|| (pager.came().len() == 2).then_some(()));
    let delivered = "milepost_alert_attempts_total{outcome=\"delivered\"} 1\n";
    until(|| server.text("/metrics").contains(delivered).then_some(()));
    assert!(server.text("/metrics").contains("milepost_alerts{state=\"waiting\"} 0\n"));
    assert_eq!(server.stop().code, Some(0));
    let came = pager.came();
    came.iter().for_each(pager::Came::is_signed);
    assert_eq!((came[0].id(), &came[0].body), (came[1].id(), &came[1].body), "it is the same alert");
    let [delivered] = &events(&site, run, &["delivered", "undelivered"])[..] else { panic!() };
    assert_eq!(delivered["attempt"], 2);
    assert_eq!(untold(&site, run), Value::Null);
}

#[test]
fn a_kill_between_event_and_delivery_loses_nothing() {
    let pager = Pager::answering(SILENT);
    let site = told_site(&pager.url());
    let server = Server::start(&site, &[FILE]);
    let run = server.start_run(&json!({ "workflow": "told" }))["run"].as_str().unwrap().to_owned();
    until(|| (pager.came().len() == 1).then_some(()));
    server.kill();
    assert_eq!(untold(&site, &run)[0]["attempts"], 0, "it is not known that anybody has it");
    pager.answer(OK);
    // Whoever works here next delivers it, whatever else is to do.
    let hello = site.milepost(&["run", "workflows/hello.yaml"]);
    assert_eq!(hello.code, Some(0), "{hello:?}");
    let came = pager.came();
    assert_eq!(came.len(), 2);
    assert_eq!((came[0].id(), &came[0].body), (came[1].id(), &came[1].body));
    assert_eq!(events(&site, &run, &["delivered"]).len(), 1);
    let server = Server::start(&site, &[FILE]);
    server.stop();
    assert_eq!(pager.came().len(), 2, "what was delivered is not sent again");
}

#[test]
fn who_is_away_delays_no_exit_and_who_wants_no_more_is_left_alone() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = told_site(&format!("http://{address}/in"));
    let told = site.milepost(&["run", FILE]);
    assert_eq!(told.code, Some(1), "the exit code is the run's: {told:?}");
    let run = told.stdout.lines().next().unwrap();
    assert_eq!(untold(&site, run)[0]["error"]["name"], "Unreachable");
    // One that is silent holds the process for some seconds, not for the whole attempt.
    let silent = Pager::answering(SILENT);
    let site = told_site(&silent.url());
    let told = site.milepost(&["run", FILE]);
    assert!(told.stderr.contains("1 alert is not delivered yet"), "{told:?}");
    assert_eq!(untold(&site, told.stdout.lines().next().unwrap())[0]["attempts"], 0);

    let gone = Pager::answering(GONE);
    let site = told_site(&gone.url());
    let told = site.milepost(&["run", FILE]);
    let run = told.stdout.lines().next().unwrap();
    assert!(!told.stderr.contains("not delivered yet"), "nobody goes on: {told:?}");
    let shown = untold(&site, run);
    assert_eq!((&shown[0]["next"], &shown[0]["attempts"]), (&Value::Null, &json!(1)), "{shown:#}");
    assert!(told.stdout.contains("run.failed to pager: tried 1 time, given up (HttpStatus: HTTP 410)"));
    let lost = events(&site, run, &["undelivered"]);
    assert!(lost[0]["error"]["message"].as_str().unwrap().contains("410"), "{lost:?}");
}

#[test]
fn it_goes_nowhere_else_and_to_no_private_address() {
    let elsewhere = Pager::answering(OK);
    let leading_on =
        Pager::answering(&format!("307 Temporary Redirect\r\nlocation: {}\r\n", elsewhere.url()));
    let site = told_site(&leading_on.url());
    let run = site.milepost(&["run", FILE]).stdout.lines().next().unwrap().to_owned();
    let shown = untold(&site, &run);
    assert!(shown[0]["error"]["message"].as_str().unwrap().contains("sends us elsewhere"), "{shown:#}");
    assert_eq!((leading_on.came().len(), elsewhere.came().len()), (1, 0));

    // By number it is a mistake of the file; by name it is found when it is looked up.
    let site = told_site(&elsewhere.url());
    site.edit("told.yaml", &[(", private: allowed", "")]);
    let told = site.milepost(&["check", FILE]);
    assert!(told.code == Some(2) && told.stderr.contains("private: allowed"), "{told:?}");
    assert_eq!(site.milepost(&["run", FILE]).code, Some(2));
    site.edit("told.yaml", &[("127.0.0.1", "localhost")]);
    let run = site.milepost(&["run", FILE]).stdout.lines().next().unwrap().to_owned();
    let shown = untold(&site, &run);
    assert!(shown[0]["error"]["message"].as_str().unwrap().contains("private address"), "{shown:#}");
    assert_eq!(elsewhere.came().len(), 0, "nothing came");
}

#[test]
fn what_people_do_to_a_run_at_rest_is_told_by_whoever_works_next() {
    let pager = Pager::answering(OK);
    let site = told_site(&pager.url());
    let run = site.milepost(&["run", FILE]).stdout.lines().next().unwrap().to_owned();
    assert_eq!(site.milepost(&["cancel", &run]).code, Some(0));
    let said = site.milepost(&["show", &run]).stdout;
    assert!(said.contains("run.finished to pager: not tried yet"), "{said}");
    assert_eq!(pager.came().len(), 1, "nobody worked here since");
    // Held as a whole, a server tells nothing either.
    let server = Server::start(&site, &["--paused"]);
    assert!(server.text("/metrics").contains("milepost_alerts{state=\"waiting\"} 1\n"));
    assert_eq!(pager.came().len(), 1);
    assert_eq!(site.milepost(&["unpause", "--all"]).code, Some(0));
    until(|| (pager.came().len() == 2).then_some(()));
    server.stop();
    let body = pager.came()[1].json();
    assert_eq!((&body["type"], &body["data"]["status"]), (&json!("run.finished"), &json!("cancelled")));
}

const BUS: &str = "workflow: tells
connections:
  bus: { use: embedded, rules: [{ detail_type: ShopAlert, queue: alerts, shared: true }] }
alerts:
  - { on: [finished, alert], to: bus, detail_type: ShopAlert }
steps:
  say: { uses: alert, with: { message: the doors are open } }
";
const READER: &str = "workflow: reads
connections:
  bus: { use: embedded }
steps:
  take:
    uses: json.validate
    connection: bus
    with: { source: { queue: alerts, wait: 10ms, idle: 100ms }, item_key: \"${{ item.type }}\" }
  say:
    needs: [take]
    uses: alert
    with: { message: \"${{ item.type & ' ' & item.data.status & ' ' & item.data.reason }}\" }
";

#[test]
fn a_bus_carries_them_to_whoever_reads_it() {
    let site = Site::new();
    for (name, text) in [("tells", BUS), ("reads", READER)] {
        fs::write(site.path(&format!("workflows/{name}.yaml")), text).unwrap();
    }
    let told = site.milepost(&["run", "workflows/tells.yaml"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let run = told.stdout.lines().next().unwrap();
    assert_eq!(events(&site, run, &["delivered"]).len(), 2);
    let read = site.milepost(&["run", "workflows/reads.yaml"]);
    assert_eq!(read.code, Some(0), "{read:?}");
    let mut lines: Vec<&str> = read.stderr.lines().filter(|line| line.starts_with("alert: ")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["alert: alert running the doors are open", "alert: run.finished succeeded null"]);
}

#[test]
fn a_variable_that_is_not_set_is_said_before_anything_begins_and_an_alert_waits_for_it() {
    let pager = Pager::answering(SILENT);
    let mut site = told_site(&pager.url());
    let run = site.milepost(&["run", FILE]).stdout.lines().next().unwrap().to_owned();
    let secret = site.env.pop().unwrap();
    let refused = site.milepost(&["run", FILE]);
    assert!(refused.code == Some(2) && refused.stderr.contains("PAGER_SECRET is not set"), "{refused:?}");
    let doctor = site.milepost(&["doctor", FILE]);
    assert!(doctor.code == Some(1) && doctor.stdout.contains("PAGER_SECRET"), "{doctor:?}");
    // Another workflow works here, and has not what the alert needs.
    let hello = site.milepost(&["run", "workflows/hello.yaml"]);
    assert_eq!(hello.code, Some(0), "{hello:?}");
    let shown = untold(&site, &run);
    assert!(shown[0]["error"]["message"].as_str().unwrap().contains("PAGER_SECRET is not set"), "{shown:#}");
    site.env.push(secret);
    let doctor = site.milepost(&["doctor", FILE]);
    assert!(doctor.code == Some(0) && doctor.stdout.contains("would be sent signed webhooks"), "{doctor:?}");
    assert_eq!(pager.came().len(), 1, "to look sends nothing");
}
