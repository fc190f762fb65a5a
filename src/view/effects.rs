//! The effect ledger of a run: what is known about every effect, and how many are known like that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::archive::{Archive, Regard};
use super::cause::unsaid;
use super::problem::{Problem, ProblemKind, code};
use super::status::UnitStatus;
use super::when::When;
use crate::core::catalog::Role;
use crate::core::cell::{Cell, State};
use crate::core::fault::Fault;
use crate::core::id::Unit;
use crate::core::ledger::{Entry, Verdict, entry, is_left_to_a_person};
use crate::core::plan::{Plan, PlanStep, Track};
use crate::core::progress::Progress;
use crate::core::run::Run;
use crate::core::tally::StepTally;

/// Effects on a page when nothing else is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Most effects on a page.
const LIMIT_MAX: usize = 2_000;
/// Records read from the store at once.
const CHUNK: usize = 512;
/// Items looked at for one page; see the pages of items.
const LOOKED_AT_MAX: u64 = 50_000;

/// Which effects to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EffectFilter {
    /// Only those of the item with this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Only those of this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only those with this verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Only those about which something is perhaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubtful>,
    /// Only those of items from this position on: the cursor of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// About this many: the effects of one item stay on one page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What is perhaps about an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doubtful {
    /// It was perhaps done, or was perhaps done more than once.
    Any,
    /// The same, and nobody but a person will ever tell.
    Person,
}

/// Effects: those of run steps, then those of items in the order of the source, then those of
/// `on_failure`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectPage {
    /// The effects.
    pub effects: Vec<EffectView>,
    /// Where the next page begins (`after`); `null` on the last one. A page may be short, even
    /// empty, and still have a next one.
    pub next: Option<u64>,
}

/// What is known about one effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectView {
    /// The key of the item; `null` for a step of the run itself.
    pub item: Option<String>,
    /// The step.
    pub step: String,
    /// Which failed closing it belongs to, from 1; only for a step of `on_failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<u32>,
    /// `done`, `refused`, `in_doubt`, `intended` or `not_needed`.
    pub effect: Verdict,
    /// The attempt that says so, from 1; 0 when none was made.
    pub attempt: u32,
    /// When that was recorded.
    pub at: When,
    /// The idempotency key; `null` when it cannot be rendered.
    pub key: Option<String>,
    /// What the other side returned.
    pub facts: Map<String, Value>,
    /// What the other side said, or why nothing is known; `null` when nothing is wrong.
    pub error: Option<Fault>,
    /// Attempts beside this one that perhaps happened as well.
    pub doubts: u32,
    /// How often it was done before, for sure, and then again on purpose: under an earlier definition,
    /// or because its message was lost.
    #[serde(default)]
    pub before: u32,
    /// `probe` (a resume looks it up), `repeat` (a resume repeats it, which is harmless) or
    /// `person`; `null` when nothing is in doubt.
    pub settle_by: Option<String>,
}

/// How many effects are known how; the verdicts sum to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectCounts {
    /// All effects that were ever tried, or found to be needless.
    pub total: u64,
    /// Done for sure.
    pub done: u64,
    /// Not done for sure.
    pub refused: u64,
    /// Perhaps done.
    pub in_doubt: u64,
    /// A call is under way.
    pub intended: u64,
    /// Never sent.
    pub not_needed: u64,
    /// Of those done: perhaps done more than once.
    pub repeated: u64,
    /// Of all: those about which only a person can tell more.
    pub person: u64,
}

impl EffectCounts {
    /// How many have this verdict.
    pub fn of(&self, verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Intended => self.intended,
            Verdict::Done => self.done,
            Verdict::Refused => self.refused,
            Verdict::InDoubt => self.in_doubt,
            Verdict::NotNeeded => self.not_needed,
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.total += 1;
        match entry.verdict {
            Verdict::Intended => self.intended += 1,
            Verdict::Done => self.done += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::InDoubt => self.in_doubt += 1,
            Verdict::NotNeeded => self.not_needed += 1,
        }
        self.repeated += u64::from(entry.verdict == Verdict::Done && entry.doubts > 0);
    }
}

