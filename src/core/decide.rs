//! What to do next. The engine records first ([`Desk::take_changes`]), then carries out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::catalog::Role;
use super::cell::{Facts, IllegalTransition, Kind, SettleBy, State};
use super::desk::{Desk, Stage, TrackName};
use super::fault::{Fault, name};
use super::id::Unit;
use super::progress::Progress;
use super::retry::next_attempt;
use super::time::Timestamp;

/// Most items asked for at once: enough to keep the computing threads busy, few enough that the
/// first ones are not held up by the last.
const FEED_MAX: u64 = 128;

/// What the engine carries out after the commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Dispatch {
    /// Read these units: their records from the store, their content from the pinned source.
    Fetch(Vec<Unit>),
    /// One call for these units, each with its attempt. Their intents are durable.
    Call {
        /// The step.
        step: usize,
        /// The units.
        units: Vec<(Unit, u32)>,
    },
    /// Claim the keys of these units, each for its attempt.
    Claim {
        /// The step.
        step: usize,
        /// The units.
        units: Vec<(Unit, u32)>,
    },
    /// Let claims go that were granted: no call will leave.
    Release {
        /// The step.
        step: usize,
        /// The units.
        units: Vec<Unit>,
    },
    /// Receive once for a step of the items whose queue is held: the trial.
    Receive {
        /// The step.
        step: usize,
    },
    /// Look whether the effect is there.
    Look {
        /// The step.
        step: usize,
        /// The unit.
        unit: Unit,
    },
}

/// Steps to prepare: computed only, so it need not wait for the commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    /// The unit.
    pub unit: Unit,
    /// How far it has come.
    pub progress: Progress,
    /// The steps.
    pub steps: Vec<usize>,
}

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// To carry out, in this order, after what was recorded is durable.
    pub dispatch: Vec<Dispatch>,
    /// To prepare.
    pub prepare: Vec<Preparation>,
    /// When to decide again if nothing arrives.
    pub wake_at: Option<Timestamp>,
    /// Units that gave up their place in memory.
    pub asleep: Vec<Unit>,
}

impl Decision {
    /// What was decided right after it, before any of it was carried out.
    pub fn go_on_with(&mut self, later: Self) {
        self.dispatch.extend(later.dispatch);
        self.prepare.extend(later.prepare);
        self.asleep.extend(later.asleep);
        self.wake_at = later.wake_at;
    }

    pub(super) fn wake_sooner(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |wake| wake.min(at)));
    }
}

/// Decides what to do next and records the intents.
///
/// # Errors
/// [`IllegalTransition`] when the records contradict each other: a defect of the engine.
pub fn decide(desk: &mut Desk, now: Timestamp) -> Result<Decision, IllegalTransition> {
    let mut decision = Decision::default();
    desk.ring(now)?;
    desk.go_on_with_claims(now, &mut decision)?;
    desk.start_calls(now, &mut decision)?;
    desk.try_queues(now, &mut decision);
    desk.make_room(now, &mut decision);
    desk.feed(&mut decision);
    for (unit, steps) in std::mem::take(&mut desk.prepare) {
        if let Some(active) = desk.units.get(&unit) {
            let progress = active.progress.clone();
            decision.prepare.push(Preparation { unit, progress, steps });
        }
    }
    let first_timer = desk.timers.first().map(|(at, ..)| *at);
    let first_wake = desk.wakes.first().map(|(at, _)| *at);
    let soonest = [decision.wake_at, first_timer, first_wake].into_iter().flatten().min();
    decision.wake_at = soonest.filter(|_| !desk.stopping);
    Ok(decision)
}

impl Desk {
    /// Nothing is under way and nothing will come by itself.
    pub fn is_finished(&self) -> bool {
        let idle = self.moving == 0 && self.fetching.is_empty();
        let fed = self.total.is_none_or(|total| self.fed >= total);
        let asleep = self.units.is_empty() && self.asleep.is_empty() && self.wanted.is_empty();
        idle && (self.stopping || (fed && asleep && !self.paused && !self.takes_in))
    }

