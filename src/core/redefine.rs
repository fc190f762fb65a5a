//! What an edited definition, or another outside system, means for a run that was begun under an
//! earlier one: a verdict per step. Nothing is decided by names alone: a step is the same when what
//! it does is the same, and what it takes in is.

use std::collections::{BTreeMap, BTreeSet};

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalog::Role;
use super::cell::SettleBy;
use super::execution::DrivenBy;
use super::plan::{Plan, PlanStep, Track};
use super::run::Cause;
use super::workflow::{Step, Workflow};

/// One definition, old or new.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What it says.
    pub workflow: &'a Workflow,
    /// Its steps as the engine decides on them.
    pub plan: &'a Plan,
    /// What each step does, by name.
    pub doings: &'a BTreeMap<String, Doing>,
}

/// What a step does, as far as that decides what comes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doing {
    /// The digest of its definition, of the files it names, and of those that they name. Without
    /// how often and how long it is tried.
    pub digest: String,
    /// The step whose output it takes as `item`; `None`: the record.
    pub item_from: Option<String>,
    /// It may look at the item.
    pub sees_item: bool,
    /// It may look at what other steps returned.
    pub sees_facts: bool,
}

/// What a run has recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The source is pinned.
    pub gate: bool,
    /// There is a record of the run's own steps.
    pub run: bool,
    /// There are records of items.
    pub items: bool,
    /// Steps at which something has happened.
    pub steps: BTreeSet<String>,
    /// Steps with an effect that perhaps happened.
    pub doubtful: BTreeSet<String>,
}

/// What becomes of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// What was done stays done.
    Valid,
    /// What was done is done anew.
    Rerun(Cause),
    /// The run cannot go on under this definition, and this is why.
    Incompatible(String),
}

/// The verdict on one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The step; `workflow` for the file as a whole.
    pub step: String,
    /// Its line in the new file; `None` when it is no longer there.
    pub line: Option<u32>,
    /// What becomes of it.
    pub ruling: Ruling,
}

impl Ruling {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Rerun(_) => "must re-run",
            Self::Incompatible(_) => "incompatible",
        }
    }

    /// Why; empty when it is valid.
    pub fn reason(&self) -> &str {
        match self {
            Self::Valid => "",
            Self::Rerun(cause) => cause.words(),
            Self::Incompatible(why) => why,
        }
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => f.write_str(self.word()),
            reason => write!(f, "{}: {reason}", self.word()),
        }
    }
}

/// What is not as it was when the run was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The verdict on each step; empty when neither the definition nor a connection was looked at
    /// anew.
    pub verdicts: Vec<Verdict>,
    /// The connections that are not what was pinned.
    pub connections: Vec<ConnectionChange>,
    /// Who will drive the graph.
    #[serde(default)]
    pub driven_by: DrivenBy,
}

/// A connection that is not what was pinned (rule R8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionChange {
    /// Its name.
    pub connection: String,
    /// What identified it.
    pub was: Map<String, Value>,
    /// What identifies it now.
    pub now: Map<String, Value>,
    /// The steps over it.
    pub steps: Vec<String>,
}

impl ConnectionChange {
    /// What differs, before and now: `url http://one`.
    pub fn difference(&self) -> (String, String) {
        let differs = |name: &&String| self.was.get(*name) != self.now.get(*name);
        let names: BTreeSet<&String> = self.was.keys().chain(self.now.keys()).filter(differs).collect();
        let told = |side: &Map<String, Value>| {
            let field = |name: &&String| match side.get(*name) {
                Some(Value::String(text)) => format!("{name} {text}"),
                Some(other) => format!("{name} {other}"),
                None => format!("{name} (none)"),
            };
            names.iter().map(field).collect::<Vec<_>>().join(", ")
        };
        (told(&self.was), told(&self.now))
    }
}

/// Compares two definitions. `replaced` names the connections that are other systems now.
pub fn verdicts(
    old: Side<'_>,
    new: Side<'_>,
    records: &Records,
    replaced: &BTreeSet<String>,
) -> Vec<Verdict> {
    let mut refused = whole(old, new);
    if records.run {
        places(&old.plan.run, new, &new.plan.run, &mut refused);
    }
    if records.items {
        places(&old.plan.items, new, &new.plan.items, &mut refused);
    }
    let changed = changed(old, new, replaced);
    let mut verdicts: Vec<Verdict> = new
        .workflow
        .steps
        .iter()
        .map(|step| {
            let refusal =
                refused.remove(&step.name).or_else(|| conflict(old, new, step, records, &changed, replaced));
            let ruling = match (refusal, changed.get(&step.name)) {
                (Some(why), _) => Ruling::Incompatible(why),
                (None, Some(cause)) if has_work(new.plan, step, records) => Ruling::Rerun(*cause),
                (None, _) => Ruling::Valid,
            };
            Verdict { step: step.name.clone(), line: Some(step.line), ruling }
        })
        .collect();
    verdicts.extend(refused.into_iter().map(|(step, why)| Verdict {
        step,
        line: None,
        ruling: Ruling::Incompatible(why),
    }));
    verdicts
}

