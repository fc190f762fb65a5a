//! What is wrong is said before anything is done, and says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Site, WORKFLOW, summary, talk, tame};

/// Runs the product workflow on this source, which must fail, and returns why. No product effect
/// may have happened.
fn refused(source: &str, prepare: impl FnOnce(&Site)) -> String {
    let site = Site::new();
    prepare(&site);
    let told = site.milepost(&["run", WORKFLOW, "--input", &format!("source={source}")]);
    assert_eq!(told.code, Some(1), "{told:?}");
    nothing_was_done(&site);
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(shown["error"]["name"], "ValidationError", "{shown}");
    tame(&site, shown["error"]["message"].as_str().unwrap())
}

/// No stand-in was called at all.
fn nothing_was_done(site: &Site) {
    for journal in ["state/sandbox/pim.jsonl", "state/sandbox/shop.jsonl"] {
        assert_eq!(fs::read_to_string(site.path(journal)).unwrap(), "", "{journal} tells of calls");
    }
}

#[test]
fn a_source_that_cannot_be_read_ends_the_run_before_any_effect() {
    let write = |bytes: &'static [u8]| move |site: &Site| fs::write(site.path("p.json"), bytes).unwrap();
    insta::assert_snapshot!(refused("p.json", write(b"")), @"step 'validate': the source SITE/p.json is empty: expected a JSON array, NDJSON or CSV");
    insta::assert_snapshot!(refused("p.json", write(b"[{\"product_id\": \"1\"},\n{\"product_id\": \"2")), @"step 'validate': record 1 (line 2, byte 22): the file ends inside this record: it is cut off");
    insta::assert_snapshot!(refused("p.json", write(b"\xff\xfe[\0{\0}\0]\0")), @"step 'validate': the source SITE/p.json is in UTF-16 or UTF-32: expected UTF-8");
    insta::assert_snapshot!(refused("nowhere.json", |_| ()), @"step 'validate': failed to open the source SITE/nowhere.json: there is no such file");
    insta::assert_snapshot!(refused("p.json", |site| fs::create_dir(site.path("p.json")).unwrap()), @"step 'validate': the source SITE/p.json is a directory: expected a file");
}

#[test]
fn a_source_that_may_not_be_read_is_said_to_be_so() {
    let forbid = |site: &Site| {
        fs::write(site.path("p.json"), "[]").unwrap();
        fs::set_permissions(site.path("p.json"), fs::Permissions::from_mode(0o000)).unwrap();
    };
    let site = Site::new();
    forbid(&site);
    if fs::read(site.path("p.json")).is_ok() {
        println!("skipped: root may read everything");
        return;
    }
    insta::assert_snapshot!(refused("p.json", forbid), @"step 'validate': failed to open the source SITE/p.json: reading it is not permitted");
}

