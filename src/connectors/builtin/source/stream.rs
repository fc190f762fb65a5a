//! `json.validate` over a queue: the messages are the records, as they come. The run is open: it ends
//! when it has taken in enough, and the next one goes on with the queue.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::check::Checker;
use crate::connectors::{BuildFault, Site, events, settings};
use crate::core::catalog::{Field, Kind};
use crate::core::fault::{Fault, name};
use crate::core::id::RunId;
use crate::core::inflow::{Entrant, Rotation};
use crate::core::queue::{self, Delivery, SHARED};
use crate::core::scope::Scope;
use crate::ports::{Prepare, Queue, Receiver, Stream, Worker};

/// Items of one run, when the step does not say.
const ITEMS_MAX: u64 = 100_000;
/// Age of one run, when the step does not say.
const AGE_MAX: Duration = Duration::from_hours(24);
/// Fields that only mean something for a file.
const OF_FILES: &[&str] = &["format", "delimiter"];

/// What `source` takes when it is a queue.
pub(super) const FIELDS: &[Field] = &[
    Field { name: "queue", kind: Kind::Plain, required: true },
    Field { name: "wait", kind: Kind::Duration, required: false },
    Field { name: "visibility_timeout", kind: Kind::Duration, required: false },
    Field { name: "max_receives", kind: Kind::Count, required: false },
    Field { name: "pollers", kind: Kind::Count, required: false },
    Field { name: "delete_after", kind: Kind::Plain, required: false },
    Field { name: "rotate", kind: Kind::Section(ROTATE), required: false },
    Field { name: "idle", kind: Kind::Duration, required: false },
];

const ROTATE: &[Field] = &[
    Field { name: "items", kind: Kind::Count, required: false },
    Field { name: "age", kind: Kind::Duration, required: false },
];

/// Makes the worker over the queue that `queue` makes of what is said about it; it may name another. So many receives are
/// under way at once when the step does not say.
///
/// # Errors
/// Every mistake in the step and in its schema file.
pub(crate) fn build(
    site: &Site<'_>,
    pollers: u64,
    queue: impl FnOnce(&mut events::Receive) -> Arc<dyn Queue>,
) -> Result<Worker, Vec<BuildFault>> {
    let with = &site.step.with;
    let read = match with.get("source").and_then(Value::as_object) {
        Some(source) => settings::both(
            events::Receive::read(source, pollers).map_err(|faults| within("source", faults)),
            rotation(source),
        ),
        None => Err(vec![BuildFault {
            hint: Some("write source: { queue: NAME }, or name a connection that reads files".to_owned()),
            ..BuildFault::field("source", "over a bus the source is a queue")
        }]),
    };
    let (((mut receive, rotation), ()), checker) =
        settings::both(settings::both(read, nothing_of_files(with)), super::checker(site))?;
    let queue = queue(&mut receive);
    Ok(Worker::Stream(Arc::new(Step { receive, rotation, checker, queue })))
}

/// An open run has no gate at which it could fail before anything is done.
fn nothing_of_files(with: &Map<String, Value>) -> Result<(), Vec<BuildFault>> {
    let of_files = OF_FILES.iter().filter(|field| with.contains_key(**field));
    let mut faults: Vec<BuildFault> = of_files
        .map(|field| BuildFault::field(field, format!("'{field}' has no meaning for a queue")))
        .collect();
    if with.get("on_invalid").and_then(Value::as_str) == Some("fail") {
        faults.push(BuildFault {
            hint: Some("remove it: what is invalid is a dead letter".to_owned()),
            ..BuildFault::field("on_invalid", "a run that takes its items from a queue cannot fail at a gate")
        });
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn rotation(source: &Map<String, Value>) -> Result<Rotation, Vec<BuildFault>> {
    let nothing = Map::new();
    let rotate = source.get("rotate").and_then(Value::as_object).unwrap_or(&nothing);
    let items = match settings::count(rotate, "items") {
        Ok(Some(0)) => Err(BuildFault::field("items", "'items' must be at least 1")),
        other => other,
    };
    let at_least = |fields, name| match settings::duration(fields, name) {
        Ok(Some(Duration::ZERO)) => {
            Err(BuildFault::field(name, format!("'{name}' must be longer than nothing")))
        }
        other => other,
    };
    let of_rotate = |fault| within("source.rotate", vec![fault]);
    let rotate = settings::both(items.map_err(of_rotate), at_least(rotate, "age").map_err(of_rotate));
    let idle = at_least(source, "idle").map_err(|fault| within("source", vec![fault]));
    let ((items, age), idle) = settings::both(rotate, idle)?;
    Ok(Rotation { items: items.unwrap_or(ITEMS_MAX), age: age.unwrap_or(AGE_MAX), idle })
}

/// The same mistakes, by the path of the field.
fn within(section: &str, mut faults: Vec<BuildFault>) -> Vec<BuildFault> {
    for fault in &mut faults {
        fault.field = fault.field.as_ref().map(|field| format!("{section}.{field}"));
    }
    faults
}

struct Step {
    receive: events::Receive,
    rotation: Rotation,
    checker: Checker,
    queue: Arc<dyn Queue>,
}

impl Prepare for Step {
    fn prepare(&self, _: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "source": self.receive.of(SHARED).queue }))
    }
}

impl Receiver for Step {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue)
    }

    /// Messages of whatever run: that is what the queue is for.
    fn receive(&self, _: RunId) -> queue::Receive {
        queue::Receive { content: true, ..self.receive.of(SHARED) }
    }
}

impl Stream for Step {
    fn rotation(&self) -> Rotation {
        self.rotation
    }

    fn item(&self, delivery: &Delivery) -> (Entrant, Vec<u8>) {
        let event_id = delivery.message.event_id;
        let Some(carried) = &delivery.carried else {
            let fault = Fault::new(name::INVALID_RECORD, "the message carries no content");
            return (Entrant { event_id, key: None, version: None, fault: Some(fault) }, Vec::new());
        };
        let checked = self.checker.judge(Arc::clone(&carried.content));
        let said = &delivery.message.digest;
        let fault = if !checked.valid {
            Some(Fault::new(name::INVALID_RECORD, self.checker.reasons(&checked.value).join("; ")))
        } else if *said != events::digest(&checked.value) {
            let message = format!("the message is about content {said}, and carries another");
            Some(Fault::new(name::PAYLOAD_MISMATCH, message))
        } else {
            None
        };
        let body = serde_json::to_vec(&*carried.content).unwrap_or_default();
        (Entrant { event_id, key: checked.key, version: carried.version.clone(), fault }, body)
    }
}
