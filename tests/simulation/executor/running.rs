//! One execution of the executor in memory: a graph that is gone through, and nothing else.

use std::collections::VecDeque;

use milepost::core::execution::{Answer, Entry, Errand, Execution, Order, Receipt};
use milepost::core::fault::Fault;
use milepost::core::plan::Plan;
use milepost::ports::Heard;
use rand::Rng;
use rand::rngs::StdRng;

/// One step of the graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) needs: Vec<usize>,
    /// Attempts of a step of the run; an item's attempts are none of its business.
    pub(super) attempts: u32,
}

/// Where a node stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    Waiting { tries: u32 },
    Ordered { receipt: Receipt, tries: u32 },
    Answered,
}

/// How far an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Steps,
    Close,
    Closing(usize),
    Over,
}

pub(super) struct Running {
    pub(super) execution: Execution,
    pub(super) at: At,
    pub(super) stages: Vec<Stage>,
    /// The order that is out beside those of nodes.
    pub(super) last: Option<Receipt>,
    /// A step failed, and what comes after it is not ordered.
    pub(super) caught: bool,
    pub(super) fault: Option<Fault>,
    pub(super) history: Vec<Entry>,
    pub(super) to_say: VecDeque<Heard>,
}

/// The graph of a plan: the source is one step on two tracks.
pub(super) fn nodes(plan: &Plan) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for (track, is_run) in [(&plan.run, true), (&plan.items, false)] {
        for step in &track.steps {
            let named = |name: &String| nodes.iter().position(|node| node.name == *name);
            if named(&step.name).is_some() {
                continue;
            }
            let needs = step.needs.iter().filter_map(|need| named(&track.steps[*need].name)).collect();
            let attempts = if is_run { step.retry.attempts } else { 1 };
            nodes.push(Node { name: step.name.clone(), needs, attempts });
        }
    }
    nodes
}

impl Running {
    pub(super) fn new(execution: &Execution, nodes: usize) -> Self {
        Self {
            execution: execution.clone(),
            at: At::Steps,
            stages: vec![Stage::Waiting { tries: 0 }; nodes],
            last: None,
            caught: false,
            fault: None,
            history: Vec::new(),
            to_say: VecDeque::new(),
        }
    }

    pub(super) fn over(&mut self, fault: Fault) {
        if self.at != At::Over {
            self.at = At::Over;
            self.to_say.clear();
            self.to_say.push_back(Heard::Over(fault));
        }
    }

    pub(super) fn note(&mut self, kind: &str, state: Option<&str>, now: u64) {
        let number = self.history.len() as u64 + 1;
        let state = state.map(str::to_owned);
        self.history.push(Entry { number, at: now, kind: kind.to_owned(), state, fault: None });
    }

    pub(super) fn order(&mut self, receipts: &mut u64, errand: Errand) -> Receipt {
        *receipts += 1;
        let receipt = Receipt(format!("{}-{receipts}", self.execution.name));
        let order = Order { receipt: receipt.clone(), epoch: self.execution.epoch, errand };
        self.to_say.push_back(Heard::Ordered(order));
        receipt
    }

