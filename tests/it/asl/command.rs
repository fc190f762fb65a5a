//! `milepost compile`, as it is typed.

use std::fmt::Write as _;

use std::fs;

use serde_json::Value;

use crate::site::Site;

/// Compiles a shipped workflow.
fn definition(site: &Site, name: &str) -> Value {
    let file = format!("workflows/{name}.yaml");
    site.json(&["compile", &file, "--target", "asl"]).remove(0)
}

/// A definition as its states in order, one a line: who goes where, and what is waited for how often.
fn outline(program: &Value, indent: &str, lines: &mut Vec<String>) {
    for (name, state) in program["States"].as_object().unwrap() {
        let text = |key: &str| state[key].as_str().unwrap_or_default().to_owned();
        let mut line = format!("{indent}{name}: {}", text("Type"));
        if let Some(arguments) = state.get("Arguments") {
            write!(line, " do {}", arguments["do"].as_str().unwrap()).unwrap();
        }
        for retrier in state["Retry"].as_array().into_iter().flatten() {
            write!(line, ", {} x{}", retrier["ErrorEquals"][0].as_str().unwrap(), retrier["MaxAttempts"])
                .unwrap();
        }
        for choice in state["Choices"].as_array().into_iter().flatten() {
            write!(
                line,
                ", {} -> {}",
                choice["Condition"].as_str().unwrap(),
                choice["Next"].as_str().unwrap()
            )
            .unwrap();
        }
        for catcher in state["Catch"].as_array().into_iter().flatten() {
            write!(line, ", caught -> {}", catcher["Next"].as_str().unwrap()).unwrap();
        }
        let next = text("Next") + &text("Default");
        if !next.is_empty() {
            write!(line, " -> {next}").unwrap();
        }
        lines.push(line);
        for branch in state["Branches"].as_array().into_iter().flatten() {
            outline(branch, &format!("{indent}  | "), lines);
        }
    }
}

fn outlined(site: &Site, name: &str) -> String {
    let mut lines = Vec::new();
    outline(&definition(site, name), "", &mut lines);
    lines.join("\n")
}

#[test]
fn every_shipped_workflow_compiles_or_says_in_which_line_it_does_not() {
    let site = Site::new();
    let mut refused = Vec::new();
    for entry in fs::read_dir(site.path("workflows")).unwrap().map(Result::unwrap) {
        let name = format!("workflows/{}", entry.file_name().to_string_lossy());
        if entry.path().extension().is_none_or(|kind| kind != "yaml") {
            continue;
        }
        let told = site.milepost(&["compile", &name, "--target", "asl"]);
        match told.code {
            Some(0) => {
                let definition: Value = serde_json::from_str(&told.stdout).unwrap();
                assert_eq!(definition["QueryLanguage"], "JSONata");
                assert_eq!(told.stderr, "", "stdout is data, and there is nothing to say");
            }
            code => {
                assert_eq!((code, told.stdout.as_str()), (Some(2), ""), "{told:?}");
                refused.push(told.stderr);
            }
        }
    }
    insta::assert_snapshot!("refused", refused.join("\n"));
}

#[test]
fn the_shipped_workflows_as_machines() {
    let site = Site::new();
    insta::assert_snapshot!("hello", outlined(&site, "hello"));
    insta::assert_snapshot!("fan-out", outlined(&site, "fan-out"));
    insta::assert_snapshot!("product-ingest", outlined(&site, "product-ingest"));
    insta::assert_snapshot!("product-sync", outlined(&site, "product-sync"));
}

#[test]
fn a_definition_in_full() {
    let site = Site::new();
    let definition = definition(&site, "hello");
    insta::assert_snapshot!("hello_in_full", serde_json::to_string_pretty(&definition).unwrap());
}

#[test]
fn what_stays_with_the_engine_is_told_with_its_line() {
    let site = Site::new();
    let told = site.milepost(&["compile", "workflows/fan-out.yaml", "--target", "asl", "--explain"]);
    insta::assert_snapshot!("explained", told.stdout);
    let document =
        site.json(&["compile", "workflows/fan-out.yaml", "--target", "asl", "--explain", "--json"]).remove(0);
    let notes = document["notes"].as_array().unwrap();
    let kept = notes.iter().find(|note| note["kind"] == "condition_kept").unwrap();
    let file = fs::read_to_string(site.path("workflows/fan-out.yaml")).unwrap();
    let line =
        file.lines().position(|line| line.contains("when:") && line.contains("item.country")).unwrap() + 1;
    assert_eq!((&kept["line"], &kept["step"]), (&line.into(), &"customs".into()));
    assert_eq!(document["forecast"]["fits"], true);
}

#[test]
fn what_aws_lacks_is_named_where_it_stands() {
    let site = Site::new();
    let yaml = r#"workflow: odd
input:
  name: { type: text, default: ada }
steps:
  one:
    uses: http.request
    when: ${{ (input.name ?? "x") = "ada" }}
    with: { url: "${{ 'http://127.0.0.1:9/' & (input.name ?: 'none') }}" }
  two:
    needs: [one]
    uses: nothing
    when: ${{ steps.one.status < 300 }}
  three:
    uses: nothing
  four:
    needs: [one, three]
    uses: nothing
    when: ${{ $now() != "" }}
"#;
    fs::write(site.path("odd.yaml"), yaml).unwrap();
    let told = site.milepost(&["compile", "odd.yaml", "--target", "asl", "--explain"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let lines: Vec<&str> =
        told.stdout.lines().filter(|line| line.trim_start().starts_with("odd.yaml")).collect();
    insta::assert_snapshot!("odd", lines.join("\n"));
}
