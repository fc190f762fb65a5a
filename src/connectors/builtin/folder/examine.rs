//! What `doctor` says of a folder.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::sight::Place;
use crate::connectors::{Diagnosis, settings};

/// Whether the folder can be looked at, and each file in it be read. Nothing is written there: files stay
/// where they are, and what has started a run is remembered in the state.
pub(crate) fn examine(with: &Map<String, Value>, base: &Path, state: &Path) -> Vec<Diagnosis> {
    let text = |name| settings::text(with, name).ok().flatten().unwrap_or_default().to_owned();
    let folder = base.join(text("folder"));
    let place = Place { folder: folder.clone(), prefix: text("prefix"), suffix: text("suffix") };
    let what = format!("folder {}", folder.display());
    let files = match place.look() {
        Ok(files) => files,
        Err(_) if !folder.exists() => {
            return vec![Diagnosis::wrong(
                format!("{what}: it is not there"),
                format!("mkdir -p {}", folder.display()),
            )];
        }
        Err(fault) => {
            let next = format!("ls -ld {}; it has to be a folder that this user can list", folder.display());
            return vec![Diagnosis::wrong(fault.message, next)];
        }
    };
    let mut found = Vec::new();
    if let (Ok(within), Ok(state)) = (folder.canonicalize(), state.canonicalize())
        && within.starts_with(&state)
    {
        let next = "name a folder outside of it: what lies in the state belongs to the engine";
        found.push(Diagnosis::wrong(format!("{what}: it is in the state directory"), next));
    }
    for file in files.keys() {
        if let Err(error) = fs::File::open(file) {
            let file = file.display();
            found.push(Diagnosis::wrong(format!("{file}: {error}"), format!("chmod u+r {file}")));
        }
    }
    if found.is_empty() {
        let files = files.len();
        found.push(Diagnosis::good(format!("{what}: it can be watched; {files} in it now that would count")));
    }
    found
}