    pub(super) fn is_out(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Ordered { .. }))
    }

    pub(super) fn go_on(
        &mut self,
        nodes: &[Node],
        closings: usize,
        chance: &mut StdRng,
        is_rough: bool,
        receipts: &mut u64,
        now: u64,
    ) {
        if self.at == At::Over {
            return;
        }
        if is_rough {
            match chance.random_range(0..400) {
                0 => return self.over(Fault::new("States.Runtime", "it ended by itself")),
                1 if self.at == At::Steps => {
                    self.fault = Some(Fault::new("States.HeartbeatTimeout", "nobody was heard"));
                    self.caught = true;
                    self.stages.iter_mut().for_each(|stage| *stage = Stage::Answered);
                }
                2..12 => self.give_up(nodes, closings, receipts),
                _ => {}
            }
        }
        if self.at == At::Steps {
            let is_met = |needs: &[usize]| needs.iter().all(|need| self.stages[*need] == Stage::Answered);
            let ready: Vec<usize> = (0..nodes.len())
                .filter(|at| matches!(self.stages[*at], Stage::Waiting { .. }) && is_met(&nodes[*at].needs))
                .filter(|_| !self.caught)
                .collect();
            for at in &ready {
                if !self.is_out() || chance.random_bool(0.4) {
                    self.order_node(*at, nodes, receipts, now);
                }
            }
            if ready.is_empty() && !self.is_out() {
                self.at = At::Close;
                self.last = None;
            }
        }
        if self.last.is_none() {
            self.last = match self.at {
                At::Close => {
                    self.note("TaskStateEntered", Some("close"), now);
                    Some(self.order(receipts, Errand::Close { fault: self.fault.clone() }))
                }
                At::Closing(at) if at < closings => Some(self.order(receipts, closing(at))),
                At::Closing(_) => {
                    self.over(Fault::new("States.TaskFailed", "as it was told"));
                    None
                }
                At::Steps | At::Over => None,
            };
        }
        if !self.history.is_empty() && chance.random_bool(0.2) {
            let from = chance.random_range(0..self.history.len());
            self.to_say.push_front(Heard::History(self.history[from..].to_vec()));
        }
    }

    pub(super) fn order_node(&mut self, at: usize, nodes: &[Node], receipts: &mut u64, now: u64) {
        let tries = match &self.stages[at] {
            Stage::Waiting { tries } | Stage::Ordered { tries, .. } => *tries,
            Stage::Answered => return,
        };
        self.note("TaskStateEntered", Some(&nodes[at].name), now);
        let receipt = self.order(receipts, Errand::Step { step: nodes[at].name.clone(), skip: false });
        self.stages[at] = Stage::Ordered { receipt, tries };
    }

    /// Nobody was heard of what is out: it is ordered anew.
    pub(super) fn give_up(&mut self, nodes: &[Node], closings: usize, receipts: &mut u64) {
        self.to_say.retain(|heard| !matches!(heard, Heard::Ordered(_)));
        for at in 0..nodes.len() {
            if matches!(self.stages[at], Stage::Ordered { .. }) {
                self.order_node(at, nodes, receipts, 0);
            }
        }
        if self.last.is_some() {
            self.last = match self.at {
                At::Close => Some(self.order(receipts, Errand::Close { fault: self.fault.clone() })),
                At::Closing(at) if at < closings => Some(self.order(receipts, closing(at))),
                At::Closing(_) | At::Steps | At::Over => None,
            };
        }
    }

    /// Takes an answer; `None`: nobody waits for it any more. Else what it was about.
    pub(super) fn take(
        &mut self,
        receipt: &Receipt,
        answer: &Answer,
        nodes: &[Node],
        catches: bool,
    ) -> Option<String> {
        let ordered = |stage: &Stage| matches!(stage, Stage::Ordered { receipt: own, .. } if own == receipt);
        if let Some(at) = self.stages.iter().position(ordered) {
            let Stage::Ordered { tries, .. } = self.stages[at] else { return None };
            self.stages[at] = match answer {
                Answer::Again(_) if tries + 1 < nodes[at].attempts => Stage::Waiting { tries: tries + 1 },
                Answer::Done { .. } => Stage::Answered,
                Answer::Again(_) | Answer::Failed(_) => {
                    self.caught |= catches;
                    Stage::Answered
                }
            };
            return Some(nodes[at].name.clone());
        }
        if self.last.as_ref() != Some(receipt) {
            return None;
        }
        self.last = None;
        let (what, next) = match (self.at, answer) {
            (At::Close, Answer::Failed(_)) => ("close".to_owned(), At::Closing(0)),
            (At::Close, _) => ("close".to_owned(), At::Over),
            (At::Closing(at), _) => (closing_name(at), At::Closing(at + 1)),
            (At::Steps | At::Over, _) => return None,
        };
        self.at = next;
        Some(what)
    }
}

fn closing_name(at: usize) -> String {
    format!("on_failure[{at}]")
}

fn closing(at: usize) -> Errand {
    Errand::Closing { step: closing_name(at) }
}
