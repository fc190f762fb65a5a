//! Idempotency keys outlive every run, and go when their own time is over.

use std::time::Duration;

use crate::core::cell::Facts;
use crate::core::change::Change;
use crate::core::claims::{Applied, Fence, Fingerprint, Held, KeyId, KeyRow};
use crate::core::time::Timestamp;
use crate::core::version::Version;
use crate::ports::Journal;
use crate::store::tests::START;

use super::{filled, inspect, open, plan};

const NOW: Timestamp = Timestamp(START);
const FENCE: Fence = Fence { epoch: 1, attempt: 1 };

fn applied(at: u64, keep: Duration) -> Applied {
    let (fingerprint, version) = (Fingerprint(1), Version("1".to_owned()));
    let (at, facts, overwritten) = (Timestamp(at), Facts::new(), false);
    Applied { owner: 1, fence: FENCE, fingerprint, version, at, keep, facts, overwritten }
}

fn held(until: u64) -> Held {
    Held { owner: 1, fence: FENCE, fingerprint: Fingerprint(1), until: Timestamp(until) }
}

#[tokio::test]
async fn a_key_stays_until_its_time_is_over_whatever_becomes_of_runs() {
    let (dir, ..) = filled().await;
    let hour = Duration::from_hours(1);
    let rows = [
        (
            1,
            KeyRow { held: None, applied: Some(applied(START - 3_600_000, hour)) },
            "over to the millisecond",
        ),
        (2, KeyRow { held: None, applied: Some(applied(START - 3_599_999, hour)) }, "a millisecond is left"),
        (3, KeyRow { held: Some(held(START + 1)), applied: None }, "somebody is at it"),
        (4, KeyRow { held: Some(held(START)), applied: None }, "nobody is any more"),
        (
            5,
            KeyRow { held: Some(held(START + 1)), applied: Some(applied(0, hour)) },
            "somebody is at it again",
        ),
    ];
    let store = open(dir.path());
    let put = rows.iter().map(|(id, row, _)| Change::Key(KeyId(*id), Some(Box::new(row.clone()))));
    store.commit(put.collect()).await.unwrap();
    // Every run goes.
    let collection = store.collection(&|_, _| Ok("gone".to_owned()), NOW).unwrap();
    assert_eq!(collection.expired_keys, 2);
    store.collect(collection, &|_, _, _| Ok(Vec::new()), NOW, None).await.unwrap();
    let left: Vec<u128> = rows
        .iter()
        .map(|(id, ..)| *id)
        .filter(|id| store.rows().unwrap().key(KeyId(*id)).unwrap().is_some())
        .collect();
    assert_eq!(left, [2, 3, 5]);
    drop(store);
    let verified = inspect(dir.path()).verify(&plan);
    assert!(verified.sound, "{:?}", verified.findings);
}
