//! Dead letters of all runs, and everything that is known about one.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::archive::Archive;
use super::effects::{EffectFilter, EffectView};
use super::event::EventView;
use super::item::{ItemStory, step_name};
use super::made::MadeView;
use super::problem::{Problem, ProblemKind, code};
use super::when::When;
use crate::core::care::KeptDeadLetter;
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::letter::LetterFilter;
use crate::core::plan::Plan;

use crate::core::event::RunEvent;
use crate::core::run::Run;
use crate::core::time::Timestamp;

/// Dead letters on a page when nothing else is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Most dead letters on a page.
const LIMIT_MAX: usize = 2_000;
/// Records read from the store at once.
const CHUNK: usize = 512;
/// Items looked at for one page; see the pages of items.
const LOOKED_AT_MAX: usize = 50_000;
/// Events read from the store at once.
const EVENTS: usize = 1_000;

/// Which dead letters to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LetterQuery {
    /// Only those of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Only those at this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only those with this error name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Only those given up before this instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Only those given up at this instant or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The cursor of the page before.
    #[schemars(regex(pattern = "^(gone:)?run_[0-7][0-9a-hjkmnp-tv-z]{25}:[0-9]{1,19}$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most about this many: those of one item stay on one page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Dead letters, those of the newest run first, in the order of its source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LetterPage {
    /// The dead letters.
    pub letters: Vec<LetterView>,
    /// Where the next page begins (`after`); `null` on the last one.
    pub next: Option<String>,
}

/// One item that was given up at one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LetterView {
    /// The run.
    pub run: RunId,
    /// The item's key, or `#17` for position 17 when it has no readable key.
    pub item: String,
    /// The item's position in the source.
    pub position: u64,
    /// The step.
    pub step: String,
    /// Why.
    pub error: Option<Fault>,
    /// Attempts that were made, over the whole life of the run.
    pub attempts: u32,
    /// Of those: attempts that perhaps happened all the same.
    pub doubts: u32,
    /// When it was given up.
    pub at: When,
    /// Its run is gone: it can be looked at and dropped, and not redriven.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// A page that is being filled.
struct Filling {
    filter: LetterFilter,
    limit: usize,
    looked_at: usize,
    letters: Vec<LetterView>,
}

/// Everything about one item of a run, for whoever has to decide about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LetterStory {
    /// The run.
    pub run: RunId,
    /// The item at every step.
    #[serde(flatten)]
    pub story: ItemStory,
    /// What is known about its effects.
    pub effects: Vec<EffectView>,
    /// What happened to it, in order.
    pub events: Vec<EventView>,
    /// Its record as it stands in the pinned source; `null` when that cannot be read any more.
    pub record: Option<Value>,
    /// What the steps that compute make of it, as it is computed now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<MadeView>,
}

/// What a cursor among the dead letters that outlived their runs begins with.
const GONE: &str = "gone:";

/// Where a page begins.
enum Cursor {
    /// At an item of a run.
    At(RunId, u64),
    /// Behind this one of those whose runs are gone.
    Gone(RunId, u64),
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, make): (&str, fn(RunId, u64) -> Self) = match text.strip_prefix(GONE) {
            Some(place) => (place, Self::Gone),
            None => (text, Self::At),
        };
        let parts = place.split_once(':');
        let cursor = parts.and_then(|(run, position)| Some(make(run.parse().ok()?, position.parse().ok()?)));
        cursor.ok_or_else(|| {
            let detail = format!("'{text}' is no cursor of dead letters");
            Problem::new(ProblemKind::Invalid, code::API_QUERY, detail).next("milepost dead-letters list")
        })
    }
}

fn gone_letter(letter: KeptDeadLetter) -> LetterView {
    LetterView {
        run: letter.run,
        item: letter.item.unwrap_or_else(|| format!("#{}", letter.position)),
        position: letter.position,
        step: letter.step,
        error: letter.fault,
        attempts: letter.attempts,
        doubts: 0,
        at: When(letter.at),
        gone: true,
    }
}

impl LetterQuery {
    fn filter(&self) -> LetterFilter {
        let (step, error) = (self.step.clone(), self.error.clone());
        LetterFilter { step, error, before: self.before, since: self.since }
    }
}

