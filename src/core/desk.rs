//! A run as the engine holds it: the units in memory, what each waits for, and what arrived.
//!
//! [`Desk::hear`] turns what arrived into recorded events; [`super::decide::decide`] says what to
//! do next. Between the two the engine commits [`Desk::take_changes`]. Nothing here does IO, and
//! collections are ordered, so that the same arrivals always lead to the same decisions.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};
use std::sync::Arc;
use std::time::Duration;

use super::arrival::{Request, Setback};
use super::asking::Standings;
use super::claiming::Claims;
use super::id::Unit;
use super::outlet::{Notice, Outlets};
use super::plan::Plan;
use super::progress::Progress;
use super::receiving::Receiving;
use super::selection::Positions;
use super::signal::Subject;
use super::time::Timestamp;

/// How much of a run is held in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most items in memory at once.
    pub window: usize,
    /// An item that has to wait longer than this gives up its place.
    pub patience: Duration,
}

/// What a slot is doing that is not durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Idle,
    Preparing,
    Queued,
    /// Asks for its key.
    Claiming,
    /// Its key was not to be had; it asks again.
    Held,
    Calling,
    Looking,
}

/// A step of a unit in memory.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) stage: Stage,
    pub(super) request: Option<Arc<Request>>,
}

/// A unit in memory.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) progress: Progress,
    pub(super) slots: Vec<Slot>,
    /// A pure step was computed since the progress was last made durable. That alone is not worth
    /// a commit, unless nothing else will follow.
    pub(super) unsaved: bool,
}

/// Units whose call at one step can leave, in the order they became ready.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) queue: VecDeque<Unit>,
    pub(super) since: Timestamp,
    pub(super) calling: usize,
}

impl Line {
    /// Nobody is in it, and nobody comes back to it.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.calling == 0
    }
}

/// A run as the engine holds it.
#[derive(Debug)]
pub struct Desk {
    pub(super) plan: Arc<Plan>,
    pub(super) limits: Limits,
    pub(super) units: BTreeMap<Unit, Active>,
    /// The line of each step that anybody waits at, or that is calling.
    pub(super) lines: BTreeMap<(TrackName, usize), Line>,
    pub(super) timers: BTreeSet<(Timestamp, Unit, usize)>,
    /// Units with a record that gave up their place, and when they are wanted back.
    pub(super) asleep: BTreeMap<Unit, Timestamp>,
    pub(super) wakes: BTreeSet<(Timestamp, Unit)>,
    pub(super) prepare: BTreeMap<Unit, Vec<usize>>,
    pub(super) fetching: BTreeSet<Unit>,
    pub(super) wanted: BTreeSet<Unit>,
    /// Items before this position were asked for once.
    pub(super) fed: u64,
    /// Where it began: every item before this position is at rest.
    pub(super) begun: u64,
    /// The items to work on; `None`: all.
    pub(super) chosen: Option<Arc<Positions>>,
    /// How many items there are; `None` before the gate.
    pub(super) total: Option<u64>,
    /// More items may come.
    pub(super) takes_in: bool,
    /// When it is looked again for items that can give up their place.
    pub(super) room_at: Timestamp,
    pub(super) stopping: bool,
    pub(super) paused: bool,
    pub(super) outlets: Outlets,
    pub(super) receiving: Receiving,
    pub(super) notices: Vec<Notice>,
    pub(super) moving: usize,
    pub(super) touched: BTreeSet<Unit>,
    pub(super) setbacks: Vec<Setback>,
    pub(super) claims: Claims,
    pub(super) listening: Vec<Listening>,
    /// For a run whose graph somebody else drives: where those stand that gave up their place.
    pub(super) standings: Option<Standings>,
}

/// A unit that has begun to wait for a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Listening {
    /// The unit.
    pub unit: Unit,
    /// The step.
    pub step: usize,
    /// What it waits for.
    pub subject: Subject,
    /// Its own effect began then; `None`: it had none.
    pub since: Option<Timestamp>,
    /// When it began to wait.
    pub at: Timestamp,
    /// When it gives up.
    pub until: Timestamp,
}

