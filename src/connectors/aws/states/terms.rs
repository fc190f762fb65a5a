//! What a connection to Step Functions says.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::connectors::{BuildFault, settings};
use crate::core::execution::HEARTBEAT;

/// The shortest: three signs of life fit in, each of which may take a moment on its way.
const HEARTBEAT_LEAST: Duration = Duration::from_secs(3);
/// The longest; beyond a day nobody would notice the death of an engine.
const HEARTBEAT_MOST: Duration = Duration::from_hours(24);
/// How long a call is tried while nobody answers, when nothing is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest.
const PATIENCE_MOST: Duration = Duration::from_hours(1);

/// The terms of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connectors) struct Terms {
    /// The ARN of the role that executions have.
    pub(in crate::connectors) role: String,
    /// How long an order lives without a sign of life: whole seconds.
    pub(in crate::connectors) heartbeat: Duration,
    /// How long a call is tried while nobody answers.
    pub(in crate::connectors) patience: Duration,
}

impl Terms {
    /// Reads the fields of a connection.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(in crate::connectors) fn read(fields: &Map<String, Value>) -> Result<Self, Vec<BuildFault>> {
        let role = settings::required(fields, "role").map_err(|fault| vec![fault]);
        let heartbeat = bounded(fields, "heartbeat", HEARTBEAT, HEARTBEAT_LEAST, HEARTBEAT_MOST);
        let heartbeat = heartbeat.and_then(whole);
        let patience = bounded(fields, "patience", PATIENCE, Duration::ZERO, PATIENCE_MOST);
        let times =
            settings::both(heartbeat.map_err(|fault| vec![fault]), patience.map_err(|fault| vec![fault]));
        let (role, (heartbeat, patience)) = settings::both(role, times)?;
        Ok(Self { role: role.to_owned(), heartbeat, patience })
    }
}

fn bounded(
    fields: &Map<String, Value>,
    name: &str,
    unsaid: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, BuildFault> {
    let duration = settings::duration(fields, name)?.unwrap_or(unsaid);
    if (least..=most).contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (least.as_secs(), most.as_secs());
    Err(BuildFault::field(name, format!("'{name}' must be from {least} to {most} seconds")))
}

/// Step Functions counts heartbeats in seconds.
fn whole(heartbeat: Duration) -> Result<Duration, BuildFault> {
    if heartbeat.subsec_nanos() == 0 {
        return Ok(heartbeat);
    }
    Err(BuildFault::field("heartbeat", "'heartbeat' must be whole seconds"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn terms_say_all_that_is_wrong_at_once() {
        let read = |fields: Value| Terms::read(fields.as_object().unwrap());
        let said = read(json!({ "role": "arn:aws:iam::1:role/x", "heartbeat": "2m", "patience": "500ms" }));
        let (heartbeat, patience) = (Duration::from_mins(2), Duration::from_millis(500));
        assert_eq!(said, Ok(Terms { role: "arn:aws:iam::1:role/x".to_owned(), heartbeat, patience }));
        let unsaid = read(json!({ "role": "r" })).unwrap();
        assert_eq!((unsaid.heartbeat, unsaid.patience), (HEARTBEAT, PATIENCE));
        for heartbeat in ["1s", "3500ms", "25h", "soon"] {
            let faults = read(json!({ "heartbeat": heartbeat, "patience": "2h" })).unwrap_err();
            let fields: Vec<&str> = faults.iter().filter_map(|fault| fault.field.as_deref()).collect();
            assert_eq!(fields, ["role", "heartbeat", "patience"], "{heartbeat}");
        }
    }
}
