//! The server, with the real binary: it goes on with what an engine before left, starts what it is asked
//! for, and lets in whom it should.

mod actors;
mod hooks;
mod metrics;
mod secrets;
pub(crate) mod server;
mod triggers;

use std::time::Instant;

use serde_json::{Value, json};

use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site, WORKFLOW};
use server::{HANGS, Server};

const HELLO: &str = "workflows/hello.yaml";

#[test]
fn a_server_that_was_killed_goes_on_by_itself_when_it_starts_again() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 60);
    let server = Server::start(&site, &[WORKFLOW]);
    let started = server.start_run(&json!({ "workflow": "product-sync" }));
    assert_eq!(started["status"], "queued");
    let run = started["run"].as_str().unwrap().to_owned();
    relay.reached();
    server.kill();
    let before = outside.calls();
    relay.go_on(true, true);

    let begun = Instant::now();
    let server = Server::start(&site, &[WORKFLOW]);
    let first = server::until(|| {
        let now = outside.calls();
        (now.0.len() + now.1.len() > before.0.len() + before.1.len()).then(|| begun.elapsed())
    });
    // That it takes less than half a second is measured on a release build, by `benches/serve`.
    println!("the first call left {first:?} after the process was started");
    let shown = server.until_ended(&run);
    assert_eq!((&shown["status"], &shown["items"]["succeeded"]), (&json!("succeeded"), &json!(SAMPLE[1])));
    let (pim, shop) = outside.calls();
    let writes = |entries: &[milepost::connectors::sandbox::Entry]| -> u64 {
        entries.iter().map(|entry| entry.wrote.len() as u64).sum()
    };
    assert_eq!((writes(&pim), writes(&shop)), (SAMPLE[1], SAMPLE[1]), "each product once");
    let told = server.stop();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stdout.contains(&format!("{run}  goes on")), "{told:?}");
}

