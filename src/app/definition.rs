//! Where a workflow's definition comes from: files on disk when a run starts or a file is checked,
//! pinned bytes ever after.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::catalog::Catalog;
use crate::core::plan::Plan;
use crate::core::run::{Revision, Run};
use crate::mapping;
use crate::ports::{Pins, StoreError};
use crate::spec::{self, Checked, Files, Report, Text};

/// A checked definition with its bytes. Copies share them.
#[derive(Clone)]
pub(super) struct Definition {
    /// The bytes of the workflow file.
    pub(super) bytes: Arc<[u8]>,
    /// The folder that relative paths begin in.
    pub(super) base: PathBuf,
    /// What it says.
    pub(super) checked: Arc<Checked>,
    /// The steps whose doing was changed under the run that it belongs to.
    pub(super) revisions: BTreeMap<String, Revision>,
}

/// A workflow file as it lies on disk.
pub(super) struct Written {
    bytes: Vec<u8>,
    base: PathBuf,
}

impl Written {
    /// Reads a workflow file.
    pub(super) fn read(file: &Path) -> Result<Self, DefinitionError> {
        let unreadable = |error: std::io::Error| DefinitionError::Unreadable(file.to_owned(), why(&error));
        let bytes = fs::read(file).map_err(unreadable)?;
        let absolute = std::path::absolute(file).map_err(unreadable)?;
        Ok(Self { bytes, base: absolute.parent().unwrap_or(Path::new("/")).to_owned() })
    }
}

/// A definition cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum DefinitionError {
    /// The file cannot be read.
    #[error("{file} cannot be read: {why}", file = .0.display(), why = .1)]
    Unreadable(PathBuf, String),
    /// It has mistakes.
    #[error("the workflow file has mistakes")]
    Mistakes(Box<Report>),
    /// The pinned bytes cannot be read.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Definition {
    /// Reads and checks a workflow file.
    pub(super) fn from_disk(
        file: &Path,
        profile: Option<&str>,
        catalog: &Catalog,
    ) -> Result<Self, DefinitionError> {
        Self::of(Written::read(file)?, file, profile, catalog)
    }

    /// Checks a workflow file that was read.
    pub(super) fn of(
        written: Written,
        file: &Path,
        profile: Option<&str>,
        catalog: &Catalog,
    ) -> Result<Self, DefinitionError> {
        let Written { bytes, base } = written;
        let name = file.display().to_string();
        let files = OnDisk { base: base.clone() };
        let checked = spec::check(Text { name: &name, bytes: &bytes }, profile, catalog, &files)
            .map_err(|report| DefinitionError::Mistakes(Box::new(report)))?;
        Ok(Self { bytes: bytes.into(), base, checked: Arc::new(checked), revisions: BTreeMap::new() })
    }

    /// Whether the file and every file that it names, directly or through another, still say the same.
    /// `written` is the file as it is now.
    pub(super) fn is_unchanged(&self, written: &Written) -> bool {
        let files = OnDisk { base: self.base.clone() };
        let same = |(name, bytes): (&String, &Vec<u8>)| files.read(name).is_ok_and(|read| read == *bytes);
        self.base == written.base && *self.bytes == *written.bytes && self.checked.files.iter().all(same)
    }

    /// Bytes of the file and of every file that it names.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.checked.files.values().map(Vec::len).sum::<usize>()
    }

    /// What the engine decides on.
    pub(super) fn plan(&self, catalog: &Catalog) -> Plan {
        Plan::of(&self.checked.workflow, catalog).revised(&self.revisions)
    }

    /// Reads the definition that a run goes on under.
    pub(super) fn from_pins(run: &Run, pins: &dyn Pins, catalog: &Catalog) -> Result<Self, DefinitionError> {
        let bytes = pins.get(&run.definition)?;
        let mut files = BTreeMap::new();
        for (name, address) in &run.files {
            files.insert(name.clone(), pins.get(address)?);
        }
        let base = Path::new(&run.file).parent().unwrap_or(Path::new("/")).to_owned();
        let text = Text { name: &run.file, bytes: &bytes };
        let checked = spec::check(text, run.profile.as_deref(), catalog, &Pinned { files })
            .map_err(|report| DefinitionError::Mistakes(Box::new(report)))?;
        let (bytes, checked) = (bytes.into(), Arc::new(checked));
        Ok(Self { bytes, base, checked, revisions: run.revisions.clone() })
    }
}

struct OnDisk {
    base: PathBuf,
}

impl Files for OnDisk {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        fs::read(self.base.join(name)).map_err(|error| why(&error))
    }

    fn named_in(&self, _: &str, bytes: &[u8]) -> Vec<String> {
        named_in(bytes)
    }

    fn beside(&self, name: &str) -> Vec<String> {
        let path = Path::new(name);
        let folder = path.parent().unwrap_or(Path::new(""));
        let Ok(entries) = fs::read_dir(self.base.join(folder)) else { return Vec::new() };
        entries.flatten().map(|entry| folder.join(entry.file_name()).to_string_lossy().into_owned()).collect()
    }
}

struct Pinned {
    files: BTreeMap<String, Vec<u8>>,
}

impl Files for Pinned {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        self.files.get(name).cloned().ok_or_else(|| "it was not pinned with the run".to_owned())
    }

    fn named_in(&self, _: &str, bytes: &[u8]) -> Vec<String> {
        named_in(bytes)
    }
}

pub(super) fn named_in(bytes: &[u8]) -> Vec<String> {
    std::str::from_utf8(bytes).map(mapping::names).unwrap_or_default()
}

/// The reason in words that a person expects, without the number of the system.
fn why(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}
