//! Everything that can go wrong inside the store.

use std::io;

use crate::ports::StoreError;

/// Why a read or a write failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("failed to read or write the journal: {0}")]
    Sled(sled::Error),
    #[error("failed to {what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("row {key} of the store is damaged ({what}); look at the whole with: milepost state verify")]
    Damaged { key: String, what: &'static str },
    #[error("row {key} of the store has format {found}, which this version of milepost does not know")]
    Format { key: String, found: u8 },
    #[error("nothing is kept at the address '{0}'")]
    NotKept(String),
    #[error("the content at the address '{0}' is not what was put there")]
    NotGenuine(String),
    #[error("the journal cannot be read: {0}")]
    Unreadable(String),
    #[error("the store stopped after an error and takes nothing more: {0}")]
    Stopped(String),
}

impl Error {
    /// Wraps an IO error with what was tried, as "failed to …" continues.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<sled::Error> for Error {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => {
                Self::Io { what: "read or write the journal".to_owned(), source: as_it_was(error) }
            }
            other => Self::Sled(other),
        }
    }
}

/// sled hands an error of a write on as the text of a value, `Os { code: 28, … }`, which is no text
/// for people.
fn as_it_was(error: io::Error) -> io::Error {
    let text = error.to_string();
    let code = text.strip_prefix("Os { code: ").and_then(|rest| rest.split(',').next()?.parse().ok());
    code.map_or(error, io::Error::from_raw_os_error)
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// Bytes that do not say what they should; becomes [`Error::Damaged`] where the row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub(super) &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_in_the_words_of_the_system() {
        let full = || io::Error::from_raw_os_error(28);
        for error in [full(), io::Error::new(full().kind(), format!("{:?}", full()))] {
            let said = Error::from(sled::Error::Io(error)).to_string();
            assert_eq!(said, "failed to read or write the journal: No space left on device (os error 28)");
        }
        let other = Error::from(sled::Error::Io(io::Error::other("short read"))).to_string();
        assert!(other.ends_with("short read"), "{other}");
    }
}
