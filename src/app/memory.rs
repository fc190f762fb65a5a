//! Workflow files that were checked: a start from one that says the same as before need not check it again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::core::catalog::Catalog;

use super::definition::{Definition, DefinitionError, Written};

/// So many files are remembered: the ones that were started last.
const FILES_MAX: usize = 16;
/// Larger definitions, with the files that they name, are checked each time: what is remembered stays small.
const BYTES_MAX: usize = 1024 * 1024;

/// What was checked lately, the latest first.
#[derive(Default)]
pub(super) struct Memory {
    checked: Mutex<VecDeque<Checked>>,
}

#[derive(Clone)]
struct Checked {
    file: PathBuf,
    profile: Option<String>,
    definition: Arc<Definition>,
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
    ) -> Result<Arc<Definition>, DefinitionError> {
        let written = Written::read(file)?;
        let known = self.recall(file, profile);
        if let Some(known) = known.filter(|known| known.definition.is_unchanged(&written)) {
            let definition = Arc::clone(&known.definition);
            self.remember(known);
            return Ok(definition);
        }
        let definition = Arc::new(Definition::of(written, file, profile, catalog)?);
        if definition.size() <= BYTES_MAX {
            let (file, profile) = (file.to_owned(), profile.map(str::to_owned));
            self.remember(Checked { file, profile, definition: Arc::clone(&definition) });
        }
        Ok(definition)
    }

    fn recall(&self, file: &Path, profile: Option<&str>) -> Option<Checked> {
        self.lock().iter().find(|known| known.is_of(file, profile)).cloned()
    }

    fn remember(&self, latest: Checked) {
        let mut checked = self.lock();
        checked.retain(|known| !known.is_of(&latest.file, latest.profile.as_deref()));
        checked.push_front(latest);
        checked.truncate(FILES_MAX);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Checked>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checked {
    fn is_of(&self, file: &Path, profile: Option<&str>) -> bool {
        self.file == file && self.profile.as_deref() == profile
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::connectors;

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
        assert!(Arc::ptr_eq(&first, &read().unwrap()), "nothing has changed");

        fs::write(&schema, "{\"type\":\"object\"}").unwrap();
        let other_schema = read().unwrap();
        assert_eq!(other_schema.checked.files["schema.json"], b"{\"type\":\"object\"}");

        fs::write(&file, WORKFLOW.replace("workflow: one", "workflow: two")).unwrap();
        let renamed = read().unwrap();
        assert_eq!(renamed.checked.workflow.name, "two");
        assert!(Arc::ptr_eq(&renamed, &read().unwrap()));

        fs::remove_file(&schema).unwrap();
        assert!(matches!(read(), Err(DefinitionError::Mistakes(_))), "a file that it names is gone");
        fs::write(&file, "workflow: [").unwrap();
        assert!(matches!(read(), Err(DefinitionError::Mistakes(_))));
        fs::remove_file(&file).unwrap();
        assert!(matches!(read(), Err(DefinitionError::Unreadable(..))));
    }

    #[test]
    fn only_the_files_that_were_started_last_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, catalog) = (Memory::default(), connectors::catalog());
        fs::write(dir.path().join("schema.json"), "{}").unwrap();
        for number in 0..=FILES_MAX {
            let file = dir.path().join(format!("{number}.yaml"));
            fs::write(&file, WORKFLOW).unwrap();
            memory.definition(&file, None, &catalog).unwrap();
        }
        assert_eq!(memory.lock().len(), FILES_MAX);
        assert!(memory.recall(&dir.path().join("0.yaml"), None).is_none());
        assert!(memory.recall(&dir.path().join("1.yaml"), None).is_some());
    }
}
