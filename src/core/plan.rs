//! A workflow ready to decide on: steps by position, split into tracks.
//!
//! A *track* is the part of the graph that one kind of unit flows through: run steps once per
//! run, item steps once per item, the steps of `on_failure` once per failed closing. The source
//! stands in two tracks: on the run track it pins the source (the gate, rule R1); on the item
//! track it is a pure step that gives the item its record, or its dead letter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::alert::Subscription;
pub use super::asking::Asked;
use super::catalog::{Catalog, Role};
use super::cell::SettleBy;
use super::graph::Graph;
use super::id::Unit;
use super::planned::steps_of;
use super::retry::Retry;
use super::run::Revision;
use super::workflow::{Bounds, Tolerance, Workflow};

/// A workflow as the engine decides on it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The workflow's name.
    pub workflow: String,
    /// Run steps.
    pub run: Track,
    /// Item steps, the source first; empty when the workflow has no source.
    pub items: Track,
    /// The steps of `on_failure`.
    pub closing: Track,
    /// How many dead letters are tolerated.
    pub tolerate: Tolerance,
    /// What bounds the run beside that.
    pub bounds: Bounds,
    /// Who is told of what.
    pub alerts: Vec<Subscription>,
}

/// Steps that one kind of unit flows through, each after all that it needs.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// The steps in topological order.
    pub steps: Vec<PlanStep>,
}

/// One step of a track.
#[derive(Clone, Debug)]
pub struct PlanStep {
    /// Its name.
    pub name: String,
    /// How it takes part on this track.
    pub role: Role,
    /// The steps it needs on this track.
    pub needs: Vec<usize>,
    /// Every pure step before it: whatever is recorded here implies that those are done.
    pub implied: Vec<usize>,
    /// A pure step that no step with a record follows, or with which a message goes, so it leaves one itself.
    pub leaves_record: bool,
    /// For a step that waits for a signal: the nearest effects before it. The signal must be newer.
    pub follows: Vec<usize>,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// The longest one call, or one wait, may take.
    pub timeout: Duration,
    /// Most units in one call.
    pub batch_max: usize,
    /// How long an incomplete batch waits for more.
    pub linger: Duration,
    /// Calls of this step in flight at once.
    pub concurrency: usize,
    /// The connection it works over; it may bear fewer calls, over all steps that name it.
    pub connection: Option<String>,
    /// How an effect in doubt is settled.
    pub settle: SettleBy,
    /// It claims the key that it declares before each call (rule R6).
    pub keyed: bool,
    /// It goes on when what it needs has ended, however that ended: the steps of `on_failure`.
    pub tolerant: bool,
    /// What messages it gets; on both tracks for a queue as the source.
    pub messages: Messages,
    /// When a message that it gets is deleted.
    pub delete_after: DeleteAfter,
    /// How often what the step does was changed under this run (0: never). A cell that was reached
    /// under an earlier revision is out of date.
    pub revision: u32,
    /// Whether it may begin.
    pub asked: Asked,
}

/// What messages a step gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Messages {
    /// None.
    #[default]
    None,
    /// About items that are there already: it waits for them.
    About,
    /// That bring the items: it is the source of an open run.
    Bringing,
    /// Made of signals that somebody outside sends: it waits for them.
    Signals,
}

/// When a message that was taken is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteAfter {
    /// At once: the record that it was taken is enough.
    #[default]
    Taken,
    /// When this step is passed.
    Step(usize),
    /// When every step is.
    Last,
}

impl Plan {
    /// The plan of a checked workflow.
    pub fn of(workflow: &Workflow, catalog: &Catalog) -> Self {
        let named: HashMap<&str, usize> =
            workflow.steps.iter().enumerate().map(|(at, step)| (step.name.as_str(), at)).collect();
        let mut positions: Vec<Vec<usize>> = workflow
            .steps
            .iter()
            .map(|step| step.needs.iter().filter_map(|need| named.get(need.as_str()).copied()).collect())
            .collect();
        let source = workflow
            .steps
            .iter()
            .position(|step| catalog.step(&step.uses).is_some_and(|known| known.role == Role::Source));
        let behind_source = Graph::new(&positions).behind(source);
        let on_items = |at: &usize| behind_source[*at];
        // Items do not wait for run steps: what one of them needs is done before there are items.
        if let Some(source) = source {
            let items = (0..positions.len()).filter(on_items);
            let needed: Vec<usize> = items.flat_map(|at| positions[at].clone()).collect();
            positions[source].extend(needed.into_iter().filter(|at| *at != source && !on_items(at)));
        }
        let graph = Graph::new(&positions);
        let order = graph.order().unwrap_or_default();
        let run: Vec<usize> = order.iter().copied().filter(|at| !on_items(at)).collect();
        let items: Vec<usize> =
            order.iter().copied().filter(|at| Some(*at) == source || on_items(at)).collect();
        let closing_needs: Vec<Vec<usize>> =
            (0..workflow.on_failure.len()).map(|at| at.checked_sub(1).into_iter().collect()).collect();
        let closing_order: Vec<usize> = (0..workflow.on_failure.len()).collect();
        let mut items = steps_of(workflow, &workflow.steps, &items, &graph, catalog);
        if let Some(first) = items.first_mut() {
            first.role = Role::Pure;
        }
        let closing_graph = Graph::new(&closing_needs);
        let mut closing = steps_of(workflow, &workflow.on_failure, &closing_order, &closing_graph, catalog);
        // One that fails must not silence those after it.
        for step in &mut closing {
            step.tolerant = true;
        }
        Self {
            workflow: workflow.name.clone(),
            run: Track::new(steps_of(workflow, &workflow.steps, &run, &graph, catalog)),
            items: Track::new(items),
            closing: Track::new(closing),
            tolerate: workflow.tolerate,
            bounds: Bounds::of(workflow),
            alerts: workflow.alerts.clone(),
        }
    }

