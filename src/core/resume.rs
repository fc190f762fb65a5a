//! What a resume will do, before it does it: the fates of all units, added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::Role;
use super::cell::{SettleBy, State};
use super::id::{RunId, Unit};
use super::plan::Track;
use super::progress::Progress;
use super::redefine::Changes;
use super::run::{Revision, Run};
use super::selection::Selection;

use super::digest::hex;
pub use super::fate::{Fate, at_admission, fate, fates, fates_left_out, revival};

/// What a resume will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePlan {
    /// The run.
    pub run: RunId,
    /// Names exactly this plan.
    pub hash: String,
    /// Work that is kept.
    pub reuse: Vec<Share>,
    /// Work that is done.
    pub execute: Vec<Share>,
    /// Effects in doubt, one by one; at most 10,000 of them.
    pub in_doubt: Vec<Doubt>,
    /// How many effects are in doubt.
    pub doubts: u64,
    /// Items that are done at every step.
    pub done: u64,
    /// Units that stay as they are.
    pub stays: Vec<Share>,
    /// What is not as it was when the run was started.
    #[serde(default)]
    pub changes: Changes,
}

/// A share of the items at one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The step.
    pub step: String,
    /// How many items (for a run step: 1).
    pub items: u64,
    /// Why; empty for work that is kept.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
}

/// One effect in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The step.
    pub step: String,
    /// The item's position; none for a run step.
    pub item: Option<u64>,
    /// The attempt that has no outcome.
    pub attempt: u32,
    /// How it is settled.
    pub settle_by: SettleBy,
}

/// Adds up what a resume will do, unit by unit.
#[derive(Debug)]
pub struct Planner<'a> {
    track: &'a Track,
    counts: Vec<BTreeMap<Fate, u64>>,
    doubts: Vec<Doubt>,
    doubt_count: u64,
    done: u64,
    recorded: u64,
    /// How many of the units that have a record are chosen.
    chosen: u64,
    selection: &'a Selection,
    revisions: Option<&'a BTreeMap<String, Revision>>,
    digest: Sha256,
}

/// Most effects in doubt that a plan lists one by one; the counts are always whole.
const DOUBTS_LISTED_MAX: usize = 10_000;

/// Finished items whose part of the digest is made in one go.
const FINISHED_AT_ONCE: usize = 1024;

impl<'a> Planner<'a> {
    /// A planner for the units of one track of a run in this epoch.
    pub fn new(track: &'a Track, run: RunId, epoch: u32) -> Self {
        let mut digest = Sha256::new();
        digest.update(run.0.to_be_bytes());
        digest.update(epoch.to_be_bytes());
        Self {
            track,
            counts: vec![BTreeMap::new(); track.steps.len()],
            doubts: Vec::new(),
            doubt_count: 0,
            done: 0,
            recorded: 0,
            chosen: 0,
            selection: &Selection::All,
            revisions: None,
            digest,
        }
    }

    /// The same for a resume that works on these items only.
    #[must_use]
    pub fn selecting(mut self, selection: &'a Selection) -> Self {
        self.selection = selection;
        self
    }

    /// The same with the reasons why steps are out of date.
    #[must_use]
    pub fn revised(mut self, revisions: &'a BTreeMap<String, Revision>) -> Self {
        self.revisions = Some(revisions);
        self
    }

    fn reason(&self, step: &str, fate: Fate) -> String {
        let revision = self.revisions.and_then(|revisions| revisions.get(step));
        match (fate, revision) {
            (Fate::OutOfDate, Some(revision)) => revision.cause.words().to_owned(),
            _ => fate.reason().to_owned(),
        }
    }

    /// Adds a unit that has a record.
    pub fn add(&mut self, unit: Unit, progress: &Progress) {
        self.recorded += 1;
        let item = match unit {
            Unit::Item(position) => Some(position),
            Unit::Run | Unit::Closing(_) => None,
        };
        self.digest.update(item.unwrap_or(u64::MAX).to_be_bytes());
        let chosen = self.selection.takes(self.track, unit, Some(progress));
        self.chosen += u64::from(chosen);
        let fates = if chosen { fates(self.track, progress) } else { fates_left_out(self.track, progress) };
        self.done += u64::from(item.is_some() && fates.iter().all(|fate| *fate == Fate::Reuse));
        for (step, (known, fate)) in self.track.steps.iter().zip(fates).enumerate() {
            *self.counts[step].entry(fate).or_default() += 1;
            self.digest.update([fate.letter()]);
            if let Fate::InDoubt(settle_by) = fate {
                self.digest.update(progress.cells[step].attempts.to_be_bytes());
                self.doubt_count += 1;
                if self.doubts.len() < DOUBTS_LISTED_MAX {
                    let cell = &progress.cells[step];
                    let attempt = cell.attempts + u32::from(cell.state == State::Running);
                    self.doubts.push(Doubt { step: known.name.clone(), item, attempt, settle_by });
                }
            }
        }
    }

