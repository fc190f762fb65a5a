//! Everything that can go wrong inside the store.

use crate::ports::StoreError;

/// Why a read or a write failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("failed to read or write the journal: {0}")]
    Sled(sled::Error),
    #[error("failed to {what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("row {key} of the store is damaged ({what}); put back a copy of the state directory")]
    Damaged { key: String, what: &'static str },
    #[error("row {key} of the store has format {found}, which this version of milepost does not know")]
    Format { key: String, found: u8 },
    #[error("nothing is kept at the address '{0}'")]
    NotKept(String),
    #[error("the content at the address '{0}' is not what was put there")]
    NotGenuine(String),
    #[error("the store stopped after an error and takes nothing more: {0}")]
    Stopped(String),
}

impl Error {
    /// Wraps an IO error with what was tried, as "failed to …" continues.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<sled::Error> for Error {
    fn from(error: sled::Error) -> Self {
        match error {
            // sled shows these as a program would, not as a person would.
            sled::Error::Io(source) => {
                // Some are wrapped in the text of another one, which says less than the kind.
                let source = if source.raw_os_error().is_some() { source } else { source.kind().into() };
                Self::Io { what: "read or write the journal".to_owned(), source }
            }
            other => Self::Sled(other),
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// Bytes that do not say what they should; becomes [`Error::Damaged`] where the row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub(super) &'static str);
