//! Which run begins next: so many at once of each workflow, the workflows in turn. What a person holds
//! stays where it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::core::id::RunId;
use crate::core::time::Timestamp;
use crate::core::trigger::WhenBusy;
use crate::view::{LaneView, QueueView, Unhold, WaitingView, When};

use super::news::News;

/// A recorded run that is to begin, or to go on.
pub(super) struct Next {
    pub(super) run: RunId,
    /// Since when it waits.
    pub(super) since: Timestamp,
    /// Told when it does.
    pub(super) news: News,
}

/// A run that was taken out of the line.
pub(super) struct Claimed {
    workflow: String,
    run: RunId,
    /// Where it stood, if it waited.
    waited: Option<(usize, Next)>,
}

/// The runs of one workflow.
#[derive(Default)]
struct Lane {
    is_served: bool,
    waiting: VecDeque<Next>,
    /// Places that are kept for runs which are being recorded.
    reserved: usize,
    at_work: BTreeSet<RunId>,
}

/// What waits for a person.
enum Hold {
    Nothing,
    /// Everything but these.
    AllBut {
        workflows: BTreeSet<String>,
        runs: BTreeSet<RunId>,
    },
}

impl Hold {
    fn holds(&self, workflow: &str, run: Option<RunId>) -> bool {
        match self {
            Self::Nothing => false,
            Self::AllBut { workflows, runs } => {
                !workflows.contains(workflow) && run.is_none_or(|run| !runs.contains(&run))
            }
        }
    }
}

/// The runs that wait and those at work.
pub(super) struct Roster {
    lanes: BTreeMap<String, Lane>,
    hold: Hold,
    concurrency: usize,
    waiting_max: usize,
    /// The workflow that had its turn last.
    last: Option<String>,
}

impl Roster {
    pub(super) fn new(concurrency: usize, waiting_max: usize) -> Self {
        Self {
            lanes: BTreeMap::new(),
            hold: Hold::Nothing,
            concurrency: concurrency.max(1),
            waiting_max,
            last: None,
        }
    }

    /// From now on nothing begins before a person lets it.
    pub(super) fn hold_everything(&mut self) {
        self.hold = Hold::AllBut { workflows: BTreeSet::new(), runs: BTreeSet::new() };
    }

    /// Lets something begin. `false`: it was not held.
    pub(super) fn unhold(&mut self, what: &Unhold) -> bool {
        match (what, &mut self.hold) {
            (_, Hold::Nothing) => false,
            (Unhold::All, hold) => {
                *hold = Hold::Nothing;
                true
            }
            (Unhold::Workflow(name), Hold::AllBut { workflows, .. }) => workflows.insert(name.clone()),
            (Unhold::Run(run), Hold::AllBut { runs, .. }) => runs.insert(*run),
        }
    }

    /// Whether nothing of this workflow begins before a person lets it.
    pub(super) fn is_held(&self, workflow: &str) -> bool {
        self.hold.holds(workflow, None)
    }

    pub(super) fn serves(&mut self, workflow: &str) {
        self.lanes.entry(workflow.to_owned()).or_default().is_served = true;
    }

    pub(super) fn knows(&self, workflow: &str) -> bool {
        self.lanes.contains_key(workflow)
    }

    /// Keeps a place in the line of a workflow. `false`: it is full.
    pub(super) fn reserve(&mut self, workflow: &str) -> bool {
        let has_room = self.has_room(workflow);
        self.lanes.entry(workflow.to_owned()).or_default().reserved += usize::from(has_room);
        has_room
    }

    /// Gives a place back that was kept.
    pub(super) fn unreserve(&mut self, workflow: &str) {
        if let Some(lane) = self.lanes.get_mut(workflow) {
            lane.reserved = lane.reserved.saturating_sub(1);
        }
    }

    fn has_room(&self, workflow: &str) -> bool {
        self.lanes.get(workflow).is_none_or(|lane| lane.waiting.len() + lane.reserved < self.waiting_max)
    }

