//! Definitions that were checked: what says the same as before need not be checked again.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::catalog::Catalog;
use crate::core::run::Run;
use crate::ports::Pins;

use super::definition::{Definition, DefinitionError, Written};

/// So many of each are remembered: the ones that were used last.
const KEPT_MAX: usize = 16;
/// Larger definitions, with the files that they name, are checked each time: what is remembered stays small.
const BYTES_MAX: usize = 1024 * 1024;

/// What was checked lately.
#[derive(Default)]
pub(super) struct Memory {
    /// By file and profile; a file may say something else by now.
    written: Latest<(PathBuf, Option<String>)>,
    /// By their addresses, which say what they are.
    pinned: Latest<Roots>,
}

/// What the checked definition of a run follows from.
#[derive(Clone, PartialEq)]
struct Roots {
    file: String,
    definition: String,
    files: BTreeMap<String, String>,
    profile: Option<String>,
}

impl Memory {
    /// What a workflow file says now. It is read, and so is every file that it names; only where one of them
    /// has changed, they are checked.
    ///
    /// # Errors
    /// [`DefinitionError`]; mistakes are not remembered.
    pub(super) fn definition(
        &self,
        file: &Path,
        profile: Option<&str>,
        catalog: &Catalog,
    ) -> Result<Definition, DefinitionError> {
        let written = Written::read(file)?;
        let key = (file.to_owned(), profile.map(str::to_owned));
        if let Some(known) = self.written.recall(&key).filter(|known| known.is_unchanged(&written)) {
            return Ok(known);
        }
        let definition = Definition::of(written, file, profile, catalog)?;
        self.written.remember(key, &definition);
        Ok(definition)
    }

    /// The definition that a run goes on under.
    ///
    /// # Errors
    /// [`DefinitionError`].
    pub(super) fn pinned(
        &self,
        run: &Run,
        pins: &dyn Pins,
        catalog: &Catalog,
    ) -> Result<Definition, DefinitionError> {
        let (file, definition) = (run.file.clone(), run.definition.clone());
        let key = Roots { file, definition, files: run.files.clone(), profile: run.profile.clone() };
        if let Some(known) = self.pinned.recall(&key) {
            return Ok(Definition { revisions: run.revisions.clone(), ..known });
        }
        let definition = Definition::from_pins(run, pins, catalog)?;
        self.pinned.remember(key, &definition);
        Ok(definition)
    }
}

/// Definitions by what they come from, the latest first.
struct Latest<K>(Mutex<VecDeque<(K, Definition)>>);

impl<K> Default for Latest<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq> Latest<K> {
    /// Counts as a use.
    fn recall(&self, key: &K) -> Option<Definition> {
        let mut kept = self.lock();
        let at = kept.iter().position(|(known, _)| known == key)?;
        kept.make_contiguous()[..=at].rotate_right(1);
        kept.front().map(|(_, definition)| definition.clone())
    }

    fn remember(&self, key: K, definition: &Definition) {
        if definition.size() > BYTES_MAX {
            return;
        }
        let mut kept = self.lock();
        kept.retain(|(known, _)| *known != key);
        kept.push_front((key, definition.clone()));
        kept.truncate(KEPT_MAX);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(K, Definition)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::app::clock::SystemClock;
    use crate::connectors;
    use crate::core::id::RunId;
    use crate::core::run::{Cause, Revision};
    use crate::ports::Clock;
    use crate::store::MemoryStore;

    const WORKFLOW: &str = "workflow: one
input: { source: { type: uri, default: a.json } }
connections: { files: { use: local } }
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: \"${{ input.source }}\", item_key: \"${{ item.id }}\", schema: schema.json }
";

    #[test]
    fn a_file_is_checked_again_when_it_or_one_that_it_names_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, schema) = (dir.path().join("one.yaml"), dir.path().join("schema.json"));
        let (memory, catalog) = (Memory::default(), connectors::catalog());
        let read = || memory.definition(&file, None, &catalog);
        fs::write(&schema, "{}").unwrap();
        fs::write(&file, WORKFLOW).unwrap();
        let first = read().unwrap();
        assert!(Arc::ptr_eq(&first.checked, &read().unwrap().checked), "nothing has changed");

        fs::write(&schema, "{\"type\":\"object\"}").unwrap();
        let other_schema = read().unwrap();
        assert_eq!(other_schema.checked.files["schema.json"], b"{\"type\":\"object\"}");

        fs::write(&file, WORKFLOW.replace("workflow: one", "workflow: two")).unwrap();
        let renamed = read().unwrap();
        assert_eq!(renamed.checked.workflow.name, "two");
        assert!(Arc::ptr_eq(&renamed.checked, &read().unwrap().checked));

        fs::remove_file(&schema).unwrap();
        assert!(matches!(read(), Err(DefinitionError::Mistakes(_))), "a file that it names is gone");
        fs::write(&file, "workflow: [").unwrap();
        assert!(matches!(read(), Err(DefinitionError::Mistakes(_))));
        fs::remove_file(&file).unwrap();
        assert!(matches!(read(), Err(DefinitionError::Unreadable(..))));
    }

    #[test]
    fn runs_under_the_same_pins_share_what_was_checked_and_have_revisions_of_their_own() {
        let store = MemoryStore::new(Arc::new(SystemClock));
        let (memory, catalog) = (Memory::default(), connectors::catalog());
        let address = store.put(WORKFLOW.as_bytes()).unwrap();
        let schema = store.put(b"{}").unwrap();
        let now = SystemClock.now();
        let mut run = Run::queued(RunId(1), "one", "/one.yaml", &address, now);
        run.files.insert("schema.json".to_owned(), schema);
        let first = memory.pinned(&run, &store, &catalog).unwrap();

        let revision = Revision { number: 1, cause: Cause::Definition };
        let other = Run { id: RunId(2), revisions: [("read".to_owned(), revision)].into(), ..run.clone() };
        let second = memory.pinned(&other, &store, &catalog).unwrap();
        assert!(Arc::ptr_eq(&first.checked, &second.checked));
        assert_eq!((first.revisions.len(), second.revisions), (0, other.revisions));

        run.definition = store.put(WORKFLOW.replace("workflow: one", "workflow: two").as_bytes()).unwrap();
        assert_eq!(memory.pinned(&run, &store, &catalog).unwrap().checked.workflow.name, "two");
    }

    #[test]
    fn only_the_definitions_that_were_used_last_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, catalog) = (Memory::default(), connectors::catalog());
        fs::write(dir.path().join("schema.json"), "{}").unwrap();
        for number in 0..=KEPT_MAX {
            let file = dir.path().join(format!("{number}.yaml"));
            fs::write(&file, WORKFLOW).unwrap();
            memory.definition(&file, None, &catalog).unwrap();
        }
        let recall = |name: &str| memory.written.recall(&(dir.path().join(name), None));
        assert_eq!(memory.written.lock().len(), KEPT_MAX);
        assert!(recall("0.yaml").is_none() && recall("1.yaml").is_some());
        fs::write(dir.path().join("0.yaml"), WORKFLOW).unwrap();
        memory.definition(&dir.path().join("0.yaml"), None, &catalog).unwrap();
        assert!(recall("1.yaml").is_some() && recall("2.yaml").is_none(), "a use counts");
    }
}
