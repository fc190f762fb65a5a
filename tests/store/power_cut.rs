//! Promise 1 against power cuts: what was acknowledged is on the disk, not only in its cache.

use milepost::ports::Journal;

use super::disk::Disk;
use super::harness::write_and_cut;
use super::{CHILD, check, open, run_of};

/// That this test would fail without the sync is shown by `store::tests::power` in the library.
///
/// `sudo -E cargo test --test store -- --ignored power_cut --nocapture`; more cuts with
/// `MILEPOST_CUTS=100`. The states of all cuts are of one directory, so each life also goes on
/// from what the cut before it left.
#[tokio::test]
#[ignore = "needs root, a loop device, mkfs.ext4 and python3"]
async fn what_was_acknowledged_survives_a_power_cut() {
    let cuts: u64 = std::env::var("MILEPOST_CUTS").map_or(20, |cuts| cuts.parse().unwrap());
    let disk = Disk::ext4("512M");
    let state = disk.path().join("not/there/yet");
    let mut rounds: Vec<(u64, Vec<u64>)> = Vec::new();
    for round in 0..cuts {
        // The first cut comes at once: then the names of the directories are at stake too.
        let lines = if round == 0 { 1 } else { rand::random_range(1..1_500) };
        let acknowledged = write_and_cut(CHILD, &disk, &state, round, lines);
        let store = open(&state).unwrap();
        check(&store, run_of(round), &acknowledged).await;
        let there = store.items(run_of(round), 0, usize::MAX).unwrap().len();
        println!("cut {round}: {} acknowledged, {there} there, none missing", acknowledged.len());
        rounds.push((round, acknowledged));
    }
    let store = open(&state).unwrap();
    for (round, acknowledged) in rounds {
        check(&store, run_of(round), &acknowledged).await;
    }
}
