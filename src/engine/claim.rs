//! Keys on their way: claimed before a call leaves, settled before its outcome is recorded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::core::arrival::Arrival;
use crate::core::cell::SkipReason;
use crate::core::change::Change;
use crate::core::claims::{Claim, Claimed, End, Fence, KeyId, Settled};
use crate::core::event::RunEvent;
use crate::core::id::Unit;
use crate::core::retry::{Outcome, Probed};
use crate::core::time::Timestamp;
use crate::ports::{Answered, Clock, Keys, KeysError};

use super::call::effect_id;
use super::drive::{Drive, Error};
use super::note::Note;

/// Between two tries to say how an effect ended.
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

/// What the driving task knows of keys.
#[derive(Default)]
pub(super) struct Keyring {
    /// Claims whose calls are under way, or about to be.
    granted: HashMap<(Unit, usize), Claim>,
    /// To be committed with what follows from the answers.
    changes: Vec<Change>,
    /// The store of keys did not answer when it was asked last.
    is_down: bool,
    /// Claims that are being let go without a call.
    releasing: usize,
    /// Tells those who wait for a store of keys that the run is stopping.
    stopping: watch::Sender<bool>,
}

impl Keyring {
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Nobody waits any longer for a store of keys that does not answer.
    pub(super) fn stop(&self) {
        self.stopping.send_if_modified(|stopping| !std::mem::replace(stopping, true));
    }

    pub(super) fn is_idle(&self) -> bool {
        self.releasing == 0
    }
}

/// How the effects of one call are to be settled.
pub(super) struct Settling {
    keys: Arc<dyn Keys>,
    stopping: watch::Receiver<bool>,
    /// One per unit of the call, in its order.
    claims: Vec<Option<Claim>>,
}

/// What came of settling.
#[derive(Default)]
pub(super) struct Settlement {
    changes: Vec<Change>,
    /// Claims that others had taken over.
    lost: u64,
    /// Ends that could not be said, and why.
    unsaid: Option<(usize, KeysError)>,
}

impl Drive {
    /// Asks for the keys of units whose call may leave.
    pub(super) fn claim(&mut self, step: usize, units: &[(Unit, u32)]) {
        let claim = |(unit, attempt): &(Unit, u32)| self.claim_of(*unit, step, *attempt);
        let claims: Option<Vec<Claim>> = units.iter().map(claim).collect();
        let keys = units.first().and_then(|(unit, _)| self.keys_of(*unit, step));
        let (units, sender) = (units.iter().map(|(unit, _)| *unit).collect(), self.sender.clone());
        tokio::spawn(async move {
            let (claims, result) = match (claims, keys) {
                (Some(claims), Some(keys)) => {
                    let result = keys.claim(&claims).await;
                    (claims, result)
                }
                _ => (Vec::new(), Err(KeysError("a defect of Milepost: no request to claim for".to_owned()))),
            };
            let _ = sender.send(Note::Claimed { step, units, claims, result });
        });
    }

    /// Takes in what a store of keys answered.
    pub(super) fn claimed(
        &mut self,
        step: usize,
        units: Vec<Unit>,
        claims: Vec<Claim>,
        result: Result<Answered<Claimed>, KeysError>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let answered = match result {
            Ok(answered) => answered,
            Err(error) => {
                self.keys_are_down(&error)?;
                return self.arrived(Arrival::Unclaimed { step, units }, now);
            }
        };
        if std::mem::take(&mut self.keyring.is_down) {
            let message = "the store of idempotency keys answers again".to_owned();
            self.tell(RunEvent::Alert { message, dead_letters: None })?;
        }
        self.keyring.changes.extend(answered.changes);
        let mut answers = Vec::with_capacity(claims.len());
        for ((unit, claim), verdict) in units.into_iter().zip(claims).zip(answered.verdicts) {
            if verdict == Claimed::Granted {
                self.keyring.granted.insert((unit, step), claim);
            }
            answers.push((unit, verdict));
        }
        self.arrived(Arrival::Claimed { step, answers }, now)
    }

    /// Lets claims go for which no call leaves.
    pub(super) fn release(&mut self, step: usize, units: &[Unit]) {
        for unit in units {
            let Some(settling) = self.settling(step, &[*unit]) else { continue };
            let Settling { keys, claims, .. } = settling;
            let ends: Vec<(Claim, End)> =
                claims.into_iter().flatten().map(|claim| (claim, End::Undone)).collect();
            self.keyring.releasing += 1;
            let sender = self.sender.clone();
            tokio::spawn(async move {
                // Whoever cannot be told waits until the claim ends by itself.
                let settlement = keys.settle(&ends).await.map(Settlement::of).unwrap_or_default();
                let _ = sender.send(Note::Released(settlement));
            });
        }
    }

    /// The claims of a call that is leaving; `None` when its step declares no key.
    pub(super) fn settling(&mut self, step: usize, units: &[Unit]) -> Option<Settling> {
        let keys = self.keys_of(*units.first()?, step)?;
        let claims = units.iter().map(|unit| self.keyring.granted.remove(&(*unit, step))).collect();
        Some(Settling { keys, claims, stopping: self.keyring.stopping.subscribe() })
    }

    /// The claim of an effect that is looked up. Its attempt may have been another life's.
    pub(super) fn settling_again(&self, step: usize, unit: Unit) -> Option<Settling> {
        let attempt = self.desk.progress(unit).map_or(0, |progress| progress.cells[step].attempts);
        let claims = vec![Some(self.claim_of(unit, step, attempt)?)];
        let stopping = self.keyring.stopping.subscribe();
        Some(Settling { keys: self.keys_of(unit, step)?, claims, stopping })
    }

