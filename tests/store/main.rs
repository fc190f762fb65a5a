//! The store across processes, power cuts and disks that refuse: what a writer had acknowledged is
//! there, whole; a second process is told who holds the directory.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and figures are told"
)]

mod disk;
mod fixtures;
mod full;
mod harness;
mod power_cut;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use milepost::ports::Journal;
use milepost::store::{OpenError, Store};

use harness::{Still, WRITERS, check, commit_of, given, run_of, spawn, write_and_end, write_on};

const ROUNDS: u64 = 8;
/// The test that child processes execute.
const CHILD: &str = "child";

fn open(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, Arc::new(Still))
}

/// Runs only as the child: writes until it is killed, and says what was acknowledged.
#[test]
fn child() {
    let Some((task, dir)) = given() else { return };
    let store = open(&dir).unwrap();
    if task == "hold" {
        writeln!(std::io::stdout(), "\nheld").unwrap();
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    write_on(&store, run_of(task.parse().unwrap()));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let lines = rand::random_range(1..1_500);
        let acknowledged = write_and_end(CHILD, dir.path(), round, lines, |child| child.kill().unwrap());
        let store = open(dir.path()).unwrap();
        check(&store, run_of(round), &acknowledged).await;
        rounds.push((round, acknowledged));
    }
    let store = open(dir.path()).unwrap();
    for (round, acknowledged) in rounds {
        let items = store.items(run_of(round), 0, usize::MAX).unwrap();
        assert!(items.len() >= acknowledged.len(), "round {round} after the later ones");
    }
}

#[test]
fn another_process_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(CHILD, "hold", dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "held"));
    let Err(error) = open(dir.path()) else { panic!("two processes hold one directory") };
    let OpenError::Held { holder, .. } = &error else { panic!("{error}") };
    assert_eq!(holder.unwrap().pid, child.id());
    assert!(error.to_string().contains(&format!("(process {})", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    open(dir.path()).unwrap();
}
