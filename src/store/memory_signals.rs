//! Signals, and who waits for them, without a disk.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::core::id::{RunId, Unit};
use crate::core::signal::{Awaiting, Kept as KeptSignal, Signal, TakenIn, Topic};
use crate::ports::{Signals, StoreError};

use super::memory::{Kept, MemoryStore};
use super::signals::waits_for;

/// What is durable about signals.
#[derive(Clone, Default)]
pub(super) struct Mailroom {
    kept: BTreeMap<(Topic, u128), KeptSignal>,
    awaiting: BTreeMap<(RunId, u64, u32), Awaiting>,
}

impl Kept {
    pub(super) fn signal(&mut self, signal: Signal) -> TakenIn {
        let key = (signal.topic(), signal.digest());
        if let Some(kept) = self.signals.kept.get(&key).filter(|kept| !kept.is_expired(signal.at)) {
            return TakenIn { known: true, woke: kept.woke, too_old_for: 0, until: kept.signal.until };
        }
        let mut taken = TakenIn { known: false, woke: 0, too_old_for: 0, until: signal.until };
        for (place, awaiting) in self.signals.awaiting.clone() {
            let progress = self.units.get(&(awaiting.run, Unit::Item(awaiting.item)));
            let waits = progress.is_some_and(|progress| waits_for(progress, &awaiting));
            if awaiting.subject.topic() != key.0 || !waits || !signal.is_for(&awaiting.workflow) {
                continue;
            }
            if signal.wakes(&awaiting) {
                let (message, carried) = signal.message(&awaiting);
                self.enqueue((message, Some(carried)));
                self.tell(&signal, &awaiting);
                self.signals.awaiting.remove(&place);
                taken.woke += 1;
            } else {
                taken.too_old_for += 1;
            }
        }
        if signal.until > signal.at {
            self.signals.kept.insert(key, KeptSignal { signal, woke: taken.woke });
        }
        taken
    }

    pub(super) fn listen(&mut self, awaiting: Awaiting) {
        let fits = self
            .signals
            .kept
            .values_mut()
            .filter(|kept| kept.signal.topic() == awaiting.subject.topic() && kept.wakes(&awaiting));
        let Some(kept) = fits.max_by_key(|kept| kept.signal.at) else {
            self.signals.awaiting.insert((awaiting.run, awaiting.item, awaiting.step), awaiting);
            return;
        };
        kept.woke += 1;
        let signal = kept.signal.clone();
        let (message, carried) = signal.message(&awaiting);
        self.enqueue((message, Some(carried)));
        self.tell(&signal, &awaiting);
    }

    fn tell(&mut self, signal: &Signal, awaiting: &Awaiting) {
        self.events.entry(awaiting.run).or_default().extend(signal.told(awaiting));
    }
}

#[async_trait]
impl Signals for MemoryStore {
    async fn take_in(&self, signals: Vec<Signal>) -> Result<Vec<TakenIn>, StoreError> {
        self.write(|kept| signals.into_iter().map(|signal| kept.signal(signal)).collect())
    }

    fn awaited(
        &self,
        run: RunId,
        queue: &str,
        behind: Option<&Awaiting>,
        limit: usize,
    ) -> Result<Vec<Awaiting>, StoreError> {
        let place = |awaiting: &Awaiting| (awaiting.run, awaiting.item, awaiting.step);
        let behind = behind.map(place);
        self.read(|kept| {
            let of_run = kept.signals.awaiting.values().filter(|awaiting| awaiting.run == run);
            let of_run = of_run.filter(|awaiting| behind.is_none_or(|behind| place(awaiting) > behind));
            of_run.filter(|awaiting| awaiting.queue == queue).take(limit).cloned().collect()
        })
    }

    fn kept_signal(&self, signal: &Signal) -> Result<Option<KeptSignal>, StoreError> {
        self.read(|kept| kept.signals.kept.get(&(signal.topic(), signal.digest())).cloned())
    }

    fn kept_signals(&self) -> Result<Vec<KeptSignal>, StoreError> {
        self.read(|kept| kept.signals.kept.values().cloned().collect())
    }
}
