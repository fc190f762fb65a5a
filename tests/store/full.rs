//! Disks that refuse: full, read-only. The error says so, nothing is acknowledged that is not
//! there, and the state opens again once the cause is gone.

use milepost::ports::Journal;
use milepost::store::OpenError;

use super::disk::{Disk, cut_power};
use super::{check, commit_of, open, run_of};

/// `sudo -E cargo test --test store -- --ignored full`
#[tokio::test]
#[ignore = "needs root to mount a small file system"]
async fn a_full_disk_stops_the_store_and_loses_nothing() {
    let disk = Disk::tmpfs("12m");
    let state = disk.path().join("state");
    let mut acknowledged = Vec::new();
    {
        let store = open(&state).unwrap();
        let error = loop {
            let number = acknowledged.len() as u64;
            match store.commit(commit_of(run_of(1), 0, number)).await {
                Ok(()) => acknowledged.push(number * super::WRITERS),
                Err(error) => break error.to_string(),
            }
        };
        println!("after {} commits: {error}", acknowledged.len());
        assert!(error.contains("No space left on device"), "{error}");
        let again = store.commit(commit_of(run_of(1), 0, 0)).await.unwrap_err().to_string();
        assert!(again.contains("takes nothing more") && again.contains("No space left"), "{again}");
    }
    match open(&state).map(drop) {
        Ok(()) => println!("it opens while the disk is full"),
        Err(error @ OpenError::Failed { .. }) => println!("while the disk is full: {error}"),
        Err(error) => panic!("it is not damaged: {error}"),
    }
    disk.remount("size=64m");
    let store = open(&state).unwrap();
    check(&store, run_of(1), &acknowledged).await;
    store.commit(commit_of(run_of(1), 1, 0)).await.unwrap();
}

#[tokio::test]
#[ignore = "needs root to mount a small file system"]
async fn a_read_only_directory_is_refused_and_left_as_it_is() {
    let disk = Disk::tmpfs("64m");
    let state = disk.path().join("state");
    open(&state).unwrap().commit(commit_of(run_of(1), 0, 0)).await.unwrap();
    disk.remount("ro");
    for dir in [&state, &disk.path().join("another")] {
        let Err(error) = open(dir) else { panic!("it opened") };
        println!("{error}");
        assert!(matches!(error, OpenError::Failed { .. }), "{error}");
        assert!(error.to_string().contains("Read-only file system"), "{error}");
    }
    disk.remount("rw");
    check(&open(&state).unwrap(), run_of(1), &[0]).await;
}

/// A disk that dies under the store: the journal cannot even be closed properly.
#[tokio::test]
#[ignore = "needs root, a loop device, mkfs.ext4 and python3"]
async fn a_dead_disk_ends_in_an_error_and_not_in_a_panic() {
    let disk = Disk::ext4("64M");
    let state = disk.path().join("state");
    let store = open(&state).unwrap();
    store.commit(commit_of(run_of(1), 0, 0)).await.unwrap();
    cut_power(&disk.path());
    let error = store.commit(commit_of(run_of(1), 0, 1)).await.unwrap_err().to_string();
    assert!(error.contains("Input/output error (os error 5)"), "{error}");
    drop(store);
    disk.unmount();
    disk.mount();
    check(&open(&state).unwrap(), run_of(1), &[0]).await;
}
