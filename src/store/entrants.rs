//! What an open run has taken in: entrants in blocks, kept with the run, and bodies in rows of their
//! own, which go when their items are finished.

use crate::core::fault::Fault;
use crate::core::id::RunId;
use crate::core::inflow::Entrant;

use super::block::{ITEMS, Record};
use super::error::{Damage, Error};
use super::keys;
use super::pack::{self, Words};
use super::rows::Rows;
use super::stage::Stage;
use super::wire::{Input, put_bytes};

const KEY: u8 = 1;
const VERSION: u8 = 2;
const FAULT: u8 = 4;

impl Record for Entrant {
    fn at(&self) -> u64 {
        0
    }

    fn write(&self, out: &mut Vec<u8>, words: &mut Words, _base: u64) {
        let Self { event_id, key, version, fault } = self;
        let said = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        out.extend_from_slice(&event_id.to_be_bytes());
        out.push(said(key.is_some(), KEY) | said(version.is_some(), VERSION) | said(fault.is_some(), FAULT));
        for text in key.iter().chain(version) {
            pack::put_text(out, words, text);
        }
        if let Some(fault) = fault {
            words.put(out, &fault.name);
            put_bytes(out, fault.message.as_bytes());
        }
    }

    fn read(input: &mut Input<'_>, words: &Words, _base: u64) -> Result<Self, Damage> {
        let event_id = u128::from_be_bytes(input.array()?);
        let said = input.byte()?;
        let mut text = |flag: u8| {
            if said & flag == 0 {
                return Ok(None);
            }
            let form = input.byte()?;
            pack::text(input, words, form).map(Some)
        };
        let (key, version) = (text(KEY)?, text(VERSION)?);
        let fault = if said & FAULT == 0 {
            None
        } else {
            Some(Fault { name: words.get(input)?, message: input.text()?.to_owned() })
        };
        Ok(Self { event_id, key, version, fault })
    }
}

impl Stage {
    pub(super) fn entrant(&mut self, run: RunId, position: u64, entrant: &Entrant) -> Result<(), Error> {
        let (block, slot) = ITEMS.place(position);
        self.put_record(&keys::entrant_block(run, block), ITEMS, slot, entrant)
    }

    pub(super) fn body(&mut self, run: RunId, position: u64, body: Option<&[u8]>) -> Result<(), Error> {
        let key = keys::body(run, position);
        if let Some(body) = body {
            return self.put(key, body);
        }
        self.remove(key);
        Ok(())
    }
}

impl Rows {
    pub(super) fn entrants(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<(u64, Entrant)>, Error> {
        self.records(keys::entrant_block, run, from, limit)
    }

    pub(super) fn body(&self, run: RunId, position: u64) -> Result<Option<Vec<u8>>, Error> {
        self.get(&keys::body(run, position))
    }
}
