//! Single rows of the tree, unframed and checked.

use std::sync::Arc;

use super::block::{Block, Found, Record};
use super::codec;
use super::error::Error;
use super::keys;
use super::pins::Files;

/// How often a record is looked up again when it moves between its block and a row of its own.
/// Each time takes a commit in between, so a handful is plenty.
const LOOKS_MAX: usize = 16;

/// The tree and the files that rows may refer to.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) db: sled::Db,
    pub(super) files: Arc<Files>,
}

impl Rows {
    /// The payload of a row.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(row) = self.db.get(key)? else { return Ok(None) };
        codec::unframe(key, &row, &self.files).map(Some)
    }

    /// A block.
    pub(super) fn block(&self, key: &[u8]) -> Result<Option<Block>, Error> {
        let Some(payload) = self.get(key)? else { return Ok(None) };
        Block::decode(&payload).map(Some).map_err(codec::at(key))
    }

    /// The rows whose keys begin with `prefix`, in order: key and payload.
    pub(super) fn all(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(sled::IVec, Vec<u8>), Error>> + use<> {
        self.read(self.db.scan_prefix(prefix))
    }

    /// The rows from one key up to another, both included.
    pub(super) fn range(
        &self,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> impl DoubleEndedIterator<Item = Result<(sled::IVec, Vec<u8>), Error>> + use<> {
        self.read(self.db.range(from..=to))
    }

    /// The record in a slot of a block that was read before, which a commit may have changed since.
    pub(super) fn record<T: Record>(
        &self,
        key: &[u8],
        block: &Block,
        slot: usize,
    ) -> Result<Option<T>, Error> {
        let mut found = block.get(slot).map_err(codec::at(key))?;
        for _ in 0..LOOKS_MAX {
            match found {
                Found::Nothing => return Ok(None),
                Found::Here(record) => return Ok(Some(record)),
                Found::Spilled => {}
            }
            let spill = keys::spill(key, slot);
            if let Some(payload) = self.get(&spill)? {
                return alone(&spill, &payload).map(Some);
            }
            let Some(again) = self.block(key)? else { return Ok(None) };
            found = again.get(slot).map_err(codec::at(key))?;
        }
        Err(Error::Damaged { key: keys::display(key), what: "a record of its own row is missing" })
    }

    fn read(
        &self,
        rows: sled::Iter,
    ) -> impl DoubleEndedIterator<Item = Result<(sled::IVec, Vec<u8>), Error>> + use<> {
        let files = Arc::clone(&self.files);
        rows.map(move |row| {
            let (key, row) = row?;
            let payload = codec::unframe(&key, &row, &files)?;
            Ok((key, payload))
        })
    }
}

/// The record in a row of its own.
pub(super) fn alone<T: Record>(key: &[u8], payload: &[u8]) -> Result<T, Error> {
    match Block::decode(payload).and_then(|block| block.get(0)).map_err(codec::at(key))? {
        Found::Here(record) => Ok(record),
        Found::Nothing | Found::Spilled => {
            Err(Error::Damaged { key: keys::display(key), what: "it holds no record" })
        }
    }
}
