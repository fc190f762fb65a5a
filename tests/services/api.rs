//! The API against its own document: Schemathesis makes requests of every operation, fit and unfit, and holds each
//! answer against what the document says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::served::Served;
use crate::site::Site;

/// What is not asked, each with its reason: both never end by themselves. `tests/it/serve` reads them.
const NOT_ASKED: &[&str] = &["/v1/live", "/v1/runs/{run}/live"];
/// Requests of each kind for each operation.
const EXAMPLES: &str = "15";

const FAILS: &str = "workflow: fails
steps:
  stop: { uses: fail, with: { message: not yet } }
";
const WAITS: &str = "workflow: waits
steps:
  wait: { uses: delay, with: { for: 1h } }
";

/// A server whose state holds a run with items, one that failed, and one that a person paused.
struct Stage {
    site: Site,
    served: Served,
    succeeded: String,
    failed: String,
    paused: String,
}

impl Stage {
    fn new() -> Self {
        let site = Site::new();
        fs::write(site.path("workflows/fails.yaml"), FAILS).unwrap();
        fs::write(site.path("workflows/waits.yaml"), WAITS).unwrap();
        let files = ["product-sync", "fails", "waits", "hello"].map(|name| format!("workflows/{name}.yaml"));
        let served = Served::start(&site, &files.each_ref().map(String::as_str));
        let [succeeded, failed] = ["product-sync", "fails"].map(|workflow| {
            let run = served.run(workflow, &[]);
            served.ended(&run);
            run
        });
        let paused = served.run("waits", &[]);
        let stage = Self { site, served, succeeded, failed, paused };
        stage.served.until(&stage.paused, &["waiting", "running"]);
        stage.served.ask(
            "POST",
            &format!("/v1/runs/{}/actions", stage.paused),
            Some(&json!({ "action": "pause" })),
        );
        stage.served.until(&stage.paused, &["paused"]);
        stage
    }

    /// Asks every operation; `names` are said in place of what varies in paths.
    fn examine(&self, names: &[(&str, &str)]) -> String {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/api/hooks.py");
        let said = names.iter().map(|(name, value)| format!("\"path.{name}\" = {value:?}\n"));
        let settings = format!("[parameters]\n{}", said.collect::<String>());
        fs::write(self.site.path("schemathesis.toml"), settings).unwrap();
        let seed = std::env::var("SEED").unwrap_or_else(|_| "1".to_owned());
        println!("SEED={seed}, with {names:?}");
        let python =
            std::env::var("MILEPOST_TEST_API_PYTHON").expect("tests/services/run api says where it is");
        let mut command = Command::new(Path::new(&python).with_file_name("schemathesis"));
        command.current_dir(self.site.path(".")).env("SCHEMATHESIS_HOOKS", hooks).env("PYTHONUTF8", "1");
        command
            .args(["--config-file", "schemathesis.toml", "run"])
            .arg(format!("{}/openapi.json", self.served.url));
        command.arg("-H").arg(format!("Authorization: Bearer {}", self.served.token));
        command.args(["--checks", "all", "--continue-on-failure", "--no-color", "--max-examples", EXAMPLES]);
        command.args(["--seed", &seed, "--request-timeout", "20", "--generation-database", "none"]);
        for path in NOT_ASKED {
            command.args(["--exclude-path", path]);
        }
        if !names.is_empty() {
            command.args(["--include-path-regex", r"\{run\}"]);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{errors}");
        let ready = self.served.ask("GET", "/readyz", None);
        assert_eq!(ready["status"], "ready", "{said}");
        println!("{}", said.lines().filter(|line| line.contains("generated")).collect::<String>());
        said
    }
}

/// What Schemathesis takes for granted: it has read that.
const DOCUMENT: &str = "/openapi.json";

/// How many operations of the document can be asked.
fn operations(document: &Value) -> usize {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().filter(|(path, _)| *path != DOCUMENT).map(|(_, path)| path.as_object().unwrap().len()).sum()
}

#[test]
#[ignore = "needs Schemathesis"]
fn api_every_operation_answers_as_its_document_says() {
    let stage = Stage::new();
    let all = operations(&stage.served.ask("GET", DOCUMENT, None));
    let said = stage.examine(&[]);
    let line = format!("Operations:       {} selected / {all} total", all - NOT_ASKED.len());
    assert!(said.contains(&line), "nothing is left out silently: {line}: {said}");
    // Then the names of what is there, so that more than their absence is answered.
    for (run, item) in [(&stage.succeeded, "31000009"), (&stage.failed, "none"), (&stage.paused, "none")] {
        stage.examine(&[("run", run), ("item", item)]);
    }
}