    /// Carries out the timers that are due.
    fn ring(&mut self, now: Timestamp) -> Result<(), IllegalTransition> {
        while let Some((at, unit, step)) = self.timers.first().copied() {
            if at > now || self.stopping {
                break;
            }
            self.timers.pop_first();
            self.due(unit, step, at, now)?;
        }
        while let Some((at, unit)) = self.wakes.first().copied() {
            if at > now || self.stopping {
                break;
            }
            self.forget_sleep(unit);
            self.want(unit);
        }
        Ok(())
    }

    fn due(
        &mut self,
        unit: Unit,
        step: usize,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        let Some(active) = self.units.get(&unit) else { return Ok(()) };
        let cell = &active.progress.cells[step];
        let prepared = active.slots[step].request.is_some();
        let known = &self.plan.track(unit).steps[step];
        if known.is_closed() {
            return Ok(());
        }
        match cell.state {
            // Without its request nothing can be done; the timer is set again when that is there.
            _ if !prepared && !matches!(cell.state, State::Waiting(_)) => Ok(()),
            State::Backoff(until) if until == at => {
                self.queue(unit, step, now);
                Ok(())
            }
            State::InDoubt(Some(until)) if until == at => match known.settle {
                SettleBy::Probe => {
                    self.queue_look(unit, step);
                    Ok(())
                }
                SettleBy::Repeat => {
                    let until = next_attempt(cell, &known.retry, now);
                    self.record(unit, step, Kind::Repeated { until }, now)
                }
                SettleBy::Person => {
                    let fault = Fault::new(name::IN_DOUBT, "only a person can settle this effect");
                    self.record(unit, step, Kind::Unsettled { fault, until: None }, now)
                }
            },
            // Later than it says, when nobody could ask for the message meanwhile.
            State::Waiting(until) if until <= at => {
                if let Some(later) = self.waits_on(unit, step, now) {
                    self.timers.insert((later, unit, step));
                    return Ok(());
                }
                let faulted = |name, words| Kind::Faulted { fault: Fault::new(name, words) };
                let kind = match known.role {
                    Role::Timer => Kind::Done { facts: Facts::new() },
                    Role::Listen => faulted(name::SIGNAL_MISSING, "no signal came in time"),
                    _ => faulted(name::MESSAGE_LOST, "no message came in time"),
                };
                self.record(unit, step, kind, now)
            }
            _ => Ok(()),
        }
    }

    /// Starts calls, later steps first, so that items finish before new ones begin.
    fn start_calls(&mut self, now: Timestamp, decision: &mut Decision) -> Result<(), IllegalTransition> {
        if self.stopping {
            self.clear_lines();
            self.clear_looks();
            return Ok(());
        }
        if self.paused {
            return Ok(());
        }
        self.start_looks(now, decision);
        let lines: Vec<(TrackName, usize)> = self.lines.keys().rev().copied().collect();
        for key in lines {
            while let Some(units) = self.next_batch(key, now, decision) {
                if units.first().is_some_and(|unit| self.plan.track(*unit).steps[key.1].keyed) {
                    self.ask(key.1, units, decision);
                } else {
                    self.leave(key.1, units, now, decision)?;
                }
            }
        }
        Ok(())
    }

    /// Records the intents of a batch and lets it leave.
    pub(super) fn leave(
        &mut self,
        step: usize,
        units: Vec<Unit>,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), IllegalTransition> {
        let mut call = Vec::with_capacity(units.len());
        for unit in units {
            self.set_stage(unit, step, Stage::Calling);
            self.record(unit, step, Kind::Intended, now)?;
            call.push((unit, self.next(unit, step)));
        }
        decision.dispatch.push(Dispatch::Call { step, units: call });
        Ok(())
    }

    /// The number of the attempt that is about to be made, or under way.
    pub(super) fn next(&self, unit: Unit, step: usize) -> u32 {
        self.progress(unit).map_or(0, |progress| progress.cells[step].attempts) + 1
    }

