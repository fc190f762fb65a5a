//! Care for the state with the real binary: a backup beside a running engine, what is told of a
//! damaged directory, what may go.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::site::copy;
use super::site::outside::Outside;
use super::site::relay::{Moment, Relay};
use super::{SAMPLE, Site, WORKFLOW, tame};

fn field<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, name| &value[*name])
}

#[test]
fn a_backup_taken_while_a_run_is_running_is_sound_and_its_run_is_resumed_to_the_end() {
    let outside = Outside::start();
    let relay = Relay::to(&outside.pim, &outside.shop);
    let site = Site::reaching(&relay.pim, &relay.shop);
    relay.stop_at(Moment::Asked, 100);
    let working = site.start(&["run", WORKFLOW]);
    let run = working.run.clone();
    relay.reached();
    let held = site.milepost(&["state", "verify"]);
    assert_eq!(held.code, Some(4), "{held:?}");
    assert!(held.stderr.contains("next: milepost state backup FILE"), "{held:?}");
    let told = site.json(&["state", "backup", "copy", "--json"]).remove(0);
    assert_eq!(told["runs"], 1);
    working.signal("KILL");
    working.wait();
    relay.go_on(true, false);

    let restored = site.milepost(&["state", "restore", "copy", "--state", "elsewhere"]);
    assert_eq!((restored.code, restored.stdout.trim()), (Some(0), "1 runs in elsewhere"), "{restored:?}");
    let open =
        format!("run {run} had not ended when the backup was taken: whatever it did after that is not");
    assert!(restored.stderr.contains(&open), "{restored:?}");
    let again = site.json(&["state", "restore", "copy", "--json", "--state", "again"]).remove(0);
    assert_eq!((&again["not_ended"][0], &again["runs"]), (&run.as_str().into(), &1.into()));
    let verified = site.json(&["state", "verify", "--json", "--state", "elsewhere"]).remove(0);
    assert_eq!((&verified["sound"], field(&verified, &["seen", "runs"])), (&true.into(), &1.into()));
    let resumed = site.milepost(&["resume", &run, "--state", "elsewhere"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let shown = site.json(&["show", &run, "--json", "--state", "elsewhere"]).remove(0);
    assert_eq!(*field(&shown, &["items", "succeeded"]), SAMPLE[1]);
    assert_eq!(site.milepost(&["state", "verify", "--state", "elsewhere"]).code, Some(0));
}

#[test]
fn what_is_damaged_is_named_and_the_way_back_too() {
    let site = Site::new();
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(0));
    for target in ["state/journal/db", "state/copy", "workflows/../state/copy", "state"] {
        let refused = site.milepost(&["state", "backup", target]);
        assert!(refused.code == Some(6) && refused.stderr.contains("error[E1106]"), "{target}: {refused:?}");
        assert!(refused.stderr.contains("next: milepost state backup FILE"), "{target}: {refused:?}");
    }
    assert!(!site.path("state/copy").exists());
    assert_eq!(site.milepost(&["state", "backup", "copy"]).code, Some(0));
    let sound = site.milepost(&["state", "verify"]);
    assert!(sound.code == Some(0) && sound.stdout.starts_with("sound: "), "{sound:?}");

    let shelf = fs::read_dir(site.path("state/pins")).unwrap().flatten();
    let shelf = shelf.map(|entry| entry.path()).find(|path| !path.ends_with("unfinished")).unwrap();
    let pin = fs::read_dir(&shelf).unwrap().next().unwrap().unwrap().path();
    let content = fs::read(&pin).unwrap();
    fs::remove_file(&pin).unwrap();
    let found = site.milepost(&["state", "verify"]);
    assert_eq!(found.code, Some(7), "{found:?}");
    assert!(found.stdout.contains("file_missing: ") && found.stdout.contains("damaged: "), "{found:?}");
    assert!(found.stderr.contains("next: milepost state restore BACKUP"), "{found:?}");
    let counts = site.milepost(&["state", "verify", "--json"]);
    assert!(counts.code == Some(7) && counts.stdout.contains("\"file_missing\": "), "{counts:?}");
    fs::write(&pin, content).unwrap();

    let db = site.path("state/journal/db");
    let length = fs::metadata(&db).unwrap().len();
    fs::File::options().write(true).open(&db).unwrap().set_len(length / 8).unwrap();
    let lost = site.milepost(&["list"]);
    assert_eq!(lost.code, Some(4), "{lost:?}");
    assert!(lost.stderr.contains("error[E1104]") && !lost.stderr.contains("panicked"), "{lost:?}");
    assert!(lost.stderr.contains("mv state state.damaged; milepost state restore BACKUP --state state"));
    let refused = site.milepost(&["state", "restore", "copy"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    insta::assert_snapshot!(tame(&site, &refused.stderr), @r"
    error[E1107]: state is not empty; nothing was written
      move it aside first: mv state state.aside
    next: milepost state restore BACKUP
    ");
    fs::rename(site.path("state"), site.path("state.damaged")).unwrap();
    assert_eq!(site.milepost(&["state", "restore", "copy"]).code, Some(0));
    assert_eq!(site.json(&["list", "--json"]).remove(0)[0]["status"], "succeeded");
}

#[test]
fn a_journal_that_is_deleted_between_two_commands_is_not_begun_anew() {
    let site = Site::new();
    assert_eq!(site.milepost(&["run", "workflows/hello.yaml"]).code, Some(0));
    fs::remove_dir_all(site.path("state/journal")).unwrap();
    for line in [&["run", "workflows/hello.yaml"][..], &["list"], &["state", "verify"], &["state", "gc"]] {
        let told = site.milepost(line);
        assert_eq!(told.code, Some(4), "{line:?}: {told:?}");
        assert!(told.stderr.contains("milepost state restore BACKUP --state state"), "{told:?}");
    }
    assert!(!site.path("state/journal").exists());
}

#[test]
fn what_may_go_is_said_first_and_its_dead_letters_stay() {
    let site = Site::new();
    site.edit("product-sync.yaml", &[("tolerate:", "resumable_for: 1ms\n\ntolerate:")]);
    assert_eq!(site.milepost(&["run", WORKFLOW]).code, Some(0));
    assert_eq!(site.milepost(&["run", "workflows/hello.yaml"]).code, Some(0));
    let said = site.json(&["state", "gc", "--dry-run", "--json"]).remove(0);
    let goes = said["runs"].as_array().unwrap().iter().map(|run| run["goes"].as_bool().unwrap());
    assert_eq!(goes.collect::<Vec<_>>(), [true, false], "{said:#}");
    assert_eq!(said["runs"][0]["dead_letters"], SAMPLE[2]);
    assert_eq!(site.json(&["list", "--json"]).remove(0).as_array().unwrap().len(), 2, "nothing went yet");

    let mut done = site.json(&["state", "gc", "--json"]).remove(0);
    assert_eq!(done["done"], true);
    done["done"] = false.into();
    assert_eq!(done, said, "it did what it had said");
    let left = site.json(&["list", "--json"]).remove(0);
    assert_eq!((left.as_array().unwrap().len(), &left[0]["workflow"]), (1, &"hello".into()));
    let room = site.json(&["state", "size", "--json"]).remove(0);
    let kinds = room["kinds"].as_array().unwrap();
    let kept = kinds.iter().find(|kind| kind["kind"] == "dead letters kept").unwrap();
    assert_eq!((&kept["rows"], &room["items"]), (&SAMPLE[2].into(), &0.into()));
    let verified = site.milepost(&["state", "verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(site.milepost(&["state", "size"]).stdout.contains("dead letters kept"));
}

/// The stored states of `tests/store/fixtures`: each must be planned and resumed for good.
#[test]
fn a_state_of_an_earlier_format_is_sound_and_its_killed_run_is_resumed() {
    // Runs of the first two formats did not know where their systems are; since then the stand-ins moved.
    let moved = &["--accept-connection=moved"][..];
    std::thread::scope(|scope| {
        for (format, terms) in [("format-1", &[][..]), ("format-2", &[]), ("format-3", moved)] {
            scope.spawn(move || is_sound_and_is_resumed(format, terms));
        }
    });
}

fn is_sound_and_is_resumed(format: &str, terms: &[&str]) {
    let outside = Outside::start();
    let site = Site::reaching(&outside.pim, &outside.shop);
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/fixtures").join(format);
    copy(&stored, &site.path("state"));
    let verified = site.milepost(&["state", "verify"]);
    assert_eq!(verified.code, Some(0), "{format}: {verified:?}");
    let plan = site.json(&[&["resume", "@latest", "--plan", "--json"], terms].concat()).remove(0);
    assert!(!plan["in_doubt"].as_array().unwrap().is_empty(), "{format}: {plan:#}");
    let resumed = site.milepost(&[&["resume", "@latest"], terms].concat());
    assert_eq!(resumed.code, Some(0), "{format}: {resumed:?}");
    let shown = site.json(&["show", "@latest", "--json"]).remove(0);
    assert_eq!(*field(&shown, &["items", "succeeded"]), 60, "{format}");
    assert_eq!(site.milepost(&["state", "verify"]).code, Some(0), "{format}");
}
