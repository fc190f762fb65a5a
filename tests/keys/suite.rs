//! What every store of idempotency keys must do, whoever implements it. `stories!` makes a test of
//! each function.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::cell::Facts;
use milepost::core::claims::{Claim, Claimed, End, Fence, Fingerprint, KeyId, Settled};
use milepost::core::time::Timestamp;
use milepost::core::version::Version;
use milepost::core::workflow::IdempotencyMode::{self, Latest, Once};
use milepost::ports::{Clock, Journal, Keys};
use serde_json::json;

/// Most looks for something that time must bring about.
const LOOKS_MAX: u32 = 2_000;
const LONG: Duration = Duration::from_mins(5);
const SHORT: Duration = Duration::from_millis(150);

/// A clock that stands still until it is moved.
#[derive(Default)]
pub(crate) struct ManualClock(AtomicU64);

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.0.fetch_max(until.0, Ordering::SeqCst);
    }
}

/// A store of keys on the bench.
pub(crate) struct Bench {
    /// Another handle to the same keys, as another engine (or run) would have it.
    pub(crate) another: Box<dyn Fn() -> Arc<dyn Keys> + Send + Sync>,
    /// Where changes are committed, by a store that has some.
    pub(crate) journal: Option<Arc<dyn Journal>>,
    /// Its time; `None`: real time.
    pub(crate) clock: Option<Arc<ManualClock>>,
    /// Keeps the keys of one bench apart from those of others.
    pub(crate) scope: String,
}

impl Bench {
    /// A claim on a key by an owner, for content in a version.
    fn claim(&self, mode: IdempotencyMode, key: &str, owner: u128, content: &str, version: u64) -> Claim {
        Claim {
            id: KeyId::of(&self.scope, key),
            mode,
            fingerprint: Fingerprint::of(&json!({ "content": content })),
            version: Version(version.to_string()),
            owner,
            fence: Fence { epoch: 1, attempt: 1 },
            repeats_own: true,
            claim: LONG,
            keep: LONG,
        }
    }

    async fn ask(&self, claim: &Claim) -> Claimed {
        self.ask_by((self.another)().as_ref(), claim).await
    }

    async fn ask_by(&self, keys: &dyn Keys, claim: &Claim) -> Claimed {
        let mut answered = keys.claim(std::slice::from_ref(claim)).await.unwrap();
        self.commit(answered.changes).await;
        answered.verdicts.remove(0)
    }

    async fn end(&self, claim: &Claim, end: End) -> Settled {
        let mut answered = (self.another)().settle(&[(claim.clone(), end)]).await.unwrap();
        self.commit(answered.changes).await;
        answered.verdicts.remove(0)
    }

    async fn commit(&self, changes: Vec<milepost::core::change::Change>) {
        match &self.journal {
            Some(journal) => journal.commit(changes).await.unwrap(),
            None => assert_eq!(changes, [], "a store of its own has nothing to commit elsewhere"),
        }
    }

    /// Claims, carries out, settles: what a run does.
    async fn apply(&self, claim: &Claim) -> Claimed {
        let claimed = self.ask(claim).await;
        if claimed == Claimed::Granted {
            assert_eq!(self.end(claim, done("x")).await, Settled::Kept);
        }
        claimed
    }

