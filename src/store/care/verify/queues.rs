//! Whether the embedded queues are whole.

use super::super::super::block::{Block, MESSAGES};
use super::super::super::codec;
use super::super::super::error::Error;
use super::super::super::keys;
use super::super::super::racks::Parcel;
use super::super::words;
use super::Check;
use crate::core::care::Damage;

impl Check<'_> {
    pub(super) fn messages(&mut self, key: &[u8], payload: &[u8]) -> Result<(), Error> {
        if keys::of_queue_block(key).is_none() {
            self.found.add(Damage::Row, words::place(key), "its key names no queue");
        }
        let block = Block::decode(payload).map_err(codec::at(key))?;
        for slot in block.filled() {
            self.found.seen.messages += 1;
            let parcel = self.record::<Parcel>(key, &block, slot);
            let number = keys::last_number(&key[..key.len().min(25)]).unwrap_or_default();
            let run = words::run_in(key).and_then(|run| self.runs.get(&run)?.run.as_ref());
            let count = run.and_then(|run| run.source.as_ref()).map(|source| source.count);
            if let (Some(item), Some(count)) = (parcel.and_then(|parcel| parcel.item), count)
                && item >= count
            {
                let place = format!("message {} in {}", MESSAGES.position(number, slot), words::place(key));
                self.found.add(Damage::Row, place, format!("it is about item {item} of {count}"));
            }
        }
        Ok(())
    }
}
