//! Alerts as events: the envelope that every event of ours has, under the alert's own ID, so that readers know a
//! repeat.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::super::session::Session;
use super::entry::{Body, Entry};
use super::{event_bus, put};
use crate::connectors::alerts::{Errand, TIMEOUT, body};
use crate::connectors::{BuildFault, events};
use crate::core::alert::{Alert, Answer, DETAIL_TYPE};
use crate::core::id::Unit;
use crate::core::retry::{Again, Outcome};
use crate::core::version::Version;
use crate::ports::{Call, Courier};

/// Makes who puts alerts on a bus. Reads no configuration of AWS, and speaks to nobody yet.
///
/// # Errors
/// The connection names no bus.
pub(crate) fn courier(errand: &Errand<'_>) -> Result<Arc<dyn Courier>, Vec<BuildFault>> {
    let bus = event_bus(errand.settings).map_err(|fault| vec![fault])?.to_owned();
    Ok(Arc::new(Announcing { bus, session: Session::new(TIMEOUT) }))
}

pub(super) struct Announcing {
    pub(super) bus: String,
    pub(super) session: Session,
}

#[async_trait]
impl Courier for Announcing {
    async fn deliver(&self, alert: &Alert) -> Answer {
        let content = body(alert);
        let detail_type = alert.detail_type.as_deref().unwrap_or(DETAIL_TYPE);
        let call = Call {
            run: alert.run,
            unit: Unit::Run,
            attempt: alert.attempts + 1,
            key: String::new(),
            effect_id: alert.id,
            request: json!({
                "source": events::SOURCE, "detail_type": detail_type, "digest": events::digest(&content),
            }),
            version: Version(alert.at.0.to_string()),
        };
        let client = self.session.eventbridge().await;
        let told = put(&client, &self.bus, vec![Entry::of(&call, Body::Data(&content))]).await;
        let Some(Err(outcome)) = told.into_iter().next() else { return Answer::Taken };
        match outcome {
            Outcome::Refused { fault, again: Again::After(pause) } => {
                Answer::Failed { fault, pause: Some(pause) }
            }
            Outcome::Refused { fault, .. } | Outcome::Unclear(fault) => Answer::Failed { fault, pause: None },
            Outcome::Done(_) | Outcome::Skipped(_) => Answer::Taken,
        }
    }
}
