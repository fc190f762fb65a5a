//! What an open run takes in: a run whose source is a queue has no gate to pass once, it takes items
//! as messages come, until it has enough of them. Then it is finished as any other, and the next
//! run goes on with the queue.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::time::Timestamp;

/// Whether an open run takes in more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intake {
    /// It does.
    Open,
    /// It has as many items as it may have.
    Full,
    /// It is as old as it may get.
    Aged,
    /// The queue had nothing for as long as it waits.
    Quiet,
}

impl Intake {
    /// Why nothing more is taken in, in words; `None` while it is.
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Full => Some("it has as many items as 'rotate' allows"),
            Self::Aged => Some("it is as old as 'rotate' allows"),
            Self::Quiet => Some("nothing came for as long as 'idle' says"),
        }
    }
}

/// When an open run has taken in enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// At so many items.
    pub items: u64,
    /// At this age since its start.
    pub age: Duration,
    /// When nothing came, and nothing was in hand, for so long; `None`: it waits for ever.
    pub idle: Option<Duration>,
}

/// An item of an open run as it came in. It is remembered as long as the run's records are; the body
/// itself only until the item is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// The event that brought it: however often its message comes, it is this item.
    pub event_id: u128,
    /// The item key, as far as it is known.
    pub key: Option<String>,
    /// How new the content is, as the message says (rule R6).
    pub version: Option<String>,
    /// Why it is a dead letter from the start.
    pub fault: Option<Fault>,
}

/// Who has come, and when it is enough.
#[derive(Debug)]
pub struct Register {
    rotation: Rotation,
    started_at: Timestamp,
    known: HashMap<u128, u64>,
    /// Since when there was nothing to do, as far as anybody could see.
    quiet_since: Timestamp,
    /// When the queue said last that it has nothing; `None` while it gives no answer.
    silent_at: Option<Timestamp>,
}

impl Register {
    /// Nobody has come yet to a run that was started then.
    pub fn new(rotation: Rotation, started_at: Timestamp, now: Timestamp) -> Self {
        Self { rotation, started_at, known: HashMap::new(), quiet_since: now, silent_at: Some(now) }
    }

    /// The event that brought the item at a position.
    pub fn learn(&mut self, event_id: u128, position: u64) {
        self.known.insert(event_id, position);
    }

    /// The item that an event has brought.
    pub fn position(&self, event_id: u128) -> Option<u64> {
        self.known.get(&event_id).copied()
    }

    /// The queue answered at this instant, and had nothing.
    pub fn hear_nothing(&mut self, now: Timestamp) {
        // A silence begins anew with the first answer: nobody knows what was before.
        if self.silent_at.replace(now).is_none() {
            self.quiet_since = now;
        }
    }

    /// The queue gave no answer: that is no silence.
    pub fn lose(&mut self) {
        self.silent_at = None;
    }

    /// Something was in hand at this instant.
    pub fn stir(&mut self, now: Timestamp) {
        self.quiet_since = now;
    }

    /// Whether it is enough, with so many items.
    pub fn judge(&self, items: u64, now: Timestamp) -> Intake {
        let is_quiet = |idle| self.silent_at.is_some_and(|last| self.quiet_since.after(idle) <= last);
        let quiet = self.rotation.idle.is_some_and(is_quiet);
        if items >= self.rotation.items {
            Intake::Full
        } else if self.started_at.after(self.rotation.age) <= now {
            Intake::Aged
        } else if quiet {
            Intake::Quiet
        } else {
            Intake::Open
        }
    }

    /// When that has to be asked again, if no answer comes from the queue.
    pub fn wakes_at(&self) -> Timestamp {
        self.started_at.after(self.rotation.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn register(idle: Option<Duration>) -> Register {
        Register::new(Rotation { items: 3, age: HOUR, idle }, Timestamp(1_000), Timestamp(50_000))
    }

    #[test]
    fn an_event_brings_one_item_however_often_it_comes() {
        let mut register = register(None);
        assert_eq!(register.position(7), None);
        register.learn(7, 0);
        assert_eq!((register.position(7), register.position(8)), (Some(0), None));
    }

    #[test]
    fn it_is_enough_by_number_by_age_and_after_a_silence() {
        let mut register = register(Some(Duration::from_secs(10)));
        let old = Timestamp(1_000).after(HOUR);
        assert_eq!(register.judge(2, Timestamp(50_001)), Intake::Open);
        assert_eq!(register.judge(3, Timestamp(50_001)), Intake::Full);
        register.hear_nothing(Timestamp(59_999));
        assert_eq!(register.judge(2, Timestamp(60_000)), Intake::Open, "nobody knows what came since");
        register.hear_nothing(Timestamp(60_000));
        assert_eq!(register.judge(2, Timestamp(60_000)), Intake::Quiet);
        register.stir(Timestamp(59_000));
        assert_eq!(register.judge(2, Timestamp(60_000)), Intake::Open);
        register.stir(old);
        assert_eq!(register.judge(2, old), Intake::Aged);
    }

    #[test]
    fn a_queue_that_gives_no_answer_is_not_silent() {
        let mut register = register(Some(Duration::from_secs(10)));
        register.hear_nothing(Timestamp(55_000));
        register.lose();
        assert_eq!(register.judge(2, Timestamp(500_000)), Intake::Open, "however long that takes");
        register.hear_nothing(Timestamp(500_000));
        assert_eq!(register.judge(2, Timestamp(500_000)), Intake::Open, "it begins anew");
        register.hear_nothing(Timestamp(510_000));
        assert_eq!(register.judge(2, Timestamp(510_000)), Intake::Quiet);
    }

    #[test]
    fn without_a_bound_to_the_silence_it_waits_for_its_age() {
        let register = register(None);
        let old = Timestamp(1_000).after(HOUR);
        assert_eq!(register.judge(0, Timestamp(old.0 - 1)), Intake::Open);
        assert_eq!((register.wakes_at(), register.judge(0, old)), (old, Intake::Aged));
    }

    #[test]
    fn only_a_closed_intake_has_a_reason() {
        assert_eq!(Intake::Open.words(), None);
        assert!([Intake::Full, Intake::Aged, Intake::Quiet].iter().all(|intake| intake.words().is_some()));
    }
}
