//! An engine that plans and does what the tests say.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::core::care::Backup;
use crate::core::cell::SettleBy;
use crate::core::id::RunId;
use crate::core::resume::{Doubt, ResumePlan, Share};
use crate::core::run::Status;
use crate::server::{self, Operator};
use crate::view::{Acted, Order, Problem, ResumeTerms, Sent, SignalView, Signalled};

pub(super) struct FakeEngine;

#[async_trait]
impl Operator for FakeEngine {
    async fn plan(&self, run: RunId, _terms: ResumeTerms) -> Result<ResumePlan, Problem> {
        Ok(plan(run))
    }

    async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem> {
        Ok(acted(run, order))
    }

    async fn signal(&self, _sent: Sent) -> Result<Signalled, Problem> {
        Err(server::ending())
    }

    fn signals(&self) -> Result<Vec<SignalView>, Problem> {
        Ok(Vec::new())
    }

    async fn backup(&self, _file: PathBuf, _: String) -> Result<Backup, Problem> {
        Err(server::ending())
    }
}

fn acted(run: RunId, order: Order) -> Acted {
    let Order { action, by } = order;
    assert!(!by.is_empty());
    let message = format!("{run}: {action:?}");
    let next = vec!["milepost list".to_owned()];
    Acted { run, status: Status::Failed, message, next }
}

fn plan(run: RunId) -> ResumePlan {
    ResumePlan {
        run,
        hash: "4f1c2a".into(),
        reuse: vec![
            Share { step: "publish".into(), items: 3, reason: String::new() },
            Share { step: "pim".into(), items: 2, reason: String::new() },
        ],
        execute: vec![Share { step: "pim".into(), items: 1, reason: "never ran".into() }],
        in_doubt: vec![Doubt {
            step: "publish".into(),
            item: Some(3),
            attempt: 1,
            settle_by: SettleBy::Repeat,
        }],
        doubts: 1,
        done: 0,
        stays: vec![Share {
            step: "validate".into(),
            items: 1,
            reason: "InvalidRecord: the record will not change".into(),
        }],
        changes: crate::core::redefine::Changes::default(),
    }
}
