//! Carrying out what was decided. Every intent is durable before this is reached.

use std::sync::Arc;

use serde_json::Value;

use crate::core::decide::{Decision, Dispatch};
use crate::core::id::Unit;
use crate::core::progress::Progress;
use crate::core::scope::Scope;
use crate::core::survey::Survey;
use crate::ports::{Record, Source, SurveyOf, Unread, Waiting, Worker};

use super::compute::JOB_UNITS;
use super::context::{Common, Context};
use super::drive::Drive;
use super::fetch::content;
use super::note::Note;

impl Drive {
    pub(super) fn carry_out(&mut self, decision: Decision) {
        let mut calls = Vec::new();
        for dispatch in decision.dispatch {
            match dispatch {
                Dispatch::Fetch(units) => {
                    for chunk in units.chunks(JOB_UNITS) {
                        self.fetch(chunk.to_vec());
                    }
                }
                Dispatch::Claim { step, units } => self.claim(step, &units),
                Dispatch::Release { step, units } => self.release(step, &units),
                Dispatch::Call { step, units } => calls.extend(self.call(step, &units)),
                Dispatch::Receive { step } => self.mail.try_queue(step),
                Dispatch::Look { step, unit } => calls.extend(self.look(step, unit)),
            }
        }
        self.begin_calls(calls);
        self.prepare_elsewhere(decision.prepare);
    }

    /// Pins the source: the gate.
    pub(super) fn pin(&mut self, step: usize, source: Arc<dyn Source>) {
        let (common, pins) = (Arc::clone(&self.common), Arc::clone(&self.ports.pins));
        let interest = self.steering.reading.insert(Waiting::default()).interest();
        self.compute(move || {
            let context = Context::new(&common, Unit::Run, content(&common, Unit::Run, None, None));
            let progress = Progress::new(&common.assembly.plan.run);
            let result = context.scope(&common, step, &progress).map_err(Unread::from).and_then(|scope| {
                let survey = surveying(&common);
                let survey: &SurveyOf<'_> = &survey;
                source.pin(&scope, pins.as_ref(), survey, &interest)
            });
            Note::Pinned { step, result }
        });
    }
}

/// What is known of a record: what the pure steps say that see it first. What they see beside it is the same
/// for all records.
fn surveying(common: &Common) -> impl Fn(u64, &Arc<Value>) -> Survey + '_ {
    let record = Record { key: None, value: Ok(Arc::default()), version: None };
    let context = Context::new(common, Unit::Item(0), record);
    let progress = Progress::new(&common.assembly.plan.items);
    let stations = common.assembly.items.iter().enumerate();
    let firsts = stations.filter_map(|(step, station)| match (&station.worker, station.item_from) {
        (Worker::Pure(pure), None) => Some((pure, context.scope(common, step, &progress).ok()?)),
        _ => None,
    });
    let firsts: Vec<_> = firsts.collect();
    move |position, record| {
        let mut survey = Survey::default();
        for (pure, beside) in &firsts {
            let (unit, item) = (Unit::Item(position), Arc::clone(record));
            let scope = Scope { unit, item, digest: Arc::default(), ..beside.clone() };
            survey.extend(pure.survey(&scope));
        }
        survey
    }
}
