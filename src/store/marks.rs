//! What triggers remember, on both stores.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::core::change::Change;
use crate::core::trigger::Mark;
use crate::ports::{Journal, Marks, StoreError};

use super::Store;
use super::cells;
use super::codec;
use super::error::Error;
use super::keys;
use super::memory::{Kept, MemoryStore};
use super::rows::Rows;

impl Rows {
    fn marks(&self, of: &str) -> Result<BTreeMap<String, String>, Error> {
        let mut marks = BTreeMap::new();
        for row in self.all(&keys::marks(of)) {
            let (key, payload) = row?;
            let mark: Mark = cells::from_json(&payload).map_err(codec::at(&key))?;
            marks.extend(mark.seen.map(|seen| (mark.subject, seen)));
        }
        Ok(marks)
    }
}

impl Kept {
    pub(super) fn mark(&mut self, mark: Mark) {
        let Mark { of, subject, seen } = mark;
        match seen {
            Some(seen) => drop(self.marks.insert((of, subject), seen)),
            None => drop(self.marks.remove(&(of, subject))),
        }
    }
}

#[async_trait]
impl Marks for Store {
    fn marks(&self, of: &str) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.rows()?.marks(of)?)
    }

    async fn mark(&self, of: &str, marks: BTreeMap<String, Option<String>>) -> Result<(), StoreError> {
        self.commit(changes(of, marks)).await
    }
}

#[async_trait]
impl Marks for MemoryStore {
    fn marks(&self, of: &str) -> Result<BTreeMap<String, String>, StoreError> {
        self.read(|kept| {
            let own = kept.marks.iter().filter(|((known, _), _)| known == of);
            own.map(|((_, subject), seen)| (subject.clone(), seen.clone())).collect()
        })
    }

    async fn mark(&self, of: &str, marks: BTreeMap<String, Option<String>>) -> Result<(), StoreError> {
        self.commit(changes(of, marks)).await
    }
}

fn changes(of: &str, marks: BTreeMap<String, Option<String>>) -> Vec<Change> {
    let put = |(subject, seen)| Change::Mark(Box::new(Mark { of: of.to_owned(), subject, seen }));
    marks.into_iter().map(put).collect()
}
