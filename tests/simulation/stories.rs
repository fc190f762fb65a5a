//! Single stories over simulated time: what goes wrong while a failed run is being closed, how long
//! the other side may ask us to wait, and connectors that panic.

use std::collections::BTreeMap;
use std::panic::{set_hook, take_hook};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use milepost::core::catalog::Role;
use milepost::core::cell::{Facts, SettleBy, State};
use milepost::core::change::Change;
use milepost::core::desk::Limits;
use milepost::core::fault::{Fault, name};
use milepost::core::id::{RunId, Unit};
use milepost::core::plan::{Plan, Track};
use milepost::core::retry::{Again, Outcome, Probed};
use milepost::core::run::{Run, Status};
use milepost::core::scope::Scope;
use milepost::core::selection::Selection;
use milepost::core::time::Timestamp;
use milepost::core::workflow::Tolerance;
use milepost::engine::assembly::Assembly;
use milepost::engine::{Control, Handle, Ports, Resumption, drive, recover};
use milepost::ports::{Call, Clock, Effect, Journal, Prepare, Verdicts, Worker};
use milepost::store::{Fate, MemoryStore};
use serde_json::{Value, json};

use crate::case::new_run;
use crate::clock::{InPlace, SimClock};
use crate::graphs::{assembly, source, station, step};
use crate::world::World;

const RUN: RunId = RunId(9);
/// The last record of the source is a dead letter, so with this many a run has one good item.
const ITEMS: u64 = 2;
/// What a planted panic says.
const PANIC: &str = "a planted panic, which the engine has to survive";

/// What a scripted effect does at its n-th call (from 1) for a unit.
type Script = fn(u32) -> Outcome;

fn done() -> Outcome {
    Outcome::Done(Facts::new())
}

fn refused(again: Again) -> Outcome {
    Outcome::Refused { fault: Fault::new("Refused", "no"), again }
}

/// When each effect was called, and with which content, by unit and step.
type Log = Mutex<BTreeMap<(Unit, usize), Vec<(Timestamp, Value)>>>;

struct Scripted {
    script: Script,
    step: usize,
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    /// Told to stop at the call of this step.
    stops: Arc<Mutex<Option<Handle>>>,
    panics_in: Option<&'static str>,
}

impl Scripted {
    fn panic_in(&self, place: &str) {
        assert!(self.panics_in != Some(place), "{PANIC}");
    }
}

impl Prepare for Scripted {
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        self.panic_in("prepare");
        Ok(Value::clone(&scope.item))
    }
}

#[async_trait]
impl Effect for Scripted {
    async fn call(&self, calls: &[Call]) -> Verdicts {
        let mut outcomes = Vec::new();
        for call in calls {
            let now = self.clock.now();
            let times = {
                let mut log = self.log.lock().unwrap();
                let entry = log.entry((call.unit, self.step)).or_default();
                entry.push((now, call.request.clone()));
                u32::try_from(entry.len()).unwrap()
            };
            if matches!(call.unit, Unit::Closing(_))
                && let Some(handle) = self.stops.lock().unwrap().take()
            {
                handle.stop();
            }
            self.clock.sleep_until(now.after(Duration::from_millis(5))).await;
            self.panic_in("call");
            outcomes.push((self.script)(times));
        }
        Verdicts { outcomes, calls: calls.len() as u64 }
    }

    async fn probe(&self, call: &Call) -> Probed {
        self.panic_in("probe");
        let called = self.log.lock().unwrap().contains_key(&(call.unit, self.step));
        if called { Probed::Done(Facts::new()) } else { Probed::Absent }
    }
}

/// A run with one scripted item step, and scripted steps of `on_failure`.
struct Story {
    clock: Arc<SimClock>,
    store: MemoryStore,
    assembly: Arc<Assembly>,
    log: Arc<Log>,
    stops: Arc<Mutex<Option<Handle>>>,
}