#[test]
fn a_second_server_is_refused_and_the_first_one_notices_nothing() {
    let site = Site::new();
    let server = Server::start(&site, &[HELLO]);
    let second = site.milepost(&["serve", HELLO, "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(4), "{second:?}");
    assert!(second.stderr.contains("E1101"), "{second:?}");
    let other = Site::new();
    let taken = other.milepost(&["serve", HELLO, "--listen", &server.address]);
    assert!(taken.code == Some(4) && taken.stderr.contains("failed to listen on"), "{taken:?}");
    assert_eq!(server.ask("GET", "/readyz", None).0, 200);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn nothing_begins_before_it_is_unpaused_and_the_actor_is_in_the_events() {
    let site = Site::new();
    let server = Server::start(&site, &[HELLO, "--paused"]);
    let first = server.start_run(&json!({ "workflow": "hello" }));
    let second = server.start_run(&json!({ "workflow": "hello" }));
    let (first, second) = (first["run"].as_str().unwrap(), second["run"].as_str().unwrap());
    let queue = server.read("/v1/queue");
    assert_eq!((&queue["paused"], &queue["waiting"]), (&json!(true), &json!(2)), "{queue:#}");
    // Over the socket, by run; the other one stays.
    let told = site.milepost(&["unpause", second]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(server.until_ended(second)["status"], "succeeded");
    assert_eq!(server.read(&format!("/v1/runs/{first}"))["status"], "queued");
    let told = site.milepost(&["unpause", "--all"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(server.until_ended(first)["status"], "succeeded");
    let events = server.read(&format!("/v1/runs/{second}/events"));
    let named = |kind: &str| {
        let events = events["events"].as_array().unwrap();
        events.iter().find(|event| event["kind"] == kind).map(|event| event["by"].clone())
    };
    assert_eq!(named("started"), Some(json!("token:tests")));
    assert!(named("unheld").is_some_and(|by| by.is_string()), "{events:#}");
    server.stop();
}

#[test]
fn a_start_key_starts_one_run_and_what_is_asked_wrongly_is_told() {
    let site = Site::new();
    let server = Server::start(&site, &[HELLO, WORKFLOW]);
    let order = json!({ "workflow": "hello" });
    let keyed = || server.ask_with("POST", "/v1/runs", Some(&order), &["idempotency-key: nightly"]);
    let (first, again) = (keyed(), keyed());
    assert_eq!((first.0, &first.1["started"]), (202, &json!(true)));
    assert_eq!((again.0, &again.1["started"], &again.1["run"]), (200, &json!(false), &first.1["run"]));
    let other = json!({ "workflow": "product-sync" });
    let used = server.ask_with("POST", "/v1/runs", Some(&other), &["idempotency-key: nightly"]);
    assert_eq!((used.0, &used.1["code"]), (409, &json!("E1036")));
    let unknown = server.ask("POST", "/v1/runs", Some(&json!({ "workflow": "nothing" })));
    assert_eq!((unknown.0, &unknown.1["candidates"]), (404, &json!(["hello", "product-sync"])));
    // The way over the network leads to no other file of this machine.
    let passwd = json!({ "file": "/etc/passwd" });
    assert_eq!(server.ask("POST", "/v1/runs", Some(&passwd)).0, 403);
    for path in [
        "/etc/passwd",
        "../../../../etc/passwd",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "product-sync/../..",
    ] {
        let order = json!({ "workflow": "product-sync", "input": { "source": path } });
        let refused = server.ask("POST", "/v1/runs", Some(&order));
        assert_eq!((refused.0, &refused.1["code"]), (403, &json!("E1206")), "{path}");
    }
    for path in ["/v1/runs/..%2f..%2fetc%2fpasswd", "/v1/../../etc/passwd", "//etc/passwd"] {
        assert_eq!(server.ask("GET", path, None).0, 404, "{path}");
    }
    assert_eq!(server.ask("GET", "/v1/runs/%00", None).0, 400);
    server.stop();
}

#[test]
fn a_full_line_of_one_workflow_holds_up_no_other_one_and_a_known_key_gets_its_run() {
    let site = Site::new();
    let hello = std::fs::read_to_string(site.path(HELLO)).unwrap();
    std::fs::write(site.path("other.yaml"), hello.replace("workflow: hello", "workflow: other")).unwrap();
    let server = Server::start(&site, &[HELLO, "other.yaml", "--paused", "--queue", "1"]);
    let order = json!({ "workflow": "hello" });
    let keyed = || server.ask_with("POST", "/v1/runs", Some(&order), &["idempotency-key: nightly"]);
    let first = keyed();
    assert_eq!(first.0, 202, "{first:?}");
    let full = server.ask("POST", "/v1/runs", Some(&order));
    assert_eq!((full.0, &full.1["code"]), (503, &json!("E1037")), "{full:?}");
    let again = keyed();
    assert_eq!((again.0, &again.1["run"]), (200, &first.1["run"]), "{again:?}");
    server.start_run(&json!({ "workflow": "other" }));
    let queue = server.read("/v1/queue");
    assert_eq!((&queue["waiting"], &queue["waiting_max"]), (&json!(2), &json!(1)), "{queue:#}");
    server.stop();
}

#[test]
fn two_files_with_one_name_are_refused_before_anything_begins() {
    let site = Site::new();
    std::fs::copy(site.path(HELLO), site.path("again.yaml")).unwrap();
    let told = site.milepost(&["serve", HELLO, "again.yaml", "--listen", "127.0.0.1:0"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    for word in [HELLO, "again.yaml", "'hello'", "milepost check again.yaml"] {
        assert!(told.stderr.contains(word), "{word}: {told:?}");
    }
    assert!(!site.path("state").exists(), "not even the state directory");
}

#[test]
fn nothing_begins_when_the_address_is_taken() {
    let site = Site::new();
    let server = Server::start(&site, &[HELLO, "--paused"]);
    let run = server.start_run(&json!({ "workflow": "hello" }))["run"].as_str().unwrap().to_owned();
    server.stop();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = site.milepost(&["serve", HELLO, "--listen", &address]);
    assert!(told.code == Some(4) && told.stderr.contains("failed to listen on"), "{told:?}");
    assert_eq!(site.json(&["show", &run, "--json"])[0]["status"], "queued", "it was not begun");
    assert!(!site.path("state/milepost.sock").exists(), "nothing is left of the socket");
}

#[test]
fn a_failed_run_is_resumed_only_by_the_plan_that_was_seen() {
    let site = Site::new();
    site.edit("hello.yaml", &[("steps:\n", "steps:\n  stop: { uses: fail, with: { message: not yet } }\n")]);
    let server = Server::start(&site, &[HELLO]);
    let run = server.start_run(&json!({ "workflow": "hello" }))["run"].as_str().unwrap().to_owned();
    assert_eq!(server.until_ended(&run)["status"], "failed");
    let resume = format!("/v1/runs/{run}/resume");
    let wrong = server.ask("POST", &resume, Some(&json!({ "expect": "0000000000000000" })));
    assert_eq!((wrong.0, &wrong.1["code"]), (409, &json!("E1033")));
    let plan = server.read(&format!("/v1/runs/{run}/plan"))["plan"].clone();
    let resumed = server.ask("POST", &resume, Some(&json!({ "expect": plan })));
    assert_eq!(resumed.0, 200, "{resumed:?}");
    assert_eq!(server.read(&format!("/v1/runs/{run}"))["resumes"], 1, "it is on disk when it is answered");
    assert_eq!(server.until_ended(&run)["status"], "failed");
    let events = server.read(&format!("/v1/runs/{run}/events"));
    let resumed =
        events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "resumed").unwrap();
    assert_eq!(resumed["by"], "token:tests");
    server.stop();
}

#[test]
fn whoever_watches_is_told_of_each_change_and_a_revoked_token_looks_no_more() {
    let site = Site::new();
    let server = Server::start(&site, &[HELLO, "--paused"]);
    let run = server.start_run(&json!({ "workflow": "hello" }))["run"].as_str().unwrap().to_owned();
    let mut live = server.watch(&format!("/v1/runs/{run}/live"));
    let seen = live.next("run");
    assert_eq!(seen["status"], "queued");
    assert_eq!(site.milepost(&["unpause", "--workflow", "hello"]).code, Some(0));
    let mut kinds = Vec::new();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < HANGS, "{kinds:?}");
        let (kind, data) = live.message();
        match kind.as_str() {
            "event" => kinds.push(data["kind"].as_str().unwrap().to_owned()),
            _ if data["status"] == "succeeded" => break,
            _ => {}
        }
    }
    kinds.retain(|kind| kind != "alert");
    assert_eq!(kinds, ["unheld", "started", "closed"]);
    let metrics = server.text("/metrics");
    for line in [
        "milepost_runs{workflow=\"hello\",status=\"succeeded\"} 1",
        "milepost_commit_duration_seconds_bucket{le=\"+Inf\"}",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert!(site.milepost(&["token", "list"]).stdout.contains("operate"));
    let mut live = server.watch("/v1/live");
    assert_eq!(live.next("run")["run"], run.as_str());
    assert_eq!(site.milepost(&["token", "revoke", "tests"]).code, Some(0));
    let later = site.milepost(&["run", HELLO]).stdout.lines().next().unwrap().to_owned();
    let rest = live.rest();
    assert!(later.starts_with("run_") && !rest.contains(&later), "who listened is told nothing more: {rest}");
    assert_eq!(server.ask("GET", "/v1/runs", None).0, 401);
    assert_eq!(server.ask("GET", "/healthz", None).0, 200);
    let state = std::fs::read(site.path("state/tokens.json")).unwrap();
    assert!(!String::from_utf8(state).unwrap().contains(&server.token));
    server.stop();
}

#[test]
fn every_command_asks_the_server_over_its_socket_and_over_the_network() {
    let mut site = Site::new();
    let server = Server::start(&site, &[HELLO]);
    let told = site.milepost(&["run", HELLO, "--input", "name=Ada"]);
    assert!(told.code == Some(0) && told.stdout.contains("succeeded"), "{told:?}");
    let run = told.stdout.lines().next().unwrap().to_owned();

    let url = format!("http://{}", server.address);
    let elsewhere = tempfile::tempdir().unwrap();
    let state = elsewhere.path().to_string_lossy().into_owned();
    let network =
        |site: &Site, line: &[&str]| site.milepost(&[line, &["--server", &url, "--state", &state]].concat());
    let nobody = network(&site, &["list"]);
    assert!(nobody.code == Some(6) && nobody.stderr.contains("E1205"), "{nobody:?}");
    site.env.push(("MILEPOST_TOKEN", server.token.clone()));
    assert!(network(&site, &["list"]).stdout.contains(&run));
    let started = network(&site, &["run", "hello", "--key", "k", "--json"]);
    assert!(started.code == Some(0) && started.stdout.contains("\"succeeded\""), "{started:?}");
    let second = started.stdout.lines().next().unwrap().to_owned();
    let again = network(&site, &["run", HELLO, "--key", "k"]);
    assert_eq!((again.code, again.stdout.lines().next()), (Some(0), Some(second.as_str())), "{again:?}");
    assert_eq!(network(&site, &["close", &second]).code, Some(0));
    let events = site.json(&["events", &second, "--json"]);
    assert_eq!(events.last().unwrap()["by"], "token:tests");
    let local = network(&site, &["token", "list"]);
    assert!(local.code == Some(6) && local.stderr.contains("E1206"), "{local:?}");
    server.stop();
}

#[test]
fn a_stop_interrupts_what_is_at_work_and_the_next_server_ends_it() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 60);
    let server = Server::start(&site, &[WORKFLOW]);
    let run = server.start_run(&json!({ "workflow": "product-sync" }))["run"].as_str().unwrap().to_owned();
    relay.reached();
    server.signal("TERM");
    server::until(|| (server.ask("GET", "/readyz", None).0 == 503).then_some(()));
    let refused = server.ask("POST", "/v1/runs", Some(&json!({ "workflow": "product-sync" })));
    assert_eq!((refused.0, &refused.1["code"]), (503, &json!("E1301")));
    relay.go_on(false, false);
    let told = server.wait();
    assert_eq!(told.code, Some(3), "{told:?}");
    let shown: Value = site.json(&["show", &run, "--json"]).remove(0);
    assert_eq!(shown["status"], "interrupted");
    let server = Server::start(&site, &[WORKFLOW]);
    assert_eq!(server.until_ended(&run)["items"]["succeeded"], SAMPLE[1]);
    server.stop();
}

#[test]
fn a_run_that_cannot_go_on_is_shown_holds_up_nobody_and_goes_on_when_a_person_says_how() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let mut site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 60);
    let server = Server::start(&site, &[WORKFLOW]);
    let run = server.start_run(&json!({ "workflow": "product-sync" }))["run"].as_str().unwrap().to_owned();
    relay.reached();
    server.kill();
    relay.go_on(false, false);
    // The same systems, at other addresses: whether that is so only a person knows.
    site.env = vec![("PIM_URL", outside.pim.clone()), ("SHOP_URL", outside.shop.clone())];
    let server = Server::start(&site, &[WORKFLOW]);
    let stuck = server::until(|| {
        let queue = server.read("/v1/queue");
        queue["workflows"][0]["stuck"].get(0).cloned()
    });
    assert_eq!(stuck["run"], run.as_str());
    assert!(
        stuck["why"].as_str().unwrap().contains("cannot go on under its changed connections"),
        "{stuck:#}"
    );
    assert!(stuck["next"].to_string().contains("--accept-connection"), "{stuck:#}");
    let page = server.text("/");
    assert!(page.contains("does not go on: "), "{page}");
    let other = server.start_run(&json!({ "workflow": "product-sync" }))["run"].as_str().unwrap().to_owned();
    server.until_ended(&other);
    let terms = json!({ "terms": { "accept": "moved" } });
    let resumed = server.ask("POST", &format!("/v1/runs/{run}/resume"), Some(&terms));
    assert_eq!(resumed.0, 200, "{resumed:?}");
    assert!(server.read("/v1/queue")["workflows"][0].get("stuck").is_none(), "it is at work");
    // What it was about was written by the other one meanwhile.
    assert_eq!(server.until_ended(&run)["status"], "succeeded");
    let told = server.stop();
    assert_eq!(told.stderr.matches("does not go on").count(), 1, "{told:?}");
}

#[test]
fn a_call_that_outlives_the_grace_time_is_in_doubt_and_the_next_server_finds_out() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Answering, 60);
    let server = Server::start(&site, &[WORKFLOW, "--grace", "100ms"]);
    let run = server.start_run(&json!({ "workflow": "product-sync" }))["run"].as_str().unwrap().to_owned();
    relay.reached();
    let told = server.stop();
    assert_eq!(told.code, Some(130), "{told:?}");
    assert!(told.stderr.contains("the grace time is over; the next start goes on"), "{told:?}");
    relay.go_on(true, false);
    let plan = &site.json(&["resume", &run, "--plan", "--json"])[0];
    assert!(!plan["in_doubt"].as_array().unwrap().is_empty(), "{plan}");
    let server = Server::start(&site, &[WORKFLOW]);
    assert_eq!(server.until_ended(&run)["items"]["succeeded"], SAMPLE[1]);
    let (pim, shop) = outside.calls();
    let wrote: usize = pim.iter().chain(&shop).map(|entry| entry.wrote.len()).sum();
    assert_eq!(wrote as u64, 2 * SAMPLE[1], "each product once at each");
    server.stop();
}

