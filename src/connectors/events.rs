//! What a publish and a consume step make of an item, over whatever bus: parameters and the
//! content's digest.

use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{BuildFault, settings};
use crate::core::digest::hex;
use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::queue;
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::Prepare;

/// The step that publishes an event about the item, or the run.
pub(crate) const PUBLISH: &str = "eventbridge.publish";
/// The step that waits for the item's message.
pub(crate) const CONSUME: &str = "sqs.consume";
/// The source of events whose step names none.
pub(crate) const SOURCE: &str = "milepost";
/// How long one look at the queue waits, when the step does not say.
const WAIT: Duration = Duration::from_secs(5);
/// How long a received message stays hidden, when the step does not say; as SQS itself.
const VISIBILITY: Duration = Duration::from_secs(30);
/// Receives before the dead-letter queue, when the step does not say.
const RECEIVES_MAX: u64 = 3;
/// Most messages per receive: each receive of the embedded queue is a commit. A queue that gives fewer
/// at once, as SQS does, returns fewer.
const RECEIVE_MAX: usize = 100;
/// The checked fields of an `eventbridge.publish` step.
pub(crate) struct Publish {
    template: Template,
}

impl Publish {
    /// Reads `source`, `detail_type` and `detail`.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub(crate) fn read(with: &Map<String, Value>) -> Result<Self, Vec<BuildFault>> {
        let named = settings::required(with, "detail_type").map_err(|fault| vec![fault]);
        let template = settings::template(with, &["source", "detail_type", "detail"]);
        let (_, template) = settings::both(named, template)?;
        Ok(Self { template })
    }
}

impl Prepare for Publish {
    /// `{source, detail_type, digest}` and, when the step gives one, `detail`. The digest is that of
    /// the item as this step sees it: the same for the same content.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        let rendered = self.template.render(scope)?;
        let mut request = json!({
            "source": rendered["source"].as_str().unwrap_or(SOURCE),
            "detail_type": text_of(&rendered["detail_type"]),
            "digest": digest_of_item(scope),
        });
        if let Some(detail) = rendered.get("detail") {
            request["detail"] = detail.clone();
        }
        Ok(request)
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The checked fields of an `sqs.consume` step.
pub(crate) struct Receive {
    queue: String,
    wait: Duration,
    visibility: Duration,
    receives_max: u64,
    pollers: u64,
}

impl Receive {
    /// Reads `queue`, `wait`, `visibility_timeout`, `max_receives` and `pollers`; so many `pollers` are
    /// under way at once when the step does not say.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub(crate) fn read(with: &Map<String, Value>, pollers: u64) -> Result<Self, Vec<BuildFault>> {
        let queue = settings::required(with, "queue").map_err(|fault| vec![fault]);
        let durations = super::all_of(vec![
            settings::duration(with, "wait").map(|read| read.unwrap_or(WAIT)),
            settings::duration(with, "visibility_timeout").map(|read| read.unwrap_or(VISIBILITY)),
        ]);
        let counts = super::all_of(vec![
            at_least_one(with, "max_receives", RECEIVES_MAX),
            at_least_one(with, "pollers", pollers),
        ]);
        let (queue, (durations, counts)) = settings::both(queue, settings::both(durations, counts))?;
        Ok(Self {
            queue: queue.to_owned(),
            wait: durations[0],
            visibility: durations[1],
            receives_max: counts[0],
            pollers: counts[1],
        })
    }

    /// Receives from the queue of this name instead.
    pub(crate) fn receive_from(&mut self, queue: &str) {
        queue.clone_into(&mut self.queue);
    }

    /// How messages for a run are received.
    pub(crate) fn of(&self, run: RunId) -> queue::Receive {
        queue::Receive {
            queue: self.queue.clone(),
            run,
            only: queue::Only::All,
            max: RECEIVE_MAX,
            wait: self.wait,
            visibility: self.visibility,
            receives_max: u32::try_from(self.receives_max).unwrap_or(u32::MAX),
            pollers: usize::try_from(self.pollers).unwrap_or(usize::MAX),
            content: false,
        }
    }
}

/// How long a consume step hides a message, and after how many receives it gives up on it. What is
/// wrong with its fields is told by the check.
pub(crate) fn expectations(with: &Map<String, Value>) -> (Duration, u64) {
    let visibility = settings::duration(with, "visibility_timeout").ok().flatten();
    let receives = settings::count(with, "max_receives").ok().flatten();
    (visibility.unwrap_or(VISIBILITY), receives.unwrap_or(RECEIVES_MAX))
}

fn at_least_one(with: &Map<String, Value>, name: &str, unsaid: u64) -> Result<u64, BuildFault> {
    match settings::count(with, name)? {
        Some(0) => Err(BuildFault::field(name, format!("'{name}' must be at least 1"))),
        said => Ok(said.unwrap_or(unsaid)),
    }
}

impl Prepare for Receive {
    /// `{digest}`, made as the publishing step makes it, so that the engine can tell a message about
    /// other content.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok(json!({ "digest": digest_of_item(scope) }))
    }
}

fn digest_of_item(scope: &Scope) -> &str {
    scope.digest.get_or_init(|| digest(&scope.item))
}

/// The SHA-256, in hexadecimal, of a value's canonical JSON: no spaces, members in the order of
/// their names, so that equal values have equal digests.
pub(crate) fn digest(value: &Value) -> String {
    let mut canonical = Vec::new();
    write_canonical(value, &mut canonical);
    hex(&Sha256::digest(&canonical))
}

fn write_canonical(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            into.push(b'{');
            for (position, (name, member)) in sorted.into_iter().enumerate() {
                if position > 0 {
                    into.push(b',');
                }
                write_plain(name, into);
                into.push(b':');
                write_canonical(member, into);
            }
            into.push(b'}');
        }
        Value::Array(members) => {
            into.push(b'[');
            for (position, member) in members.iter().enumerate() {
                if position > 0 {
                    into.push(b',');
                }
                write_canonical(member, into);
            }
            into.push(b']');
        }
        scalar => write_plain(scalar, into),
    }
}

/// Texts, numbers and words are written in one way only.
fn write_plain(value: &(impl serde::Serialize + ?Sized), into: &mut Vec<u8>) {
    serde_json::to_writer(into, value).expect("memory takes every text and number");
}
