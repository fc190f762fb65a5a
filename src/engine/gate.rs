//! The gate: the source is pinned, or is a queue; from here on there are items.

use std::sync::Arc;

use serde_json::Value;

use crate::core::arrival::Arrival;
use crate::core::event::RunEvent;
use crate::core::fault::{Fault, name};
use crate::core::id::{RunId, Unit};
use crate::core::inflow::Intake;
use crate::core::progress::Progress;
use crate::core::retry::Outcome;
use crate::core::run::Source;
use crate::core::time::Timestamp;
use crate::ports::{Pinned, Stream, Unread};

use super::bodies::Bodies;
use super::context;
use super::drive::{Drive, Error};

/// The gate of an open run: passed at once.
pub(super) fn of_queue(stream: &dyn Stream, run: RunId) -> Pinned {
    let source = Source {
        uri: format!("queue:{}", stream.receive(run).queue),
        records: String::new(),
        index: String::new(),
        count: 0,
        origin: None,
        intake: Some(Intake::Open),
    };
    Pinned { source, rejected: 0, remarks: Vec::new() }
}

impl Drive {
    /// The gate was passed, or not.
    pub(super) fn pinned(
        &mut self,
        step: usize,
        result: Result<Pinned, Unread>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let is_waited_for = self.steering.reading.take().is_some();
        let mut opened = None;
        let outcome = match result {
            Ok(Pinned { source, rejected, remarks }) => {
                self.open_records(&source)?;
                opened = Some(source.count);
                let facts =
                    [("records".to_owned(), source.count.into()), ("rejected".to_owned(), rejected.into())];
                self.tell(RunEvent::Pinned { source, rejected })?;
                for remark in remarks {
                    self.tell(RunEvent::Remarked { remark })?;
                }
                Outcome::Done(facts.into())
            }
            // Whatever ended it: it was to end, and a resume reads it again.
            Err(Unread { fault, .. }) if !is_waited_for => {
                return self.arrived(Arrival::BrokenOff { step, unit: Unit::Run, fault }, now);
            }
            Err(Unread { fault, again }) => Outcome::Refused { fault, again },
        };
        self.arrived(Arrival::Ended { step, outcomes: vec![(Unit::Run, outcome)] }, now)?;
        if let Some(total) = opened {
            let progress = self.desk.progress(Unit::Run).cloned().unwrap_or_default();
            self.open_gate(total, &progress)?;
        }
        Ok(())
    }

    /// Items can be asked for.
    pub(super) fn open_gate(&mut self, total: u64, run: &Progress) -> Result<(), Error> {
        // Set once: a run has one source.
        let facts = context::facts(&self.common.assembly.plan.run, run);
        let _ = self.common.run_facts.set(Arc::new(Value::Object(facts)));
        self.desk.open_gate(total);
        self.open_mail();
        self.open_intake(self.ports.clock.now())
    }

    /// Messages can come for the steps that may begin.
    pub(super) fn open_mail(&mut self) {
        let plan = Arc::clone(self.desk.plan());
        self.mail.open(&plan.items, &self.ports, &self.common, &self.sender);
    }

    /// Makes the records of the source readable.
    pub(super) fn open_records(&mut self, source: &Source) -> Result<(), Error> {
        self.records = match (source.intake, self.common.assembly.source()) {
            (Some(_), _) => Some(Arc::new(Bodies::of(Arc::clone(&self.ports.journal), self.run.id))),
            (None, Some(worker)) => {
                Some(worker.open(source, self.ports.pins.as_ref()).map_err(Error::Source)?)
            }
            (None, None) => {
                return Err(Error::Source(Fault::new(name::VALIDATION, "the workflow has no source")));
            }
        };
        Ok(())
    }
}
