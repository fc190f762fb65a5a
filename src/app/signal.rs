//! Taking signals in.

use std::time::Duration;

use crate::core::signal::{KEEP, Signal, TakenIn};
use crate::ports::Signals;
use crate::view::{Problem, ProblemKind, Sent, SignalView, Signalled, When, code};

use super::Engine;

impl Engine {
    /// Takes a signal in, whoever sends it. When it returns, it is durable, and so is whom it woke; one
    /// with a known ID changes nothing.
    ///
    /// # Errors
    /// It is no signal; or the state could not be written.
    pub async fn signal(&self, sent: Sent) -> Result<Signalled, Problem> {
        let at = self.ports.clock.now();
        let Sent { signal: name, key, id, workflow, version, payload, keep, by } = sent;
        let until = at.after(keep.map_or(KEEP, Duration::from_millis));
        let signal = Signal { name, key, id, at, version, workflow, payload, by: Some(by), until };
        if let Some(wrong) = signal.wrong() {
            return Err(Problem::new(ProblemKind::Invalid, code::API_BODY, wrong));
        }
        let mut taken = self.store.take_in(vec![signal.clone()]).await?;
        let Some(taken) = taken.pop() else {
            return Err(Problem::new(ProblemKind::Internal, code::INTERNAL, "the signal was not taken in"));
        };
        Ok(signalled(signal, taken))
    }

    /// The signals that are kept, newest first.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn signals(&self) -> Result<Vec<SignalView>, Problem> {
        let now = self.ports.clock.now();
        let mut kept = self.store.kept_signals()?;
        kept.retain(|kept| !kept.is_expired(now));
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.signal.at));
        Ok(kept.into_iter().map(SignalView::from).collect())
    }
}

/// What came of a signal, as people see it.
pub(super) fn signalled(signal: Signal, taken: TakenIn) -> Signalled {
    Signalled {
        signal: signal.name,
        key: signal.key,
        id: signal.id,
        known: taken.known,
        woke: taken.woke,
        too_old_for: taken.too_old_for,
        kept_until: When(taken.until),
    }
}
