//! The files that a workflow names: read through the caller, because this part does no IO.

use std::collections::BTreeMap;

use super::codes;
use super::place::Span;
use super::report::{Mistake, Notes};
use super::steps::Draft;
use super::words::nearest;

/// A chain of files that name files is a mistake long before this.
const FILES_MAX: usize = 200;

/// The files beside the workflow file.
pub trait Files {
    /// The bytes of a file, by its name as written in the workflow file.
    ///
    /// # Errors
    /// Why it cannot be read, in plain words: "no such file", "is a directory".
    fn read(&self, name: &str) -> Result<Vec<u8>, String>;

    /// The names of further files that this file names (a mapping names its rate and category
    /// files), as [`Files::read`] takes them. They are read and pinned too.
    fn named_in(&self, _name: &str, _bytes: &[u8]) -> Vec<String> {
        Vec::new()
    }

    /// Names that may have been meant instead of one that is not there.
    fn beside(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Reads every file that the steps name, and what those name.
pub(super) fn read(
    steps: &[&Draft<'_>],
    files: &dyn Files,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, Vec<u8>> {
    let mut read: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut missing: Vec<String> = Vec::new();
    for (name, span) in steps.iter().flat_map(|draft| &draft.files) {
        let mut open: Vec<(String, Option<String>)> = vec![(name.clone(), None)];
        while let Some((name, named_by)) = open.pop() {
            if read.contains_key(&name) {
                continue;
            }
            // A file that two steps name is reported for both: each of them must be mended.
            if named_by.is_some() && missing.contains(&name) {
                continue;
            }
            if read.len() >= FILES_MAX {
                let message = format!("more than {FILES_MAX} files are named");
                notes.push(Mistake::new(codes::NO_FILE, *span, message));
                return read;
            }
            match files.read(&name) {
                Ok(bytes) => {
                    let inner = files.named_in(&name, &bytes);
                    open.extend(inner.into_iter().rev().map(|inner| (inner, Some(name.clone()))));
                    read.insert(name, bytes);
                }
                Err(why) => {
                    report(&name, named_by.as_deref(), &why, *span, files, notes);
                    missing.push(name);
                }
            }
        }
    }
    read
}

fn report(
    name: &str,
    named_by: Option<&str>,
    why: &str,
    span: Span,
    files: &dyn Files,
    notes: &mut Notes<'_>,
) {
    let message = match named_by {
        Some(outer) => format!("'{outer}' names '{name}', which cannot be read: {why}"),
        None => format!("'{name}' cannot be read: {why}"),
    };
    let beside = files.beside(name);
    let hint = match nearest(name, beside.iter().map(String::as_str)) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "files are named relative to the folder of the workflow file".to_owned(),
    };
    notes.push(Mistake::new(codes::NO_FILE, span, message).hint(hint));
}