impl Story {
    fn new(item: Script, closing: &[Script], panics_in: Option<&'static str>) -> Self {
        let clock = Arc::new(SimClock::new());
        let world = World::new(1, Arc::clone(&clock) as Arc<dyn Clock>);
        let (log, stops) = (Arc::<Log>::default(), Arc::<Mutex<Option<Handle>>>::default());
        let scripted = |script: Script, step: usize, panics_in| {
            let (log, stops) = (Arc::clone(&log), Arc::clone(&stops));
            let clock = Arc::clone(&clock) as Arc<dyn Clock>;
            let effect = Scripted { script, step, log, clock, stops, panics_in };
            station(Worker::Effect(Arc::new(effect)), None)
        };
        let probing = |name: &str, needs| step(name, Role::Effect { probes: true }, needs, SettleBy::Probe);
        let on_items = vec![step("source", Role::Pure, vec![], SettleBy::Repeat), probing("put", vec![0])];
        let stations = vec![station(source(&world, ITEMS), None), scripted(item, 1, panics_in)];
        let mut made = assembly(&world, (Track::new(on_items), stations), ITEMS);
        let mut on_failure: Vec<_> = (0..closing.len())
            .map(|at| probing(&format!("on_failure[{at}]"), at.checked_sub(1).into_iter().collect()))
            .collect();
        for known in &mut on_failure {
            known.tolerant = true;
        }
        made.closing = closing.iter().enumerate().map(|(at, script)| scripted(*script, at, None)).collect();
        let tolerate = Tolerance::Count(u64::from(closing.is_empty()) * 9);
        made.plan = Arc::new(Plan { closing: Track::new(on_failure), tolerate, ..Plan::clone(&made.plan) });
        let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let begun = store.commit(vec![Change::Run(Box::new(new_run(RUN)))]);
        clock.runtime().block_on(begun).unwrap();
        Self { clock, store, assembly: Arc::new(made), log, stops }
    }

    /// One life; somebody may press Ctrl-C at the first call of `on_failure`.
    fn live(&mut self, fates: impl FnMut(u64) -> Fate + Send + 'static, is_stopped: bool) -> Run {
        let store = Arc::new(self.store.survivor(fates));
        let ports = Ports {
            journal: store.clone(),
            keys: store.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            pins: store.clone(),
            compute: Arc::new(InPlace),
        };
        let (assembly, run) = (Arc::clone(&self.assembly), self.store.run(RUN).unwrap().unwrap());
        let (handle, control) = Control::new();
        *self.stops.lock().unwrap() = is_stopped.then_some(handle);
        let runtime = self.clock.runtime();
        runtime.block_on(work(ports, assembly, run, control));
        self.clock.keep(&runtime);
        drop(runtime);
        self.store = store.survivor(|_| Fate::Kept);
        self.store.run(RUN).unwrap().unwrap()
    }

    /// How often each step of a closing was called.
    fn told(&self, closing: u32) -> Vec<usize> {
        let log = self.log.lock().unwrap();
        let times = |step| log.get(&(Unit::Closing(closing), step)).map_or(0, Vec::len);
        (0..self.assembly.plan.closing.steps.len()).map(times).collect()
    }

    /// What the steps of a closing were given, at each of their calls.
    fn contents(&self, closing: u32) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        let of_closing = log.iter().filter(|((unit, _), _)| *unit == Unit::Closing(closing));
        of_closing.flat_map(|(_, calls)| calls.iter().map(|(_, content)| content.clone())).collect()
    }

    fn state(&self, unit: Unit, step: usize) -> (State, Option<String>) {
        let cell = self.store.progress(RUN, unit).unwrap().unwrap().cells[step].clone();
        (cell.state, cell.fault.clone().map(|fault| fault.name))
    }
}

async fn work(ports: Ports, assembly: Arc<Assembly>, run: Run, control: Control) {
    let journal = ports.journal.as_ref();
    let resumption = if run.status == Status::Queued {
        None
    } else {
        let plan = recover::plan(journal, &assembly.plan, &run, &Selection::All).unwrap().hash;
        if recover::revive(journal, &assembly.plan, &run, ports.clock.now(), &Selection::All).await.is_err() {
            return;
        }
        Some(Resumption { plan, ..Resumption::from("") })
    };
    let limits = Limits { window: 10, patience: Duration::from_secs(1) };
    // A store that dies ends it with an error, which is what some stories are about.
    let _ = drive(run, resumption, assembly, ports, control, limits, 1).await;
}

fn kept(_: u64) -> Fate {
    Fate::Kept
}

#[test]
fn killed_at_any_write_of_on_failure_each_of_its_steps_is_told_once() {
    let always = || Story::new(|_| done(), &[|_| done(), |_| done(), |_| done()], None);
    let mut killed_inside = 0;
    for fate in [Fate::Lost, Fate::Unheard] {
        for cut in 1.. {
            let mut story = always();
            let run = story.live(move |write| if write < cut { Fate::Kept } else { fate }, false);
            if run.status == Status::Failed && fate == Fate::Lost {
                break;
            }
            let was_inside = run.open_closing() == Some(1);
            killed_inside += u32::from(was_inside);
            let run = if run.status.is_ended() { run } else { story.live(kept, false) };
            assert_eq!(run.status, Status::Failed);
            for closing in 1..=run.closings {
                assert_eq!(
                    story.told(closing),
                    [1; 3],
                    "closing {closing} after death at write {cut} ({fate:?})"
                );
            }
            assert_eq!(run.closings, 1 + u32::from(was_inside), "death at write {cut} ({fate:?})");
            if cut > 60 {
                break;
            }
        }
    }
    assert!(killed_inside > 5, "only {killed_inside} deaths were inside on_failure");
}

