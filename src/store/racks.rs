//! What lies in the queues: an index in memory of which messages are visible and which are hidden.
//! The messages themselves are in blocks of the store; this says where.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use crate::core::change::{Message, Receipt};
use crate::core::id::RunId;
use crate::core::queue::Carried;
use crate::core::time::Timestamp;

use super::block::Record;
use super::error::Damage;
use super::pack::{self, Words};
use super::wire::{Input, put_distance, put_number};

/// What the name of a dead-letter queue ends with.
const DEAD_LETTER_SUFFIX: &str = ".dlq";

/// The dead-letter queue of a queue; `None` for one that is itself such, where messages stay.
pub(super) fn dead_letter_queue(queue: &str) -> Option<String> {
    if queue.ends_with(DEAD_LETTER_SUFFIX) { None } else { Some(format!("{queue}{DEAD_LETTER_SUFFIX}")) }
}

/// One queue of one run.
pub(super) type RackKey = (String, RunId);

/// A message as it is stored; its queue and run are in the key of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) item: Option<u64>,
    pub(super) event_id: u128,
    pub(super) detail_type: String,
    pub(super) digest: String,
    pub(super) receives: u32,
    pub(super) until: Option<Timestamp>,
    pub(super) carried: Option<Carried>,
}

/// A message, and what it carries.
pub(super) type Opened = (Message, Option<Carried>);

impl Parcel {
    pub(super) fn new(message: Message, carried: Option<Carried>) -> Self {
        let Message { item, event_id, detail_type, digest, .. } = message;
        Self { item, event_id, detail_type, digest, receives: 0, until: None, carried }
    }

    pub(super) fn open(self, (queue, run): &RackKey) -> Opened {
        let message = Message {
            queue: queue.clone(),
            run: *run,
            item: self.item,
            event_id: self.event_id,
            detail_type: self.detail_type,
            digest: self.digest,
        };
        (message, self.carried)
    }
}

impl Record for Parcel {
    fn at(&self) -> u64 {
        self.until.map_or(0, |until| until.0)
    }

    fn write(&self, out: &mut Vec<u8>, words: &mut Words, base: u64) {
        out.extend_from_slice(&self.event_id.to_be_bytes());
        put_number(out, u64::from(self.receives));
        // Counted from the greatest number, which stands for none, so that all small ones are short.
        put_distance(out, u64::MAX, self.item.unwrap_or(u64::MAX));
        words.put(out, &self.detail_type);
        pack::put_text(out, words, &self.digest);
        match (&self.carried, self.until) {
            (None, None) => {}
            (None, Some(until)) => put_distance(out, base, until.0),
            (Some(carried), until) => {
                // What was never hidden is as good as hidden until the beginning of time.
                put_distance(out, base, until.map_or(0, |until| until.0));
                let Carried { key, version, content } = carried;
                for text in [key, version] {
                    let text = text.clone().map_or(Value::Null, Value::String);
                    pack::put_value(out, words, &text);
                }
                pack::put_value(out, words, content);
            }
        }
    }

    fn read(input: &mut Input<'_>, words: &Words, base: u64) -> Result<Self, Damage> {
        let event_id = u128::from_be_bytes(input.array()?);
        let receives = input.small()?;
        let item = Some(input.distance(u64::MAX)?).filter(|item| *item != u64::MAX);
        let detail_type = words.get(input)?;
        let form = input.byte()?;
        let digest = pack::text(input, words, form)?;
        let until = if input.is_empty() { None } else { Some(Timestamp(input.distance(base)?)) };
        if input.is_empty() {
            return Ok(Self { item, event_id, detail_type, digest, receives, until, carried: None });
        }
        let mut text = || match pack::value(input, words)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(Damage("what a message carries is not a text")),
        };
        let (key, version) = (text()?, text()?);
        let carried = Some(Carried { key, version, content: Arc::new(pack::value(input, words)?) });
        let until = until.filter(|until| until.0 > 0);
        Ok(Self { item, event_id, detail_type, digest, receives, until, carried })
    }
}

/// The messages of one queue and run, oldest first.
#[derive(Default)]
struct Rack {
    places: HashMap<u128, Place>,
    visible: BTreeSet<(u64, u128)>,
    hidden: BTreeSet<(Timestamp, u64, u128)>,
    next: u64,
}

#[derive(Clone, Copy)]
struct Place {
    position: u64,
    until: Option<Timestamp>,
}

/// All queues.
#[derive(Default)]
pub(super) struct Racks(HashMap<RackKey, Rack>);

impl Racks {
    /// Takes note of a message that is already stored. It is visible at once, however long it was
    /// hidden: whoever received it held this store, and is gone.
    pub(super) fn load(&mut self, key: &RackKey, position: u64, parcel: &Parcel) {
        let rack = self.0.entry(key.clone()).or_default();
        rack.next = rack.next.max(position + 1);
        rack.add(parcel.event_id, Place { position, until: None });
    }

    /// A position for a new message; `None` when its ID is there already.
    pub(super) fn place_new(&mut self, key: &RackKey, event_id: u128) -> Option<u64> {
        let rack = self.0.entry(key.clone()).or_default();
        if rack.places.contains_key(&event_id) {
            return None;
        }
        let position = rack.next;
        rack.next += 1;
        rack.add(event_id, Place { position, until: None });
        Some(position)
    }

    /// Where a message lies.
    pub(super) fn position(&self, receipt: &Receipt) -> Option<u64> {
        let rack = self.0.get(&(receipt.queue.clone(), receipt.run))?;
        Some(rack.places.get(&receipt.event_id)?.position)
    }

    /// Hides a message until an instant.
    pub(super) fn hide(&mut self, key: &RackKey, event_id: u128, until: Timestamp) {
        if let Some(rack) = self.0.get_mut(key)
            && let Some(place) = rack.remove(event_id)
        {
            rack.add(event_id, Place { until: Some(until), ..place });
        }
    }

    /// Takes a message out.
    pub(super) fn remove(&mut self, key: &RackKey, event_id: u128) {
        if let Some(rack) = self.0.get_mut(key) {
            rack.remove(event_id);
            if rack.places.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Takes out all messages of a run.
    pub(super) fn forget(&mut self, run: RunId) {
        self.0.retain(|(_, of), _| *of != run);
    }

    /// The oldest visible message at `now` whose position is at least `from`: what was hidden long
    /// enough is visible again.
    pub(super) fn oldest_visible(&mut self, key: &RackKey, now: Timestamp, from: u64) -> Option<(u64, u128)> {
        let rack = self.0.get_mut(key)?;
        while let Some((until, position, event_id)) = rack.hidden.first().copied() {
            if until > now {
                break;
            }
            rack.hidden.pop_first();
            rack.add(event_id, Place { position, until: None });
        }
        rack.visible.range((from, 0)..).next().copied()
    }

    /// When the next hidden message becomes visible.
    pub(super) fn next_visible(&self, key: &RackKey) -> Option<Timestamp> {
        Some(self.0.get(key)?.hidden.first()?.0)
    }
}

impl Rack {
    fn add(&mut self, event_id: u128, place: Place) {
        self.places.insert(event_id, place);
        match place.until {
            Some(until) => self.hidden.insert((until, place.position, event_id)),
            None => self.visible.insert((place.position, event_id)),
        };
    }

    fn remove(&mut self, event_id: u128) -> Option<Place> {
        let place = self.places.remove(&event_id)?;
        match place.until {
            Some(until) => self.hidden.remove(&(until, place.position, event_id)),
            None => self.visible.remove(&(place.position, event_id)),
        };
        Some(place)
    }
}