/// The steps whose work is out of date, with the reason.
pub fn raised(verdicts: &[Verdict]) -> BTreeMap<String, Cause> {
    let rerun = |verdict: &Verdict| match verdict.ruling {
        Ruling::Rerun(cause) => Some((verdict.step.clone(), cause)),
        Ruling::Valid | Ruling::Incompatible(_) => None,
    };
    verdicts.iter().filter_map(rerun).collect()
}

/// What is wrong with the file as a whole.
fn whole(old: Side<'_>, new: Side<'_>) -> BTreeMap<String, String> {
    let mut wrong = Vec::new();
    if old.workflow.name != new.workflow.name {
        wrong
            .push(format!("it is now the workflow '{}', and was '{}'", new.workflow.name, old.workflow.name));
    }
    for name in new.workflow.input.keys().filter(|name| !old.workflow.input.contains_key(*name)) {
        wrong.push(format!("the input '{name}' was not there when the run was started"));
    }
    if wrong.is_empty() {
        BTreeMap::new()
    } else {
        BTreeMap::from([("workflow".to_owned(), wrong.join("; "))])
    }
}

/// Records know steps by their place: the old steps of a track must come first, in their order.
fn places(old: &Track, side: Side<'_>, new: &Track, refused: &mut BTreeMap<String, String>) {
    if old.steps.iter().map(|step| &step.name).eq(new
        .steps
        .iter()
        .take(old.steps.len())
        .map(|step| &step.name))
    {
        return;
    }
    let before = refused.len();
    for step in old.steps.iter().filter(|step| new.position(&step.name).is_none()) {
        let why = if side.workflow.steps.iter().any(|other| other.name == step.name) {
            "it moved from the items to the run, or back, and has records"
        } else {
            "it was removed or renamed, and has records"
        };
        refused.insert(step.name.clone(), why.to_owned());
    }
    let last = new.steps.iter().rposition(|step| old.position(&step.name).is_some()).unwrap_or(0);
    for step in
        new.steps[..last.min(new.steps.len())].iter().filter(|step| old.position(&step.name).is_none())
    {
        let why = format!(
            "it is new and stands before '{}', which has records: put it behind",
            new.steps[last].name
        );
        refused.insert(step.name.clone(), why);
    }
    if refused.len() == before {
        let moved = old.steps.iter().zip(&new.steps).find(|(one, other)| one.name != other.name);
        if let Some((_, step)) = moved {
            let why = "its place among the recorded steps changed: keep them in their order".to_owned();
            refused.insert(step.name.clone(), why);
        }
    }
}

/// Why a step that is in its place cannot be changed like this.
fn conflict(
    old: Side<'_>,
    new: Side<'_>,
    step: &Step,
    records: &Records,
    changed: &BTreeMap<String, Cause>,
    replaced: &BTreeSet<String>,
) -> Option<String> {
    let before = old.workflow.steps.iter().find(|before| before.name == step.name)?;
    let recorded = records.steps.contains(&step.name);
    if recorded && before.uses != step.uses {
        return Some(format!("it was '{}' when it was recorded, and is '{}' now", before.uses, step.uses));
    }
    if records.gate && changed.contains_key(&step.name) && stands_before_the_items(new.plan, &step.name) {
        return Some("the items were read by it, or after it: start a new run".to_owned());
    }
    if !records.doubtful.contains(&step.name) {
        return None;
    }
    let key = |step: &Step| step.idempotency.as_ref().map(|declared| (declared.key.clone(), declared.mode));
    let what = if before.connection != step.connection {
        "connection"
    } else if key(before) != key(step) {
        "idempotency key"
    } else if before.uses != step.uses {
        "'uses'"
    } else if is_over(step, replaced) && settle(new.plan, &step.name) != SettleBy::Repeat {
        "outside system"
    } else {
        return None;
    };
    Some(format!("an effect of it is in doubt, and its {what} changed: settle that first"))
}