    /// Lets time pass until it is so.
    async fn until<F: Future<Output = bool>>(&self, mut so: impl FnMut() -> F) {
        for _ in 0..LOOKS_MAX {
            if so().await {
                return;
            }
            match &self.clock {
                Some(clock) => clock.sleep_until(clock.now().after(Duration::from_millis(10))).await,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!("it never came to be");
    }
}

fn done(id: &str) -> End {
    End::Done { facts: Some(facts(id)) }
}

fn facts(id: &str) -> Facts {
    Facts::from([("id".to_owned(), json!(id)), ("sku".to_owned(), json!("S-1"))])
}

fn is_busy(claimed: &Claimed) -> bool {
    matches!(claimed, Claimed::Busy { .. })
}

pub(crate) async fn one_of_many_wins(bench: &Bench) {
    let claims: Vec<Claim> = (0..12).map(|owner| bench.claim(Latest, "k", owner, "a", 1)).collect();
    let mut granted = Vec::new();
    for claim in &claims {
        match bench.ask(claim).await {
            Claimed::Granted => granted.push(claim),
            other => assert!(is_busy(&other), "{other:?}"),
        }
    }
    assert_eq!(granted.len(), 1);
    assert_eq!(bench.end(granted[0], done("x")).await, Settled::Kept);
    let told = bench.ask(&claims[7]).await;
    assert_eq!(told, Claimed::AlreadyApplied { facts: facts("x"), own: false });
}

pub(crate) async fn two_of_one_batch_do_not_both_win(bench: &Bench) {
    let claims = [1, 2].map(|owner| bench.claim(Latest, "k", owner, "a", 1));
    let answered = (bench.another)().claim(&claims).await.unwrap();
    bench.commit(answered.changes).await;
    assert_eq!(answered.verdicts[0], Claimed::Granted);
    assert!(is_busy(&answered.verdicts[1]), "{answered:?}", answered = answered.verdicts);
}

pub(crate) async fn a_to_b_to_a_is_applied_three_times(bench: &Bench) {
    for (version, content) in [(1, "a"), (2, "b"), (3, "a")] {
        let claim = bench.claim(Latest, "k", version.into(), content, version);
        assert_eq!(bench.apply(&claim).await, Claimed::Granted, "{version}");
    }
    let again = bench.claim(Latest, "k", 9, "a", 4);
    assert!(matches!(bench.apply(&again).await, Claimed::AlreadyApplied { .. }));
}

pub(crate) async fn what_may_be_overwritten_is_applied_again(bench: &Bench) {
    let (old, new) = (bench.claim(Latest, "k", 1, "a", 1), bench.claim(Latest, "k", 2, "b", 2));
    assert_eq!(bench.apply(&old).await, Claimed::Granted);
    assert_eq!(bench.ask(&new).await, Claimed::Granted);
    // Refused, or found absent: a part of it may be there.
    bench.end(&new, End::Undone).await;
    let back = bench.claim(Latest, "k", 3, "a", 3);
    assert_eq!(bench.apply(&back).await, Claimed::Granted);
    let again = bench.claim(Latest, "k", 4, "a", 4);
    assert!(matches!(bench.ask(&again).await, Claimed::AlreadyApplied { .. }), "it was made whole");
}

pub(crate) async fn an_older_version_never_comes_after_a_newer_one(bench: &Bench) {
    let new = bench.claim(Latest, "k", 1, "new", 20);
    let old = bench.claim(Latest, "k", 2, "old", 9);
    assert_eq!(bench.ask(&new).await, Claimed::Granted);
    assert!(is_busy(&bench.ask(&old).await), "nobody knows yet whether the newer one succeeds");
    bench.end(&new, done("x")).await;
    assert_eq!(bench.ask(&old).await, Claimed::Stale { facts: facts("x") });
    // What is equal to the last raises its version, so that what lies between is old as well.
    let same = bench.claim(Latest, "k", 3, "new", 40);
    assert!(matches!(bench.ask(&same).await, Claimed::AlreadyApplied { .. }));
    let between = bench.claim(Latest, "k", 4, "between", 30);
    assert!(matches!(bench.ask(&between).await, Claimed::Stale { .. }));
}

pub(crate) async fn once_is_once_and_other_content_is_a_conflict(bench: &Bench) {
    let first = bench.claim(Once, "k", 1, "a", 1);
    let same = bench.claim(Once, "k", 2, "a", 2);
    let other = bench.claim(Once, "k", 3, "b", 3);
    assert_eq!(bench.ask(&first).await, Claimed::Granted);
    assert!(is_busy(&bench.ask(&same).await));
    let conflict = Claimed::Conflict { other: first.fingerprint };
    assert_eq!(bench.ask(&other).await, conflict, "while it is under way");
    bench.end(&first, done("x")).await;
    assert_eq!(bench.ask(&same).await, Claimed::AlreadyApplied { facts: facts("x"), own: false });
    assert_eq!(bench.ask(&other).await, conflict, "and ever after");
}

pub(crate) async fn a_claim_that_is_let_go_is_free_at_once(bench: &Bench) {
    for mode in [Latest, Once] {
        let key = format!("{mode:?}");
        let first = bench.claim(mode, &key, 1, "a", 1);
        assert_eq!(bench.ask(&first).await, Claimed::Granted);
        assert_eq!(bench.end(&first, End::Undone).await, Settled::Kept);
        assert_eq!(bench.ask(&bench.claim(mode, &key, 2, "b", 2)).await, Claimed::Granted);
        // Whoever comes late lets go of nothing that is not his.
        assert_eq!(bench.end(&first, End::Undone).await, Settled::Kept);
        assert!(is_busy(&bench.ask(&bench.claim(mode, &key, 3, "b", 3)).await));
    }
}

pub(crate) async fn a_claim_ends_by_itself_and_its_late_owner_is_told(bench: &Bench) {
    for mode in [Latest, Once] {
        let key = format!("{mode:?}");
        let slow = Claim { claim: SHORT, ..bench.claim(mode, &key, 1, "a", 1) };
        let next = bench.claim(mode, &key, 2, "b", 2);
        assert_eq!(bench.ask(&slow).await, Claimed::Granted);
        let early = bench.ask(&next).await;
        assert!(early != Claimed::Granted, "{early:?}");
        bench.until(|| async { bench.ask(&next).await == Claimed::Granted }).await;
        assert_eq!(bench.end(&slow, done("late")).await, Settled::Lost);
        assert_eq!(bench.end(&next, done("x")).await, Settled::Kept);
        assert_eq!(bench.end(&slow, done("late")).await, Settled::Lost, "and it overwrites nothing");
        let told = bench.ask(&bench.claim(mode, &key, 3, "b", 3)).await;
        assert_eq!(told, Claimed::AlreadyApplied { facts: facts("x"), own: false });
    }
}

pub(crate) async fn a_claim_that_ended_but_that_nobody_took_still_counts(bench: &Bench) {
    let claim = |key: &str| Claim { claim: SHORT, ..bench.claim(Latest, key, 1, "a", 1) };
    assert_eq!(bench.ask(&claim("k")).await, Claimed::Granted);
    assert_eq!(bench.ask(&claim("later")).await, Claimed::Granted);
    // The claim that was made later is over, so the other one is.
    let next = bench.claim(Latest, "later", 2, "b", 2);
    bench.until(|| async { bench.ask(&next).await == Claimed::Granted }).await;
    assert_eq!(bench.end(&claim("k"), done("x")).await, Settled::Kept);
    let told = bench.ask(&bench.claim(Latest, "k", 2, "a", 2)).await;
    assert_eq!(told, Claimed::AlreadyApplied { facts: facts("x"), own: false });
}

pub(crate) async fn a_key_is_forgotten_when_its_time_is_over(bench: &Bench) {
    let first = Claim { keep: SHORT, ..bench.claim(Once, "k", 1, "a", 1) };
    assert_eq!(bench.apply(&first).await, Claimed::Granted);
    let other = bench.claim(Once, "k", 2, "b", 2);
    let early = bench.ask(&other).await;
    assert_eq!(early, Claimed::Conflict { other: first.fingerprint });
    bench.until(|| async { bench.ask(&other).await == Claimed::Granted }).await;
}

pub(crate) async fn only_the_newest_attempt_of_an_owner_settles(bench: &Bench) {
    for mode in [Latest, Once] {
        let key = format!("{mode:?}");
        let attempt =
            |epoch, attempt| Claim { fence: Fence { epoch, attempt }, ..bench.claim(mode, &key, 1, "a", 1) };
        assert_eq!(bench.ask(&attempt(1, 2)).await, Claimed::Granted);
        assert_eq!(bench.ask(&attempt(1, 2)).await, Claimed::Granted, "an answer that was lost");
        assert_eq!(bench.ask(&attempt(2, 1)).await, Claimed::Granted, "another life takes over at once");
        assert!(is_busy(&bench.ask(&attempt(1, 3)).await), "what is left of the old one does not");
        assert_eq!(bench.end(&attempt(1, 2), done("old")).await, Settled::Lost);
        assert_eq!(bench.end(&attempt(1, 2), End::Undone).await, Settled::Kept);
        assert_eq!(bench.end(&attempt(2, 1), done("x")).await, Settled::Kept, "it was not let go of");
        assert_eq!(bench.end(&attempt(1, 3), done("old")).await, Settled::Lost);
    }
}

pub(crate) async fn an_owner_learns_what_became_of_an_attempt_that_nobody_heard_of(bench: &Bench) {
    for mode in [Latest, Once] {
        let key = format!("{mode:?}");
        let first = bench.claim(mode, &key, 1, "a", 1);
        assert_eq!(bench.apply(&first).await, Claimed::Granted);
        // Its engine died before it could write that down; the next one is in doubt.
        let fence = Fence { epoch: 2, attempt: 2 };
        let doubtful = Claim { fence, repeats_own: false, ..first.clone() };
        assert_eq!(bench.ask(&doubtful).await, Claimed::AlreadyApplied { facts: facts("x"), own: true });
        // One that knows what it did, and does it again, is not held up by its own key.
        assert_eq!(bench.ask(&Claim { fence, ..first }).await, Claimed::Granted);
    }
}

pub(crate) async fn what_was_found_done_without_a_claim_is_kept(bench: &Bench) {
    let found = bench.claim(Latest, "k", 1, "a", 5);
    assert_eq!(bench.end(&found, done("x")).await, Settled::Kept);
    assert!(matches!(bench.ask(&bench.claim(Latest, "k", 2, "b", 4)).await, Claimed::Stale { .. }));
    let older = bench.claim(Latest, "k", 3, "c", 3);
    assert_eq!(bench.end(&older, done("y")).await, Settled::Lost, "it does not hide the newer one");
    let unknown = bench.claim(Latest, "k", 4, "d", 6);
    assert_eq!(bench.end(&unknown, End::Done { facts: None }).await, Settled::Kept);
    let told = bench.ask(&bench.claim(Latest, "k", 5, "d", 7)).await;
    assert_eq!(told, Claimed::AlreadyApplied { facts: facts("x"), own: false }, "what was known stays known");
}

const THREADS: u128 = 20;
const KEYS: usize = 200;

/// The measured failing of the design that this one replaces: there, 200 keys made 1,807 executions.
pub(crate) async fn twenty_threads_and_two_hundred_keys_make_two_hundred_executions(bench: &Bench) {
    let executions: Mutex<BTreeMap<usize, u32>> = Mutex::default();
    let asked = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (executions, asked) = (&executions, &asked);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let keys = (bench.another)();
                runtime.block_on(async {
                    for key in 0..KEYS {
                        let claim = bench.claim(Latest, &key.to_string(), thread, "a", 1);
                        loop {
                            asked.fetch_add(1, Ordering::Relaxed);
                            match bench.ask_by(keys.as_ref(), &claim).await {
                                Claimed::Granted => {
                                    *executions.lock().unwrap().entry(key).or_default() += 1;
                                    bench.end(&claim, done("x")).await;
                                    break;
                                }
                                Claimed::AlreadyApplied { .. } => break,
                                other => assert!(is_busy(&other), "{other:?}"),
                            }
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                });
            });
        }
    });
    let executions = executions.into_inner().unwrap();
    assert_eq!(executions.len(), KEYS);
    assert_eq!(executions.values().sum::<u32>() as usize, KEYS, "each key once");
    assert!(asked.into_inner() >= u32::try_from(THREADS).unwrap() * 200, "all of them asked");
}

