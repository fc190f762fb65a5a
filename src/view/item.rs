//! Items: pages of them, and the whole story of one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::archive::Archive;
use super::problem::{Problem, ProblemKind, code};
use super::status::{UnitStatus, skip_word};
use super::when::When;
use crate::core::cell::{Cell, State};
use crate::core::fault::Fault;
use crate::core::id::{RunId, Unit};
use crate::core::mail::left_to_queue;
use crate::core::plan::Plan;
use crate::core::progress::Progress;
use crate::core::run::Run;

/// Items on a page when nothing else is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Most items on a page: with a few facts each, about half a megabyte of JSON.
const LIMIT_MAX: usize = 2_000;
/// Records read from the store at once.
const CHUNK: usize = 512;
/// Records looked at for one page: a filter that nothing passes answers with an empty page and a
/// cursor in a few milliseconds instead of holding a thread for a million items.
const LOOKED_AT_MAX: u64 = 50_000;

/// Records looked up one at a time for a page of items with a text in their key.
const CALLED_MAX: usize = 5_000;

/// What is looked for on a page of items.
struct Wanted {
    status: Option<UnitStatus>,
    step: Option<usize>,
    limit: usize,
}

impl Wanted {
    fn is(&self, (status, step): (UnitStatus, usize)) -> bool {
        self.status.is_none_or(|wanted| wanted == status) && self.step.is_none_or(|wanted| wanted == step)
    }
}

/// What the effects of an item returned, by step.
pub type Facts = Map<String, Value>;

/// Which items to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemFilter {
    /// Only items that stand like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<UnitStatus>,
    /// Only items that stand at this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only items with this text in their key, in capitals or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only items from this position on: the cursor of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Items in the order of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemPage {
    /// The items.
    pub items: Vec<ItemView>,
    /// Where the next page begins (`after`); `null` on the last one. A page may be short, even
    /// empty, and still have a next one.
    pub next: Option<u64>,
}

/// One item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemView {
    /// Its key, or `#17` for position 17 when it has no readable key.
    pub item: String,
    /// Its position in the source, from 0.
    pub position: u64,
    /// Where it stands as a whole.
    pub status: UnitStatus,
    /// Why it was skipped, or the name of its error when it is given up or in doubt.
    pub reason: Option<String>,
    /// The step at which it stands.
    pub step: String,
    /// Attempts at that step that ended.
    pub attempts: u32,
    /// When it is tried, or looked at, next, or its wait ends; left out when it is none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// The last thing that went wrong at that step.
    pub error: Option<Fault>,
    /// The step whose message it left behind when it was given up: to the redrive policy of the queue,
    /// which takes it to the dead-letter queue. Left out when it left none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_left: Option<String>,
    /// What its effects returned, by step.
    pub facts: Facts,
}

/// Everything about one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemStory {
    /// The item.
    #[serde(flatten)]
    pub item: ItemView,
    /// Each step of it.
    pub steps: Vec<ItemStep>,
}

/// One item at one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ItemStep {
    /// The step.
    pub step: String,
    /// Where the item stands there.
    pub status: UnitStatus,
    /// Why it was skipped, or the name of its error.
    pub reason: Option<String>,
    /// Attempts that ended.
    pub attempts: u32,
    /// When that last changed; `null` before anything happened.
    pub at: Option<When>,
    /// The next attempt, or the end of the wait.
    pub until: Option<When>,
    /// The last thing that went wrong; kept after a later success too.
    pub error: Option<Fault>,
    /// What the effect returned.
    pub facts: Facts,
}