/// The source, and whatever the run did before it.
fn stands_before_the_items(plan: &Plan, name: &str) -> bool {
    let Some(source) = plan.source() else { return false };
    let mut before = vec![source];
    let mut at = 0;
    while let Some(step) = before.get(at).copied() {
        at += 1;
        before.extend(plan.run.steps[step].needs.iter().copied());
    }
    plan.run.position(name).is_some_and(|position| before.contains(&position))
}

fn settle(plan: &Plan, name: &str) -> SettleBy {
    known(plan, name).map_or(SettleBy::Person, |(_, step)| step.settle)
}

fn known<'a>(plan: &'a Plan, name: &str) -> Option<(&'a Track, &'a PlanStep)> {
    [&plan.items, &plan.run].into_iter().find_map(|track| Some((track, &track.steps[track.position(name)?])))
}

fn is_over(step: &Step, replaced: &BTreeSet<String>) -> bool {
    step.connection.as_ref().is_some_and(|name| replaced.contains(name))
}

/// Whether anything at all was recorded on the track of a step.
fn has_work(plan: &Plan, step: &Step, records: &Records) -> bool {
    if plan.items.position(&step.name).is_some() { records.items } else { records.run }
}

/// The steps that do something else than before, or do it with something else.
fn changed(old: Side<'_>, new: Side<'_>, replaced: &BTreeSet<String>) -> BTreeMap<String, Cause> {
    let mut changed: BTreeMap<String, Cause> = BTreeMap::new();
    for step in &new.workflow.steps {
        let Some(before) = old.doings.get(&step.name) else { continue };
        let same = new
            .doings
            .get(&step.name)
            .is_some_and(|now| now.digest == before.digest && now.item_from == before.item_from);
        if !same {
            changed.insert(step.name.clone(), Cause::Definition);
        } else if is_over(step, replaced) {
            changed.insert(step.name.clone(), Cause::Connection);
        }
    }
    for track in [&new.plan.run, &new.plan.items] {
        resend(track, &mut changed);
        follow(old, new, track, &mut changed);
    }
    changed
}

/// Whoever waits for a message anew needs it sent anew.
fn resend(track: &Track, changed: &mut BTreeMap<String, Cause>) {
    for receiver in track.steps.iter().filter(|step| step.role == Role::Receive) {
        let Some(cause) = changed.get(&receiver.name).copied() else { continue };
        for need in &receiver.needs {
            if matches!(track.steps[*need].role, Role::Effect { .. }) {
                changed.entry(track.steps[*need].name.clone()).or_insert(cause);
            }
        }
    }
}

/// A step behind a changed one must run again when what it takes in can differ.
fn follow(old: Side<'_>, new: Side<'_>, track: &Track, changed: &mut BTreeMap<String, Cause>) {
    let conditional = |name: &str| {
        [old, new]
            .iter()
            .any(|side| side.workflow.steps.iter().any(|step| step.name == name && step.when.is_some()))
    };
    let mut skippable: Vec<bool> = Vec::with_capacity(track.steps.len());
    let mut before: Vec<BTreeSet<usize>> = Vec::with_capacity(track.steps.len());
    for step in &track.steps {
        let mut all: BTreeSet<usize> = step.needs.iter().copied().collect();
        all.extend(step.needs.iter().flat_map(|need| before[*need].clone()));
        let is_changed = |at: &usize| changed.contains_key(&track.steps[*at].name);
        // Pure steps tell nothing but through the item.
        let tells_anew = |at: &usize| track.steps[*at].role != Role::Pure && is_changed(at);
        let doing = new.doings.get(&step.name).cloned().unwrap_or_default();
        let of_run = || new.plan.run.steps.iter().any(|other| changed.contains_key(&other.name));
        let differs =
            doing.item_from.as_ref().is_some_and(|from| doing.sees_item && changed.contains_key(from))
                || doing.sees_facts && (all.iter().any(tells_anew) || of_run())
                || matches!(step.role, Role::Receive | Role::Listen) && step.needs.iter().any(is_changed)
                || step.needs.iter().any(|need| skippable[*need] && is_changed(need));
        if differs && old.doings.contains_key(&step.name) {
            changed.entry(step.name.clone()).or_insert(Cause::Upstream);
        }
        skippable.push(conditional(&step.name) || step.needs.iter().any(|need| skippable[*need]));
        before.push(all);
    }
}