/// One test. `$run` executes a story on a fresh bench; `$mark` are attributes of the test.
macro_rules! story {
    ([$($mark:tt)*] $run:ident $story:ident) => {
        #[test]
        $($mark)*
        fn $story() {
            $run!(suite::$story);
        }
    };
}

/// A test for each of the functions above.
macro_rules! stories {
    ($mark:tt $run:ident) => {
        story!($mark $run one_of_many_wins);
        story!($mark $run two_of_one_batch_do_not_both_win);
        story!($mark $run a_to_b_to_a_is_applied_three_times);
        story!($mark $run what_may_be_overwritten_is_applied_again);
        story!($mark $run an_older_version_never_comes_after_a_newer_one);
        story!($mark $run once_is_once_and_other_content_is_a_conflict);
        story!($mark $run a_claim_that_is_let_go_is_free_at_once);
        story!($mark $run a_claim_ends_by_itself_and_its_late_owner_is_told);
        story!($mark $run a_claim_that_ended_but_that_nobody_took_still_counts);
        story!($mark $run a_key_is_forgotten_when_its_time_is_over);
        story!($mark $run only_the_newest_attempt_of_an_owner_settles);
        story!($mark $run an_owner_learns_what_became_of_an_attempt_that_nobody_heard_of);
        story!($mark $run what_was_found_done_without_a_claim_is_kept);
        story!($mark $run twenty_threads_and_two_hundred_keys_make_two_hundred_executions);
    };
}