impl Archive {
    /// One page of items.
    pub fn items(&self, reference: &str, filter: &ItemFilter) -> Result<ItemPage, Problem> {
        let run = self.find(reference)?;
        let plan = self.names().plan(&run)?;
        let wanted_step = filter.step.as_deref().map(|name| item_step(run.id, &plan, name)).transpose()?;
        let limit = filter.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let wanted = Wanted { status: filter.status, step: wanted_step, limit };
        if let Some(text) = filter.key.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            return self.items_called(&run, &plan, text, filter.after.unwrap_or(0), &wanted);
        }
        let (found, next) = self.wanted(&run, &plan, filter.after.unwrap_or(0), &wanted)?;
        let mut items = Vec::with_capacity(found.len());
        for side_by_side in found.chunk_by(|before, after| before + 1 == *after) {
            let records = self.journal().items(run.id, side_by_side[0], side_by_side.len())?;
            let mut records: BTreeMap<u64, Progress> = records.into_iter().collect();
            items.extend(side_by_side.iter().map(|position| {
                let record = records.remove(position).unwrap_or_else(|| Progress::new(&plan.items));
                self.item_view(&run, &plan, *position, &record)
            }));
        }
        Ok(ItemPage { items, next })
    }

    /// The positions of the items that are looked for, from `first` on, and where the next page begins.
    /// Records are only read when something of them is asked for.
    fn wanted(
        &self,
        run: &Run,
        plan: &Plan,
        first: u64,
        wanted: &Wanted,
    ) -> Result<(Vec<u64>, Option<u64>), Problem> {
        let total = run.source.as_ref().map_or(0, |source| source.count);
        if wanted.status.is_none() && wanted.step.is_none() {
            let last = total.min(first.saturating_add(wanted.limit as u64));
            return Ok(((first..last).collect(), (last < total).then_some(last)));
        }
        let last = total.min(first.saturating_add(LOOKED_AT_MAX));
        let blank = Progress::new(&plan.items);
        let mut found = Vec::new();
        let mut position = first;
        while position < last {
            let until = last.min(position + CHUNK as u64);
            let mut known = self.journal().outlines(run.id, position, CHUNK)?.into_iter().peekable();
            while position < until {
                let record = known.next_if(|(at, _)| *at == position).map(|(_, progress)| progress);
                if wanted.is(self.stands(run, record.as_ref().unwrap_or(&blank))) {
                    if found.len() == wanted.limit {
                        return Ok((found, Some(position)));
                    }
                    found.push(position);
                }
                position += 1;
            }
        }
        Ok((found, (position < total).then_some(position)))
    }

    /// Reads what a search for keys among the items of a run needs, so that the first one is as quick as the
    /// next.
    pub fn prepare_search(&self, reference: &str) {
        if let Ok(run) = self.find(reference) {
            self.names().called(&run, "");
        }
    }

    /// The same for the items with a text in their key.
    fn items_called(
        &self,
        run: &Run,
        plan: &Plan,
        text: &str,
        first: u64,
        wanted: &Wanted,
    ) -> Result<ItemPage, Problem> {
        let called = self.names().called(run, text);
        let blank = Progress::new(&plan.items);
        let mut items = Vec::new();
        for (looked_at, position) in called.into_iter().filter(|position| *position >= first).enumerate() {
            if items.len() == wanted.limit || looked_at == CALLED_MAX {
                return Ok(ItemPage { items, next: Some(position) });
            }
            let record = self.journal().progress(run.id, Unit::Item(position))?;
            let progress = record.as_ref().unwrap_or(&blank);
            if wanted.is(self.stands(run, progress)) {
                items.push(self.item_view(run, plan, position, progress));
            }
        }
        Ok(ItemPage { items, next: None })
    }

    /// Everything about the item with this key, or at the position in `#17`.
    ///
    /// # Errors
    /// [`code::ITEM_UNKNOWN`], or what is wrong with the reference of the run.
    pub fn item(&self, reference: &str, key: &str) -> Result<ItemStory, Problem> {
        let run = self.find(reference)?;
        let plan = self.names().plan(&run)?;
        let position = self.position(&run, key)?;
        let progress = self
            .journal()
            .progress(run.id, Unit::Item(position))?
            .unwrap_or_else(|| Progress::new(&plan.items));
        let steps = progress
            .cells
            .iter()
            .enumerate()
            .map(|(at, cell)| ItemStep {
                step: step_name(&plan, at),
                status: self.seen(&run, cell.state),
                reason: reason(cell),
                attempts: cell.attempts,
                at: (cell.state != State::Pending || cell.attempts > 0).then_some(When(cell.at)),
                until: until(cell.state),
                error: cell.fault.clone(),
                facts: cell.facts.clone().into_iter().collect(),
            })
            .collect();
        Ok(ItemStory { item: self.item_view(&run, &plan, position, &progress), steps })
    }

    /// The position of the item with this key, or in the form `#17`.
    ///
    /// # Errors
    /// [`code::ITEM_UNKNOWN`].
    pub fn position(&self, run: &Run, key: &str) -> Result<u64, Problem> {
        self.position_of(run, key).ok_or_else(|| {
            Problem::new(
                ProblemKind::NotFound,
                code::ITEM_UNKNOWN,
                format!("no item of {} has the key '{key}'", run.id),
            )
            .next(format!("milepost items {}", run.id))
        })
    }

    /// The position of the item with this key, or the one in `#17`; `None` when there is none.
    pub fn position_of(&self, run: &Run, key: &str) -> Option<u64> {
        let total = run.source.as_ref().map_or(0, |source| source.count);
        let by_position = || key.strip_prefix('#').and_then(|digits| digits.parse::<u64>().ok());
        self.names().position(run, key).or_else(by_position).filter(|position| *position < total)
    }

    /// Where a unit stands as a whole, as it is shown.
    pub(super) fn stands(&self, run: &Run, progress: &Progress) -> (UnitStatus, usize) {
        let standing = progress.standing();
        (self.seen(run, standing.state), standing.step)
    }

    fn seen(&self, run: &Run, state: State) -> UnitStatus {
        UnitStatus::from(state).regarded(self.regard(run))
    }

    fn item_view(&self, run: &Run, plan: &Plan, position: u64, progress: &Progress) -> ItemView {
        let (status, step) = self.stands(run, progress);
        let cell = progress.cells.get(step).cloned().unwrap_or_default();
        ItemView {
            item: self.label(run, position),
            position,
            status,
            reason: reason(&cell),
            step: step_name(plan, step),
            attempts: cell.attempts,
            until: until(cell.state),
            message_left: left_to_queue(&plan.items, progress).map(|step| step_name(plan, step)),
            facts: facts(plan, progress),
            error: cell.fault.clone(),
        }
    }
}

