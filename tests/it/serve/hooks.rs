//! Hooks of the real server: what the stand-in of the PIM sends, and senders that go on while it is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

use milepost::webhook::{Secret, signature};
use serde_json::{Value, json};

use super::super::{HOOK_SECRET, SAMPLE, Site, WORKFLOW, stored};
use super::server::{HANGS, Server, until};

const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oE";
const FILE: &str = "workflows/told.yaml";
const TOLD: &str = "workflow: told
connections:
  hub: { use: webhook, scheme: standard, secrets: \"${env:TOLD_SECRET}\" }
hooks:
  told:
    connection: hub
    signal: go
    key: ${{ body.about }}
    payload: ${{ body }}
steps:
  hello: { uses: alert }
";

fn told_site() -> Site {
    let mut site = Site::new();
    fs::write(site.path(FILE), TOLD).unwrap();
    site.env.push(("TOLD_SECRET", HOOK_SECRET.to_owned()));
    site
}

/// What the server answers to a signed delivery; nothing when it is not there, or goes away meanwhile.
fn send(address: &str, id: &str, body: &Value) -> Option<(u16, String)> {
    send_as(address, id, body, (HOOK_SECRET, 0), str::to_owned)
}

/// The same signed with another secret, so many seconds from now, and with another signature in the end.
fn send_as(
    address: &str,
    id: &str,
    body: &Value,
    (secret, late): (&str, i64),
    forge: impl Fn(&str) -> String,
) -> Option<(u16, String)> {
    let (body, secret) = (body.to_string(), Secret::standard(secret).unwrap());
    let seconds = u64::try_from(jiff::Timestamp::now().as_second() + late).unwrap();
    let signed = forge(&signature(&secret, id, seconds, body.as_bytes()));
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(HANGS)).unwrap();
    write!(
        stream,
        "POST /hooks/told HTTP/1.1\r\nhost: {address}\r\nwebhook-id: {id}\r\nwebhook-timestamp: {seconds}\r\n\
         webhook-signature: {signed}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// How many send, and how much each: `HOOKS=16x625` for more.
fn load() -> (usize, usize) {
    let said = std::env::var("HOOKS").unwrap_or_else(|_| "4x60".to_owned());
    let (senders, each) = said.split_once('x').unwrap();
    (senders.parse().unwrap(), each.parse().unwrap())
}

fn signals(server: &Server) -> Vec<(String, String)> {
    let listed = server.read("/v1/signals");
    let text = |signal: &Value, name: &str| signal[name].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|signal| (text(signal, "key"), text(signal, "id"))).collect()
}

#[test]
fn the_shipped_workflow_goes_on_by_what_the_stand_in_of_the_pim_sends() {
    let site = Site::new();
    // Nobody asks the PIM but the hook: without what is sent, the items would wait for an hour.
    let asked =
        "    connection: pim                      # asked what is published, where no webhook tells us\n";
    site.edit("product-sync.yaml", &[(asked, "")]);
    let server = Server::start(&site, &[WORKFLOW]);
    let started = server.start_run(&json!({ "workflow": "product-sync" }));
    let shown = server.until_ended(started["run"].as_str().unwrap());
    assert_eq!((&shown["status"], &shown["items"]["succeeded"]), (&json!("succeeded"), &json!(SAMPLE[1])));
    let kept = signals(&server);
    let keys: BTreeSet<&str> = kept.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys.len() as u64, SAMPLE[1], "each product was told of");
    assert!(kept.iter().all(|(_, id)| id.starts_with("pim/evt_")), "{kept:?}");
    let told = server.stop();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.stderr.contains("/hooks/pim"), "{told:?}");
}

