//! What one process has at hand, and until when. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a process has at hand, in the order in which it got it.
///
/// It works on the first `at_once` of them; what is behind those waits in the pipe, so that the process
/// never waits for us. The time of an item begins when the process can begin with it.
pub(super) struct Serving<E> {
    at_once: usize,
    ahead: usize,
    out: VecDeque<Out<E>>,
    next: u64,
}

struct Out<E> {
    id: u64,
    errand: E,
    /// When its time began; for those that wait it has not.
    since: Option<Instant>,
}

/// What a process had at hand when it broke.
pub(super) struct Broken<E> {
    /// It had perhaps begun with these.
    pub(super) begun: Vec<E>,
    /// And surely not with these.
    pub(super) waiting: Vec<E>,
}

impl<E> Serving<E> {
    /// A process that works on `at_once` items and may have `ahead` more waiting.
    pub(super) fn new(at_once: usize, ahead: usize) -> Self {
        Self { at_once: at_once.max(1), ahead, out: VecDeque::new(), next: 1 }
    }

    /// Whether it can take one more.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() < self.at_once + self.ahead
    }

    /// Whether it works on as many as it can, so that one more would wait.
    pub(super) fn is_busy(&self) -> bool {
        self.out.len() >= self.at_once
    }

    /// Whether it has nothing at hand.
    pub(super) fn is_idle(&self) -> bool {
        self.out.is_empty()
    }

    /// Hands one over; returns its number, which no other has.
    pub(super) fn hand(&mut self, errand: E, now: Instant) -> u64 {
        let id = self.next;
        self.next += 1;
        self.out.push_back(Out { id, errand, since: None });
        self.begin(now);
        id
    }

    /// It answered about this one; `None`: it never had it, or has answered before.
    pub(super) fn answered(&mut self, id: u64, now: Instant) -> Option<E> {
        let at = self.out.iter().position(|out| out.id == id)?;
        let out = self.out.remove(at)?;
        self.begin(now);
        Some(out.errand)
    }

    /// It is at work: the time of this one, or of all, begins anew. `false`: it does not have it.
    pub(super) fn beat(&mut self, id: Option<u64>, now: Instant) -> bool {
        let mut known = id.is_none();
        for out in self.out.iter_mut().filter(|out| id.is_none_or(|id| out.id == id)) {
            known = true;
            if let Some(since) = &mut out.since {
                *since = now;
            }
        }
        known
    }

    /// When the first of them has had its time; `None`: nothing is at hand.
    pub(super) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.out.iter().filter_map(|out| out.since).min().map(|since| since + timeout)
    }

    /// Takes out those that have had their time.
    pub(super) fn overdue(&mut self, timeout: Duration, now: Instant) -> Vec<E> {
        let (late, out): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.out)
            .into_iter()
            .partition(|out| out.since.is_some_and(|since| since + timeout <= now));
        self.out = out;
        late.into_iter().map(|out| out.errand).collect()
    }

    /// The process is gone.
    pub(super) fn broke(&mut self) -> Broken<E> {
        let out = std::mem::take(&mut self.out);
        let (begun, waiting): (Vec<_>, Vec<_>) = out.into_iter().partition(|out| out.since.is_some());
        let errands = |out: Vec<Out<E>>| out.into_iter().map(|out| out.errand).collect();
        Broken { begun: errands(begun), waiting: errands(waiting) }
    }

    fn begin(&mut self, now: Instant) {
        for out in self.out.iter_mut().take(self.at_once) {
            out.since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn an_item_has_its_whole_time_from_when_it_can_be_begun() {
        let start = Instant::now();
        let mut serving = Serving::new(1, 2);
        let ids: Vec<u64> = ["a", "b", "c"].map(|errand| serving.hand(errand, start)).into();
        assert!(serving.is_busy() && !serving.has_room());
        assert_eq!(serving.deadline(TIMEOUT), Some(at(start, 10)));
        assert_eq!(serving.answered(ids[0], at(start, 9)), Some("a"));
        assert_eq!(serving.deadline(TIMEOUT), Some(at(start, 19)), "b begins when a has ended");
        assert!(serving.beat(Some(ids[1]), at(start, 18)));
        assert!(serving.overdue(TIMEOUT, at(start, 27)).is_empty(), "it said that it is at work");
        assert_eq!(serving.overdue(TIMEOUT, at(start, 28)), ["b"]);
        let Broken { begun, waiting } = serving.broke();
        assert_eq!((begun, waiting), (vec![], vec!["c"]), "c was never begun with");
        assert!(serving.is_idle());
    }

    #[test]
    fn one_that_hangs_is_found_among_others_that_go_on() {
        let start = Instant::now();
        let mut serving = Serving::new(2, 1);
        let hangs = serving.hand("hangs", start);
        let mut last = serving.hand("0", start);
        for second in 1..10 {
            assert!(serving.answered(last, at(start, second)).is_some());
            last = serving.hand("next", at(start, second));
        }
        assert_eq!(serving.overdue(TIMEOUT, at(start, 10)), ["hangs"]);
        assert_eq!(serving.answered(hangs, at(start, 11)), None, "and its answer comes too late");
        assert!(!serving.beat(Some(hangs), at(start, 11)));
    }
}