    /// Adds the items before `end`, each of which has a record in which every step is passed under the
    /// revision that it has now. Says the same as [`Planner::add`] for one after the other would, and
    /// nobody has to read them. To be called before any other unit is added.
    pub fn add_finished(&mut self, end: u64) {
        self.recorded += end;
        self.chosen += self.selection.finished(end);
        self.done += end;
        for counts in &mut self.counts {
            *counts.entry(Fate::Reuse).or_default() += end;
        }
        let letters = vec![Fate::Reuse.letter(); self.track.steps.len()];
        let mut bytes = Vec::with_capacity(FINISHED_AT_ONCE * (size_of::<u64>() + letters.len()));
        for position in 0..end {
            bytes.extend_from_slice(&position.to_be_bytes());
            bytes.extend_from_slice(&letters);
            if bytes.len() == bytes.capacity() {
                self.digest.update(&bytes);
                bytes.clear();
            }
        }
        self.digest.update(&bytes);
    }

    /// Ends the plan of a track with `total` units, those without a record included.
    pub fn finish(mut self, total: u64) -> TrackPlan {
        let unrecorded = total.saturating_sub(self.recorded);
        let chosen = self.selection.unrecorded(total, self.recorded, self.chosen).min(unrecorded);
        self.digest.update(total.to_be_bytes());
        self.digest.update(chosen.to_be_bytes());
        let mut plan = TrackPlan {
            doubts: std::mem::take(&mut self.doubts),
            doubt_count: self.doubt_count,
            done: self.done,
            ..TrackPlan::default()
        };
        for (step, known) in self.track.steps.iter().enumerate() {
            *self.counts[step].entry(Fate::NeverRan).or_default() += chosen;
            *self.counts[step].entry(Fate::LeftOut).or_default() += unrecorded - chosen;
            for (fate, items) in self.counts[step].iter().filter(|(_, items)| **items > 0) {
                // A source that is pinned shows in its items, which have its name.
                if known.role == Role::Source && *fate == Fate::Reuse {
                    continue;
                }
                let share = Share {
                    step: known.name.clone(),
                    items: *items,
                    reason: self.reason(&known.name, *fate),
                };
                match fate {
                    Fate::Reuse => plan.reuse.push(share),
                    fate if fate.acts() => plan.execute.push(share),
                    _ => plan.stays.push(share),
                }
            }
        }
        plan.hash = hex(&self.digest.finalize());
        plan
    }
}

/// What a resume will do on one track.
#[derive(Clone, Debug, Default)]
pub struct TrackPlan {
    reuse: Vec<Share>,
    execute: Vec<Share>,
    stays: Vec<Share>,
    doubts: Vec<Doubt>,
    doubt_count: u64,
    done: u64,
    hash: String,
}

impl TrackPlan {
    fn tells_of(&self, step: &str) -> bool {
        let mut shares = self.reuse.iter().chain(&self.execute).chain(&self.stays);
        shares.any(|share| share.step == step)
    }
}

/// Joins the plans of the tracks of a run. The source is a step of both: once there are items it
/// is told by them, so that no step is counted twice.
pub fn join(run: RunId, mut tracks: Vec<TrackPlan>) -> ResumePlan {
    if let Some((of_items, others)) = tracks.split_last_mut() {
        for track in others {
            for shares in [&mut track.reuse, &mut track.execute, &mut track.stays] {
                shares.retain(|share| !of_items.tells_of(&share.step));
            }
        }
    }
    let mut digest = Sha256::new();
    let mut plan = ResumePlan {
        run,
        hash: String::new(),
        reuse: Vec::new(),
        execute: Vec::new(),
        in_doubt: Vec::new(),
        doubts: 0,
        done: 0,
        stays: Vec::new(),
        changes: Changes::default(),
    };
    for track in tracks {
        plan.reuse.extend(track.reuse);
        plan.execute.extend(track.execute);
        plan.stays.extend(track.stays);
        plan.in_doubt.extend(track.doubts);
        plan.doubts += track.doubt_count;
        plan.done += track.done;
        digest.update(track.hash.as_bytes());
    }
    plan.hash = hex(&digest.finalize()[..PLAN_HASH_BYTES]);
    plan
}

impl ResumePlan {
    /// The same with a hash that covers all that decides what is executed, beside the fates of the
    /// units: the definition, its revisions, the connections, and which items are selected.
    #[must_use]
    pub fn sealed(mut self, run: &Run, selection: &Selection) -> Self {
        let mut digest = Sha256::new();
        for part in [&self.hash, &run.definition] {
            digest.update(part.as_bytes());
        }
        // Every map in here is ordered.
        let ground = (&run.files, &run.revisions, &run.connections);
        digest.update(serde_json::to_vec(&ground).unwrap_or_default());
        selection.write_to(&mut digest);
        self.hash = hex(&digest.finalize()[..PLAN_HASH_BYTES]);
        self
    }
}

/// 64 bits: enough that two plans of one run never share a hash, short enough to type.
const PLAN_HASH_BYTES: usize = 8;
