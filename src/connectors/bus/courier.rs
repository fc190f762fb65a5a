//! Alerts as events of the embedded bus.

use std::sync::Arc;

use async_trait::async_trait;

use super::rules::Rules;
use super::{BuildFault, events, put};
use crate::connectors::alerts::{Errand, body};
use crate::core::alert::{Alert, Answer, DETAIL_TYPE};
use crate::core::change::Message;
use crate::core::fault::{Fault, name};
use crate::core::queue::{Carried, SHARED};
use crate::ports::{Courier, OwnQueue};

/// Makes who puts alerts into the queues that the bus's rules choose.
///
/// # Errors
/// A rule is wrong.
pub(in crate::connectors) fn courier(errand: &Errand<'_>) -> Result<Arc<dyn Courier>, Vec<BuildFault>> {
    let rules = Rules::read(errand.settings.get("rules"))?;
    Ok(Arc::new(Announcing { rules, queue: Arc::clone(&errand.queue) }))
}

struct Announcing {
    rules: Rules,
    queue: Arc<dyn OwnQueue>,
}

#[async_trait]
impl Courier for Announcing {
    /// Only a queue that all runs share carries content; to one of the run goes a reference.
    async fn deliver(&self, alert: &Alert) -> Answer {
        let content = Arc::new(body(alert));
        let detail_type = alert.detail_type.as_deref().unwrap_or(DETAIL_TYPE);
        let (mut own, mut shared) = (Vec::new(), Vec::new());
        for target in self.rules.targets(detail_type) {
            let message = Message {
                queue: target.queue.to_owned(),
                run: if target.shared { SHARED } else { alert.run },
                item: None,
                event_id: alert.id,
                detail_type: detail_type.to_owned(),
                digest: events::digest(&content),
            };
            if target.shared {
                let carried = Carried { key: None, version: None, content: Arc::clone(&content) };
                shared.push((message, carried));
            } else {
                own.push(message);
            }
        }
        match put(Arc::clone(&self.queue), own, shared).await {
            Ok(()) => Answer::Taken,
            Err(error) => {
                let fault = Fault::new(name::NO_ANSWER, format!("failed to put the event: {error}"));
                Answer::Failed { fault, pause: None }
            }
        }
    }
}
