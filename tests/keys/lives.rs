//! Keys across the lives of an engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use milepost::core::cell::Facts;
use milepost::core::claims::{Claim, Claimed, End, Fence, Fingerprint, KeyId, Settled};
use milepost::core::version::Version;
use milepost::core::workflow::IdempotencyMode::{self, Latest, Once};
use milepost::ports::{Answered, Clock, Journal, Keys};
use milepost::store::Store;

use crate::runtime;
use crate::suite::ManualClock;

fn claim(mode: IdempotencyMode, key: &str, owner: u128, content: u128) -> Claim {
    Claim {
        id: KeyId::of("s", key),
        mode,
        fingerprint: Fingerprint(content),
        version: Version("1".to_owned()),
        owner,
        fence: Fence { epoch: 1, attempt: 1 },
        repeats_own: true,
        claim: Duration::from_mins(5),
        keep: Duration::from_hours(1),
    }
}

async fn ask(store: &Store, claim: Claim) -> Claimed {
    let mut answered = store.claim(&[claim]).await.unwrap();
    store.commit(answered.changes).await.unwrap();
    answered.verdicts.remove(0)
}

fn open(dir: &Path, clock: &Arc<ManualClock>) -> Store {
    Store::open(dir, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

#[test]
fn what_was_applied_is_known_in_the_next_life_and_claims_of_once_hold() {
    let (clock, dir) = (Arc::<ManualClock>::default(), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let store = open(dir.path(), &clock);
        for (mode, key) in [(Latest, "applied"), (Latest, "latest"), (Once, "once")] {
            assert_eq!(ask(&store, claim(mode, key, 1, 7)).await, Claimed::Granted);
        }
        let facts = Facts::from([("id".to_owned(), "prod_1".into())]);
        let end = End::Done { facts: Some(facts.clone()) };
        let answered = store.settle(&[(claim(Latest, "applied", 1, 7), end)]).await.unwrap();
        store.commit(answered.changes).await.unwrap();
        drop(store);

        let store = open(dir.path(), &clock);
        let told = ask(&store, claim(Latest, "applied", 2, 7)).await;
        assert_eq!(told, Claimed::AlreadyApplied { facts, own: false });
        // Its owner died with its engine; under `latest` the version decides.
        assert_eq!(ask(&store, claim(Latest, "latest", 2, 8)).await, Claimed::Granted);
        assert!(matches!(ask(&store, claim(Once, "once", 2, 7)).await, Claimed::Busy { .. }));
        assert_eq!(ask(&store, claim(Once, "once", 1, 7)).await, Claimed::Granted, "its owner is back");
        clock.sleep_until(clock.now().after(Duration::from_mins(6))).await;
        assert_eq!(ask(&store, claim(Once, "once", 2, 8)).await, Claimed::Granted, "or never comes");
    });
}

/// The first content of `k` is granted and settled as done; the row that says so is not committed yet.
async fn done(store: &Store) -> Answered<Settled> {
    assert_eq!(ask(store, claim(Latest, "k", 1, 7)).await, Claimed::Granted);
    let end = End::Done { facts: Some(Facts::new()) };
    store.settle(&[(claim(Latest, "k", 1, 7), end)]).await.unwrap()
}

#[test]
fn what_a_dead_engine_may_have_overwritten_is_applied_again() {
    let (clock, dir) = (Arc::<ManualClock>::default(), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let store = open(dir.path(), &clock);
        let answered = done(&store).await;
        store.commit(answered.changes).await.unwrap();
        assert_eq!(ask(&store, claim(Latest, "k", 2, 8)).await, Claimed::Granted);
        drop(store);

        let store = open(dir.path(), &clock);
        assert_eq!(ask(&store, claim(Latest, "k", 3, 7)).await, Claimed::Granted, "8 may be there");
    });
}

#[test]
fn a_key_is_not_free_while_the_commit_that_settles_it_is_under_way() {
    let (clock, dir) = (Arc::<ManualClock>::default(), tempfile::tempdir().unwrap());
    runtime().block_on(async {
        let store = open(dir.path(), &clock);
        let answered = done(&store).await;
        assert_eq!(answered.changes.len(), 1, "the row goes with the checkpoint");
        let told = ask(&store, claim(Latest, "k", 2, 7)).await;
        assert!(matches!(told, Claimed::AlreadyApplied { .. }), "{told:?}");
        store.commit(answered.changes).await.unwrap();
        let told = ask(&store, claim(Latest, "k", 2, 7)).await;
        assert!(matches!(told, Claimed::AlreadyApplied { .. }), "{told:?}");
    });
}