/// Tells the tracks apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TrackName {
    Run,
    Closing,
    Item,
}

impl TrackName {
    pub(super) fn of(unit: Unit) -> Self {
        match unit {
            Unit::Run => Self::Run,
            Unit::Closing(_) => Self::Closing,
            Unit::Item(_) => Self::Item,
        }
    }
}

impl Desk {
    /// An empty desk. `fed` is the position of the first item to ask for.
    pub fn new(plan: Arc<Plan>, limits: Limits, total: Option<u64>, fed: u64) -> Self {
        Self {
            outlets: Outlets::of(&plan),
            standings: plan.items.is_gated().then(Standings::default),
            receiving: Receiving::default(),
            notices: Vec::new(),
            paused: false,
            plan,
            limits,
            units: BTreeMap::new(),
            lines: BTreeMap::new(),
            timers: BTreeSet::new(),
            asleep: BTreeMap::new(),
            wakes: BTreeSet::new(),
            prepare: BTreeMap::new(),
            fetching: BTreeSet::new(),
            wanted: BTreeSet::new(),
            fed,
            begun: fed,
            chosen: None,
            total,
            takes_in: false,
            room_at: Timestamp(0),
            stopping: false,
            moving: 0,
            touched: BTreeSet::new(),
            setbacks: Vec::new(),
            claims: Claims::default(),
            listening: Vec::new(),
        }
    }

    /// The plan it decides on.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The gate is passed: so many items can be asked for.
    pub fn open_gate(&mut self, total: u64) {
        self.total = Some(total);
        self.skip_unchosen();
        if self.plan.items.is_closed() {
            // Nobody has asked for a step of theirs yet.
            self.fed = total;
        }
    }

    /// More items may come: as long as they may, the run is not finished.
    pub fn open_intake(&mut self) {
        self.takes_in = true;
    }