#[test]
fn what_senders_are_told_is_durable_outlives_every_kill_and_is_one_signal_each() {
    let (senders, each) = load();
    let site = told_site();
    let first = Server::start(&site, &[FILE]);
    let address = RwLock::new(first.address.clone());
    let (acknowledged, tries) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let new = Mutex::new(Vec::new());
    let server = std::thread::scope(|scope| {
        for sender in 0..senders {
            let (address, acknowledged, tries, new) = (&address, &acknowledged, &tries, &new);
            scope.spawn(move || {
                for at in 0..each {
                    // Neighbours send the same half of it.
                    let id = format!("msg_{}", (sender / 2) * each + at);
                    let body = json!({ "about": id });
                    let answer = until(|| {
                        tries.fetch_add(1, Ordering::Relaxed);
                        send(&address.read().unwrap(), &id, &body).filter(|(status, _)| *status != 503)
                    });
                    assert_eq!(answer.0, 200, "{}", answer.1);
                    if answer.1.contains("\"known\":false") {
                        new.lock().unwrap().push(id);
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut server = first;
        for part in 1..=3 {
            until(|| (acknowledged.load(Ordering::Relaxed) > part * senders * each / 4).then_some(()));
            server.kill();
            server = Server::start(&site, &[FILE]);
            server.address.clone_into(&mut address.write().unwrap());
        }
        server
    });
    println!("{} tries for {} deliveries", tries.load(Ordering::Relaxed), senders * each);
    let kept = signals(&server);
    assert_eq!(kept.len(), senders / 2 * each, "each once, and none is lost");
    let mut new = new.into_inner().unwrap();
    let answered = new.len();
    new.sort();
    new.dedup();
    assert_eq!(new.len(), answered, "none was new twice");
    server.stop();
}

#[test]
fn what_is_forged_is_told_nothing_and_what_is_replayed_changes_nothing() {
    let mut site = told_site();
    site.env[0].1 = HOOK_SECRET.to_owned();
    site.env.push(("OTHER_SECRET", OTHER.to_owned()));
    let other = TOLD.replace("told", "other").replace("TOLD_SECRET", "OTHER_SECRET");
    fs::write(site.path("workflows/other.yaml"), other).unwrap();
    let server = Server::start(&site, &[FILE, "workflows/other.yaml"]);
    let body = json!({ "about": "A" });
    let as_it_is = str::to_owned;
    let (mut answers, mut forged) = (BTreeSet::new(), 0);
    let mut refused = |of: (&str, i64), forge: &dyn Fn(&str) -> String| {
        forged += 1;
        let (status, answer) = send_as(&server.address, "msg_1", &body, of, forge).unwrap();
        assert_eq!(status, 401, "{forged}: {answer}");
        answers.insert(answer.split("\r\n\r\n").nth(1).unwrap().to_owned());
    };
    refused((HOOK_SECRET, -301), &as_it_is);
    refused((HOOK_SECRET, 301 + 60), &as_it_is);
    refused((OTHER, 0), &as_it_is);
    refused((HOOK_SECRET, 0), &|signed| signed[..signed.len() - 4].to_owned());
    refused((HOOK_SECRET, 0), &|signed| format!("{signed}AAAA"));
    refused((HOOK_SECRET, 0), &|signed| signed.replace("v1,", "v2,"));
    refused((HOOK_SECRET, 0), &|_| "v1,".to_owned());
    refused((HOOK_SECRET, 0), &|_| "v1,%%%".to_owned());
    assert_eq!(answers.len(), 1, "whichever it was: {answers:?}");
    assert_eq!(signals(&server), []);
    let first = send(&server.address, "msg_1", &body).unwrap();
    let again = send(&server.address, "msg_1", &body).unwrap();
    assert_eq!((first.0, again.0), (200, 200), "{}", again.1);
    let told =
        |answer: &str| serde_json::from_str::<Value>(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let (mut first, again) = (told(&first.1), told(&again.1));
    first["signalled"]["known"] = json!(true);
    assert_eq!(first, again, "a replay is answered as it was, and known");
    assert_eq!(signals(&server).len(), 1);
    server.stop();
}

#[test]
fn a_hook_that_is_changed_in_the_file_waits_for_a_restart_and_that_is_said() {
    let mut site = told_site();
    site.env.push(("MILEPOST_LOG", "warn".to_owned()));
    let server = Server::start(&site, &[FILE]);
    let outdated = || server.read("/v1/workflows")[0]["outdated"].as_bool().unwrap();
    let ready = until(|| Some(server.ask("GET", "/readyz", None)).filter(|(status, _)| *status == 200));
    assert!(!outdated() && ready.1.get("detail").is_none());
    fs::write(site.path(FILE), TOLD.replace("signal: go", "signal: gone")).unwrap();
    assert!(outdated());
    assert!(server.read("/readyz")["detail"].as_str().unwrap().contains("count after a restart"));
    assert!(server.text("/workflows").contains("They count after a restart"));
    assert_eq!(send(&server.address, "msg_1", &json!({ "about": "A" })).unwrap().0, 200);
    let kept = server.read("/v1/signals");
    assert_eq!(kept[0]["signal"], "go", "what it was when the server began");
    let told = server.stop();
    assert!(told.stderr.contains("its triggers or hooks were changed"), "{told:?}");
    let server = Server::start(&site, &[FILE]);
    assert!(!server.read("/v1/workflows")[0]["outdated"].as_bool().unwrap());
    server.stop();
}

#[test]
fn who_proves_nothing_is_told_nothing_and_the_secret_is_nowhere() {
    let site = told_site();
    let server = Server::start(&site, &[FILE]);
    let body = json!({ "about": "A" });
    assert_eq!(send(&server.address, "msg_1", &body).unwrap().0, 200);
    // A token is no proof.
    let (status, answer) = server.ask("POST", "/hooks/told", Some(&body));
    assert_eq!((status, &answer["code"]), (401, &json!("E1212")), "{answer:#}");
    assert_eq!(answer["detail"], "it is not proven from whom this is");
    assert_eq!(server.ask("POST", "/hooks/other", Some(&body)).0, 404);
    assert_eq!(signals(&server).len(), 1);
    let metrics = server.text("/metrics");
    for (outcome, count) in [("signal", 1), ("unproven", 1)] {
        let line = format!("milepost_hook_deliveries_total{{hook=\"told\",outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&line), "whoever runs it can see it: {metrics}");
    }
    let listed = server.read("/v1/signals").to_string() + &metrics;
    let told = server.stop();
    assert!(!told.stderr.contains("whsec_") && !listed.contains("whsec_"));
    let secret = HOOK_SECRET.trim_start_matches("whsec_").as_bytes();
    for (path, content) in stored(&site) {
        assert!(!content.windows(secret.len()).any(|part| part == secret), "{}", path.display());
    }
}

#[test]
fn a_secret_that_is_missing_is_said_before_anything_begins() {
    let mut site = told_site();
    site.env.clear();
    let told = site.milepost(&["serve", FILE, "--listen", "127.0.0.1:0"]);
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.stderr.contains("the environment variable TOLD_SECRET is not set"), "{told:?}");
    let doctor = site.milepost(&["doctor", FILE]);
    assert_eq!(doctor.code, Some(1));
    let said = doctor.stdout;
    assert!(said.contains("nothing can be sent to /hooks/told") && said.contains("TOLD_SECRET"), "{said}");
    site.env.push(("TOLD_SECRET", "whsec_short".to_owned()));
    let doctor = site.milepost(&["doctor", FILE]).stdout;
    assert!(doctor.contains("POST /hooks/told: secret 1 is none"), "{doctor}");
    site.env.push(("TOLD_SECRET", HOOK_SECRET.to_owned()));
    let doctor = site.milepost(&["doctor", FILE]);
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    assert!(doctor.stdout.contains("POST /hooks/told: scheme standard, 1 secret"), "{doctor:?}");
}