    /// Takes the next batch of a line if one may leave now.
    fn next_batch(
        &mut self,
        key: (TrackName, usize),
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<Vec<Unit>> {
        let more_may_come = self.moving + self.fetching.len();
        let unfed = self.total.is_some_and(|total| self.fed < total);
        let line = self.lines.get(&key)?;
        let first = *line.queue.front()?;
        let plan = Arc::clone(&self.plan);
        let step = &plan.track(first).steps[key.1];
        if line.calling >= step.concurrency {
            return None;
        }
        let alone = line.queue.len() == more_may_come && !unfed;
        let leaves_at = line.since.after(step.linger);
        if line.queue.len() < step.batch_max && !alone && now < leaves_at {
            decision.wake_sooner(leaves_at);
            return None;
        }
        let most = self.takes_leave(first, key.1, now, decision)?;
        let line = self.lines.get_mut(&key)?;
        line.calling += 1;
        line.since = now;
        let size = line.queue.len().min(step.batch_max).min(most);
        Some(line.queue.drain(..size).collect())
    }

    /// No call leaves any more: those in line stay as they are recorded.
    fn clear_lines(&mut self) {
        let queued: Vec<(Unit, usize)> = self
            .lines
            .iter_mut()
            .flat_map(|((_, step), line)| line.queue.drain(..).map(|unit| (unit, *step)).collect::<Vec<_>>())
            .collect();
        self.lines.retain(|_, line| !line.is_idle());
        for (unit, step) in queued {
            self.set_stage(unit, step, Stage::Idle);
        }
    }

    /// Lets items that have to wait longer than our patience give up their place, when there are
    /// others to bring in.
    fn make_room(&mut self, now: Timestamp, decision: &mut Decision) {
        let wanting = !self.wanted.is_empty() || self.total.is_some_and(|total| self.fed < total);
        if !wanting || self.stopping || self.units.len() + self.fetching.len() < self.limits.window {
            return;
        }
        if now < self.room_at {
            decision.wake_sooner(self.room_at);
            return;
        }
        self.room_at = now.after(self.limits.patience / 4);
        decision.wake_sooner(self.room_at);
        let patience = now.after(self.limits.patience);
        let sleepers: Vec<(Unit, Timestamp)> = self
            .units
            .iter()
            .filter(|(unit, active)| {
                matches!(unit, Unit::Item(_))
                    && active.slots.iter().all(|slot| slot.stage == Stage::Idle)
                    && !self.prepare.contains_key(unit)
                    && !self.touched.contains(unit)
            })
            .filter_map(|(unit, active)| {
                let wakes = active.progress.cells.iter().filter_map(|cell| match cell.state {
                    State::Backoff(until) | State::Waiting(until) | State::InDoubt(Some(until)) => {
                        Some((until, cell.at))
                    }
                    _ => None,
                });
                let (wake, since) = wakes.min()?;
                let waited = since.after(self.limits.patience) <= now;
                (wake > patience && waited).then_some((*unit, wake))
            })
            .collect();
        for (unit, wake) in sleepers {
            self.note_standing(unit);
            self.units.remove(&unit);
            self.asleep.insert(unit, wake);
            self.wakes.insert((wake, unit));
            decision.asleep.push(unit);
        }
    }

    /// Asks for more units while there is room.
    fn feed(&mut self, decision: &mut Decision) {
        if self.stopping {
            self.wanted.clear();
            return;
        }
        let mut fetch: BTreeSet<Unit> = std::mem::take(&mut self.wanted);
        let held = self.units.len() + self.fetching.len() + fetch.len();
        let room = self.limits.window.saturating_sub(held) as u64;
        let left = if self.paused { 0 } else { self.left_to_feed() };
        let wave = room.min(FEED_MAX).min(left);
        // Whole waves only: reading one record at a time costs a hand-over each.
        if wave > 0 && (wave == left || wave == FEED_MAX || self.moving == 0) {
            // A message may have brought an item in before its turn.
            let known = |unit: &Unit| self.holds(*unit) || self.asleep.contains_key(unit);
            let wave = self.next_wave(wave);
            let fresh: Vec<Unit> = wave.items.into_iter().filter(|unit| !known(unit)).collect();
            fetch.extend(fresh);
            self.fed = wave.fed;
            self.skip_unchosen();
        }
        if !fetch.is_empty() {
            self.fetching.extend(fetch.iter().copied());
            decision.dispatch.push(Dispatch::Fetch(fetch.into_iter().collect()));
        }
    }
}
