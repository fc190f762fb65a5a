//! What is said about a connection to Step Functions on a machine that has none.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::site::Site;
use crate::tame;

const WORKFLOW: &str = "workflows/led.yaml";

/// A workflow whose profile adds who drives, with these fields.
fn site(fields: &str) -> Site {
    let mut site = Site::new();
    site.env.extend([
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIANOBODY".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "not-to-be-shown".to_owned()),
    ]);
    let text = format!(
        "workflow: led
profiles:
  led:
    states: {{ use: step_functions, {fields} }}
steps:
  say: {{ uses: alert, with: {{ message: hello }} }}
"
    );
    fs::write(site.path(WORKFLOW), text).unwrap();
    site
}

fn checked(fields: &str) -> String {
    let site = site(fields);
    let told = site.milepost(&["check", WORKFLOW, "--profile", "led"]);
    format!("exit {}\n{}", told.code.unwrap(), tame(&site, &told.stderr))
}

/// `[health, what]` of all that is found about the connection, and the exit code.
fn examined(site: &Site) -> (Option<i32>, Vec<[String; 2]>) {
    let told = site.milepost(&["doctor", "--json", WORKFLOW, "--profile", "led"]);
    let answer: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
    let states =
        answer["connections"].as_array().unwrap().iter().find(|it| it["connection"] == "states").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = states["found"].as_array().unwrap().iter().map(|it| [text(&it["health"]), text(&it["what"])]);
    (told.code, found.collect())
}

#[test]
fn a_profile_adds_who_drives_and_nobody_has_to_name_it() {
    assert_eq!(
        checked("role: \"${env:STATES_ROLE}\", heartbeat: 2m, patience: \"${env:PATIENCE}\""),
        "exit 0\n"
    );
    insta::assert_snapshot!(checked("role: r, heartbeat: 1s, patience: 2h"), @"
    exit 2
    error[E801]: connection 'states': 'heartbeat' must be from 3 to 86400 seconds
     --> workflows/led.yaml:4:56
      |
    4 |     states: { use: step_functions, role: r, heartbeat: 1s, patience: 2h }
      |                                                        ^^

    error[E801]: connection 'states': 'patience' must be from 0 to 3600 seconds
     --> workflows/led.yaml:4:70
      |
    4 |     states: { use: step_functions, role: r, heartbeat: 1s, patience: 2h }
      |                                                                      ^^

    workflows/led.yaml: 2 mistakes
    next: milepost check workflows/led.yaml --profile led
    ");
    // It stands in the place of nothing, and nothing else may.
    let site = site("role: r");
    let path = site.path(WORKFLOW);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("use: step_functions, role: r", "use: local")).unwrap();
    let told = site.milepost(&["check", WORKFLOW, "--profile", "led"]);
    assert!(told.stderr.contains("error[E302]: profile 'led' replaces 'states'"), "{told:?}");
}

#[test]
fn an_embedded_run_asks_nothing_of_it() {
    let site = site("role: \"${env:STATES_ROLE}\"");
    let told = site.milepost(&["run", WORKFLOW, "--profile", "led"]);
    assert_eq!(told.code, Some(0), "{told:?}");
}

#[test]
fn doctor_says_whether_step_functions_is_there_and_what_it_lacks() {
    // What only who lets it drive needs is no mistake.
    let (code, found) = examined(&site("role: \"${env:STATES_ROLE}\""));
    let unset = "environment variables that are not set: STATES_ROLE";
    assert_eq!((code, &found[..]), (Some(0), &[["cannot tell".to_owned(), unset.to_owned()]][..]));
    let (code, found) = examined(&site("role: admin"));
    let healths: Vec<&str> = found.iter().map(|[health, _]| health.as_str()).collect();
    assert_eq!((code, &healths[..]), (Some(1), &["ok", "wrong", "wrong"][..]), "{found:?}");
    assert_eq!(found[1][1], "'admin' is no ARN of a role");
    assert!(found[2][1].contains("failed to connect"), "{found:?}");
    let (_, found) = examined(&site("role: arn:aws:iam::123456789012:role/states"));
    assert_eq!(found[1], ["ok", "executions have the role arn:aws:iam::123456789012:role/states"]);
}

/// Whoever runs with the policy of the template can be driven.
#[test]
fn the_policy_in_the_template_allows_all_that_an_executor_asks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let template = fs::read_to_string(root.join("deploy/aws/template.yaml")).unwrap();
    let mut asked = Vec::new();
    for entry in fs::read_dir(root.join("src/connectors/aws/states")).unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path()) else { continue };
        let text: String = text.split_whitespace().collect();
        let calls = text.split(".ask(\"").skip(1).filter_map(|after| after.split('"').next());
        asked.extend(calls.map(str::to_owned));
    }
    assert_eq!(asked.len(), 12, "{asked:?}");
    for action in asked {
        assert!(template.contains(&format!("states:{action}\n")), "{action} is asked and not allowed");
    }
}
