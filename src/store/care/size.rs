//! What takes the room.

use std::collections::BTreeMap;
use std::path::Path;

use crate::core::care::{KindSize, Size};

use super::super::block::Block;
use super::super::codec;
use super::super::error::Error;
use super::super::open::JOURNAL;
use super::super::rows::Rows;
use super::{bytes_below, walk, words};

pub(super) fn size(rows: &Rows, dir: &Path) -> Result<Size, Error> {
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let (mut items, mut item_bytes) = (0, 0);
    for raw in walk::rows(rows, b"") {
        let raw = raw?;
        let kind = kinds.entry(words::kind(&raw.key).unwrap_or("of a later version")).or_default();
        kind.0 += 1;
        kind.1 += raw.bytes();
        match *raw.key {
            [b'I', ..] => {
                let block = Block::decode(&raw.payload(rows)?).map_err(codec::at(&raw.key))?;
                items += block.filled().count() as u64;
                item_bytes += raw.bytes();
            }
            [b'S', b'I', ..] => item_bytes += raw.bytes(),
            _ => {}
        }
    }
    let mut size = Size { items, bytes_per_item: (item_bytes).checked_div(items), ..Size::default() };
    size.kinds = kinds
        .into_iter()
        .map(|(kind, (rows, bytes))| KindSize { kind: kind.to_owned(), rows, bytes })
        .collect();
    size.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.bytes));
    for (_, bytes) in rows.files.all()?.addresses {
        size.files += 1;
        size.file_bytes += bytes;
    }
    size.journal_bytes = bytes_below(&dir.join(JOURNAL))?;
    size.total_bytes = size.journal_bytes + size.file_bytes;
    Ok(size)
}
