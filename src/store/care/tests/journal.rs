//! The journal itself is damaged, deleted, cut: by somebody else, while it is open and between two
//! lives. Never a new beginning where something was, never an acknowledgement of what is not there.

use std::fs;
use std::path::Path;

use crate::core::change::Change;
use crate::ports::Journal;
use crate::store::tests::event;
use crate::store::{OpenError, Store};

use super::super::{Inspection, walk};
use super::{clock, filled, inspect, open, plan};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Bytes of one of sled's segments, as sled 0.34 sets them when nothing is said.
const SEGMENT: usize = 512 * 1024;

fn rows(inspection: &Inspection) -> Rows {
    let rows = walk::rows(&inspection.rows, b"").filter_map(Result::ok);
    rows.map(|raw| (raw.key.to_vec(), raw.row.to_vec())).collect()
}

/// What opening and checking a damaged directory come to.
enum Seen {
    Refused(String),
    Found,
    Sound(Rows),
}

fn seen(dir: &Path) -> Seen {
    match Inspection::open(dir, &*clock()) {
        Err(error) => Seen::Refused(error.to_string()),
        Ok(inspection) => {
            let verified = inspection.verify(&plan);
            if verified.sound { Seen::Sound(rows(&inspection)) } else { Seen::Found }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &to) } else { assert!(fs::copy(path, to).is_ok()) }
    }
}

/// A state whose journal has several of sled's segments, as a clean end or a kill leaves it.
async fn long_journal(place: &Path, is_killed: bool) -> Rows {
    let (dir, run, _) = filled().await;
    let store = open(dir.path());
    for number in 0..2_500u64 {
        let told = event(&format!("{number} {}", "x".repeat(200)));
        store.commit(vec![Change::Event(run, told)]).await.unwrap();
    }
    if is_killed {
        copy(dir.path(), place);
    }
    drop(store);
    if !is_killed {
        copy(dir.path(), place);
    }
    let _ = fs::remove_file(place.join("holder"));
    let again = place.with_extension("again");
    copy(place, &again);
    rows(&inspect(&again))
}

#[tokio::test]
async fn a_journal_that_was_cut_is_never_taken_for_an_older_one() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    for is_killed in [false, true] {
        let scratch = tempfile::tempdir().unwrap();
        let state = scratch.path().join("state");
        let before = long_journal(&state, is_killed).await;
        let db = fs::read(state.join("journal/db")).unwrap();
        assert!(db.len() > 4 * SEGMENT, "several segments: {}", db.len());
        let (mut behind, mut refused) = (0, 0);
        for number in 0..40u64 {
            let chance = usize::try_from(seed.wrapping_mul(2 * number + 1) >> 8).unwrap();
            // Only a cut in the last segment makes sled take the journal for an older one.
            let last = (db.len() - 1) / SEGMENT * SEGMENT;
            let from = if number % 2 == 0 { 0 } else { last };
            let at = from + chance % (db.len() - from);
            let place = scratch.path().join("cut");
            copy(&state, &place);
            fs::write(place.join("journal/db"), &db[..at]).unwrap();
            match seen(&place) {
                Seen::Refused(error) => {
                    let command = format!("milepost state restore BACKUP --state {}", place.display());
                    assert!(error.contains(&command), "{error}");
                    behind += u64::from(error.contains("has lost its end"));
                    refused += 1;
                }
                Seen::Found => {}
                Seen::Sound(there) => assert!(there == before, "cut at {at}: sound, with other rows"),
            }
            fs::remove_dir_all(place).unwrap();
        }
        println!("killed {is_killed}: {refused} of 40 refused, {behind} of them had lost their end");
        assert!(behind > 0, "no cut made sled forget the end");
    }
}

#[tokio::test]
async fn a_journal_that_is_gone_is_missed_and_none_is_begun() {
    let (dir, ..) = filled().await;
    let db = dir.path().join("journal/db");
    for (what, cause) in [("emptied", "its file is empty"), ("deleted", "it was deleted")] {
        if what == "emptied" {
            fs::write(&db, b"").unwrap();
        } else {
            fs::remove_file(&db).unwrap();
        }
        let Err(error) = Store::open(dir.path(), clock()) else { panic!("{what}, and opened") };
        assert!(matches!(error, OpenError::Lost { .. }) && error.to_string().contains(cause), "{error}");
    }
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    for _ in 0..2 {
        let Err(error) = Store::open(dir.path(), clock()) else { panic!("it was begun anew") };
        assert!(error.to_string().contains("milepost state restore BACKUP --state"), "{error}");
    }
    assert!(!dir.path().join("journal").exists());
    fs::remove_dir_all(dir.path().join("pins")).unwrap();
    let Err(error) = Store::open(dir.path(), clock()) else { panic!("what was acknowledged is forgotten") };
    assert!(matches!(error, OpenError::Behind { found: 0, acknowledged: 4, .. }), "{error}");
    fs::remove_file(dir.path().join("acknowledged")).unwrap();
    open(dir.path());
}

#[tokio::test]
async fn a_journal_that_is_cut_while_it_is_open_stops_the_store() {
    for length in [0, 1, 4_096, 20_000] {
        let (dir, run, _) = filled().await;
        let store = open(dir.path());
        let change = |number: u64| vec![Change::Event(run, event(&number.to_string()))];
        store.commit(change(1)).await.unwrap();
        let db = fs::File::options().write(true).open(dir.path().join("journal/db")).unwrap();
        db.set_len(length).unwrap();
        let error = store.commit(change(2)).await.unwrap_err().to_string();
        assert!(error.contains("cut"), "{length}: {error}");
        assert!(store.commit(change(3)).await.is_err() && store.run(run).is_err(), "{length}");
        drop(store);
        // sled writes once more while it is closed, so its file is there; what it lacks is noticed.
        match seen(dir.path()) {
            Seen::Refused(error) => assert!(error.contains("milepost state restore BACKUP"), "{error}"),
            Seen::Found => {}
            Seen::Sound(_) => panic!("cut to {length} and sound"),
        }
    }
}

#[tokio::test]
async fn a_journal_that_is_replaced_while_it_is_open_stops_the_store() {
    let (dir, run, _) = filled().await;
    let store = open(dir.path());
    let db = dir.path().join("journal/db");
    fs::copy(&db, dir.path().join("other")).unwrap();
    fs::rename(dir.path().join("other"), &db).unwrap();
    let error = store.commit(vec![Change::Watermark(run, 3)]).await.unwrap_err().to_string();
    assert!(error.contains("another file is in its place"), "{error}");
}