    pub(super) fn push(&mut self, workflow: &str, next: Next) {
        let lane = self.lanes.entry(workflow.to_owned()).or_default();
        let is_known =
            lane.at_work.contains(&next.run) || lane.waiting.iter().any(|known| known.run == next.run);
        if !is_known {
            lane.waiting.push_back(next);
        }
    }

    /// The next run that may begin, which is at work from now on. The workflow that had its turn last
    /// comes last.
    pub(super) fn next(&mut self) -> Option<(String, Next)> {
        let (hold, concurrency) = (&self.hold, self.concurrency);
        let after = self.lanes.keys().filter(|name| Some(*name) > self.last.as_ref());
        let before = self.lanes.keys().filter(|name| Some(*name) <= self.last.as_ref());
        let turns: Vec<String> = after.chain(before).cloned().collect();
        for workflow in turns {
            let Some(lane) = self.lanes.get_mut(&workflow) else { continue };
            if lane.at_work.len() >= concurrency {
                continue;
            }
            let free = lane.waiting.iter().position(|next| !hold.holds(&workflow, Some(next.run)));
            let Some(next) = free.and_then(|at| lane.waiting.remove(at)) else { continue };
            lane.at_work.insert(next.run);
            self.last = Some(workflow.clone());
            return Some((workflow, next));
        }
        None
    }

    /// Takes a run out of the line, for whoever begins it before its turn: it is at work from now on.
    /// `None`: it is at work already.
    pub(super) fn claim(&mut self, workflow: &str, run: RunId) -> Option<Claimed> {
        let lane = self.lanes.entry(workflow.to_owned()).or_default();
        if !lane.at_work.insert(run) {
            return None;
        }
        let place = lane.waiting.iter().position(|next| next.run == run);
        let waited = place.and_then(|at| Some((at, lane.waiting.remove(at)?)));
        Some(Claimed { workflow: workflow.to_owned(), run, waited })
    }

    /// A run that was claimed did not begin: it is where it was before.
    pub(super) fn unclaim(&mut self, claimed: Claimed) {
        let lane = self.lanes.entry(claimed.workflow).or_default();
        lane.at_work.remove(&claimed.run);
        if let Some((at, next)) = claimed.waited {
            lane.waiting.insert(at.min(lane.waiting.len()), next);
        }
    }

    pub(super) fn ended(&mut self, run: RunId) {
        for lane in self.lanes.values_mut() {
            lane.at_work.remove(&run);
        }
    }

    /// A run that waits is wanted no more.
    pub(super) fn forget(&mut self, run: RunId) {
        for lane in self.lanes.values_mut() {
            lane.waiting.retain(|next| next.run != run);
        }
    }

    /// Whether what a trigger hears of may start another run of this workflow now.
    pub(super) fn takes(&self, workflow: &str, when_busy: WhenBusy) -> bool {
        if self.is_held(workflow) || !self.has_room(workflow) {
            return false;
        }
        match when_busy {
            WhenBusy::Stays => self
                .lanes
                .get(workflow)
                .is_none_or(|lane| lane.waiting.is_empty() && lane.at_work.len() < self.concurrency),
            WhenBusy::Waits | WhenBusy::Skips => true,
        }
    }