/// `on_invalid: fail`: one bad record ends the run; whoever listens on the bus is told, and a
/// person too.
#[test]
fn one_invalid_record_ends_the_run_when_the_file_says_so() {
    let site = Site::new();
    site.edit("product-sync.yaml", &[("on_invalid: dead_letter", "on_invalid: fail")]);
    let told = site.milepost(&["run", WORKFLOW]);
    assert_eq!(told.code, Some(1), "{told:?}");
    nothing_was_done(&site);
    insta::assert_snapshot!(summary(&site, &told), @r#"
RUN
RUN  product-sync  failed
  file     SITE/workflows/product-sync.yaml
  time     started TIME, took TIME
  error    ValidationError: step 'validate': 3 of 200 records are invalid: record 33 (line 35, byte 94513): /final_price: -3 is less than the minimum of 0; record 99 (line 101, byte 280476): /product_name: null is not of type "string"; record 165 (line 167, byte 472911): /currency: "US Dollar" does not match "^[A-Z]{3}$"

validate: ValidationError: 3 of 200 records are invalid: record 33 (line 35, byte 94513): /final_price: -3 is less than the minimum of 0; record 99 (line 101, byte 280476…
"#);
    insta::assert_snapshot!(talk(&site, &told), @r#"
alert: RUN needs attention


next: milepost resume RUN --plan
"#);
    let events = site.json(&["events", "@latest", "--json"]);
    let told: Vec<String> = events
        .iter()
        .map(|event| {
            let words =
                ["kind", "step", "status", "message"].map(|field| event[field].as_str().unwrap_or("-"));
            tame(&site, &words.join(" "))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
started - - -
setback validate dead_lettered -
closing - - -
alert - - RUN needs attention
closed - failed -
"#);
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    let closing: Vec<String> = shown["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["track"] == "on_failure")
        .map(|step| format!("{} {} accepted {}", step["step"], step["status"], step["accepted"]))
        .collect();
    insta::assert_snapshot!(closing.join("\n"), @r#"
"on_failure[0]" "succeeded" accepted 1
"on_failure[1]" "succeeded" accepted 1
"#);
}

/// The exit code and what was said.
fn answer(site: &Site, line: &[&str]) -> String {
    let told = site.milepost(line);
    format!("exit {}\n{}", told.code.unwrap(), tame(site, &told.stderr))
}

#[test]
fn every_variable_that_a_profile_lacks_is_named_at_once() {
    let site = Site::new();
    insta::assert_snapshot!(answer(&site, &["run", WORKFLOW, "--profile", "production"]), @r#"
    exit 2
    error[E801]: connection 'pim': the environment variable PIMCORE_URL is not set
      --> workflows/product-sync.yaml:23:12
       |
    23 |       url: "${env:PIMCORE_URL}"
       |            ^^^^^^^^^^^^^^^^^^^^
       |
       = help: export PIMCORE_URL=… and start again

    error[E801]: connection 'pim': the environment variable PIMCORE_API_KEY is not set
      --> workflows/product-sync.yaml:25:16
       |
    25 |       api_key: "${env:PIMCORE_API_KEY}"
       |                ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: export PIMCORE_API_KEY=… and start again

    error[E801]: connection 'shop': the environment variable MEDUSA_URL is not set
      --> workflows/product-sync.yaml:29:12
       |
    29 |       url: "${env:MEDUSA_URL}"
       |            ^^^^^^^^^^^^^^^^^^^
       |
       = help: export MEDUSA_URL=… and start again

    error[E801]: connection 'shop': the environment variable MEDUSA_EMAIL is not set
      --> workflows/product-sync.yaml:30:14
       |
    30 |       email: "${env:MEDUSA_EMAIL}"
       |              ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: export MEDUSA_EMAIL=… and start again

    error[E801]: connection 'shop': the environment variable MEDUSA_PASSWORD is not set
      --> workflows/product-sync.yaml:31:17
       |
    31 |       password: "${env:MEDUSA_PASSWORD}"
       |                 ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: export MEDUSA_PASSWORD=… and start again

    workflows/product-sync.yaml: 5 mistakes
    next: milepost check workflows/product-sync.yaml --profile production
    "#);
    assert!(!site.path("state/sandbox").exists(), "something was started");
}

#[test]
fn what_is_wrong_with_the_command_is_said_and_nothing_is_started() {
    let site = Site::new();
    let told = |line: &[&str]| answer(&site, line);
    insta::assert_snapshot!(told(&["run", WORKFLOW, "--input", "sorce=x.json"]), @r#"
exit 2
error[E1021]: the workflow has no input 'sorce': it takes source
next: milepost run --help
"#);
    insta::assert_snapshot!(told(&["run", WORKFLOW, "--profile", "prodction"]), @r#"
exit 2
error[E307]: there is no profile 'prodction'
  --> workflows/product-sync.yaml:20:3
   |
20 |   production:
   |   ^^^^^^^^^^^
   |
   = help: did you mean 'production'?

workflows/product-sync.yaml: 1 mistake
next: milepost check workflows/product-sync.yaml --profile production
"#);
    insta::assert_snapshot!(told(&["run", "workflows/nowhere.yaml"]), @r#"
exit 2
error[E1021]: workflows/nowhere.yaml cannot be read: no such file
next: milepost run --help
"#);
    insta::assert_snapshot!(told(&["list"]), @r#"
exit 0
no runs
next: milepost run FILE
"#);
    insta::assert_snapshot!(told(&["show", "@latest"]), @r#"
exit 5
error[E1003]: there are no runs in this state directory
next: milepost list
"#);
}

#[test]
fn a_run_that_is_not_there_or_not_to_be_resumed_is_said_with_what_to_type() {
    let site = Site::new();
    let told = |line: &[&str]| answer(&site, line);
    assert_eq!(site.milepost(&["run", "workflows/hello.yaml"]).code, Some(0));
    insta::assert_snapshot!(told(&["show", "run_0000"]), @r#"
exit 5
error[E1001]: no run is called 'run_0000', and none begins with it
  RUN hello succeeded
next: milepost list
"#);
    insta::assert_snapshot!(told(&["resume", "nonsense"]), @r#"
exit 5
error[E1001]: no run is called 'nonsense', and none begins with it
  RUN hello succeeded
next: milepost list
"#);
    insta::assert_snapshot!(told(&["resume", "@failed"]), @r#"
exit 5
error[E1003]: no run is failed or interrupted
next: milepost list
"#);
    insta::assert_snapshot!(told(&["resume", "@latest"]), @r#"
exit 6
error[E1022]: RUN succeeded: there is nothing to resume
next: milepost list
"#);
    insta::assert_snapshot!(told(&["items", "@latest", "--item", "SKU-1"]), @r#"
exit 5
error[E1011]: no item of RUN has the key 'SKU-1'
next: milepost items RUN
"#);
}
