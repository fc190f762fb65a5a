//! Whoever commits alone writes itself; nothing that was brought before is overtaken, and a store that failed
//! stays failed for everybody.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};

use crate::core::change::Change;
use crate::ports::{Journal, StoreError};
use crate::store::Store;
use crate::store::error::Error;

use super::{HandClock, RUN, on_disk};

fn calm() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

#[test]
fn a_commit_that_was_given_up_does_not_come_after_a_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _clock) = on_disk(dir.path());
    let calm = calm();
    for number in 0..300 {
        // Outside of a runtime it goes to the store's thread; nobody waits for the answer.
        let given_up = store.commit(vec![Change::Watermark(RUN, 2 * number)]);
        assert!(given_up.now_or_never().is_none_or(|answer| answer.is_ok()));
        calm.block_on(store.commit(vec![Change::Watermark(RUN, 2 * number + 1)])).unwrap();
        assert_eq!(store.watermark(RUN).unwrap(), 2 * number + 1);
    }
}

#[test]
fn a_sync_that_fails_stops_the_store_for_whoever_comes_next() {
    let dir = tempfile::tempdir().unwrap();
    let lost = || Err(Error::io("sync")(std::io::Error::other("the disk is gone")));
    let store = Store::open_with(dir.path(), Arc::new(HandClock::default()), |_, _| Box::new(lost)).unwrap();
    let calm = calm();
    let commit = || store.commit(vec![Change::Watermark(RUN, 1)]);
    let StoreError(first) = calm.block_on(commit()).unwrap_err();
    assert!(first.contains("the disk is gone"), "{first}");
    let StoreError(next) = calm.block_on(commit()).unwrap_err();
    assert_eq!(first, next, "whoever writes itself");
    let one_thread = Builder::new_current_thread().build().unwrap();
    let StoreError(next) = one_thread.block_on(commit()).unwrap_err();
    assert_eq!(first, next, "whoever asks the store's thread");
}