    /// So many items have come by now. Whoever carries out what is decided makes them durable first.
    pub fn grow(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// No more items come from the queue at this step of theirs.
    pub fn close_intake(&mut self, step: usize) {
        self.takes_in = false;
        self.queue_is_left(step);
    }

    /// Whether any item is in hand.
    pub fn is_busy(&self) -> bool {
        !self.units.is_empty() || !self.asleep.is_empty() || !self.fetching.is_empty() || self.moving > 0
    }

    /// Items before this position are at rest and are not asked for.
    pub fn start_from(&mut self, position: u64) {
        self.fed = position;
        self.begun = position;
        self.skip_unchosen();
    }

    /// Whether no new attempt starts any more.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// What was prepared for a call of this step.
    pub fn request(&self, unit: Unit, step: usize) -> Option<Arc<Request>> {
        self.units.get(&unit)?.slots.get(step)?.request.clone()
    }

    /// Asks for a unit by name: one that a message came for, or one that a resume revives.
    pub fn want(&mut self, unit: Unit) {
        if !self.units.contains_key(&unit) && !self.fetching.contains(&unit) && self.works_on(unit) {
            self.forget_sleep(unit);
            self.wanted.insert(unit);
        }
    }

    /// No new attempt starts from now on.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// No new attempt starts until [`Desk::unpause`]. What is waited for is still taken in.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Goes on after a pause; connections that are held are tried at once.
    pub fn unpause(&mut self, now: Timestamp) {
        self.paused = false;
        self.try_now(now);
    }

    /// Whether everything there was to do is done, also when it was asked to stop.
    pub fn is_complete(&self) -> bool {
        let fed = self.total.is_some() && self.left_to_feed() == 0;
        let asked = !self.plan.items.is_gated() && !self.plan.run.is_gated();
        fed && asked
            && !self.takes_in
            && self.units.is_empty()
            && self.asleep.is_empty()
            && self.wanted.is_empty()
    }

    /// How the run itself stands, or a closing of it, when nothing is left to do but to record that: the run
    /// has no items, and its last step has ended.
    pub fn last_record(&self) -> Option<(Unit, &Progress)> {
        let (unit, active) = self.units.first_key_value()?;
        let asked = self.fetching.is_empty() && self.wanted.is_empty() && self.asleep.is_empty();
        let is_last = self.units.len() == 1 && self.moving == 0 && asked && self.total == Some(0);
        let is_over = is_last && !self.takes_in && !self.paused && !matches!(unit, Unit::Item(_));
        let rests = is_over && active.progress.is_at_rest(self.plan.track(*unit));
        rests.then_some((*unit, &active.progress))
    }

    /// The progress of a unit in memory.
    pub fn progress(&self, unit: Unit) -> Option<&Progress> {
        self.units.get(&unit).map(|active| &active.progress)
    }

    /// Whether a unit is in memory or on its way there.
    pub fn holds(&self, unit: Unit) -> bool {
        self.units.contains_key(&unit) || self.fetching.contains(&unit) || self.wanted.contains(&unit)
    }

    /// Every item before this position is at rest.
    pub fn watermark(&self) -> u64 {
        let item = |unit: &Unit| match unit {
            Unit::Item(position) => Some(*position),
            Unit::Run | Unit::Closing(_) => None,
        };
        let firsts = [
            self.units.keys().find_map(item),
            self.asleep.keys().find_map(item),
            self.fetching.iter().find_map(item),
            self.wanted.iter().find_map(item),
        ];
        // Items that were not chosen lie between those that were; and none is done while a step of theirs
        // was not asked for.
        let stays = self.chosen.is_some() || self.plan.items.is_gated();
        let fed = if stays { self.begun } else { self.fed };
        // A message may have brought in an item far ahead of those that were not asked for yet.
        firsts.into_iter().flatten().fold(fed, u64::min)
    }

    /// What was recorded since the last call: each unit's whole progress, once, and the setbacks.
    /// Units at rest leave memory with it.
    pub fn take_changes(&mut self) -> (Vec<(Unit, Progress)>, Vec<Setback>) {
        let touched = std::mem::take(&mut self.touched);
        let changes = touched
            .into_iter()
            .filter_map(|unit| {
                let active = self.units.get_mut(&unit)?;
                active.unsaved = false;
                let track = self.plan.track(unit);
                let idle = active.slots.iter().all(|slot| slot.stage == Stage::Idle);
                if idle && active.progress.is_at_rest(track) {
                    self.units.remove(&unit).map(|active| (unit, active.progress))
                } else {
                    Some((unit, active.progress.clone()))
                }
            })
            .collect();
        (changes, std::mem::take(&mut self.setbacks))
    }

    /// The units that have begun to wait for signals since the last call.
    pub fn take_listening(&mut self) -> Vec<Listening> {
        std::mem::take(&mut self.listening)
    }

    /// Puts a unit into the line of a step.
    pub(super) fn queue(&mut self, unit: Unit, step: usize, now: Timestamp) {
        let line = self.lines.entry((TrackName::of(unit), step)).or_default();
        if line.queue.is_empty() {
            line.since = now;
        }
        line.queue.push_back(unit);
        self.set_stage(unit, step, Stage::Queued);
    }

    pub(super) fn stage(&self, unit: Unit, step: usize) -> Option<Stage> {
        self.units.get(&unit)?.slots.get(step).map(|slot| slot.stage)
    }

    pub(super) fn set_stage(&mut self, unit: Unit, step: usize, stage: Stage) {
        let Some(active) = self.units.get_mut(&unit) else { return };
        let slot = &mut active.slots[step];
        self.moving += usize::from(slot.stage == Stage::Idle && stage != Stage::Idle);
        self.moving -= usize::from(slot.stage != Stage::Idle && stage == Stage::Idle);
        slot.stage = stage;
    }

    /// A call gives its place in the line of a step back.
    pub(super) fn call_left(&mut self, unit: Unit, step: usize) {
        if let btree_map::Entry::Occupied(mut line) = self.lines.entry((TrackName::of(unit), step)) {
            line.get_mut().calling -= 1;
            if line.get().is_idle() {
                line.remove();
            }
        }
    }

    pub(super) fn forget_sleep(&mut self, unit: Unit) {
        if let Some(wake) = self.asleep.remove(&unit) {
            self.wakes.remove(&(wake, unit));
        }
    }
}
