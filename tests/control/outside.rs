//! What the run calls: an outside system that is up, down, or refuses what it is told to, and
//! writes down every call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::cell::Facts;
use milepost::core::fault::Fault;
use milepost::core::id::Unit;
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::core::run;
use milepost::core::scope::Scope;
use milepost::core::time::Timestamp;
use milepost::ports::{
    Call, Clock, Effect, Interest, Pinned, Pins, Prepare, Record, Records, Source, SurveyOf, Unread, Verdicts,
};
use serde_json::{Value, json};

/// How it takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Up,
    /// It says that it is not there.
    Closed,
    /// It takes calls, carries them out, and says nothing; nobody can look either.
    Mute,
    /// It refuses every item below this one for what it is.
    Refuses(u64),
}

/// One outside system.
pub(crate) struct Outside {
    clock: Arc<dyn Clock>,
    pub(crate) mood: Mutex<Mood>,
    /// How long a call takes.
    pub(crate) takes: Mutex<Duration>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    calls: Vec<(Timestamp, usize)>,
    looks: Vec<Timestamp>,
    done: BTreeMap<Unit, u32>,
    open: usize,
    most_open: usize,
}

impl Outside {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let takes = Mutex::new(Duration::from_millis(30));
        Arc::new(Self { clock, mood: Mutex::new(Mood::Up), takes, log: Mutex::default() })
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Every call: when it came, and for how many items.
    pub(crate) fn calls(&self) -> Vec<(Timestamp, usize)> {
        self.log.lock().unwrap().calls.clone()
    }

    pub(crate) fn looks(&self) -> Vec<Timestamp> {
        self.log.lock().unwrap().looks.clone()
    }

    /// Items that were written, and the most often that one of them was.
    pub(crate) fn written(&self) -> (u64, u32) {
        let log = self.log.lock().unwrap();
        (log.done.len() as u64, log.done.values().copied().max().unwrap_or(0))
    }

    /// Calls and looks under way at once, at the worst moment.
    pub(crate) fn most_open(&self) -> usize {
        self.log.lock().unwrap().most_open
    }

    pub(crate) fn open(&self) -> usize {
        self.log.lock().unwrap().open
    }

    async fn work(&self) -> Mood {
        let _open = Open::new(self);
        let mood = *self.mood.lock().unwrap();
        let takes = *self.takes.lock().unwrap();
        self.clock.sleep_until(self.clock.now().after(takes)).await;
        mood
    }

    fn write(&self, unit: Unit) -> Outcome {
        *self.log.lock().unwrap().done.entry(unit).or_default() += 1;
        Outcome::Done(Facts::new())
    }
}

/// A call under way; when its engine dies, it is not.
struct Open<'a>(&'a Outside);

impl<'a> Open<'a> {
    fn new(outside: &'a Outside) -> Self {
        let mut log = outside.log.lock().unwrap();
        log.open += 1;
        log.most_open = log.most_open.max(log.open);
        drop(log);
        Self(outside)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.log.lock().unwrap().open -= 1;
    }
}

impl Prepare for Outside {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({}))
    }
}

#[async_trait]
impl Effect for Outside {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        self.log.lock().unwrap().calls.push((self.clock.now(), calls.len()));
        let mood = self.work().await;
        let refused = |again| Outcome::Refused { fault: Fault::new("HttpStatus", "HTTP 503"), again };
        let outcomes = calls.iter().map(|call| match (mood, call.unit) {
            (Mood::Closed, _) => refused(Again::Later),
            (Mood::Mute, unit) => {
                self.write(unit);
                Outcome::Unclear(Fault::new("Timeout", "no answer"))
            }
            (Mood::Refuses(below), Unit::Item(item)) if item < below => refused(Again::Never),
            (Mood::Up | Mood::Refuses(_), unit) => self.write(unit),
        });
        Verdicts { outcomes: outcomes.collect(), calls: 1 }
    }

    async fn probe(&self, call: &Call) -> Probed {
        self.log.lock().unwrap().looks.push(self.clock.now());
        match self.work().await {
            Mood::Closed | Mood::Mute => Probed::Unknown(Fault::new("Unreachable", "cannot look")),
            Mood::Up | Mood::Refuses(_) if self.log.lock().unwrap().done.contains_key(&call.unit) => {
                Probed::Done(Facts::new())
            }
            Mood::Up | Mood::Refuses(_) => Probed::Absent,
        }
    }
}

/// So many valid records.
pub(crate) struct Items(pub(crate) u64);

impl Prepare for Items {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({}))
    }
}

impl Source for Items {
    fn pin(&self, _: &Scope, _: &dyn Pins, _: &SurveyOf<'_>, _: &Interest) -> Result<Pinned, Unread> {
        let source = run::Source {
            uri: "sim".into(),
            records: "r".into(),
            index: "i".into(),
            count: self.0,
            intake: None,
            origin: None,
        };
        Ok(Pinned { source, rejected: 0, remarks: Vec::new() })
    }

    fn open(&self, source: &run::Source, _: &dyn Pins) -> Result<Arc<dyn Records>, Fault> {
        Ok(Arc::new(Items(source.count)))
    }
}

impl Records for Items {
    fn record(&self, position: u64) -> Record {
        Record {
            version: None,
            key: Some(position.to_string()),
            value: Ok(Arc::new(json!({ "n": position }))),
        }
    }

    fn content(&self, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn find(&self, key: &str) -> Option<u64> {
        key.parse().ok()
    }
}