impl Archive {
    /// One page of dead letters.
    ///
    /// # Errors
    /// What is wrong with the reference of the run, or with the cursor.
    pub fn dead_letters(&self, query: &LetterQuery) -> Result<LetterPage, Problem> {
        let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let mut page = Filling { filter: query.filter(), limit, looked_at: 0, letters: Vec::new() };
        let cursor = query.after.as_deref().map(str::parse).transpose()?;
        let next = if let Some(Cursor::Gone(run, position)) = cursor {
            self.gone_letters(Some((run, position)), &mut page)?
        } else {
            let runs = match &query.run {
                Some(reference) => vec![self.find(reference)?],
                None => self.journal().runs()?,
            };
            match self.letters_of(&runs, cursor.as_ref(), &mut page)? {
                None if query.run.is_none() => self.gone_letters(None, &mut page)?,
                next => next,
            }
        };
        Ok(LetterPage { letters: page.letters, next })
    }

    fn letters_of(
        &self,
        runs: &[Run],
        cursor: Option<&Cursor>,
        page: &mut Filling,
    ) -> Result<Option<String>, Problem> {
        for run in runs {
            let from = match cursor {
                Some(Cursor::At(at, _)) if run.id > *at => continue,
                Some(Cursor::At(at, position)) if run.id == *at => *position,
                _ => 0,
            };
            if self.counts(run)?.0.dead_lettered == 0 {
                continue;
            }
            // A run whose definition cannot be used any more hides none of the others.
            let plan = match self.names().plan(run) {
                Ok(plan) => plan,
                Err(error) if runs.len() == 1 => return Err(error.into()),
                Err(_) => continue,
            };
            if let Some(position) = self.letters_of_run(run, &plan, from, page)? {
                return Ok(Some(format!("{}:{position}", run.id)));
            }
        }
        Ok(None)
    }

    /// Fills the page from one run; where the next page begins, when this one is full.
    fn letters_of_run(
        &self,
        run: &Run,
        plan: &Plan,
        mut from: u64,
        page: &mut Filling,
    ) -> Result<Option<u64>, Problem> {
        loop {
            let records = self.journal().outlines(run.id, from, CHUNK)?;
            if records.is_empty() {
                return Ok(None);
            }
            page.looked_at += records.len();
            for (position, progress) in &records {
                if page.letters.len() >= page.limit {
                    return Ok(Some(*position));
                }
                let cells = plan.items.steps.iter().zip(progress.cells.iter()).enumerate();
                let picked = cells.filter(|(_, (step, cell))| page.filter.picks(step, cell));
                let letters = picked.map(|(at, (_, cell))| LetterView {
                    run: run.id,
                    item: self.label(run, *position),
                    position: *position,
                    step: step_name(plan, at),
                    error: cell.fault.clone(),
                    attempts: cell.attempts,
                    doubts: cell.doubts,
                    at: When(cell.at),
                    gone: false,
                });
                page.letters.extend(letters);
                from = position + 1;
            }
            if page.looked_at >= LOOKED_AT_MAX {
                return Ok(Some(from));
            }
        }
    }

    /// Those that outlived their runs.
    fn gone_letters(
        &self,
        mut after: Option<(RunId, u64)>,
        page: &mut Filling,
    ) -> Result<Option<String>, Problem> {
        loop {
            let kept = self.journal().kept_dead_letters(after, CHUNK)?;
            if kept.is_empty() {
                return Ok(None);
            }
            for letter in kept {
                if page.letters.len() >= page.limit {
                    // Behind none of them is behind one that cannot be: IDs begin with a time.
                    let (run, position) = after.unwrap_or((RunId(0), 0));
                    return Ok(Some(format!("{GONE}{run}:{position}")));
                }
                after = Some((letter.run, letter.position));
                if page.filter.matches(&letter.step, letter.fault.as_ref(), letter.at) {
                    page.letters.push(gone_letter(letter));
                }
            }
        }
    }

