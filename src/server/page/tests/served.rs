//! An operator that serves two workflows and writes down what it is asked for.

use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Map, json};

use super::HOSTILE;
use crate::core::care::Backup;
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::resume::ResumePlan;
use crate::core::run::Status;
use crate::core::token::{Scope, Token};
use crate::server::{Operator, Way, ending};
use crate::view::{
    Acted, Admitted, ConnectionView, Examination, ExaminedView, FindingView, HealthView, InputView, LaneView,
    Order, Problem, QueueView, ResumeOrder, ResumeTerms, Sent, ServedView, SignalView, Signalled, StartOrder,
    StuckView, TriggerView, Unhold, WaitingView, When, fake,
};

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    Act(RunId, Order),
    Resume(RunId, ResumeOrder),
    Start(StartOrder, Option<String>),
    Unhold(Unhold, String),
    Examine(String),
}

#[derive(Default)]
pub(super) struct Served {
    pub(super) asked: Mutex<Vec<Asked>>,
    /// The run that cannot go on.
    pub(super) stuck: Option<RunId>,
}

impl Served {
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }
}

#[async_trait]
impl Operator for Served {
    async fn plan(&self, run: RunId, _: ResumeTerms) -> Result<ResumePlan, Problem> {
        Ok(ResumePlan {
            run,
            hash: "4f1c".into(),
            reuse: vec![],
            execute: vec![],
            in_doubt: vec![],
            doubts: 0,
            done: 0,
            stays: vec![],
            changes: crate::core::redefine::Changes::default(),
        })
    }

    async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem> {
        self.note(Asked::Act(run, order));
        Ok(Acted { run, status: Status::Paused, message: String::new(), next: vec![] })
    }

    async fn backup(&self, _: PathBuf, _: String) -> Result<Backup, Problem> {
        Err(ending())
    }

    async fn signal(&self, _: Sent) -> Result<Signalled, Problem> {
        Err(ending())
    }

    fn signals(&self) -> Result<Vec<SignalView>, Problem> {
        Ok(Vec::new())
    }

    async fn start(&self, order: StartOrder, key: Option<String>, _: Way) -> Result<Admitted, Problem> {
        self.note(Asked::Start(order, key));
        Ok(Admitted { run: RunId(3 << 100), status: Status::Queued, started: true, next: vec![] })
    }

    async fn resume(&self, run: RunId, order: ResumeOrder) -> Result<Admitted, Problem> {
        self.note(Asked::Resume(run, order));
        Ok(Admitted { run, status: Status::Running, started: false, next: vec![] })
    }

    async fn unhold(&self, what: Unhold, by: String) -> Result<QueueView, Problem> {
        self.note(Asked::Unhold(what, by));
        self.queue()
    }

    fn queue(&self) -> Result<QueueView, Problem> {
        let lane = LaneView {
            workflow: HOSTILE.to_owned(),
            served: true,
            paused: true,
            concurrency: 1,
            at_work: vec![RunId(3 << 100)],
            waiting: vec![WaitingView { run: RunId(4 << 100), since: When(fake::START), paused: true }],
            stuck: self.stuck.into_iter().map(stuck).collect(),
        };
        Ok(QueueView { paused: true, waiting: 1, waiting_max: 1_000, workflows: vec![lane] })
    }

    fn workflows(&self) -> Result<Vec<ServedView>, Problem> {
        let input = |name: &str, kind: &str, default| InputView {
            name: name.to_owned(),
            kind: kind.to_owned(),
            default,
        };
        let connection = ConnectionView {
            connection: HOSTILE.to_owned(),
            kind: "pimcore".to_owned(),
            identity: Map::from_iter([("url".to_owned(), json!(HOSTILE))]),
            steps: vec![HOSTILE.to_owned()],
        };
        let wrong = FindingView {
            health: HealthView::Wrong,
            what: HOSTILE.to_owned(),
            next: Some(HOSTILE.to_owned()),
        };
        let examined = |name: &str| ExaminedView {
            connection: name.to_owned(),
            kind: "http".to_owned(),
            found: vec![wrong.clone()],
        };
        let served = ServedView {
            workflow: HOSTILE.to_owned(),
            file: HOSTILE.to_owned(),
            profile: Some(HOSTILE.to_owned()),
            description: Some(HOSTILE.to_owned()),
            input: vec![
                input("source", "uri", Some(json!(HOSTILE))),
                input("count", "number", None),
                input("dry", "bool", Some(json!(true))),
            ],
            triggers: vec![TriggerView {
                trigger: HOSTILE.to_owned(),
                uses: "schedule".to_owned(),
                connection: Some(HOSTILE.to_owned()),
            }],
            connections: vec![connection],
            examined: Some(Examination {
                at: When(fake::START),
                connections: vec![examined(HOSTILE), examined("alone")],
            }),
            ..ServedView::default()
        };
        let broken = ServedView {
            workflow: "broken".to_owned(),
            mistakes: vec![format!("E0001: {HOSTILE}")],
            ..ServedView::default()
        };
        Ok(vec![served, broken])
    }

    async fn examine(&self, workflow: String, _: String) -> Result<Examination, Problem> {
        self.note(Asked::Examine(workflow));
        Ok(Examination { at: When(fake::START), connections: vec![] })
    }

    fn token(&self, text: &str) -> Option<Token> {
        let scope = match text {
            "looks" => Scope::Read,
            "acts" => Scope::Operate,
            _ => return None,
        };
        let (name, by) = (text.to_owned(), "ana".to_owned());
        Some(Token { name, scope, sha256: String::new(), created_at: fake::START, created_by: by })
    }
}

/// Why a connection is held, in hostile words.
pub(super) fn trouble() -> Fault {
    Fault::new(HOSTILE, HOSTILE)
}

fn stuck(run: RunId) -> StuckView {
    let (since, again) = (When(fake::START), When(fake::START));
    StuckView { run, since, why: HOSTILE.to_owned(), again, next: vec![] }
}
