//! Command lines against a running engine that is a fake archive behind a real socket.

mod engine;
mod ledger;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::*;
use crate::server::{self, Anonymous, Service, Serving};
use crate::view::{Archive, fake};
use engine::FakeEngine;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Closed;

impl io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A state directory with an engine at work.
struct Site {
    directory: TempDir,
    _serving: Serving,
}

impl Site {
    fn new(live: bool) -> Self {
        Self::showing(fake::archive(live))
    }

    fn showing(archive: Archive) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let service = Service { archive, operator: Arc::new(FakeEngine), anonymous: Anonymous::Nothing };
        let serving = server::listen(&Options::new(directory.path()), service).unwrap();
        Self { directory, _serving: serving }
    }

    /// The exit code, what went to stdout and what to stderr, with the directory written `DIR`.
    async fn milepost(&self, arguments: &str) -> (u8, String, String) {
        let state = self.directory.path().display().to_string();
        let line = ["milepost", "--state", &state].into_iter().chain(arguments.split_whitespace());
        let cli = Cli::read(line).unwrap();
        let (out, err) = (Written::default(), Written::default());
        let mut output = Output::plain(out.clone(), err.clone());
        let exit = execute(cli, &mut output).await;
        (exit.code(), out.text().replace(&state, "DIR"), err.text().replace(&state, "DIR"))
    }

    /// All of it as one text.
    async fn said(&self, arguments: &str) -> String {
        let (exit, out, err) = self.milepost(arguments).await;
        format!("exit {exit}\n--- stdout\n{out}--- stderr\n{err}")
    }
}

