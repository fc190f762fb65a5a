//! Signals become rows and messages: the part of the stage that serves who waits for them. What is
//! found here by its topic is only where to look; that an item waits is what its record says.

use async_trait::async_trait;

use crate::core::cell::State;
use crate::core::id::RunId;
use crate::core::progress::Progress;
use crate::core::signal::{Awaiting, Kept, Signal, TakenIn, Topic};
use crate::ports::{Signals, StoreError};

use super::Store;
use super::block::ITEMS;
use super::cells;
use super::codec;
use super::error::Error;
use super::keys;
use super::rows::Rows;
use super::stage::Stage;

/// A key and a payload.
type Row = (Vec<u8>, Vec<u8>);

impl Stage {
    /// Takes a signal in: it wakes who waits for it, and is kept for who begins to wait later.
    pub(super) fn signal(&mut self, signal: Signal) -> Result<TakenIn, Error> {
        let topic = signal.topic();
        let key = keys::signal(topic, signal.digest());
        let (until, mut woke, mut too_old_for) = (signal.until, 0, 0);
        if let Some(payload) = self.payload(&key)? {
            let kept: Kept = cells::from_json(&payload).map_err(codec::at(&key))?;
            if !kept.is_expired(signal.at) {
                return Ok(TakenIn { known: true, woke: kept.woke, too_old_for, until: kept.signal.until });
            }
        }
        for (row, awaiting) in self.awaiting(topic)? {
            if !self.is_waiting(&awaiting)? {
                self.remove(row);
            } else if signal.wakes(&awaiting) {
                let (message, carried) = signal.message(&awaiting);
                self.enqueue(message, Some(carried))?;
                self.tell(&signal, &awaiting)?;
                self.remove(row);
                woke += 1;
            } else {
                too_old_for += u64::from(signal.is_for(&awaiting.workflow));
            }
        }
        if signal.until > signal.at {
            self.put(key, &put_kept(&Kept { signal, woke }))?;
        }
        Ok(TakenIn { known: false, woke, too_old_for, until })
    }

    /// An item begins to wait: a signal that is kept and counts for it wakes it at once.
    pub(super) fn listen(&mut self, awaiting: &Awaiting) -> Result<(), Error> {
        let topic = awaiting.subject.topic();
        let mut newest: Option<(Vec<u8>, Kept)> = None;
        for (key, payload) in self.rows_below(&keys::signals(topic))? {
            let kept: Kept = cells::from_json(&payload).map_err(codec::at(&key))?;
            let counts = kept.wakes(awaiting);
            if counts && newest.as_ref().is_none_or(|(_, other)| other.signal.at <= kept.signal.at) {
                newest = Some((key, kept));
            }
        }
        let row = keys::awaiting(awaiting);
        let Some((key, mut kept)) = newest else {
            return self.put(row, &cells::put_json(serde_json::to_value(awaiting)));
        };
        let (message, carried) = kept.signal.message(awaiting);
        self.enqueue(message, Some(carried))?;
        self.tell(&kept.signal, awaiting)?;
        self.remove(row);
        kept.woke += 1;
        self.put(key, &put_kept(&kept))
    }

    fn tell(&mut self, signal: &Signal, awaiting: &Awaiting) -> Result<(), Error> {
        signal.told(awaiting).map_or(Ok(()), |event| self.event(awaiting.run, &event))
    }

    fn awaiting(&self, topic: Topic) -> Result<Vec<(Vec<u8>, Awaiting)>, Error> {
        let rows = self.rows_below(&keys::awaiting_topic(topic))?.into_iter();
        rows.map(|(key, payload)| {
            let awaiting = cells::from_json(&payload).map_err(codec::at(&key))?;
            Ok((key, awaiting))
        })
        .collect()
    }

    /// Whether the record of the item says that it waits at the step.
    fn is_waiting(&mut self, awaiting: &Awaiting) -> Result<bool, Error> {
        let (block, slot) = ITEMS.place(awaiting.item);
        let progress: Option<Progress> = self.record(&keys::item_block(awaiting.run, block), slot)?;
        Ok(progress.is_some_and(|progress| waits_for(&progress, awaiting)))
    }

    /// The payload of a row, as the batch leaves it.
    fn payload(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.plain.get(key) {
            Some(Some(row)) => codec::unframe(key, row, &self.rows.files).map(Some),
            Some(None) => Ok(None),
            None => self.rows.get(key),
        }
    }

    /// The rows whose keys begin with `prefix`, as the batch leaves them.
    fn rows_below(&self, prefix: &[u8]) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        for row in self.rows.all(prefix) {
            let (key, payload) = row?;
            if !self.plain.contains_key(&*key) {
                rows.push((key.to_vec(), payload));
            }
        }
        let staged = self.plain.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        for (key, row) in staged {
            if let Some(row) = row {
                rows.push((key.clone(), codec::unframe(key, row, &self.rows.files)?));
            }
        }
        Ok(rows)
    }
}

/// Whether an item waits at the step, and for that: its definition may have been edited since.
pub(super) fn waits_for(progress: &Progress, awaiting: &Awaiting) -> bool {
    let cell = usize::try_from(awaiting.step).ok().and_then(|step| progress.cells.get(step));
    cell.is_some_and(|cell| matches!(cell.state, State::Waiting(_)) && cell.facts == awaiting.subject.facts())
}

fn put_kept(kept: &Kept) -> Vec<u8> {
    cells::put_json(serde_json::to_value(kept))
}

impl Rows {
    fn awaited(
        &self,
        run: RunId,
        queue: &str,
        behind: Option<&Awaiting>,
        limit: usize,
    ) -> Result<Vec<Awaiting>, Error> {
        let behind = behind.map(keys::awaiting);
        let mut found = Vec::new();
        for row in self.all(keys::AWAITING) {
            let (key, payload) = row?;
            let is_before = behind.as_ref().is_some_and(|behind| *key <= **behind);
            if is_before || keys::run_awaiting(&key) != Some(run) {
                continue;
            }
            let awaiting: Awaiting = cells::from_json(&payload).map_err(codec::at(&key))?;
            if awaiting.queue == queue {
                found.push(awaiting);
            }
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    fn kept_signal(&self, signal: &Signal) -> Result<Option<Kept>, Error> {
        let key = keys::signal(signal.topic(), signal.digest());
        let payload = self.get(&key)?;
        payload.map(|payload| cells::from_json(&payload).map_err(codec::at(&key))).transpose()
    }

    fn kept_signals(&self) -> Result<Vec<Kept>, Error> {
        let rows = self.all(keys::SIGNALS).map(|row| {
            let (key, payload) = row?;
            cells::from_json(&payload).map_err(codec::at(&key))
        });
        rows.collect()
    }
}

#[async_trait]
impl Signals for Store {
    async fn take_in(&self, signals: Vec<Signal>) -> Result<Vec<TakenIn>, StoreError> {
        self.0.writer.signal(signals).await
    }

    fn awaited(
        &self,
        run: RunId,
        queue: &str,
        behind: Option<&Awaiting>,
        limit: usize,
    ) -> Result<Vec<Awaiting>, StoreError> {
        Ok(self.rows()?.awaited(run, queue, behind, limit)?)
    }

    fn kept_signal(&self, signal: &Signal) -> Result<Option<Kept>, StoreError> {
        Ok(self.rows()?.kept_signal(signal)?)
    }

    fn kept_signals(&self) -> Result<Vec<Kept>, StoreError> {
        Ok(self.rows()?.kept_signals()?)
    }
}
