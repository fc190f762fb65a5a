//! The control of the power cuts: the same harness over a store that leaves out the sync of its
//! file must find acknowledged records missing. If it does not, the harness proves nothing.

#![expect(clippy::print_stdout, reason = "figures are told")]

use std::path::Path;
use std::sync::Arc;

use crate::ports::Journal;
use crate::store::Store;

#[path = "../../../tests/store/disk.rs"]
#[expect(dead_code, reason = "the tests of full disks use the rest")]
mod disk;
#[path = "../../../tests/store/harness.rs"]
#[expect(dead_code, reason = "the tests across processes use the rest")]
mod harness;

use disk::Disk;
use harness::{Still, given, missing, run_of, write_and_cut, write_on};

/// The test that child processes execute.
const CHILD: &str = "store::tests::power::child";
const CUTS: u64 = 10;

/// Flushes as sled does, and leaves out our sync of its file.
fn open_without_sync(dir: &Path) -> Store {
    let opened = Store::open_with(dir, Arc::new(Still), |db, _| {
        let db = db.clone();
        Box::new(move || {
            db.flush()?;
            Ok(())
        })
    });
    opened.unwrap()
}

/// Runs only as the child.
#[test]
fn child() {
    if let Some((round, dir)) = given() {
        write_on(&open_without_sync(&dir), run_of(round.parse().unwrap()));
    }
}

#[test]
#[ignore = "needs root, a loop device, mkfs.ext4 and python3"]
fn without_the_sync_a_power_cut_loses_what_was_acknowledged() {
    let mut lossy = 0;
    for round in 0..CUTS {
        let disk = Disk::ext4("512M");
        let state = disk.path().join("state");
        drop(Store::open(&state, Arc::new(Still)).unwrap());
        let acknowledged = write_and_cut(CHILD, &disk, &state, round, 500);
        let lost = match Store::open(&state, Arc::new(Still)) {
            Ok(store) if store.runs().is_ok() => missing(&store, run_of(round), &acknowledged).len(),
            // It does not even open any more.
            Ok(_) | Err(_) => acknowledged.len(),
        };
        println!("cut {round} without the sync: {lost} of {} acknowledged items lost", acknowledged.len());
        lossy += u64::from(lost > 0);
    }
    assert!(lossy > 0, "the harness does not notice that the sync is missing");
}