#[tokio::test]
async fn list_says_how_each_run_went() {
    let site = Site::new(true);
    insta::assert_snapshot!(site.said("list").await, @r"
exit 0
--- stdout
run                             workflow      status   started               took   items
run_00000200000000000000000000  product-sync  running  2026-03-01 10:00:00Z  -      2 succeeded, 1 pending, 1 running, 2 dead_lettered
run_00000100000000000000000000  product-sync  failed   2026-03-01 10:00:00Z  3.2 s  2 succeeded, 1 pending, 1 running, 2 dead_lettered
--- stderr
");
    let (exit, out, _) = site.milepost("list --json --status failed").await;
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, list[0]["status"].as_str(), list.as_array().unwrap().len()), (0, Some("failed"), 1));
    insta::assert_snapshot!(site.said("list --limit 1").await, @r"
exit 0
--- stdout
run                             workflow      status   started               took  items
run_00000200000000000000000000  product-sync  running  2026-03-01 10:00:00Z  -     2 succeeded, 1 pending, 1 running, 2 dead_lettered
--- stderr
1 more; add --limit 2
");
    insta::assert_snapshot!(site.said("list --workflow other").await, @r"
exit 0
--- stdout
--- stderr
no runs
next: milepost run FILE --state DIR
");
}

#[tokio::test]
async fn show_tells_the_steps_the_causes_and_the_next_command() {
    insta::assert_snapshot!(Site::new(true).said("show @failed").await, @r#"
exit 0
--- stdout
run_00000100000000000000000000  product-sync  failed
  file     workflows/product-sync.yaml
  source   product-sync/sample.json
  time     started 2026-03-01 10:00:00Z, took 3.2 s
  items    6: 2 succeeded, 1 pending, 1 running, 2 dead_lettered
  error    ToleranceExceeded: 2 of 6 items are dead letters, 0 are tolerated

step           status   pending  running  succeeded  dead_lettered  attempts  calls  accepted  refused
validate       pending        1        -          4              1         -      -         -        -
publish        running        2        1          3              -         3      1         3        -
pim            pending        3        -          2              1         6      -         -        -
on_failure[0]  pending        -        -          -              -         -      -         -        -

dead letters
items  step      first  error
    1  pim       K2     Refused: /price: must be at most 99999 but is 120000
    1  validate  #4     InvalidRecord: /title: is missing
--- stderr

next: milepost resume run_00000100000000000000000000 --plan --state DIR
      milepost dead-letters list --run run_00000100000000000000000000 --state DIR
"#);
    insta::assert_snapshot!(Site::new(false).said("show @latest").await, @r#"
exit 0
--- stdout
run_00000200000000000000000000  product-sync  interrupted
  file     workflows/product-sync.yaml
  source   product-sync/sample.json
  time     started 2026-03-01 10:00:00Z
  items    6: 2 succeeded, 1 pending, 1 in_doubt, 2 dead_lettered

step      status    pending  in_doubt  succeeded  dead_lettered  attempts  calls  accepted  refused
validate  pending         1         -          4              1         -      -         -        -
publish   in_doubt        2         1          3              -         3      1         3        -
pim       pending         3         -          2              1         6      -         -        -

dead letters
items  step      first  error
    1  pim       K2     Refused: /price: must be at most 99999 but is 120000
    1  validate  #4     InvalidRecord: /title: is missing

in doubt
items  step     first  error
    1  publish  K3     EngineDied: the engine stopped between the call and its answer
--- stderr

next: milepost resume run_00000200000000000000000000 --plan --state DIR
      milepost effects run_00000200000000000000000000 --in-doubt --state DIR
      milepost dead-letters list --run run_00000200000000000000000000 --state DIR
"#);
}

#[tokio::test]
async fn show_json_has_the_promised_fields() {
    let (_, out, err) = Site::new(true).milepost("show @failed --json").await;
    let run: serde_json::Value = serde_json::from_str(&out).unwrap();
    for field in ["run", "workflow", "status", "started_at", "ended_at", "items", "steps"] {
        assert!(run.get(field).is_some(), "{field}");
    }
    for field in ["step", "status", "items", "attempts", "batches", "calls", "accepted", "refused"] {
        assert!(run["steps"][0].get(field).is_some(), "{field}");
    }
    assert_eq!(err, "");
}

#[tokio::test]
async fn items_are_listed_filtered_and_told() {
    let site = Site::new(true);
    insta::assert_snapshot!(site.said("items @latest").await, @r"
exit 0
--- stdout
item  status         step      attempts  why
K0    succeeded      pim              1
K1    succeeded      pim              2
K2    dead_lettered  pim              3  Refused: /price: must be at most 99999 but is 120000
K3    running        publish          -
#4    dead_lettered  validate         -  InvalidRecord: /title: is missing
K5    pending        validate         -
--- stderr
");
    insta::assert_snapshot!(site.said("items @latest --status dead_lettered --limit 1").await, @r"
exit 0
--- stdout
item  status         step  attempts  why
K2    dead_lettered  pim          3  Refused: /price: must be at most 99999 but is 120000
--- stderr
there are more; go on with --after 4, or ask with --limit
");
    insta::assert_snapshot!(site.said("items @latest --item K2").await, @r#"
exit 0
--- stdout
K2  position 2  dead_lettered at pim

step      status         attempts  when                  returned
validate  succeeded             -  2026-03-01 10:00:00Z
publish   succeeded             1  2026-03-01 10:00:00Z  event_id="e2"
pim       dead_lettered         3  2026-03-01 10:00:00Z

pim: Refused: /price: must be at most 99999 but is 120000
--- stderr
"#);
    insta::assert_snapshot!(site.said("items @latest --status in_doubt").await, @r"
exit 0
--- stdout
--- stderr
no such items
");
    let (_, out, _) = site.milepost("items @latest --json").await;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    for field in ["item", "status", "reason", "step", "attempts", "error", "facts"] {
        assert!(lines[0].get(field).is_some(), "{field}");
    }
}

#[tokio::test]
async fn events_are_told_in_order_and_following_ends_with_the_run() {
    let site = Site::new(false);
    insta::assert_snapshot!(site.said("events @failed --follow").await, @r"
exit 0
--- stdout
2026-03-01T10:00:00.000Z started
2026-03-01T10:00:00.000Z pinned      6 items from product-sync/sample.json  1 rejected
2026-03-01T10:00:00.000Z setback     pim  K2  dead_lettered  attempt 3  Refused: /price: must be at most 99999 but is 120000
--- stderr
");
    let (_, out, _) = site.milepost("events @latest --json --follow").await;
    assert_eq!(out.lines().count(), 3);
}

#[tokio::test]
async fn a_plan_is_shown_before_anything_is_done() {
    let site = Site::new(true);
    insta::assert_snapshot!(site.said("resume @failed --plan").await, @r"
exit 0
--- stdout
run_00000100000000000000000000  plan 4f1c2a
  0 of 6 items done; 1 effect is in doubt

step      what   items  why
publish   kept       3  done before
pim       kept       2  done before
pim       to do      1  never ran
validate  left       1  InvalidRecord: the record will not change

in doubt
item  step     effect     settled by
K3    publish  attempt 1  repeat
--- stderr

next: milepost resume run_00000100000000000000000000 --expect 4f1c2a --state DIR
");
    let (_, out, _) = site.milepost("resume @failed --plan --json").await;
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["in_doubt"][0]["item"], "K3");
}

#[tokio::test]
async fn a_wrong_reference_names_what_may_have_been_meant() {
    let site = Site::new(true);
    insta::assert_snapshot!(site.said("show run_zzz").await, @r"
exit 5
--- stdout
--- stderr
error[E1001]: no run is called 'run_zzz', and none begins with it
  run_00000200000000000000000000 product-sync running
  run_00000100000000000000000000 product-sync failed
next: milepost list --state DIR
");
    insta::assert_snapshot!(site.said("show run_0").await, @r"
exit 2
--- stdout
--- stderr
error[E1002]: 'run_0' is the beginning of 2 runs; give more of the ID
  run_00000200000000000000000000 product-sync running
  run_00000100000000000000000000 product-sync failed
next: milepost list --state DIR
");
    insta::assert_snapshot!(site.said("items @latest --step pin").await, @r"
exit 2
--- stdout
--- stderr
error[E1012]: no item step is called 'pin'
  validate
  publish
  pim
next: milepost show run_00000200000000000000000000 --state DIR
");
    insta::assert_snapshot!(site.said("items @latest --item K99").await, @r"
exit 5
--- stdout
--- stderr
error[E1011]: no item of run_00000200000000000000000000 has the key 'K99'
next: milepost items run_00000200000000000000000000 --state DIR
");
}

#[tokio::test]
async fn a_reader_that_went_away_is_no_failure() {
    let site = Site::new(true);
    let state = site.directory.path().display().to_string();
    let cli = Cli::read(["milepost", "--state", &state, "list"]).unwrap();
    assert_eq!(execute(cli, &mut Output::plain(Closed, Closed)).await, Exit::Success);
}

#[tokio::test]
async fn without_a_state_directory_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("none");
    let cli = |verb: &str| {
        let line = ["milepost", "--state", state.to_str().unwrap()];
        Cli::read(line.into_iter().chain(verb.split_whitespace())).unwrap()
    };
    let mut output = Output::plain(Written::default(), Written::default());
    assert_eq!(execute(cli("list"), &mut output).await, Exit::Success);
    assert_eq!(execute(cli("show @latest"), &mut output).await, Exit::NotFound);
    assert!(!state.exists());
}

#[test]
fn commands_that_we_name_work_where_they_are_read() {
    let context = Context::new(Path::new("/data/my state"), None);
    assert_eq!(context.command("milepost list"), "milepost list --state '/data/my state'");
    if std::env::var_os("MILEPOST_STATE").is_none() {
        assert_eq!(Context::new(Path::new("state"), None).command("milepost list"), "milepost list");
    }
}