    /// The same under a run whose steps were changed since its start. The steps of `on_failure` are
    /// not among them: each closing is told of once.
    #[must_use]
    pub fn revised(mut self, revisions: &BTreeMap<String, Revision>) -> Self {
        for step in self.run.steps.iter_mut().chain(&mut self.items.steps) {
            step.revision = revisions.get(&step.name).map_or(0, |revision| revision.number);
        }
        self
    }

    /// The same for a run whose graph somebody else drives: no step of the run or of its items begins
    /// before it is asked for. Between two steps there may be as many messages as there are items, so none
    /// is kept beyond the step that takes it.
    #[must_use]
    pub fn driven(mut self) -> Self {
        self.run.close();
        self.items.close();
        for step in &mut self.items.steps {
            step.delete_after = DeleteAfter::Taken;
        }
        self
    }

    /// The track that `unit` flows through.
    pub fn track(&self, unit: Unit) -> &Track {
        match unit {
            Unit::Run => &self.run,
            Unit::Closing(_) => &self.closing,
            Unit::Item(_) => &self.items,
        }
    }

    pub(super) fn track_mut(&mut self, unit: Unit) -> &mut Track {
        match unit {
            Unit::Run => &mut self.run,
            Unit::Closing(_) => &mut self.closing,
            Unit::Item(_) => &mut self.items,
        }
    }

    /// The position of the source on the run track.
    pub fn source(&self) -> Option<usize> {
        self.run.steps.iter().position(|step| step.role == Role::Source)
    }
}

impl PlanStep {
    /// Whether nothing may happen at it for now.
    pub fn is_closed(&self) -> bool {
        self.asked == Asked::Closed
    }

    /// Whether messages come from a queue to this step.
    pub fn gets_messages(&self) -> bool {
        self.messages != Messages::None
    }
}

impl Track {
    /// A track of steps that stand in topological order; fills in what follows from which of them
    /// are pure, and which wait for signals.
    pub fn new(mut steps: Vec<PlanStep>) -> Self {
        let deletes: BTreeSet<usize> = steps
            .iter()
            .filter_map(|step| match step.delete_after {
                DeleteAfter::Step(at) => Some(at),
                DeleteAfter::Taken | DeleteAfter::Last => None,
            })
            .collect();
        let mut is_followed_by_pure_alone = vec![true; steps.len()];
        for at in (0..steps.len()).rev() {
            let passes = steps[at].role == Role::Pure && is_followed_by_pure_alone[at];
            for need in &steps[at].needs {
                is_followed_by_pure_alone[*need] &= passes;
            }
        }
        for at in 0..steps.len() {
            let is_pure = steps[at].role == Role::Pure;
            let waits = steps[at].messages == Messages::Signals;
            steps[at].implied = implied(&steps, at);
            steps[at].follows = if waits { nearest_effects(&steps, at) } else { Vec::new() };
            steps[at].leaves_record = is_pure && (deletes.contains(&at) || is_followed_by_pure_alone[at]);
        }
        Self { steps }
    }

    /// No step begins before it is asked for.
    pub fn close(&mut self) {
        self.steps.iter_mut().for_each(|step| step.asked = Asked::Closed);
    }

    /// Whether no step may begin.
    pub fn is_closed(&self) -> bool {
        self.steps.iter().all(PlanStep::is_closed)
    }

    /// Whether a step may not begin yet.
    pub fn is_gated(&self) -> bool {
        self.steps.iter().any(PlanStep::is_closed)
    }

    /// Lets a closed step begin, and the pure steps before it: nothing is recorded of those that others
    /// follow. Returns whether there was something to let begin.
    pub(super) fn ask_for(&mut self, step: usize, asked: Asked) -> bool {
        let Some(known) = self.steps.get_mut(step).filter(|step| step.is_closed()) else { return false };
        known.asked = asked;
        for pure in known.implied.clone() {
            if self.steps[pure].is_closed() {
                self.steps[pure].asked = Asked::Open;
            }
        }
        true
    }

    /// The position of the step called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.name == name)
    }

    /// Whether a step waits for a signal that must be newer than the effect of `at`.
    pub fn is_followed(&self, at: usize) -> bool {
        self.steps.iter().any(|step| step.follows.contains(&at))
    }

    /// The steps that need `at` directly.
    pub fn needed_by(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        self.steps
            .iter()
            .enumerate()
            .filter(move |(_, step)| step.needs.contains(&at))
            .map(|(later, _)| later)
    }
}

/// The pure steps before a step, when those of the steps that it needs are known.
fn implied(steps: &[PlanStep], at: usize) -> Vec<usize> {
    let mut implied = BTreeSet::new();
    for need in &steps[at].needs {
        implied.extend(&steps[*need].implied);
        implied.extend((steps[*need].role == Role::Pure).then_some(*need));
    }
    implied.into_iter().collect()
}

/// The effects before a step: the nearest one on each way back.
fn nearest_effects(steps: &[PlanStep], at: usize) -> Vec<usize> {
    let mut found = BTreeSet::new();
    let mut todo = steps[at].needs.clone();
    while let Some(need) = todo.pop() {
        match steps[need].role {
            Role::Effect { .. } => drop(found.insert(need)),
            _ => todo.extend(&steps[need].needs),
        }
    }
    found.into_iter().collect()
}