#[test]
fn a_server_removes_what_nobody_needs_beside_a_run_that_works() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    let server = Server::start(&site, &[HELLO, WORKFLOW]);
    let first = server.start_run(&json!({ "workflow": "hello" }))["run"].as_str().unwrap().to_owned();
    let second = server.start_run(&json!({ "workflow": "hello" }))["run"].as_str().unwrap().to_owned();
    server.until_ended(&first);
    server.until_ended(&second);
    assert_eq!(site.milepost(&["close", &first]).code, Some(0));
    relay.stop_at(Moment::Asked, 60);
    let working =
        server.start_run(&json!({ "workflow": "product-sync" }))["run"].as_str().unwrap().to_owned();
    relay.reached();
    let goes = |said: &Value| -> Vec<(String, bool)> {
        let runs = said["runs"].as_array().unwrap().iter();
        runs.map(|run| (run["run"].as_str().unwrap().to_owned(), run["goes"].as_bool().unwrap())).collect()
    };
    let expected = [(first.clone(), true), (second.clone(), false), (working.clone(), false)];
    let said = site.json(&["state", "gc", "--dry-run", "--json"]).remove(0);
    assert_eq!((goes(&said), &said["done"]), (expected.to_vec(), &json!(false)), "{said:#}");
    assert_eq!(said["runs"][2]["why"], "it is being worked on");
    let (status, done) = server.ask("POST", "/v1/state/gc", Some(&json!({})));
    assert_eq!((status, goes(&done), &done["done"]), (200, expected.to_vec(), &json!(true)), "{done:#}");
    assert_eq!(server.ask("GET", &format!("/v1/runs/{first}"), None).0, 404);
    assert_eq!(server.read(&format!("/v1/runs/{second}"))["status"], "succeeded");
    relay.go_on(false, false);
    server.until_ended(&working);
    server.stop();
    let verified = site.milepost(&["state", "verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}