    fn waiting(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len()).sum()
    }

    pub(super) fn view(&self) -> QueueView {
        let lanes = self.lanes.iter().map(|(workflow, lane)| LaneView {
            workflow: workflow.clone(),
            served: lane.is_served,
            paused: self.is_held(workflow),
            concurrency: self.concurrency,
            at_work: lane.at_work.iter().copied().collect(),
            waiting: lane.waiting.iter().map(|next| self.waiting_view(workflow, next)).collect(),
            stuck: Vec::new(),
        });
        QueueView {
            paused: !matches!(self.hold, Hold::Nothing),
            waiting: self.waiting(),
            waiting_max: self.waiting_max,
            workflows: lanes.collect(),
        }
    }

    fn waiting_view(&self, workflow: &str, next: &Next) -> WaitingView {
        let paused = self.hold.holds(workflow, Some(next.run));
        WaitingView { run: next.run, since: When(next.since), paused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(roster: &mut Roster, workflow: &str, runs: impl IntoIterator<Item = u128>) {
        for run in runs {
            let run = RunId(run);
            roster.push(workflow, Next { run, since: Timestamp(0), news: News::GoesOn { run } });
        }
    }

    fn begins(roster: &mut Roster) -> Vec<u128> {
        std::iter::from_fn(|| roster.next()).map(|(_, next)| next.run.0).collect()
    }

    #[test]
    fn workflows_take_turns_and_each_has_so_many_at_once() {
        let mut roster = Roster::new(2, 100);
        waits(&mut roster, "a", 1..=5);
        waits(&mut roster, "b", [11]);
        waits(&mut roster, "c", 21..=23);
        assert_eq!(begins(&mut roster), [1, 11, 21, 2, 22]);
        let takes = |workflow| roster.takes(workflow, WhenBusy::Stays);
        assert!(!takes("a") && takes("b") && takes("new"));
        assert!(roster.takes("a", WhenBusy::Waits));
        roster.ended(RunId(1));
        roster.ended(RunId(22));
        assert_eq!(begins(&mut roster), [3, 23]);
        waits(&mut roster, "a", [2, 4]);
        assert_eq!(roster.view().waiting, 2, "what is at work or waits is not put twice");
    }

    #[test]
    fn what_is_held_begins_when_a_person_says_so_by_run_by_workflow_or_all() {
        let mut roster = Roster::new(10, 100);
        roster.hold_everything();
        waits(&mut roster, "a", [1, 2]);
        waits(&mut roster, "b", [11, 12]);
        waits(&mut roster, "c", [21]);
        assert_eq!(begins(&mut roster), []);
        assert!(roster.unhold(&Unhold::Run(RunId(2))));
        assert_eq!(begins(&mut roster), [2]);
        assert!(roster.is_held("a"), "its other runs, and its triggers");
        assert!(roster.unhold(&Unhold::Workflow("b".to_owned())));
        assert_eq!(begins(&mut roster), [11, 12]);
        let view = roster.view();
        let held: Vec<bool> = view.workflows.iter().map(|lane| lane.paused).collect();
        assert_eq!((view.paused, held), (true, vec![true, false, true]));
        assert!(roster.unhold(&Unhold::All) && !roster.unhold(&Unhold::All));
        assert_eq!(begins(&mut roster), [21, 1], "b had its turn last");
    }

    #[test]
    fn a_run_that_a_person_begins_before_its_turn_is_begun_by_nobody_else() {
        let mut roster = Roster::new(1, 100);
        waits(&mut roster, "a", 1..=3);
        let claimed = roster.claim("a", RunId(2)).unwrap();
        assert!(roster.claim("a", RunId(2)).is_none(), "it is at work");
        assert_eq!(begins(&mut roster), [], "it has the place of its workflow");
        waits(&mut roster, "a", [2]);
        roster.unclaim(claimed);
        assert_eq!(begins(&mut roster), [1]);
        assert!(roster.claim("a", RunId(1)).is_none(), "whose turn it is, is at work");
        roster.ended(RunId(1));
        assert_eq!(begins(&mut roster), [2], "it kept its place in the line");
    }

    #[test]
    fn the_line_of_a_workflow_is_bounded_and_a_place_that_is_kept_counts() {
        let mut roster = Roster::new(1, 2);
        waits(&mut roster, "a", [1]);
        assert!(roster.reserve("a") && !roster.reserve("a"));
        assert!(!roster.takes("a", WhenBusy::Waits));
        roster.unreserve("a");
        assert!(roster.reserve("a"));
        roster.unreserve("a");
        roster.forget(RunId(1));
        assert!(roster.reserve("a") && roster.reserve("a"));
        assert!(roster.takes("b", WhenBusy::Waits), "another workflow has a line of its own");
        assert!(roster.reserve("b") && roster.reserve("b") && !roster.reserve("b"));
    }
}