#[test]
fn a_step_of_on_failure_that_fails_silences_no_other_and_changes_nothing_about_the_run() {
    let mut story = Story::new(|_| done(), &[|_| refused(Again::Never), |_| done()], None);
    let run = story.live(kept, false);
    assert_eq!(story.told(1), [1, 1]);
    assert_eq!(story.state(Unit::Closing(1), 0).0, State::DeadLettered);
    assert_eq!((run.status, run.fault.unwrap().name.as_str()), (Status::Failed, name::NOT_TOLERATED));
}

#[test]
fn stopped_in_on_failure_a_run_is_interrupted_and_the_resume_tells_the_rest() {
    let mut story = Story::new(|_| done(), &[|_| done(), |_| done(), |_| done()], None);
    let run = story.live(kept, true);
    assert_eq!((run.status, run.open_closing()), (Status::Interrupted, Some(1)));
    assert_eq!(story.told(1), [1, 0, 0], "the call that was under way ended, and no other left");
    let run = story.live(kept, false);
    assert_eq!(run.status, Status::Failed);
    assert_eq!((story.told(1), story.told(2)), (vec![1; 3], vec![1; 3]));
}

#[test]
fn what_on_failure_tells_is_the_same_however_often_it_is_begun() {
    let script: Script = |times| if times == 1 { refused(Again::Never) } else { done() };
    let mut story = Story::new(script, &[|_| done(), |_| done(), |_| done()], None);
    story.live(kept, true);
    // Meanwhile the resume gets the item through.
    let run = story.live(kept, false);
    let told = |closing: u32, succeeded: u64, dead: u64| {
        json!({
            "workflow": run.workflow,
            "closing": closing,
            "error": name::NOT_TOLERATED,
            "reason": format!("{dead} of {ITEMS} items are dead letters, more than 'tolerate' allows"),
            "counts": {
                "total": ITEMS, "pending": 0, "running": 0, "backoff": 0, "waiting": 0, "in_doubt": 0,
                "succeeded": succeeded, "skipped": 0, "dead_lettered": dead, "cancelled": 0,
            },
        })
    };
    assert_eq!(story.contents(1), vec![told(1, 0, 2); 3]);
    assert_eq!(story.contents(2), vec![told(2, 1, 1); 3]);
}

#[test]
fn the_other_side_makes_us_wait_a_quarter_of_an_hour_and_no_longer() {
    let script: Script = |times| {
        if times == 1 { refused(Again::After(Duration::from_hours(3))) } else { done() }
    };
    let mut story = Story::new(script, &[], None);
    assert_eq!(story.live(kept, false).status, Status::Succeeded);
    let log = story.log.lock().unwrap();
    let calls = &log[&(Unit::Item(0), 1)];
    let waited = calls[1].0.since(calls[0].0);
    assert!((Duration::from_mins(15)..Duration::from_mins(16)).contains(&waited), "{waited:?}");
}

/// Planted panics are no news; all others are.
fn hush_planted_panics() {
    let loud = take_hook();
    set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(PANIC) {
            loud(panic);
        }
    }));
}

#[test]
fn a_connector_that_panics_takes_neither_the_run_nor_other_items_with_it() {
    hush_planted_panics();
    let lived = |place| {
        let mut story = Story::new(|_| done(), &[], Some(place));
        let run = story.live(kept, false);
        assert!(run.status.is_ended(), "{place}: {run:?}");
        let calls = story.log.lock().unwrap().get(&(Unit::Item(0), 1)).map_or(0, Vec::len);
        (run.status, story.state(Unit::Item(0), 1), calls)
    };
    let (status, state, calls) = lived("prepare");
    assert_eq!((status, calls), (Status::Succeeded, 0), "its item is a dead letter, which is tolerated");
    assert_eq!(state, (State::DeadLettered, Some(name::MAPPING.to_owned())));
    let (status, state, calls) = lived("call");
    assert_eq!((status, calls), (Status::Succeeded, 1), "looked up, and found");
    assert_eq!(state, (State::Succeeded, Some(name::DEFECT.to_owned())));
}

#[test]
fn a_look_that_panics_leaves_the_doubt_to_a_person() {
    hush_planted_panics();
    let script: Script = |_| Outcome::Unclear(Fault::new(name::NO_ANSWER, "lost"));
    let mut story = Story::new(script, &[], Some("probe"));
    let run = story.live(kept, false);
    assert_eq!((run.status, run.fault.unwrap().name.as_str()), (Status::Failed, name::IN_DOUBT));
    assert_eq!(story.state(Unit::Item(0), 1), (State::InDoubt(None), Some(name::DEFECT.to_owned())));
}
