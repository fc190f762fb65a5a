//! What Prometheus itself says of the metrics that are served, and of the rules beside the unit.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::site::Site;

const WORKFLOW: &str = "workflows/product-sync.yaml";

/// Asks promtool, which has to be content and to say what is expected.
fn promtool(line: &[&str], given: &str) -> String {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    let mut child = Command::new("promtool")
        .args(line)
        .current_dir(rules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    let told = child.wait_with_output().unwrap();
    let said = String::from_utf8(told.stdout).unwrap() + &String::from_utf8(told.stderr).unwrap();
    assert!(told.status.success(), "{line:?}: {said}");
    said
}

/// The metrics of a server that has carried a run out, whose catalogue lay in its folder.
fn metrics() -> String {
    let site = Site::new();
    let incoming = site.path("workflows/product-sync/incoming/catalogue.json");
    fs::copy(site.path("workflows/product-sync/sample.json"), incoming).unwrap();
    let server = site.start(&["serve", WORKFLOW, "--listen", "127.0.0.1:0"]);
    let run = server.run.split(' ').next().unwrap().to_owned();
    let followed = site.milepost(&["events", &run, "--follow"]);
    assert!(followed.stdout.contains("closed"), "{followed:?}");
    let mut stream = UnixStream::connect(site.path("state/milepost.sock")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: milepost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    server.signal("INT");
    let told = server.wait();
    assert_eq!(told.code, Some(0), "{told:?}");
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("version=0.0.4"), "{head}");
    text.to_owned()
}

#[test]
#[ignore = "needs promtool"]
fn prometheus_finds_nothing_wrong_with_metrics_and_rules_and_the_rules_tell_a_good_day_from_a_bad_one() {
    let text = metrics();
    assert!(text.contains("milepost_runs_ended_total{workflow=\"product-sync\",status=\"succeeded\"} 1"));
    assert_eq!(promtool(&["check", "metrics"], &text), "", "it complains where it says anything");
    let said = promtool(&["check", "rules", "alerts.yml"], "");
    assert!(said.contains("SUCCESS: 11 rules found"), "{said}");
    assert!(promtool(&["test", "rules", "alerts.test.yml"], "").contains("SUCCESS"));
}