/// What is looked for, in whose records.
struct Search<'a> {
    archive: &'a Archive,
    run: &'a Run,
    plan: &'a Plan,
    filter: &'a EffectFilter,
    live: bool,
    found: Vec<EffectView>,
}

impl Archive {
    /// One page of the ledger.
    ///
    /// # Errors
    /// [`code::STEP_UNKNOWN`], [`code::ITEM_UNKNOWN`], or what is wrong with the reference.
    pub fn effects(&self, reference: &str, filter: &EffectFilter) -> Result<EffectPage, Problem> {
        let run = self.find(reference)?;
        let plan = self.names().plan(&run)?;
        if let Some(step) = &filter.step {
            effect_step(&run, &plan, step)?;
        }
        let live = self.regard(&run) == Regard::AsRecorded;
        let mut search = Search { archive: self, run: &run, plan: &plan, filter, live, found: Vec::new() };
        let next = match &filter.item {
            Some(key) => {
                search.unit(Unit::Item(self.position(&run, key)?))?;
                None
            }
            None => search.page()?,
        };
        Ok(EffectPage { effects: search.found, next })
    }

    /// The counts of the whole ledger of a run. Reads every record, a few hundred at a time.
    pub fn effect_counts(&self, reference: &str) -> Result<EffectCounts, Problem> {
        let run = self.find(reference)?;
        let plan = self.names().plan(&run)?;
        let live = self.regard(&run) == Regard::AsRecorded;
        let mut counts = EffectCounts::default();
        let mut add = |track: &Track, progress: &Progress| {
            for (step, cell) in track.steps.iter().zip(progress.cells.iter()) {
                if let Some(entry) = entry(step, cell, live) {
                    counts.add(&entry);
                    counts.person += u64::from(is_left_to_a_person(step, cell, live));
                }
            }
        };
        for unit in std::iter::once(Unit::Run).chain((1..=run.closings).map(Unit::Closing)) {
            if let Some(progress) = self.journal().progress(run.id, unit)? {
                add(plan.track(unit), &progress);
            }
        }
        if !has_effects(&plan.items) {
            return Ok(counts);
        }
        let mut from = 0;
        loop {
            let records = self.journal().outlines(run.id, from, CHUNK)?;
            let Some((last, _)) = records.last() else { return Ok(counts) };
            from = last + 1;
            for (_, progress) in &records {
                add(&plan.items, progress);
            }
        }
    }
}

fn has_effects(track: &Track) -> bool {
    track.steps.iter().any(|step| matches!(step.role, Role::Effect { .. }))
}

