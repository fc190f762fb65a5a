//! What a publish and a consume step make of an item: parameters and the content's digest.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BuildFault, With, settings};
use crate::core::fault::Fault;
use crate::core::scope::Scope;
use crate::expr::Template;
use crate::ports::Prepare;

/// The source of events whose step names none.
const SOURCE: &str = "milepost";
/// How long one look at the queue waits, when the step does not say.
const WAIT: Duration = Duration::from_secs(5);
/// How long a received message stays hidden, when the step does not say; as SQS itself.
const VISIBILITY: Duration = Duration::from_secs(30);
/// Receives before the dead-letter queue, when the step does not say.
const RECEIVES_MAX: u64 = 3;

/// The checked fields of an `eventbridge.publish` step.
pub(super) struct Publish {
    template: Template,
}

impl Publish {
    pub(super) fn read(with: &With) -> Result<Self, Vec<BuildFault>> {
        let named = settings::required(with, "detail_type").map_err(|fault| vec![fault]);
        let template = settings::template(with, &["source", "detail_type", "detail"]);
        let (_, template) = settings::both(named, template)?;
        Ok(Self { template })
    }
}

impl Prepare for Publish {
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
pub(super) struct Receive {
    queue: String,
    wait: Duration,
    visibility: Duration,
    receives_max: u64,
}

impl Receive {
    pub(super) fn read(with: &With) -> Result<Self, Vec<BuildFault>> {
        let queue = settings::required(with, "queue").map_err(|fault| vec![fault]);
        let durations = super::all_of(vec![
            settings::duration(with, "wait").map(|read| read.unwrap_or(WAIT)),
            settings::duration(with, "visibility_timeout").map(|read| read.unwrap_or(VISIBILITY)),
        ]);
        let receives = settings::count(with, "max_receives").and_then(|read| match read {
            Some(0) => Err(BuildFault::field("max_receives", "'max_receives' must be at least 1")),
            read => Ok(read.unwrap_or(RECEIVES_MAX)),
        });
        let (queue, (durations, receives_max)) =
            settings::both(queue, settings::both(durations, receives.map_err(|fault| vec![fault])))?;
        Ok(Self { queue: queue.to_owned(), wait: durations[0], visibility: durations[1], receives_max })
    }
}

impl Prepare for Receive {
    /// `{queue, wait_ms, visibility_ms, receives_max, digest}`; the digest is made as the
    /// publishing step makes it, so that the engine can tell a message about other content.
    fn prepare(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok(json!({
            "queue": self.queue,
            "wait_ms": settings::millis(self.wait),
            "visibility_ms": settings::millis(self.visibility),
            "receives_max": self.receives_max,
            "digest": digest_of_item(scope),
        }))
    }
}

fn digest_of_item(scope: &Scope) -> &str {
    scope.digest.get_or_init(|| digest(&scope.item))
}

/// The SHA-256, in hexadecimal, of a value's canonical JSON: no spaces, members in the order of
/// their names, so that equal values have equal digests.
pub(super) fn digest(value: &Value) -> String {
    let mut canonical = Vec::new();
    write_canonical(value, &mut canonical);
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(&canonical) {
        let _ = write!(text, "{byte:02x}");
    }
    text
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
