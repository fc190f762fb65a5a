//! The workflow file of a run as it was pinned, with the files that it names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::Archive;
use super::problem::Problem;
use crate::core::id::RunId;

/// Most bytes of one file that are shown: a schema may have megabytes.
const SHOWN_MAX: usize = 256 * 1024;

/// The definition that a run goes on under. Secrets stay `${env:NAME}` in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DefinitionView {
    /// The run.
    pub run: RunId,
    /// The workflow file first, then the files that it names.
    pub files: Vec<FileView>,
}

/// One pinned file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileView {
    /// Its name as it is written.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What it says, or the beginning of that; `null` when it is no text.
    pub text: Option<String>,
}

impl Archive {
    /// The definition of a run.
    ///
    /// # Errors
    /// What is wrong with the reference, or that the pins cannot be read.
    pub fn definition(&self, reference: &str) -> Result<DefinitionView, Problem> {
        let run = self.find(reference)?;
        let files = self.names().definition(&run)?;
        let file = |(name, bytes): (String, Vec<u8>)| FileView {
            name,
            bytes: bytes.len() as u64,
            text: text(&bytes),
        };
        Ok(DefinitionView { run: run.id, files: files.into_iter().map(file).collect() })
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN_MAX).unwrap_or(text.len());
    Some(text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use crate::view::fake::archive;

    #[test]
    fn a_file_that_is_no_text_is_only_measured() {
        let definition = archive(false).definition("@latest").unwrap();
        let [workflow, schema] = definition.files.as_slice() else { panic!("{definition:?}") };
        assert!(workflow.text.as_ref().unwrap().starts_with("name: product-sync"));
        assert_eq!((schema.name.as_str(), schema.bytes, &schema.text), ("schema.json", 2, &None));
    }
}