impl Search<'_> {
    fn page(&mut self) -> Result<Option<u64>, Problem> {
        if self.filter.after.is_none() {
            self.unit(Unit::Run)?;
        }
        let next = self.items()?;
        if next.is_none() {
            for number in 1..=self.run.closings {
                self.unit(Unit::Closing(number))?;
            }
        }
        Ok(next)
    }

    /// Searches items until the page is full; `None` when there are no more.
    fn items(&mut self) -> Result<Option<u64>, Problem> {
        let limit = self.filter.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let first = self.filter.after.unwrap_or(0);
        let end = first.saturating_add(LOOKED_AT_MAX);
        let mut from = first;
        if !self.is_worth_reading()? {
            return Ok(None);
        }
        loop {
            let records = self.archive.journal().items(self.run.id, from, CHUNK)?;
            if records.is_empty() {
                return Ok(None);
            }
            for (position, progress) in &records {
                if self.found.len() >= limit || *position >= end {
                    return Ok(Some(*position));
                }
                self.look(Unit::Item(*position), progress);
                from = position + 1;
            }
        }
    }

    fn unit(&mut self, unit: Unit) -> Result<(), Problem> {
        if let Some(progress) = self.archive.journal().progress(self.run.id, unit)? {
            self.look(unit, &progress);
        }
        Ok(())
    }

    /// Whether the records of items can hold what is looked for. Most runs have no doubts at all,
    /// and their counts say so: then a million records need not be read.
    fn is_worth_reading(&self) -> Result<bool, Problem> {
        if !has_effects(&self.plan.items) {
            return Ok(false);
        }
        if self.filter.doubt.is_none() && self.filter.verdict != Some(Verdict::InDoubt) {
            return Ok(true);
        }
        let tally = self.archive.journal().tally(self.run.id, Unit::Item(0))?;
        let mut steps = self.plan.items.steps.iter().zip(&tally.steps);
        Ok(steps.any(|(step, sums)| self.is_wanted(step) && may_doubt(sums)))
    }

    fn is_wanted(&self, step: &PlanStep) -> bool {
        self.filter.step.as_ref().is_none_or(|name| *name == step.name)
    }

    fn look(&mut self, unit: Unit, progress: &Progress) {
        let track = self.plan.track(unit);
        let steps = track.steps.iter().zip(progress.cells.iter()).enumerate();
        let found: Vec<(usize, Entry)> = steps
            .filter(|(_, (step, _))| self.is_wanted(step))
            .filter_map(|(at, (step, cell))| Some((at, entry(step, cell, self.live)?)))
            .filter(|(at, entry)| self.matches(&track.steps[*at], &progress.cells[*at], entry))
            .collect();
        if found.is_empty() {
            return;
        }
        let steps: Vec<usize> = found.iter().map(|(at, _)| *at).collect();
        let keys = self.archive.names().effect_keys(self.run, unit, progress, &steps);
        for ((at, entry), key) in found.into_iter().zip(keys) {
            let view = self.view(unit, &track.steps[at], &progress.cells[at], entry);
            self.found.push(EffectView { key, ..view });
        }
    }

    fn matches(&self, step: &PlanStep, cell: &Cell, entry: &Entry) -> bool {
        let doubts = match self.filter.doubt {
            None => true,
            Some(Doubtful::Any) => entry.is_doubtful(),
            Some(Doubtful::Person) => is_left_to_a_person(step, cell, self.live),
        };
        doubts && self.filter.verdict.is_none_or(|verdict| verdict == entry.verdict)
    }

    fn view(&self, unit: Unit, step: &PlanStep, cell: &Cell, entry: Entry) -> EffectView {
        let (item, closing) = match unit {
            Unit::Item(position) => (Some(self.archive.label(self.run, position)), None),
            Unit::Closing(number) => (None, Some(number)),
            Unit::Run => (None, None),
        };
        // An earlier attempt may have left its fault behind; of the one that is lost nothing is known.
        let error = match (entry.verdict, cell.state) {
            (Verdict::InDoubt, State::Running) => Some(unsaid(UnitStatus::InDoubt)),
            (Verdict::InDoubt, _) => Some(cell.fault.clone().unwrap_or_else(|| unsaid(UnitStatus::InDoubt))),
            (Verdict::Refused, _) => cell.fault.clone(),
            (Verdict::Done, _) if entry.doubts > 0 => cell.fault.clone(),
            (Verdict::Done | Verdict::Intended | Verdict::NotNeeded, _) => None,
        };
        EffectView {
            item,
            step: step.name.clone(),
            closing,
            effect: entry.verdict,
            attempt: entry.attempt,
            at: When(cell.at),
            key: None,
            facts: cell.facts.clone().into_iter().collect(),
            error,
            doubts: entry.doubts,
            before: entry.before,
            settle_by: entry.settle_by.map(|by| by.word().to_owned()),
        }
    }
}

/// Whether a step has items about whose effect something is perhaps. Without open calls, and with no
/// more attempts than successes, each success took one attempt and nothing else was tried.
pub(super) fn may_doubt(sums: &StepTally) -> bool {
    sums.units.running > 0 || sums.attempts > sums.units.succeeded
}

/// Refuses a name that is no step with effects.
pub(super) fn effect_step(run: &Run, plan: &Plan, name: &str) -> Result<(), Problem> {
    let steps = [&plan.run, &plan.items, &plan.closing].into_iter().flat_map(|track| &track.steps);
    let mut effects = steps.filter(|step| matches!(step.role, Role::Effect { .. }));
    if effects.clone().any(|step| step.name == name) {
        return Ok(());
    }
    let detail = format!("no step with effects is called '{name}'");
    Err(Problem::new(ProblemKind::Invalid, code::STEP_UNKNOWN, detail)
        .candidates(effects.by_ref().map(|step| step.name.clone()))
        .next(format!("milepost show {}", run.id)))
}
