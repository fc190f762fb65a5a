//! Mappings (a placeholder until the real module is merged: a mapping gives the item as it is).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::core::fault::Fault;
use crate::core::scope::Scope;

/// A mistake in a mapping file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFault {
    /// The file, by its name as written.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// A compiled mapping.
#[derive(Clone, Debug)]
pub struct Mapping {}

impl Mapping {
    /// Compiles the text of the mapping file called `name`.
    pub fn compile(
        _text: &str,
        _name: &str,
        _files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, Vec<MappingFault>> {
        Ok(Self {})
    }

    /// The mapped item.
    pub fn apply(&self, scope: &Scope) -> Result<Value, Fault> {
        Ok((*scope.item).clone())
    }
}