    /// Takes in what came of settling; its changes are in the same commit as the outcomes.
    pub(super) fn settled(&mut self, step: usize, unit: Unit, settlement: Settlement) -> Result<(), Error> {
        self.keyring.changes.extend(settlement.changes);
        let name = &self.desk.plan().track(unit).steps[step].name;
        let mut messages = Vec::new();
        if settlement.lost > 0 {
            messages.push(format!(
                "step '{name}': {} effects were carried out after their claims had ended and others had \
                 claimed the same keys; perhaps those were carried out as well",
                settlement.lost
            ));
        }
        if let Some((count, error)) = settlement.unsaid {
            messages.push(format!(
                "step '{name}': {count} effects could not be written down under their keys ({error}); \
                 another run may repeat them"
            ));
        }
        messages
            .into_iter()
            .try_for_each(|message| self.tell(RunEvent::Alert { message, dead_letters: None }))
    }

    /// A claim was let go.
    pub(super) fn released(&mut self, settlement: Settlement) {
        self.keyring.releasing -= 1;
        self.keyring.changes.extend(settlement.changes);
    }

    /// Says once that nothing is sent under a key for now.
    pub(super) fn keys_are_down(&mut self, error: &KeysError) -> Result<(), Error> {
        if std::mem::replace(&mut self.keyring.is_down, true) {
            return Ok(());
        }
        let message = format!(
            "the store of idempotency keys cannot be asked: {error}; \
             nothing is sent under a key until it answers"
        );
        self.tell(RunEvent::Alert { message, dead_letters: None })
    }

    fn keys_of(&self, unit: Unit, step: usize) -> Option<Arc<dyn Keys>> {
        let keyed = self.common.assembly.stations(unit)[step].key.as_ref()?;
        Some(Arc::clone(keyed.store.as_ref().unwrap_or(&self.ports.keys)))
    }

    fn claim_of(&self, unit: Unit, step: usize, attempt: u32) -> Option<Claim> {
        let keyed = self.common.assembly.stations(unit)[step].key.as_ref()?;
        let request = self.desk.request(unit, step)?;
        let cell = &self.desk.progress(unit)?.cells[step];
        let name = &self.desk.plan().track(unit).steps[step].name;
        Some(Claim {
            id: KeyId::of(&keyed.scope, &request.key),
            mode: keyed.mode,
            fingerprint: request.fingerprint?,
            version: request.version.clone(),
            // Whatever its step is changed to, it is the same owner.
            owner: effect_id(&self.run.id.to_string(), name, unit, 0),
            fence: Fence { epoch: self.run.epoch, attempt },
            // One that was done is done again on purpose: a doubt that an earlier attempt left behind
            // does not change that.
            repeats_own: !cell.is_doubtful() || cell.redone > 0,
            claim: keyed.claim,
            keep: keyed.keep,
        })
    }
}

/// Says how each unit of a call ended, as far as that is known. Tries again while the store of keys
/// does not answer, until the claims end anyhow or the run is stopped.
pub(super) async fn settle(
    settling: Option<Settling>,
    ends: impl Iterator<Item = Option<End>>,
    clock: &dyn Clock,
    sender: &UnboundedSender<Note>,
) -> Settlement {
    let Some(Settling { keys, claims, mut stopping }) = settling else { return Settlement::default() };
    let ends: Vec<(Claim, End)> =
        claims.into_iter().zip(ends).filter_map(|(claim, end)| Some((claim?, end?))).collect();
    let Some((first, _)) = ends.first() else { return Settlement::default() };
    let until = clock.now().after(first.claim);
    loop {
        let error = match keys.settle(&ends).await {
            Ok(answered) => return Settlement::of(answered),
            Err(error) => error,
        };
        let _ = sender.send(Note::KeysDown(error.clone()));
        let given_up = Settlement { unsaid: Some((ends.len(), error)), ..Settlement::default() };
        if clock.now() >= until {
            return given_up;
        }
        tokio::select! {
            () = clock.sleep_until(clock.now().after(SETTLE_PAUSE)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return given_up,
        }
    }
}

impl Settlement {
    fn of(answered: Answered<Settled>) -> Self {
        let lost = answered.verdicts.iter().filter(|settled| **settled == Settled::Lost).count() as u64;
        Self { changes: answered.changes, lost, unsaid: None }
    }
}

/// What an outcome says about the claim; `None`: nothing, it stays with its owner.
pub(super) fn end(outcome: &Outcome) -> Option<End> {
    match outcome {
        Outcome::Done(facts) => Some(End::Done { facts: Some(facts.clone()) }),
        Outcome::Skipped(SkipReason::AlreadyApplied) => Some(End::Done { facts: None }),
        Outcome::Skipped(SkipReason::Stale | SkipReason::Condition) | Outcome::Refused { .. } => {
            Some(End::Undone)
        }
        Outcome::Unclear(_) => None,
    }
}

/// What a look at the other side says about the claim.
pub(super) fn found(probed: &Probed) -> Option<End> {
    match probed {
        Probed::Done(facts) => Some(End::Done { facts: Some(facts.clone()) }),
        Probed::Absent => Some(End::Undone),
        Probed::Unknown(_) => None,
    }
}