pub(super) fn step_name(plan: &Plan, at: usize) -> String {
    plan.items.steps.get(at).map_or_else(|| format!("step {at}"), |step| step.name.clone())
}

fn item_step(run: RunId, plan: &Plan, name: &str) -> Result<usize, Problem> {
    plan.items.position(name).ok_or_else(|| {
        Problem::new(ProblemKind::Invalid, code::STEP_UNKNOWN, format!("no item step is called '{name}'"))
            .candidates(plan.items.steps.iter().map(|step| step.name.clone()))
            .next(format!("milepost show {run}"))
    })
}

fn reason(cell: &Cell) -> Option<String> {
    match cell.state {
        State::Skipped(reason) => Some(skip_word(reason).to_owned()),
        State::DeadLettered | State::InDoubt(_) | State::Backoff(_) => {
            cell.fault.as_ref().map(|fault| fault.name.clone())
        }
        State::Pending | State::Running | State::Waiting(_) | State::Succeeded | State::Cancelled => None,
    }
}

fn until(state: State) -> Option<When> {
    match state {
        State::Backoff(until) | State::Waiting(until) => Some(When(until)),
        State::InDoubt(until) => until.map(When),
        _ => None,
    }
}

fn facts(plan: &Plan, progress: &Progress) -> Facts {
    let with_facts = progress.cells.iter().enumerate().filter(|(_, cell)| !cell.facts.is_empty());
    with_facts
        .map(|(at, cell)| (step_name(plan, at), Value::Object(cell.facts.clone().into_iter().collect())))
        .collect()
}