    /// Everything about the item with this key, whether it is a dead letter still or was one.
    ///
    /// # Errors
    /// As [`Archive::item`].
    pub fn dead_letter(&self, reference: &str, key: &str) -> Result<LetterStory, Problem> {
        let run = self.find(reference)?;
        let id = run.id.to_string();
        let story = self.item(&id, key)?;
        let filter = EffectFilter { item: Some(key.to_owned()), ..EffectFilter::default() };
        let effects = self.effects(&id, &filter)?.effects;
        let position = story.item.position;
        let events = self.events_of(&run, position)?;
        let record = self.names().record(&run, position);
        let made = self.made(&run, position)?;
        Ok(LetterStory { run: run.id, story, effects, events, record, made })
    }

    /// The events of a run that are about one item.
    fn events_of(&self, run: &Run, position: u64) -> Result<Vec<EventView>, Problem> {
        let mut found = Vec::new();
        let mut from = 0;
        loop {
            let events = self.journal().events(run.id, from, EVENTS)?;
            let Some((last, _)) = events.last() else { return Ok(found) };
            from = last + 1;
            let about = events.into_iter().filter(|(_, event)| item_of(&event.what) == Some(position));
            found.extend(about.map(|(number, event)| self.event_view(run, number, event)));
        }
    }
}

/// The item that an event is about.
fn item_of(event: &RunEvent) -> Option<u64> {
    match event {
        RunEvent::Setback { item, .. } | RunEvent::Settled { item, .. } | RunEvent::Dropped { item, .. } => {
            *item
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fake::{START, archive, with_gone};

    fn found(query: &LetterQuery) -> Vec<String> {
        let page = archive(false).dead_letters(query).unwrap();
        page.letters.iter().map(|letter| format!("{} {}", letter.item, letter.step)).collect()
    }

    #[test]
    fn dead_letters_of_all_runs_are_listed_filtered_and_paged() {
        let all = LetterQuery::default();
        assert_eq!(found(&all), ["K2 pim", "#4 validate", "K2 pim", "#4 validate"], "of two runs");
        let of_one = LetterQuery { run: Some("@failed".into()), ..all.clone() };
        assert_eq!(found(&of_one), ["K2 pim", "#4 validate"]);
        assert_eq!(found(&LetterQuery { step: Some("pim".into()), ..of_one.clone() }), ["K2 pim"]);
        assert_eq!(
            found(&LetterQuery { error: Some("InvalidRecord".into()), ..of_one.clone() }),
            ["#4 validate"]
        );
        assert!(found(&LetterQuery { before: Some(START), ..of_one }).is_empty());
        let mut query = LetterQuery { limit: Some(1), ..all };
        let mut paged = Vec::new();
        loop {
            let page = archive(false).dead_letters(&query).unwrap();
            paged.extend(page.letters.iter().map(|letter| (letter.run, letter.position)));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(paged.len(), 4);
        assert!(paged[0].0 > paged[2].0, "the newest run first");
        let odd = LetterQuery { after: Some("7".into()), ..LetterQuery::default() };
        assert_eq!(archive(false).dead_letters(&odd).unwrap_err().code, code::API_QUERY);
    }

    #[test]
    fn those_that_outlived_their_runs_come_last_and_are_marked() {
        let archive = with_gone(3);
        let mut query = LetterQuery { limit: Some(1), ..LetterQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = archive.dead_letters(&query).unwrap();
            found.extend(page.letters.iter().map(|letter| (letter.item.clone(), letter.gone)));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let gone: Vec<&str> = found.iter().filter(|(_, gone)| *gone).map(|(item, _)| item.as_str()).collect();
        assert_eq!((gone, found.len()), (vec!["G0", "G1", "G2"], 5));
        let of_run = LetterQuery { run: Some("@latest".into()), ..LetterQuery::default() };
        assert_eq!(archive.dead_letters(&of_run).unwrap().letters.len(), 2, "a run has its own only");
    }

    #[test]
    fn one_is_shown_with_its_effects_its_events_and_its_record() {
        let story = archive(false).dead_letter("@latest", "K2").unwrap();
        assert_eq!((story.effects.len(), story.events.len()), (2, 1));
        assert_eq!(story.record.unwrap()["title"], "product 2");
        assert!(archive(false).dead_letter("@latest", "K0").unwrap().events.is_empty());
    }
}
