//! Whatever is done is recorded with who did it: every path that changes something, as the document has it.

use serde_json::{Value, json};

use super::super::Site;
use super::server::{Server, until};

const WAITS: &str = "workflows/waits.yaml";
const WAITING: &str = "workflow: waits
input:
  source: { type: uri, default: waits.json }
connections:
  files: { use: local }
  hub: { use: webhook, scheme: token, header: X-Token, secrets: \"${env:WAITS_TOKEN}\" }
hooks:
  told:
    connection: hub
    signal: go
    key: ${{ body.about }}
    id: ${{ body.id }}
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: \"${{ input.source }}\", schema: any.json, item_key: \"${{ item.name }}\" }
  wait:
    needs: [read]
    uses: signal.wait
    with: { signal: go, key: \"${{ item.name }}\", timeout: 1h }
";
const FAILS: &str = "workflows/fails.yaml";
const FAILING: &str = "workflow: fails
steps:
  stop: { uses: fail, with: { message: not yet } }
";
/// Who asks over the network, and who over the socket.
const TOKEN: &str = "token:tests";
const PERSON: &str = "ana";

struct Story {
    site: Site,
    server: Server,
}

impl Story {
    fn begin() -> Self {
        let mut site = Site::new();
        std::fs::write(site.path(WAITS), WAITING).unwrap();
        std::fs::write(site.path(FAILS), FAILING).unwrap();
        std::fs::write(site.path("workflows/any.json"), "{}").unwrap();
        std::fs::write(site.path("workflows/waits.json"), r#"[{"name":"A"},{"name":"B"}]"#).unwrap();
        site.env.push(("WAITS_TOKEN", "the token of the hub".to_owned()));
        site.env.push(("USER", PERSON.to_owned()));
        let server = Server::start(&site, &[WAITS, FAILS, "--concurrency", "8"]);
        Self { site, server }
    }

    fn does(&self, method: &str, path: &str, body: &Value, more: &[&str]) -> Value {
        let (status, answer) = self.server.ask_with(method, path, Some(body), more);
        assert!([200, 202].contains(&status), "{method} {path}: {status} {answer:#}");
        answer
    }

    fn says(&self, line: &[&str]) {
        let told = self.site.milepost(line);
        assert_eq!(told.code, Some(0), "{line:?}: {told:?}");
    }

    fn starts(&self) -> String {
        let started = self.does("POST", "/v1/runs", &json!({ "workflow": "waits" }), &[]);
        started["run"].as_str().unwrap().to_owned()
    }

    /// Who did that, as the events of a run say.
    fn by_event(&self, run: &str, kind: &str) -> Vec<String> {
        until(|| {
            let page = self.server.read(&format!("/v1/runs/{run}/events"));
            Some(actors(&page["events"], kind)).filter(|found| !found.is_empty())
        })
    }

    /// Who did that, as is recorded of what is about no one run.
    fn by_deed(&self, kind: &str) -> Vec<String> {
        actors(&self.server.read("/v1/deeds")["deeds"], kind)
    }

    /// Who sent this, as the signals say that are kept; for what a hook took the beginning of its ID.
    fn by_signal(&self, id: &str) -> Vec<String> {
        let kept = self.server.read("/v1/signals");
        let found = kept.as_array().unwrap().iter().filter(|signal| signal["id"] == id);
        found.map(|signal| signal["by"].as_str().unwrap_or("hook").to_owned()).collect()
    }

    /// Does what a path is for, and says who is recorded for it, and who should be.
    fn recorded(&self, operation: &str) -> Option<(Vec<String>, &'static str)> {
        let by = |found: Vec<String>, who| Some((found, who));
        match operation {
            "post /v1/runs" => by(self.by_event(&self.starts(), "started"), TOKEN),
            "post /v1/runs/{run}/actions" => {
                let run = self.starts();
                self.by_event(&run, "started");
                self.does(
                    "POST",
                    &format!("/v1/runs/{run}/actions"),
                    &json!({ "action": "pause", "by": "eve" }),
                    &[],
                );
                by(self.by_event(&run, "paused"), TOKEN)
            }
            "post /v1/runs/{run}/resume" => {
                let started = self.does("POST", "/v1/runs", &json!({ "workflow": "fails" }), &[]);
                let run = started["run"].as_str().unwrap().to_owned();
                self.server.until_ended(&run);
                self.does("POST", &format!("/v1/runs/{run}/resume"), &json!({ "by": "eve" }), &[]);
                by(self.by_event(&run, "resumed"), TOKEN)
            }
            "post /v1/workflows/{workflow}/examine" => {
                self.does("POST", "/v1/workflows/waits/examine", &Value::Null, &[]);
                by(self.by_deed("examined"), TOKEN)
            }
            "post /v1/signals" => {
                self.does(
                    "POST",
                    "/v1/signals",
                    &json!({ "signal": "x", "key": "x", "id": "s1", "by": "eve" }),
                    &[],
                );
                by(self.by_signal("s1"), TOKEN)
            }
            "post /hooks/{name}" => {
                let body = json!({ "about": "nothing", "id": "h1" });
                self.does("POST", "/hooks/told", &body, &["x-token: the token of the hub"]);
                by(self.by_signal("told/h1"), "hook")
            }
            "post /v1/unpause" => {
                self.does("POST", "/v1/unpause", &json!({ "what": "all", "by": "eve" }), &[]);
                by(self.by_deed("unheld"), TOKEN)
            }
            "post /v1/state/gc" => {
                self.does("POST", "/v1/state/gc", &json!({ "by": "eve" }), &[]);
                by(self.by_deed("collected"), TOKEN)
            }
            "post /v1/state/backup" => {
                let file = self.site.path("backup").display().to_string();
                self.says(&["state", "backup", &file]);
                by(self.by_deed("backed_up"), PERSON)
            }
            "post /v1/tokens" => {
                self.says(&["token", "create", "short-lived"]);
                by(self.by_deed("token_created"), PERSON)
            }
            "delete /v1/tokens/{name}" => {
                self.says(&["token", "create", "gone"]);
                self.says(&["token", "revoke", "gone"]);
                by(self.by_deed("token_revoked"), PERSON)
            }
            // A cookie in the browser that asks: nothing is done here.
            "post /v1/session" | "delete /v1/session" => None,
            other => panic!("what is recorded when somebody asks for {other}?"),
        }
    }
}

fn actors(listed: &Value, kind: &str) -> Vec<String> {
    let of_kind = listed.as_array().unwrap().iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["by"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn whatever_a_path_changes_is_recorded_with_who_asked_for_it() {
    let story = Story::begin();
    let document = story.server.read("/openapi.json");
    let mut changing = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "get") {
            changing += 1;
            let operation = format!("{method} {path}");
            if let Some((found, who)) = story.recorded(&operation) {
                assert!(!found.is_empty() && found.iter().all(|by| by == who), "{operation}: {found:?}");
            }
        }
    }
    assert!(changing >= 12, "{changing}");
    story.server.stop();
}

#[test]
fn who_sent_the_signal_that_an_item_waited_for_is_among_the_events_of_its_run() {
    let story = Story::begin();
    let run = story.starts();
    // Before anybody waits, or while they do: it is the same.
    story.says(&["signal", "go", "--key", "A", "--id", "by-hand"]);
    let body = json!({ "signal": "go", "key": "B", "id": "by-token" });
    assert_eq!(story.does("POST", "/v1/signals", &body, &[])["known"], false);
    assert_eq!(story.server.until_ended(&run)["status"], "succeeded");
    let mut by = story.by_event(&run, "signalled");
    by.sort();
    assert_eq!(by, [PERSON, TOKEN]);
    // What comes again wakes nobody, and is nobody's deed.
    assert_eq!(story.does("POST", "/v1/signals", &body, &[])["known"], true);
    assert_eq!(story.by_event(&run, "signalled").len(), 2);
    let told = story.server.stop();
    assert_eq!(told.code, Some(0), "{told:?}");
    let kept: Vec<Value> =
        story.site.json(&["signal", "--list", "--json"]).remove(0).as_array().unwrap().clone();
    assert!(kept.iter().any(|signal| signal["by"] == PERSON), "{kept:?}");
    assert!(story.site.milepost(&["state", "verify"]).code == Some(0), "its rows are known");
}

#[test]
fn what_is_done_to_a_state_at_rest_is_recorded_too_and_only_what_was_done() {
    let mut site = Site::new();
    site.env.push(("USER", PERSON.to_owned()));
    assert_eq!(site.milepost(&["run", "workflows/hello.yaml"]).code, Some(0));
    assert_eq!(site.milepost(&["state", "gc", "--dry-run"]).code, Some(0));
    assert_eq!(site.milepost(&["state", "gc"]).code, Some(0));
    assert_eq!(site.milepost(&["state", "backup", "state/copy"]).code, Some(6), "among what it copies");
    assert_eq!(site.milepost(&["state", "backup", "copy"]).code, Some(0));
    let server = Server::start(&site, &["workflows/hello.yaml"]);
    let deeds = || server.read("/v1/deeds")["deeds"].clone();
    assert_eq!(
        (actors(&deeds(), "collected"), actors(&deeds(), "backed_up").len()),
        (vec![PERSON.into()], 1)
    );
    let nowhere = site.milepost(&["state", "backup", "no/such/folder/copy"]);
    assert_eq!(nowhere.code, Some(70), "{nowhere:?}");
    assert_eq!(actors(&deeds(), "backed_up"), [PERSON], "that one is not there");
    server.stop();
}
